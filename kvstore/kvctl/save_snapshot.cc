#include "kvstore/kvctl/save_snapshot.h"

#include <algorithm>
#include <string_view>

#include "base/status.h"
#include "base/strings.h"
#include "kvstore/recovery/snapshot_file.h"

namespace keel::kvctl {
namespace {

using base::StrCat;
using kvstore::kSnapshotAlign;
using kvstore::kSnapshotHashBytes;

// Takes what the server sends: into `file`, through the hash that ends it.
class Receiver {
 public:
  Receiver(base::File* file, const OnSnapshotBytes& on_bytes) : file_(file), on_bytes_(on_bytes) {}

  absl::Status Take(const etcdserverpb::SnapshotResponse& response) {
    const std::string& blob = response.blob();
    KEEL_RETURN_IF_ERROR(file_->Write(size_, blob));
    size_ += blob.size();
    KEEL_RETURN_IF_ERROR(on_bytes_(size_, size_ + response.remaining_bytes()));
    // The hash covers all but itself: the last bytes are held back until more come.
    tail_ += blob;
    if (tail_.size() > kSnapshotHashBytes) {
      const size_t sure = tail_.size() - kSnapshotHashBytes;
      hash_.Add(std::string_view(tail_).substr(0, sure));
      tail_.erase(0, sure);
    }
    return absl::OkStatus();
  }

  absl::Status Check() {
    if (size_ % kSnapshotAlign != kSnapshotHashBytes) {
      return absl::DataLossError(StrCat("sha256 checksum not found [bytes: ", size_, "]"));
    }
    if (hash_.Finish() != tail_) {
      return absl::DataLossError("the snapshot's integrity hash does not match what was received");
    }
    return absl::OkStatus();
  }

 private:
  base::File* const file_;
  const OnSnapshotBytes& on_bytes_;
  uint64_t size_ = 0;
  std::string tail_;
  kvstore::Sha256 hash_;
};

absl::Status Receive(kvstore::Client& client, const std::string& endpoint, base::FileSystem& fs,
                     const std::string& part, const std::string& path,
                     const OnSnapshotBytes& on_bytes) {
  {
    KEEL_ASSIGN_OR_RETURN(const auto file, fs.Open(part, base::FileSystem::Mode::kCreateEmpty));
    Receiver receiver(file.get(), on_bytes);
    KEEL_RETURN_IF_ERROR(client.Snapshot(
        [&](const etcdserverpb::SnapshotResponse& response) { return receiver.Take(response); },
        {.endpoint = endpoint}));
    KEEL_RETURN_IF_ERROR(receiver.Check());
    KEEL_RETURN_IF_ERROR(file->Sync());
  }
  KEEL_RETURN_IF_ERROR(fs.Rename(part, path));
  const size_t slash = path.rfind('/');
  return fs.SyncDir(slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1)));
}

}  // namespace

absl::Status SaveSnapshot(kvstore::Client& client, const std::string& endpoint,
                          base::FileSystem& fs, const std::string& path,
                          const OnSnapshotBytes& on_bytes) {
  const std::string part = path + ".part";
  absl::Status saved = Receive(client, endpoint, fs, part, path, on_bytes);
  if (!saved.ok() && fs.Exists(part)) fs.Remove(part).IgnoreError();  // the error is the news
  return saved;
}

}  // namespace keel::kvctl
