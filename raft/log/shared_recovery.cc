#include "raft/log/shared_recovery.h"

#include <algorithm>
#include <map>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::raft {

using base::StrCat;

namespace {

// A group while the log is being read. The oldest records may be gone, so
// nothing but the end must be whole.
struct PartialGroup {
  bool known = false;  // a group record was there
  GroupState state;
  uint64_t state_sequence = 0;
  uint32_t state_bytes = 0;
  Index first = 1;  // of entries
  std::vector<EntryLocation> entries;
  std::map<Index, EntryLocation> moved;  // and not among `entries`

  Index last() const { return first + entries.size() - 1; }

  void DropUpTo(Index index) {
    moved.erase(moved.begin(), moved.upper_bound(index));
    if (index < first) return;
    const size_t count = static_cast<size_t>(std::min<uint64_t>(index + 1 - first, entries.size()));
    entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(count));
    first += count;
  }
};

class SharedReplay final : public RecordSink {
 public:
  void BeginSegment(uint64_t sequence) override {
    sequence_ = sequence;
    bytes_.emplace_back(sequence, 0);
  }

  bool Take(const RecordView& record, uint64_t offset) override {
    bytes_.back().second = record.end;
    std::string_view body = record.body;
    switch (record.type) {
      case RecordType::kSegmentEnd:
      case RecordType::kSeal:
        return true;
      case RecordType::kHorizon: {
        const auto horizon = DecodeU64(body);
        if (!horizon || *horizon < horizon_ || *horizon > sequence_) return false;
        horizon_ = *horizon;
        return true;
      }
      case RecordType::kCheckpoint:
        return false;  // of a log of one group
      default:
        break;
    }
    const auto id = TakeGroup(&body);
    if (!id) return false;
    if (record.type == RecordType::kRemovedGroup) {
      groups_.erase(*id);
      return body.empty();
    }
    PartialGroup& group = groups_[*id];
    switch (record.type) {
      case RecordType::kEntry:
        return TakeEntry(&group, record, body, offset);
      case RecordType::kMovedEntry:
        return TakeMoved(&group, record, body, offset);
      case RecordType::kGroup:
        return TakeState(&group, body);
      case RecordType::kHardState: {
        const auto state = DecodeHardState(body);
        if (state) group.state.hard_state = *state;
        return state.has_value();
      }
      case RecordType::kTruncate: {
        const auto point = DecodePoint(body);
        if (!point || point->index < group.state.base.index) return false;
        group.DropUpTo(point->index);
        group.state.base = *point;
        return true;
      }
      case RecordType::kReset: {
        const auto point = DecodePoint(body);
        if (!point) return false;
        group.entries.clear();
        group.moved.clear();
        group.state.base = *point;
        return true;
      }
      default:
        return false;
    }
  }

  absl::Status Finish(const std::string& dir, RecoveredSharedLog* out) {
    const uint64_t first = bytes_.front().first;
    const auto missing = [&](std::string_view what) {
      return LogDamaged(SegmentPath(dir, first), 0, StrCat(what, ": a segment before it is gone"));
    };
    if (first > horizon_) return missing(StrCat("segment ", horizon_, " is needed"));
    out->horizon = horizon_;
    for (const auto& [sequence, bytes] : bytes_) {
      if (sequence >= horizon_) out->index.SawSegment(sequence, bytes);
    }
    for (auto& [id, partial] : groups_) {
      if (!partial.known) return missing(StrCat("nothing tells how group ", id, " began"));
      auto group = std::make_shared<SharedGroup>(id);
      group->state = std::move(partial.state);
      if (partial.state_sequence < horizon_) {
        return missing(StrCat("group ", id, " lies before the first segment needed"));
      }
      out->index.SetState(group.get(), partial.state_sequence, partial.state_bytes);
      const Index base = group->state.base.index;
      Index index = base + 1;
      size_t taken = 0;
      for (;; ++index) {
        const EntryLocation* at = nullptr;
        if (!partial.entries.empty() && index >= partial.first && index <= partial.last()) {
          at = &partial.entries[index - partial.first];
        } else if (const auto it = partial.moved.find(index); it != partial.moved.end()) {
          at = &it->second;
        }
        if (at == nullptr || at->sequence < horizon_) break;
        out->index.SetEntry(group.get(), index, *at);
        ++taken;
      }
      if (taken != partial.entries.size() + partial.moved.size()) {
        return missing(StrCat("entry ", index, " of group ", id, " is missing"));
      }
      group->last = index - 1;
      // A commit index may outlive the torn entries it named, and lag a snapshot.
      HardState& hard = group->state.hard_state;
      hard.commit = std::clamp(hard.commit, base, group->last);
      group->queued = hard;
      out->groups.emplace(id, std::move(group));
    }
    return absl::OkStatus();
  }

