// The writer of a shared log: what becomes of a write of one of its groups (see
// batch_writer.h for the way there and back; internal to SharedLog).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "raft/log/batch_writer.h"
#include "raft/log/recovery.h"

namespace keel::raft {

// What becomes durable together, in the order of these fields.
struct SharedWrite {
  GroupId group = kNoGroup;
  std::optional<GroupState> state;  // a group record
  std::optional<HardState> hard_state;
  std::optional<LogPoint> reset;
  std::optional<LogPoint> truncate;
  std::vector<Entry> entries;
  bool moved = false;    // the entries are there already
  bool removed = false;  // of the group, nothing is left
  uint64_t horizon = 0;  // not 0: no group's; segments before this one are not needed
};

// What one or more writes, oldest first, became.
struct SharedWritten {
  std::vector<EntryLocation> locations;   // of all their entries, in order
  std::vector<uint64_t> state_sequences;  // of all their group records, in order
  uint64_t sequence = 0;                  // of the segment the last record is in
  uint64_t bytes = 0;                     // of all their records

  void Clear() {
    locations.clear();
    state_sequences.clear();
    bytes = 0;
  }
};

class SharedWriter final : public BatchWriter<SharedWrite, SharedWritten> {
 public:
  SharedWriter(const LogPlaceOptions& options, OnWritten on_written,
               std::shared_ptr<SegmentPool> pool);

  // Continues where the log ends; `horizon` is the last one written. Blocks;
  // before anything else.
  absl::Status Start(const LogTail& tail, uint64_t horizon);

 private:
  absl::Status WriteAll(const std::vector<SharedWrite>& writes, SharedWritten* written) override;
  absl::Status Add(const SharedWrite& write, SharedWritten* written);
  absl::Status Add(GroupId group, RecordType type, std::string_view body, SharedWritten* written);

  uint64_t horizon_ = 1;  // on the write loop
};

// Bytes of a group record.
uint32_t GroupRecordBytes(const GroupState& state);

}  // namespace keel::raft
