// The durable Raft logs of many groups in one segmented write-ahead log: their
// records lie interleaved, and whatever queued up while the last fdatasync ran,
// of whichever groups, becomes one write and one fdatasync
// (docs/formats/raft-shared-log.md).
//
//   SharedLogOptions options;
//   options.dir = "/var/lib/x/log";
//   options.loop = &loop;          // the owner's
//   options.write_loop = &writer;  // may block
//   KEEL_ASSIGN_OR_RETURN(auto shared, SharedLog::Open(options));
//   KEEL_ASSIGN_OR_RETURN(auto log, shared->OpenGroup(17, initial_conf));
//   log->Append({.hard_state = hs, .entries = entries}, [] { /* durable */ });
//
// Space. Segments are freed oldest first. A group that still has records in the
// oldest one (it lags, or sleeps) does not hold it for ever: once the log takes
// more than twice the bytes that are still needed, and some segments, those few
// records are written again at the end and the segment is freed. So the log
// takes at most about 2 x (bytes still needed) + kSlackSegments segments, at the
// price of writing no more than as much again as was appended.
//
// Memory: about 24 bytes an entry for where it lies, a few hundred bytes a
// group, and up to memory_bytes of the newest entries of all groups together.
//
// Thread-safety: all methods on `loop`, but Open, which blocks and comes first.
// The logs of groups must be destroyed before this.
#pragma once

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "raft/log/group_log.h"
#include "raft/log/options.h"

namespace keel::raft {

struct SharedLogOptions : LogPlaceOptions {};

struct SharedLogStats {
  uint64_t groups = 0;
  uint64_t segments = 0;
  uint64_t log_bytes = 0;     // of segments but the newest
  uint64_t live_bytes = 0;    // of records still needed, in all segments
  uint64_t cached_bytes = 0;  // of entries' data in memory
  uint64_t writes = 0;        // Appends and the like that became durable
  uint64_t batches = 0;       // hand-overs of the writer: what they were batched into
  uint64_t moved_bytes = 0;   // written again to free a segment
  uint64_t freed_segments = 0;
};

class SharedLog {
 public:
  // Beyond twice what is needed, so that a small log is left alone.
  static constexpr uint64_t kSlackSegments = 3;

  // Creates the log, or reads it back, once for all groups. Errors: as Log::Open.
  static absl::StatusOr<std::unique_ptr<SharedLog>> Open(SharedLogOptions options);
  virtual ~SharedLog() = default;

  // The groups the log holds, ascending.
  virtual std::vector<GroupId> Groups() const = 0;
  virtual bool Contains(GroupId group) const = 0;

  // The log of a group; a new one, with `initial_conf`, when there is none. Its
  // creation is durable before anything that is appended to it. AlreadyExists
  // while it is open. REQUIRES: group is neither kNoGroup nor kHostGroup.
  virtual absl::StatusOr<std::unique_ptr<GroupLog>> OpenGroup(GroupId group,
                                                              const ConfState& initial_conf) = 0;

  // Drops everything about a group; `done` once that is durable. NotFound;
  // FailedPrecondition while it is open.
  virtual absl::Status RemoveGroup(GroupId group, absl::AnyInvocable<void()> done) = 0;

  virtual SharedLogStats stats() const = 0;
};

}  // namespace keel::raft
