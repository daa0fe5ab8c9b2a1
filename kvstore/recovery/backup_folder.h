// The folder of a continuous backup, as the one process that writes it sees it.
//
//   KEEL_ASSIGN_OR_RETURN(auto folder, BackupFolder::Open(fs, "/backup", cluster_id));
//   if (!folder->following()) KEEL_RETURN_IF_ERROR(folder->Begin(revision + 1, now));
//   folder->AddRevision(revision + 1, events, now);       // into memory
//   KEEL_RETURN_IF_ERROR(folder->Flush(heard));           // durable
//
// A chain is a run of segments without a revision left out. Bases are taken beside it; any base
// of a chain and the segments behind it give every later revision of the chain.
//
// After an error of anything but Open the object is of no use any more: what is on the disk is
// not known. Opening the folder anew finds out.
//
// Thread-safety: none. Flush, Rotate, AddBase and Prune block for syncs of the disk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "kvstore/recovery/backup_format.h"

namespace keel::kvstore {

// DataLoss naming the file when it is damaged; NotFound when `dir` is no backup.
absl::StatusOr<BackupCatalogue> ReadCatalogue(base::FileSystem& fs, const std::string& dir);

class BackupFolder {
 public:
  // Creates `dir` when it is missing, takes its lock, reads what is there, cuts what a crash left
  // of the last write, and removes files that the catalogue does not list. Unavailable while
  // another process writes it; FailedPrecondition when it is of another cluster; DataLoss when
  // the catalogue is damaged. A damaged last segment is no error: see damage().
  static absl::StatusOr<std::unique_ptr<BackupFolder>> Open(base::FileSystem& fs,
                                                            const std::string& dir,
                                                            uint64_t cluster_id);

  // Whether there is a segment to append to; else Begin.
  bool following() const { return writing_ != nullptr; }
  // What Open found wrong with the last segment, which then stays as it is, as far as it is good;
  // OK otherwise.
  const absl::Status& damage() const { return damage_; }

  // Up to where nothing is missing, what is not durable yet included.
  int64_t last_revision() const { return last_revision_; }
  // Of the chain that is written to: revisions below it cannot be rebuilt on a base.
  int64_t chain_first() const { return chain_first_; }
  const BackupCatalogue& catalogue() const { return catalogue_; }
  // The newest base of the chain that is written to; null: none yet.
  const BackupBase* newest_base() const;
  uint64_t segment_bytes() const { return offset_ + buffer_.size(); }
  uint64_t unflushed_bytes() const { return buffer_.size(); }

  // A new chain: revisions before `first_revision` that are not there yet never will be.
  absl::Status Begin(int64_t first_revision, WallMicros now);

  // REQUIRES: following(); `revision` == last_revision() + 1.
  void AddRevision(int64_t revision, const BackupEvents& events, WallMicros now);
  void AddLeases(const std::vector<BackupLease>& leases, WallMicros now);
  // Makes all that was added durable, and that nothing up to last_revision() was missing at `heard`
  // (a time never goes back: the latest one given counts).
  absl::Status Flush(WallMicros heard);
  // Goes on with another segment. REQUIRES: following(), nothing is unflushed.
  absl::Status Rotate(WallMicros now);

  // A name for the file of a base, in the folder. The caller writes it and makes it durable.
  std::string NewBaseName();
  // REQUIRES: chain_first() - 1 <= base.revision <= last_revision(); its time is set here.
  absl::Status AddBase(BackupBase base, WallMicros now);
  // Drops what is not needed to restore any time from `since` on.
  absl::Status Prune(WallMicros since);

 private:
  BackupFolder(base::FileSystem& fs, std::string dir) : fs_(fs), dir_(std::move(dir)) {}
  absl::Status Resume();
  absl::Status NewSegment(int64_t first_revision, WallMicros now);
  absl::Status WriteCatalogue();
  absl::Status RemoveUnlisted();
  void Append(BackupRecordType type, WallMicros time, std::string body);
  // A clock that was set back does not set the backup back.
  WallMicros NotBefore(WallMicros now) { return last_time_ = std::max(last_time_, now); }

  base::FileSystem& fs_;
  const std::string dir_;
  std::unique_ptr<base::FileLock> lock_;
  BackupCatalogue catalogue_;
  absl::Status damage_;

  std::unique_ptr<base::File> writing_;
  SegmentHeader segment_;
  uint64_t offset_ = 0;  // its durable length
  std::string buffer_;   // what is to come behind it
  uint64_t group_ = 1;   // of what is in the buffer
  int64_t chain_first_ = 0;
  int64_t last_revision_ = 0;
  WallMicros last_time_ = 0;
};

}  // namespace keel::kvstore
