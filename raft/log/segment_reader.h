// Reads a folder of segments back at start: what is intact, where it ends, and
// whether anything is damaged. What the records say is for a RecordSink.
//
// A batch is what one fdatasync made durable, and the next one is written only
// after it returned. So bytes that do not parse are the torn tail of a crash
// exactly when no intact record of a later batch follows them; then they are
// cut. Otherwise they were durable once and are damaged: DataLoss.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file.h"
#include "raft/log/format.h"

namespace keel::raft {

// Where a log ends and appends go on.
struct LogTail {
  LogIdentity identity;
  bool fresh = false;          // there was no log
  uint64_t last_sequence = 0;  // of the segment that takes the appends
  uint64_t append_offset = 0;
  uint64_t capacity_bytes = 0;  // of that segment's file
  uint64_t batch = 0;           // number of the last one
  bool complete = false;        // the last segment has its end: appends go to a new one
  bool unsealed = false;        // its end is missing: append a kSeal before anything else
};

class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void BeginSegment(uint64_t sequence) = 0;
  // A record of the segment begun last. False when it contradicts what came before.
  virtual bool Take(const RecordView& record, uint64_t offset) = 0;
};

struct SegmentList {
  // Without a gap, ascending: the log.
  std::vector<uint64_t> sequences;
  // Left-overs of truncation whose removals did not all reach the disk.
  std::vector<uint64_t> stale;
};

// Files in a log's folder.
std::string IdentityPath(const std::string& dir);
std::string SegmentPath(const std::string& dir, uint64_t sequence);

// DataLoss, naming file, offset and what to do.
absl::Status LogDamaged(const std::string& path, uint64_t offset, std::string_view what);

// Reads the identity and lists the segments. Sets tail->fresh when there is no
// log, after cleaning up after a first start that was interrupted. Errors:
// DataLoss; FailedPrecondition for a log of another cluster, member or format.
absl::StatusOr<SegmentList> OpenSegments(base::FileSystem& fs, const std::string& dir,
                                         const LogIdentity& wanted, LogTail* tail);

// Gives every record to `sink`, cuts a torn tail (and logs it), fills in `tail`.
// `first` is the type that a segment starts with.
absl::Status ReadSegments(base::FileSystem& fs, const std::string& dir,
                          const std::vector<uint64_t>& sequences, RecordType first,
                          RecordSink* sink, LogTail* tail);

}  // namespace keel::raft
