#include "raft/log/shared_index.h"

#include <algorithm>

#include "base/check.h"

namespace keel::raft {

void SharedIndex::SawSegment(uint64_t sequence, uint64_t bytes) {
  if (segments_.empty()) segments_.push_back({sequence, 0, 0, {}});
  KEEL_CHECK(sequence >= segments_.back().sequence);
  while (segments_.back().sequence < sequence) {
    segments_.push_back({segments_.back().sequence + 1, 0, 0, {}});
  }
  segments_.back().bytes += bytes;
  bytes_ += bytes;
}

void SharedIndex::PopOldest() {
  KEEL_CHECK(segments_.size() > 1 && segments_.front().live_bytes == 0,
             "live=", segments_.front().live_bytes);
  bytes_ -= segments_.front().bytes;
  segments_.pop_front();
}

void SharedIndex::Add(SharedGroup* group, uint64_t sequence, uint64_t bytes) {
  if (segments_.back().sequence < sequence) SawSegment(sequence, 0);
  SharedSegment& segment = segments_[sequence - segments_.front().sequence];
  segment.live_bytes += bytes;
  live_bytes_ += bytes;
  if (group->noted_sequence != sequence) {
    group->noted_sequence = sequence;
    segment.groups.push_back(group->id);
  }
}

void SharedIndex::Remove(uint64_t sequence, uint64_t bytes) {
  KEEL_CHECK(sequence >= segments_.front().sequence);
  SharedSegment& segment = segments_[sequence - segments_.front().sequence];
  KEEL_CHECK(segment.live_bytes >= bytes, "live=", segment.live_bytes, " less=", bytes);
  segment.live_bytes -= bytes;
  live_bytes_ -= bytes;
}

void SharedIndex::SetEntry(SharedGroup* group, Index index, const EntryLocation& location) {
  const Index base = group->state.base.index;
  KEEL_CHECK(index > base && index - base - 1 <= group->locations.size(), "group=", group->id,
             " index=", index, " base=", base, " durable=", group->locations.size());
  while (group->locations.size() > index - base - 1) {
    const EntryLocation& old = group->locations.back();
    Remove(old.sequence, RecordBytes(old.body_bytes));
    group->locations.pop_back();
  }
  group->locations.push_back(location);
  Add(group, location.sequence, RecordBytes(location.body_bytes));
}

void SharedIndex::MoveEntry(SharedGroup* group, Index index, const EntryLocation& location) {
  const Index base = group->state.base.index;
  if (index <= base || index - base > group->locations.size()) return;
  EntryLocation& at = group->locations[index - base - 1];
  if (at.term != location.term || at.sequence >= location.sequence) return;
  Remove(at.sequence, RecordBytes(at.body_bytes));
  at = location;
  Add(group, location.sequence, RecordBytes(location.body_bytes));
}

void SharedIndex::DropUpTo(SharedGroup* group, Index index) {
  const size_t count = static_cast<size_t>(
      std::min<uint64_t>(index - group->state.base.index, group->locations.size()));
  for (size_t i = 0; i < count; ++i) {
    const EntryLocation& at = group->locations[i];
    Remove(at.sequence, RecordBytes(at.body_bytes));
  }
  group->locations.DropFront(count);
}

void SharedIndex::DropAll(SharedGroup* group) {
  for (size_t i = 0; i < group->locations.size(); ++i) {
    Remove(group->locations[i].sequence, RecordBytes(group->locations[i].body_bytes));
  }
  group->locations.clear();
}

void SharedIndex::SetState(SharedGroup* group, uint64_t sequence, uint32_t bytes) {
  DropState(group);
  group->state_sequence = sequence;
  group->state_bytes = bytes;
  Add(group, sequence, bytes);
}

void SharedIndex::DropState(SharedGroup* group) {
  if (group->state_sequence != 0) Remove(group->state_sequence, group->state_bytes);
  group->state_sequence = 0;
  group->state_bytes = 0;
}

}  // namespace keel::raft
