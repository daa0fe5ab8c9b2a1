// Reads a shared log back at start, once for all groups (see segment_reader.h
// for torn tails and damage, docs/formats/raft-shared-log.md for the rules).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "raft/log/shared_index.h"

namespace keel::raft {

using SharedGroups = absl::flat_hash_map<GroupId, std::shared_ptr<SharedGroup>>;

struct RecoveredSharedLog : LogTail {
  SharedGroups groups;
  SharedIndex index;
  uint64_t horizon = 1;
  // Segments to remove, but not before what was read is durable: a run that was
  // killed may have left the record that allows it to the system's cache.
  std::vector<uint64_t> obsolete;
};

// Errors: as RecoverLog.
absl::StatusOr<RecoveredSharedLog> RecoverSharedLog(base::FileSystem& fs, const std::string& dir,
                                                    uint64_t cluster_id, uint64_t member_id);

}  // namespace keel::raft
