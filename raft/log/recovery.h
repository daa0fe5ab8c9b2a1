// Reads the Raft log of one group back at start (see segment_reader.h for torn
// tails and damage).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file.h"
#include "raft/log/format.h"
#include "raft/log/segment_reader.h"
#include "raft/log/sliding_vector.h"

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

struct RecoveredLog : LogTail {
  HardState hard_state;
  LogPoint base;  // entries follow it
  ConfState initial_conf;
  SlidingVector<EntryLocation> locations;  // of base.index + 1 on
  std::vector<SegmentInfo> segments;       // oldest first; the last takes the appends
};

// Cuts a torn tail (and logs it) and removes left-overs of truncation. All records are checked;
// no entry's data are kept: few will be asked for, and where they lie is known.
// Errors: DataLoss, naming file, offset and what to do; FailedPrecondition for
// a log of another cluster or member.
absl::StatusOr<RecoveredLog> RecoverLog(base::FileSystem& fs, const std::string& dir,
                                        uint64_t cluster_id, uint64_t member_id);

}  // namespace keel::raft
