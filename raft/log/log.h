// The durable Raft log of one member: an append-only, segmented write-ahead
// log of entries and hard state (docs/formats/raft-log.md).
//
//   LogOptions options;
//   options.dir = "/var/lib/x/log";
//   options.loop = &loop;          // the owner's
//   options.write_loop = &writer;  // may block
//   options.fill_loop = &filler;   // may block; may be the writer's
//   KEEL_ASSIGN_OR_RETURN(auto log, Log::Open(options));
//   log->Append({.hard_state = hs, .entries = entries}, [] { /* durable */ });
//   log->Entries(1, log->LastIndex() + 1, 1 << 20);
//
// What Append was given can be read back at once. Recent entries are answered
// from memory, older ones from the segments (this blocks on the disk).
//
// Thread-safety: all methods on `loop`, but Open, which blocks and comes first.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "raft/core/queue.h"
#include "raft/core/spares.h"
#include "raft/core/types.h"
#include "raft/log/group_log.h"
#include "raft/log/options.h"
#include "raft/log/recovery.h"
#include "raft/log/segment_pool.h"
#include "raft/log/sliding_vector.h"
#include "raft/log/writer.h"

namespace keel::raft {

struct LogOptions : LogPlaceOptions {
  ConfState initial_conf;  // kept when the log is created
};

class Log final : public GroupLog {
 public:
  // Creates the log, or reads it back. Errors: DataLoss (damage; nothing is
  // changed), FailedPrecondition (of another cluster or member), Unavailable
  // (held by another process), ResourceExhausted (no space).
  static absl::StatusOr<std::unique_ptr<Log>> Open(LogOptions options);
  ~Log() override;

  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // GroupLog.
  const HardState& hard_state() const override { return hard_state_; }
  const ConfState& initial_conf() const override { return initial_conf_; }
  Index FirstIndex() const override { return base_.index + 1; }
  Index LastIndex() const override { return last_; }
  absl::StatusOr<Term> TermAt(Index index) const override;
  absl::Status ReadEntries(Index low, Index high, uint64_t max_bytes,
                           std::vector<Entry>* entries) const override;
  Index IndexWithin(uint64_t bytes) const override;
  void Append(LogWrite write, absl::AnyInvocable<void()> durable) override;
  std::vector<Entry> SpareEntries() override { return spares_.Entries(); }
  // Segments with nothing else in them go with the entries.
  void Truncate(Index index) override;

 private:
  struct Pending {
    Index first = 0;  // of its entries; 0: none
    bool reset = false;
    bool truncate = false;
    bool unwritten = false;  // nothing for the writer: ends with the one before
    absl::AnyInvocable<void()> durable;
  };

  explicit Log(LogOptions options);
  void OnWritten(std::vector<LogWrite>& writes, const LogWritten& written);
  void ForgetUpTo(Index index);
  void SawSegment(uint64_t sequence);
  void FreeSegments(uint64_t before_sequence);
  void Evict();
  absl::Status ReadRun(Index low, Index high, std::vector<Entry>* out) const;
  absl::StatusOr<base::File*> FileOf(uint64_t sequence) const;

  LogOptions options_;
  std::unique_ptr<base::FileLock> lock_;
  std::shared_ptr<SegmentPool> pool_;
  std::shared_ptr<LogWriter> writer_;
  uint64_t salt_ = 0;
  HardState hard_state_;
  ConfState initial_conf_;

  LogPoint base_;
  Index last_ = 0;
  // The newest entries, up to last_. All that are not durable are among them.
  SlidingVector<Entry> cache_;
  uint64_t cache_bytes_ = 0;
  // Of durable entries from base_.index + 1 on.
  SlidingVector<EntryLocation> locations_;
  std::vector<SegmentInfo> segments_;
  Queue<Pending> pending_;
  size_t resets_ = 0;             // among them
  std::vector<Pending> settled_;  // of OnWritten, kept for its memory
  Spares spares_;
  std::optional<HardState> deferred_;  // goes along with the next write
  mutable absl::flat_hash_map<uint64_t, std::unique_ptr<base::File>> files_;  // for reading
};

}  // namespace keel::raft
