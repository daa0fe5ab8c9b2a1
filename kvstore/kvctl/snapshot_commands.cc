// snapshot save, status, restore.
#include <algorithm>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/progress_bar.h"
#include "kvstore/kvctl/session.h"
#include "kvstore/kvctl/table.h"
#include "kvstore/recovery/restore.h"
#include "kvstore/recovery/snapshot_file.h"

namespace keel::kvctl {
namespace {

using base::StrCat;
using kvstore::kSnapshotAlign;
using kvstore::kSnapshotHashBytes;

Outcome OnePath(const Arguments& arguments, const char* verb, std::string* path) {
  const auto given = arguments.Get();
  if (given.size() != 1) {
    return Fail(kExitBadArgs, StrCat("snapshot ", verb, " requires exactly one argument"));
  }
  *path = given[0];
  return Success();
}

// Takes what the server sends: into `file`, through the hash that ends it.
class Receiver {
 public:
  explicit Receiver(base::File* file) : file_(file) {}

  absl::Status Take(const etcdserverpb::SnapshotResponse& response) {
    const std::string& blob = response.blob();
    KEEL_RETURN_IF_ERROR(file_->Write(size_, blob));
    size_ += blob.size();
    bar_.Show(size_, size_ + response.remaining_bytes());
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
  uint64_t size_ = 0;
  std::string tail_;
  kvstore::Sha256 hash_;
  ProgressBar bar_{"saving"};
};

absl::Status Receive(Session& session, base::FileSystem& fs, const std::string& part,
                     const std::string& path) {
  {
    KEEL_ASSIGN_OR_RETURN(const auto file, fs.Open(part, base::FileSystem::Mode::kCreateEmpty));
    Receiver receiver(file.get());
    KEEL_RETURN_IF_ERROR(session.client().Snapshot(
        [&](const etcdserverpb::SnapshotResponse& response) { return receiver.Take(response); },
        {.endpoint = session.flags.endpoints[0]}));
    KEEL_RETURN_IF_ERROR(receiver.Check());
    KEEL_RETURN_IF_ERROR(file->Sync());
  }
  KEEL_RETURN_IF_ERROR(fs.Rename(part, path));
  const size_t slash = path.rfind('/');
  return fs.SyncDir(slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1)));
}

Outcome Save(Session& session, const std::string& path) {
  if (session.flags.endpoints.size() != 1) {
    return Fail(kExitBadArgs,
                StrCat("snapshot must be requested to one selected node, not multiple [",
                       session.flags.endpoints.size(), " endpoints]"));
  }
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  base::FileSystem& fs = base::PosixFileSystem();
  const std::string part = path + ".part";
  const absl::Status saved = Receive(session, fs, part, path);
  if (!saved.ok()) {
    if (fs.Exists(part)) fs.Remove(part).IgnoreError();  // the error is the news
    return FailWith(saved);
  }
  std::cout << "Snapshot saved at " << path << "\n";
  return Success();
}

Outcome Status(Session& session, const std::string& path) {
  base::FileSystem& fs = base::PosixFileSystem();
  const auto header = kvstore::VerifySnapshot(fs, path, kvstore::SnapshotHash::kRequired);
  if (!header.ok()) return FailWith(header.status());
  const uint64_t size = kvstore::SnapshotBytes(*header) + kSnapshotHashBytes;
  const std::string hash = absl::StrFormat("%x", header->summary.hash_kv);
  switch (session.format()) {
    case Format::kSimple:
      std::cout << hash << ", " << header->revision << ", " << header->summary.keys << ", "
                << FormatBytes(size) << "\n";
      return Success();
    case Format::kTable:
      std::cout << DrawTable(
          {"hash", "revision", "total keys", "total size"},
          {{hash, StrCat(header->revision), StrCat(header->summary.keys), FormatBytes(size)}});
      return Success();
    case Format::kJson:
      std::cout << "{\"hash\":" << header->summary.hash_kv << ",\"revision\":" << header->revision
                << ",\"totalKey\":" << header->summary.keys << ",\"totalSize\":" << size << "}\n";
      return Success();
    case Format::kFields:
      std::cout << "\"Hash\" : " << header->summary.hash_kv
                << "\n\"Revision\" : " << header->revision
                << "\n\"Keys\" : " << header->summary.keys << "\n\"Size\" : " << size << "\n";
      return Success();
    case Format::kProtobuf:
      break;
  }
  return Fail(kExitBadFeature, "only support simple, json, as output format");
}

// As given on the command line.
struct RestoreFlags {
  std::string data_dir;
  std::string wal_dir;
  std::string name = "default";
  std::string cluster = "default=http://localhost:2380";
  std::string token = "etcd-cluster";
  std::string peer_urls = "http://localhost:2380";
  uint64_t bump_revision = 0;
  bool mark_compacted = false;
  bool skip_hash_check = false;
};

absl::StatusOr<kvstore::RestoreOptions> ToOptions(const RestoreFlags& flags,
                                                  const std::string& path) {
  kvstore::RestoreOptions options;
  options.snapshot = path;
  options.config.name = flags.name;
  options.config.data_dir = flags.data_dir.empty() ? flags.name + ".etcd" : flags.data_dir;
  while (options.config.data_dir.size() > 1 && options.config.data_dir.back() == '/') {
    options.config.data_dir.pop_back();
  }
  options.config.wal_dir = flags.wal_dir;
  options.config.initial_cluster_token = flags.token;
  KEEL_ASSIGN_OR_RETURN(options.config.initial_cluster,
                        kvstore::ParseInitialCluster(flags.cluster));
  KEEL_ASSIGN_OR_RETURN(options.config.initial_advertise_peer_urls,
                        kvstore::ParseUrls(flags.peer_urls));
  options.bump_revision = static_cast<int64_t>(flags.bump_revision);
  options.mark_compacted = flags.mark_compacted;
  if (flags.skip_hash_check) options.hash = kvstore::SnapshotHash::kSkipped;
  return options;
}

Outcome Restore(const RestoreFlags& flags, const std::string& path) {
  const absl::StatusOr<kvstore::RestoreOptions> options = ToOptions(flags, path);
  if (!options.ok())
    return Fail(kExitBadArgs, std::string(base::ToStd(options.status().message())));
  ProgressBar bar("restoring");
  const auto restored =
      kvstore::RestoreSnapshotFile(base::PosixFileSystem(), *options,
                                   [&](uint64_t done, uint64_t total) { bar.Show(done, total); });
  if (!restored.ok()) {
    const int code = absl::IsInvalidArgument(restored.status()) ? kExitBadArgs : kExitError;
    return Fail(code, std::string(base::ToStd(restored.status().message())));
  }
  base::Log().info(
      "restored snapshot path={} data_dir={} revision={} keys={} member={:x} cluster={:x}", path,
      options->config.data_dir, restored->revision, restored->header.summary.keys,
      restored->identity.member_id, restored->identity.cluster_id);
  return Success();
}

}  // namespace

