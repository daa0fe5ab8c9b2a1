// Where the durable records of a shared log lie, and which of them still count:
// by group for reading, by segment for freeing (internal to SharedLog).
//
// A record is live while what it says stands: an entry until it is truncated,
// replaced or moved; a group record until there is a newer one.
//
// Not thread-safe.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "raft/log/recovery.h"
#include "raft/log/sliding_vector.h"

namespace keel::raft {

// One group: what SharedIndex and SharedLog know of it.
struct SharedGroup {
  explicit SharedGroup(GroupId group) : id(group) {}

  const GroupId id;

  // What the log is, with all that is on its way to disk.
  GroupState state;
  Index last = 0;
  HardState queued;            // of the writes so far; state.hard_state may have a newer commit
  SlidingVector<Entry> cache;  // the newest entries, up to `last`

  // What is durable.
  SlidingVector<EntryLocation> locations;  // of state.base.index + 1 on
  uint64_t state_sequence = 0;             // of the newest group record; 0: on its way
  uint32_t state_bytes = 0;
  uint64_t noted_sequence = 0;  // newest segment with something of the group

  // On its way.
  uint32_t writes = 0;
  uint32_t resets = 0;
  uint32_t states = 0;              // group records
  Index first_written = ~Index{0};  // lowest index of entries among them

  bool open = false;
  bool removed = false;
  uint64_t generation = 0;  // counts handles
  // Neighbours in SharedLog's list of groups by last append; see there.
  SharedGroup* newer = nullptr;
  SharedGroup* older = nullptr;
  bool listed = false;
};

struct SharedSegment {
  uint64_t sequence = 0;
  uint64_t bytes = 0;  // of all records, roughly
  uint64_t live_bytes = 0;
  std::vector<GroupId> groups;  // that have or had something live in it
};

class SharedIndex {
 public:
  // Segments follow each other. `bytes` goes to the newest.
  void SawSegment(uint64_t sequence, uint64_t bytes);

  // The entry at `index` lies at `location`; it replaces that one and all after it.
  void SetEntry(SharedGroup* group, Index index, const EntryLocation& location);
  // The same entry, further on. No effect when it does not stand any more.
  void MoveEntry(SharedGroup* group, Index index, const EntryLocation& location);
  // REQUIRES: state.base is still the old one.
  void DropUpTo(SharedGroup* group, Index index);
  void DropAll(SharedGroup* group);
  void SetState(SharedGroup* group, uint64_t sequence, uint32_t bytes);
  void DropState(SharedGroup* group);

  const std::deque<SharedSegment>& segments() const { return segments_; }
  SharedSegment& oldest() { return segments_.front(); }
  void PopOldest();
  uint64_t live_bytes() const { return live_bytes_; }
  uint64_t bytes() const { return bytes_; }

 private:
  void Add(SharedGroup* group, uint64_t sequence, uint64_t bytes);
  void Remove(uint64_t sequence, uint64_t bytes);

  std::deque<SharedSegment> segments_;
  uint64_t live_bytes_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace keel::raft
