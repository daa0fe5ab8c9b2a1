// The durable log of one Raft group, as its driver sees it: entries and hard
// state. Log is one that has a folder of its own; SharedLog keeps those of many
// groups in one.
//
// What Append was given can be read back at once. Recent entries are answered
// from memory, older ones from the disk (this blocks).
//
// Thread-safety: all methods on the owner's loop.
#pragma once

#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "raft/core/types.h"
#include "raft/log/writer.h"

namespace keel::raft {

class GroupLog {
 public:
  // Lets go of the log; no `durable` is called after it.
  virtual ~GroupLog() = default;

  // As they stood when the log was opened.
  virtual const HardState& hard_state() const = 0;
  virtual const ConfState& initial_conf() const = 0;

  // The first index present, and the last; last = first - 1 when empty.
  virtual Index FirstIndex() const = 0;
  virtual Index LastIndex() const = 0;
  // Also for FirstIndex() - 1. OutOfRange when truncated away or beyond the end.
  virtual absl::StatusOr<Term> TermAt(Index index) const = 0;
  // Entries [low, high), at least one, then as many as `max_bytes` of data
  // hold. OutOfRange when `low` is truncated away; DataLoss when the disk
  // returns something else than was written. REQUIRES: low < high <= LastIndex() + 1.
  absl::StatusOr<std::vector<Entry>> Entries(Index low, Index high, uint64_t max_bytes) const {
    std::vector<Entry> out;
    const absl::Status status = ReadEntries(low, high, max_bytes, &out);
    if (!status.ok()) return status;
    return out;
  }
  // The same into `*entries`, which is empty and may have memory to spare.
  virtual absl::Status ReadEntries(Index low, Index high, uint64_t max_bytes,
                                   std::vector<Entry>* entries) const = 0;

  // The lowest index such that the durable entries after it hold at most
  // `bytes` of the disk. Takes time in proportion to their number.
  virtual Index IndexWithin(uint64_t bytes) const = 0;

  // Takes effect at once for the readers above; `durable` is called, in the
  // order of the calls, once it cannot be lost. An entry at an index present
  // replaces it and all after it. REQUIRES: entries follow the log without a
  // gap; `truncate` unset (see Truncate). What needs no sync is not written
  // until something does; `durable` may then be called at once.
  virtual void Append(LogWrite write, absl::AnyInvocable<void()> durable) = 0;
  // An empty list with the memory of one that was appended, if there is any:
  // with it appending allocates nothing in a steady state.
  virtual std::vector<Entry> SpareEntries() = 0;

  // Drops entries up to `index`. REQUIRES: index <= LastIndex(). No effect
  // below FirstIndex().
  virtual void Truncate(Index index) = 0;
};

}  // namespace keel::raft
