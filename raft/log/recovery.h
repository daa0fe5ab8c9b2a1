// Reads the Raft log back at start: what is intact, where it ends, and whether
// anything is damaged.
//
// A batch is what one fdatasync made durable, and the next one is written only
// after it returned. So bytes that do not parse are the torn tail of a crash
// exactly when no intact record of a later batch follows them; then they are
// cut. Otherwise they were durable once and are damaged: DataLoss.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file.h"
#include "raft/log/format.h"

namespace keel::raft {

// Where a durable entry lies.
struct EntryLocation {
  Term term = 0;
  uint32_t sequence = 0;  // of the segment
  uint32_t offset = 0;    // of the record, in units of kRecordAlignBytes
  uint32_t body_bytes = 0;
};

struct SegmentInfo {
  uint64_t sequence = 0;
  Index max_index = 0;  // of any entry in it, superseded ones too; 0: none
};

struct RecoveredLog {
  LogIdentity identity;
  bool fresh = false;  // there was no log; segments is empty
  HardState hard_state;
  LogPoint base;  // entries follow it
  ConfState initial_conf;
  std::deque<EntryLocation> locations;  // of base.index + 1 on
  std::deque<Entry> tail;               // the newest entries, within memory_bytes
  std::vector<SegmentInfo> segments;    // oldest first; the last takes the appends
  uint64_t append_offset = 0;
  uint64_t capacity_bytes = 0;  // of the last segment's file
  uint64_t batch = 0;           // number of the last one
  bool complete = false;        // the last segment has its end: appends go to a new one
  bool unsealed = false;        // its end is missing: append a kSeal before anything else
};

// Files in a log's folder.
std::string IdentityPath(const std::string& dir);
std::string SegmentPath(const std::string& dir, uint64_t sequence);

// Cuts a torn tail (and logs it) and removes left-overs of truncation.
// Errors: DataLoss, naming file, offset and what to do; FailedPrecondition for
// a log of another cluster or member.
absl::StatusOr<RecoveredLog> RecoverLog(base::FileSystem& fs, const std::string& dir,
                                        uint64_t cluster_id, uint64_t member_id,
                                        uint64_t memory_bytes);

}  // namespace keel::raft
