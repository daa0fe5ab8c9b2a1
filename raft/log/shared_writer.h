// The one writer of a shared log: whatever queued up while the last fdatasync
// ran, of whichever groups, becomes the next batch, written with one call and
// synced once (internal to SharedLog).
//
// Everything but Write and Stop happens on the write loop. After a failed write
// or sync nothing is written any more (see writer.h).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/log/recovery.h"
#include "raft/log/segment_writer.h"

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
  size_t writes = 0;
  std::vector<EntryLocation> locations;   // of all their entries, in order
  std::vector<uint64_t> state_sequences;  // of all their group records, in order
  uint64_t sequence = 0;                  // of the segment the last record is in
  uint64_t bytes = 0;                     // of all their records
};

struct SharedWriterOptions {
  base::FileSystem* fs = nullptr;
  std::string dir;
  uint64_t segment_bytes = 0;
  base::Loop* loop = nullptr;        // gets the callbacks
  base::Loop* write_loop = nullptr;  // may block
  std::function<void(SharedWritten)> on_written;
  std::function<void(absl::Status)> on_error;  // once
  std::function<void(base::Duration)> on_sync;
};

class SharedWriter : public std::enable_shared_from_this<SharedWriter> {
 public:
  SharedWriter(SharedWriterOptions options, std::shared_ptr<SegmentPool> pool);

  // Continues where the log ends; `horizon` is the last one written. Blocks;
  // before anything else.
  absl::Status Start(const LogTail& tail, uint64_t horizon);
  // Queues a write. Any thread; writes happen in the order of the calls.
  void Write(SharedWrite write);
  // Nothing is written or called back any more, but for what is being written.
  void Stop() {
    stopped_.store(true);
    segments_->Stop();
  }

 private:
  void Flush();
  absl::Status WriteAll(const std::vector<SharedWrite>& writes, SharedWritten* written);
  absl::Status Add(const SharedWrite& write, SharedWritten* written);
  absl::Status Add(GroupId group, RecordType type, std::string_view body, SharedWritten* written);

  const SharedWriterOptions options_;
  const std::shared_ptr<SegmentWriter> segments_;
  std::atomic<bool> stopped_{false};

  // On the write loop.
  std::vector<SharedWrite> queue_;
  bool flush_scheduled_ = false;
  bool failed_ = false;
  uint64_t horizon_ = 1;
};

// Bytes of a group record.
uint32_t GroupRecordBytes(const GroupState& state);

}  // namespace keel::raft
