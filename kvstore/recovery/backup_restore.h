// What a continuous backup can give back, whether it is whole, and how a data
// directory is made from it.
//
//   KEEL_ASSIGN_OR_RETURN(auto ranges, ListBackup(fs, "/backup"));
//   BackupTarget target;
//   target.time = *ParseWallTime("2026-01-31T12:00:00Z");
//   RestoreOptions options;            // its `snapshot` is not looked at
//   options.config.data_dir = ...;
//   KEEL_ASSIGN_OR_RETURN(auto restored, RestoreBackup(fs, "/backup", target, options, progress));
//
// The newest base at or before the target is unpacked, and the changes behind it are made anew:
// the store then stands at the revision asked for and has every revision since the base as
// history. A backup that is being written to may be read.
//
// Thread-safety: none. Calls block on the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "kvstore/recovery/backup_format.h"
#include "kvstore/recovery/restore.h"

namespace keel::kvstore {

// Revisions without a gap, each of which can be restored, and so can each time.
struct BackupRange {
  std::vector<BackupBase> bases;        // by revision; at least one
  std::vector<BackupSegment> segments;  // by revision
  int64_t last = 0;                     // bases[0].revision is the first
  WallMicros until = 0;                 // bases[0].time is the first

  uint64_t torn_bytes = 0;  // behind the last record of the segment that is written to
};

// By revision. Of closed segments the catalogue is believed; VerifyBackup is not. Errors: those of
// ReadCatalogue, and DataLoss for a damaged open segment.
absl::StatusOr<std::vector<BackupRange>> ListBackup(base::FileSystem& fs, const std::string& dir);

struct BackupCheck {
  std::vector<std::string> damage;  // a line each, with file and offset; empty: it is whole
  std::vector<std::string> notes;   // a torn tail
  uint64_t bases = 0;
  uint64_t segments = 0;
  uint64_t revisions = 0;
  uint64_t bytes = 0;
};
// Reads all of it. Errors: those of ReadCatalogue.
absl::StatusOr<BackupCheck> VerifyBackup(base::FileSystem& fs, const std::string& dir,
                                         absl::FunctionRef<void(uint64_t, uint64_t)> progress);

// At most one of the two; with neither: the latest.
struct BackupTarget {
  std::optional<int64_t> revision;
  std::optional<WallMicros> time;
};

// A lease that was granted after the base and is gone before it was asked about is given so long.
inline constexpr int64_t kUnknownLeaseTtl = 60;  // seconds

// Makes the data directory as RestoreSnapshotFile does, and with its errors. Besides: OutOfRange,
// with what there is, for a target that the backup does not hold; DataLoss with file and offset.
// After an error nothing is left behind.
absl::StatusOr<RestoreResult> RestoreBackup(base::FileSystem& fs, const std::string& dir,
                                            const BackupTarget& target, RestoreOptions options,
                                            SnapshotProgress progress);

}  // namespace keel::kvstore
