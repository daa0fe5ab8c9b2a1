// The file that Maintenance.Snapshot streams and `kvctl snapshot` keeps: the
// files of a checkpoint of the store behind a header (docs/formats/snapshot.md).
//
//   KEEL_ASSIGN_OR_RETURN(auto checkpoint, Checkpoint::Open(fs, dir));
//   SnapshotProducer producer(fs, dir, checkpoint->header(),
//                             [&] { return checkpoint->Summarize(cancel); });
//   for (...; bytes = *producer.Read(128 << 10); !bytes.empty()) Send(bytes);
//   Send(producer.Hash());
//
//   KEEL_ASSIGN_OR_RETURN(SnapshotHeader header, VerifySnapshot(fs, path,
//   SnapshotHash::kRequired)); KEEL_RETURN_IF_ERROR(ExtractSnapshot(fs, path, header, dir));
//
// Thread-safety: none. All calls block on the disk, and hold no more than a
// chunk in memory.
#pragma once

#include <openssl/evp.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"

namespace keel::kvstore {

class Database;

// Of the files that are written. Version 1, which has its summary in the header, is read, too.
inline constexpr uint32_t kSnapshotVersion = 2;
// What is sent ends on a multiple of this, before the hash (as etcd's database file does).
inline constexpr uint64_t kSnapshotAlign = 512;
inline constexpr uint64_t kSnapshotHashBytes = 32;

// What only reading the whole store tells.
struct SnapshotSummary {
  uint64_t keys = 0;     // that exist at the revision
  uint32_t hash_kv = 0;  // HashKV at the revision
  bool operator==(const SnapshotSummary&) const = default;
};

struct SnapshotHeader {
  uint32_t version = kSnapshotVersion;
  uint64_t cluster_id = 0;  // of the member it was taken from
  uint64_t member_id = 0;
  uint64_t index = 0;  // of the last log entry whose effects it holds
  uint64_t term = 0;
  int64_t revision = 0;
  int64_t compact_revision = -1;  // -1: never compacted
  SnapshotSummary summary;        // of a version 2: it stands behind the files, not in the header

  struct File {
    std::string name;
    uint64_t bytes = 0;
    bool operator==(const File&) const = default;
  };
  std::vector<File> files;

  bool operator==(const SnapshotHeader&) const = default;
};

std::string EncodeSnapshotHeader(const SnapshotHeader& header);
// `bytes` begins with an encoded header. DataLoss when it is damaged or cut short,
// InvalidArgument when it is something else, FailedPrecondition when it is of another version.
absl::StatusOr<SnapshotHeader> DecodeSnapshotHeader(std::string_view bytes);
// Of the whole without the hash: header, files, padding.
uint64_t SnapshotBytes(const SnapshotHeader& header);

// A checkpoint of the store, that nobody writes.
class Checkpoint {
 public:
  // Reads its revisions, and lists its files with their lengths. DataLoss when it is damaged.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(base::FileSystem& fs,
                                                          const std::string& dir);
  ~Checkpoint();

  // But for the summary, and the ids, which are the caller's to fill in.
  const SnapshotHeader& header() const { return header_; }
  // Reads everything, once. Cancelled when `cancel` becomes true meanwhile. DataLoss. May run
  // beside a SnapshotProducer of the same files.
  absl::StatusOr<SnapshotSummary> Summarize(const std::atomic<bool>& cancel) const;

 private:
  Checkpoint() = default;

  SnapshotHeader header_;
  std::shared_ptr<Database> database_;
};

// The header of a checkpoint with its summary, for which all of it is read.
absl::StatusOr<SnapshotHeader> DescribeCheckpoint(base::FileSystem& fs, const std::string& dir);

// SHA-256 piece by piece.
class Sha256 {
 public:
  Sha256();
  void Add(std::string_view bytes);
  std::string Finish();  // 32 bytes. REQUIRES: called once, last.

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

class SnapshotProducer {
 public:
  using Summary = std::function<absl::StatusOr<SnapshotSummary>()>;

  // `header` is of the checkpoint in `dir`, whose files stay until the producer goes. `summary` is
  // called once, when all files are read; null: it stands in the header.
  SnapshotProducer(base::FileSystem& fs, std::string dir, const SnapshotHeader& header,
                   Summary summary = nullptr);

  // The next bytes, at most `size`; empty at the end. DataLoss when a file has changed its length;
  // what `summary` says.
  absl::StatusOr<std::string> Read(size_t size);
  // Of all that was read. REQUIRES: Read has come to the end; called once.
  std::string Hash() { return hash_.Finish(); }

  uint64_t total_bytes() const { return total_; }
  uint64_t sent_bytes() const { return sent_; }

 private:
  absl::Status Fill();

  base::FileSystem& fs_;
  const std::string dir_;
  const std::vector<SnapshotHeader::File> files_;
  const uint64_t total_;
  Summary summary_;  // null once it was asked
  uint64_t sent_ = 0;
  std::string pending_;  // header, a file's checksum, padding
  size_t next_ = 0;      // file
  std::unique_ptr<base::File> file_;
  uint64_t offset_ = 0;  // in it
  uint32_t crc_ = 0;     // of it so far
  Sha256 hash_;
};

enum class SnapshotHash : uint8_t {
  kRequired,
  kSkipped,  // not looked at, and need not be there; the checksums of the files still are
};

// Told how many bytes of how many have been read.
using SnapshotProgress = absl::FunctionRef<void(uint64_t, uint64_t)>;

// Reads the whole file and checks length, hash and checksums. Errors name the file: NotFound,
// InvalidArgument (not a snapshot of this program), FailedPrecondition (another version), DataLoss
// (cut short or altered, with the place).
absl::StatusOr<SnapshotHeader> VerifySnapshot(base::FileSystem& fs, const std::string& path,
                                              SnapshotHash hash);

// Writes the files into `dir`, which exists and is empty, and makes them durable.
// REQUIRES: VerifySnapshot has returned `header`. The checksums are checked once more.
absl::Status ExtractSnapshot(base::FileSystem& fs, const std::string& path,
                             const SnapshotHeader& header, const std::string& dir,
                             SnapshotProgress progress);

}  // namespace keel::kvstore
