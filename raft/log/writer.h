// The one writer of a Raft log: whatever queued up while the last fdatasync
// ran becomes the next batch, written with one call and synced once.
//
// Everything but Write and Stop happens on the write loop. After a failed
// write or sync nothing is written any more: what is on disk is then unknown
// (see "Can Applications Recover from fsync Failures?", ATC 2020).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/log/recovery.h"
#include "raft/log/segment_pool.h"
#include "raft/log/segment_writer.h"

namespace keel::raft {

// What becomes durable together, in the order of these fields but for the
// hard state, which goes first.
struct LogWrite {
  std::optional<HardState> hard_state;
  std::optional<LogPoint> reset;     // the log restarts after this point
  std::optional<LogPoint> truncate;  // entries up to this one are not needed
  std::vector<Entry> entries;
  // False: nothing is owed to the disk now; only a new commit index may be in it.
  bool must_sync = true;
};

// What one or more writes, oldest first, became.
struct LogWritten {
  size_t writes = 0;
  std::vector<EntryLocation> locations;  // of all their entries, in order
  uint64_t sequence = 0;                 // of the segment the last record is in
};

struct LogWriterOptions {
  base::FileSystem* fs = nullptr;
  std::string dir;
  uint64_t segment_bytes = 0;
  base::Loop* loop = nullptr;        // gets the callbacks
  base::Loop* write_loop = nullptr;  // may block
  std::function<void(LogWritten)> on_written;
  std::function<void(absl::Status)> on_error;  // once
  std::function<void(base::Duration)>
      on_sync;  // on the write loop, with how long a sync took; may be null
};

class LogWriter : public std::enable_shared_from_this<LogWriter> {
 public:
  // Creates the first segment and the identity. Blocks. `conf` is kept in every segment.
  static absl::Status Create(base::FileSystem& fs, const std::string& dir,
                             const LogIdentity& identity, const ConfState& conf,
                             uint64_t segment_bytes);

  LogWriter(LogWriterOptions options, std::shared_ptr<SegmentPool> pool);

  // Continues where the log ends. Blocks; before anything else.
  absl::Status Start(const RecoveredLog& log);
  // Queues a write. Any thread; writes happen in the order of the calls.
  void Write(LogWrite write);
  // Nothing is written or called back any more, but for what is being written.
  void Stop() {
    stopped_.store(true);
    segments_->Stop();
  }

 private:
  void Flush();
  absl::Status WriteAll(const std::vector<LogWrite>& writes, LogWritten* written);
  absl::Status Add(RecordType type, std::string_view body);

  const LogWriterOptions options_;
  const std::shared_ptr<SegmentWriter> segments_;
  std::atomic<bool> stopped_{false};

  // On the write loop.
  std::vector<LogWrite> queue_;
  bool flush_scheduled_ = false;
  bool failed_ = false;
  LogCheckpoint state_;  // what the log holds, written or in the batch
};

}  // namespace keel::raft
