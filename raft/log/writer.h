// The writer of a log of one group: what becomes of a write (see batch_writer.h
// for the way there and back).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "raft/log/batch_writer.h"
#include "raft/log/recovery.h"

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
  std::vector<EntryLocation> locations;  // of all their entries, in order
  uint64_t sequence = 0;                 // of the segment the last record is in

  void Clear() { locations.clear(); }
};

class LogWriter final : public BatchWriter<LogWrite, LogWritten> {
 public:
  // Creates the first segment and the identity. Blocks. `conf` is kept in every segment.
  static absl::Status Create(base::FileSystem& fs, const std::string& dir,
                             const LogIdentity& identity, const ConfState& conf,
                             uint64_t segment_bytes);

  LogWriter(const LogPlaceOptions& options, OnWritten on_written,
            std::shared_ptr<SegmentPool> pool);

  // Continues where the log ends. Blocks; before anything else.
  absl::Status Start(const RecoveredLog& log);

 private:
  absl::Status WriteAll(const std::vector<LogWrite>& writes, LogWritten* written) override;
  absl::Status Add(RecordType type, std::string_view body);

  LogCheckpoint state_;  // on the write loop: what the log holds, written or in the batch
};

}  // namespace keel::raft