 private:
  EntryLocation Locate(const RecordView& record, Term term, uint64_t offset) const {
    return {term, static_cast<uint32_t>(sequence_),
            static_cast<uint32_t>(offset / kRecordAlignBytes),
            static_cast<uint32_t>(record.body.size())};
  }

  bool TakeEntry(PartialGroup* group, const RecordView& record, std::string_view body,
                 uint64_t offset) {
    const auto point = EntryPoint(body, record.entry_type);
    if (!point || point->index <= group->state.base.index) return false;
    const Index index = point->index;
    group->moved.erase(group->moved.lower_bound(index), group->moved.end());
    if (group->entries.empty() || index < group->first) {
      group->entries.clear();
      group->first = index;
    } else if (index > group->last() + 1) {
      return false;
    }
    group->entries.resize(index - group->first);
    group->entries.push_back(Locate(record, point->term, offset));
    return true;
  }

  bool TakeMoved(PartialGroup* group, const RecordView& record, std::string_view body,
                 uint64_t offset) {
    const auto point = EntryPoint(body, record.entry_type);
    if (!point || point->index <= group->state.base.index) return false;
    const Index index = point->index;
    const EntryLocation location = Locate(record, point->term, offset);
    if (group->entries.empty() || index < group->first || index > group->last()) {
      group->moved[index] = location;
      return true;
    }
    EntryLocation& at = group->entries[index - group->first];
    if (at.term != location.term) return false;
    at = location;
    return true;
  }

  bool TakeState(PartialGroup* group, std::string_view body) {
    auto state = DecodeGroupState(body);
    if (!state || state->base.index < group->state.base.index) return false;
    group->known = true;
    group->DropUpTo(state->base.index);
    group->state = *std::move(state);
    group->state_sequence = sequence_;
    group->state_bytes = static_cast<uint32_t>(RecordBytes(kGroupBytes + body.size()));
    return true;
  }

  uint64_t sequence_ = 0;
  uint64_t horizon_ = 1;
  std::vector<std::pair<uint64_t, uint64_t>> bytes_;  // by segment, in order
  std::map<GroupId, PartialGroup> groups_;
};

}  // namespace

absl::StatusOr<RecoveredSharedLog> RecoverSharedLog(base::FileSystem& fs, const std::string& dir,
                                                    uint64_t cluster_id, uint64_t member_id) {
  RecoveredSharedLog out;
  KEEL_ASSIGN_OR_RETURN(
      const SegmentList list,
      OpenSegments(fs, dir, {cluster_id, member_id, 0, kSharedLogFormatVersion}, &out));
  if (out.fresh) return out;
  SharedReplay replay;
  KEEL_RETURN_IF_ERROR(ReadSegments(fs, dir, list.sequences, RecordType::kHorizon, &replay, &out));
  KEEL_RETURN_IF_ERROR(replay.Finish(dir, &out));
  out.obsolete = list.stale;
  for (const uint64_t sequence : list.sequences) {
    if (sequence < out.horizon) out.obsolete.push_back(sequence);
  }
  return out;
}

}  // namespace keel::raft