void AddSnapshotVerbs(CLI::App& app, Session& session) {
  CLI::App* snapshot = AddVerb(app, "snapshot", "Snapshots of the store, as files", "");
  snapshot->require_subcommand(1);

  CLI::App* save = AddVerb(*snapshot, "save", "Saves a snapshot of a server's store into a file",
                           "  kvctl snapshot save backup.db");
  const Arguments save_path(save, {"<filename>"});
  save->callback([&session, save_path] {
    session.run = [&session, save_path] {
      std::string path;
      if (Outcome given = OnePath(save_path, "save", &path); !given.ok()) return given;
      return Save(session, path);
    };
  });

  CLI::App* status = AddVerb(*snapshot, "status", "Checks a snapshot file, and says what it holds",
                             "  kvctl snapshot status backup.db -w table");
  const Arguments status_path(status, {"<filename>"});
  status->callback([&session, status_path] {
    session.run = [&session, status_path] {
      std::string path;
      if (Outcome given = OnePath(status_path, "status", &path); !given.ok()) return given;
      return Status(session, path);
    };
  });

  CLI::App* restore = AddVerb(
      *snapshot, "restore", "Makes the data directory of a member of a new cluster from a snapshot",
      "  kvctl snapshot restore backup.db --data-dir /var/lib/kvd --name a \\\n"
      "      --initial-cluster a=http://10.0.0.1:2380,b=http://10.0.0.2:2380 \\\n"
      "      --initial-advertise-peer-urls http://10.0.0.1:2380");
  const Arguments restore_path(restore, {"<filename>"});
  auto flags = std::make_shared<RestoreFlags>();
  restore->add_option("--data-dir", flags->data_dir, "the new data directory (NAME.etcd)");
  restore->add_option("--wal-dir", flags->wal_dir, "where kvd will keep the log; must be empty");
  restore->add_option("--name", flags->name, "name of the member");
  restore->add_option("--initial-cluster", flags->cluster, "all members of the new cluster");
  restore->add_option("--initial-cluster-token", flags->token, "token of the new cluster");
  restore->add_option("--initial-advertise-peer-urls", flags->peer_urls,
                      "peer URLs of this member");
  restore->add_option("--bump-revision", flags->bump_revision,
                      "so many revisions are left out behind those of the snapshot");
  restore->add_flag("--mark-compacted", flags->mark_compacted,
                    "count all revisions up to the new one as compacted");
  restore->add_flag("--skip-hash-check", flags->skip_hash_check,
                    "do not look at the hash over the whole file");
  restore->callback([&session, flags, restore_path] {
    session.run = [flags, restore_path] {
      std::string path;
      if (Outcome given = OnePath(restore_path, "restore", &path); !given.ok()) return given;
      return Restore(*flags, path);
    };
  });
}

}  // namespace keel::kvctl
