#include "raft/log/recovery.h"

#include <algorithm>

#include "base/status.h"
#include "base/strings.h"

namespace keel::raft {

using base::StrCat;

namespace {

// Builds up the log's state record by record.
class Replay final : public RecordSink {
 public:
  explicit Replay(RecoveredLog* out) : out_(*out) {}

  void BeginSegment(uint64_t sequence) override { out_.segments.push_back({sequence, 0}); }

  bool Take(const RecordView& record, uint64_t offset) override {
    switch (record.type) {
      case RecordType::kEntry:
        return TakeEntry(record, offset);
      case RecordType::kHardState: {
        const auto state = DecodeHardState(record.body);
        if (state) out_.hard_state = *state;
        return state.has_value();
      }
      case RecordType::kTruncate: {
        const auto point = DecodePoint(record.body);
        if (!point || point->index < out_.base.index) return false;
        TruncateTo(*point);
        return true;
      }
      case RecordType::kReset: {
        const auto point = DecodePoint(record.body);
        if (!point) return false;
        StartAfter(*point);
        return true;
      }
      case RecordType::kCheckpoint:
        return TakeCheckpoint(record);
      case RecordType::kSegmentEnd:
      case RecordType::kSeal:
        return true;
      case RecordType::kHorizon:
      case RecordType::kGroup:
      case RecordType::kMovedEntry:
      case RecordType::kRemovedGroup:
        return false;  // of a log of many groups
    }
    return false;
  }

  // Whether the entries left follow the base without a gap.
  bool Complete() const { return out_.locations.empty() || first_ == out_.base.index + 1; }
  Index first() const { return first_; }

 private:
  Index last() const { return first_ + out_.locations.size() - 1; }

  bool TakeEntry(const RecordView& record, uint64_t offset) {
    const auto entry = EntryPoint(record.body, record.entry_type);
    if (!entry || entry->index <= out_.base.index) return false;
    SegmentInfo& segment = out_.segments.back();
    segment.max_index = std::max(segment.max_index, entry->index);
    if (out_.locations.empty() || entry->index < first_) {
      // Entries may be missing between the base and the first one left while a
      // later record moves the base up to them: Complete() looks at the end.
      out_.locations.clear();
      first_ = entry->index;
    } else if (entry->index > last() + 1) {
      return false;
    }
    while (!out_.locations.empty() && last() >= entry->index) out_.locations.pop_back();
    out_.locations.push_back({entry->term, static_cast<uint32_t>(segment.sequence),
                              static_cast<uint32_t>(offset / kRecordAlignBytes),
                              static_cast<uint32_t>(record.body.size())});
    return true;
  }

  bool TakeCheckpoint(const RecordView& record) {
    const auto checkpoint = DecodeCheckpoint(record.body);
    if (!checkpoint) return false;
    if (out_.segments.size() == 1) {
      StartAfter(checkpoint->base);
    } else if (checkpoint->base != out_.base ||
               (!out_.locations.empty() && checkpoint->last != last())) {
      return false;
    }
    out_.hard_state = checkpoint->hard_state;
    out_.initial_conf = checkpoint->initial_conf;
    return true;
  }

  void TruncateTo(const LogPoint& point) {
    while (!out_.locations.empty() && first_ <= point.index) {
      out_.locations.DropFront(1);
      ++first_;
    }
    out_.base = point;
    if (out_.locations.empty()) first_ = point.index + 1;
  }

  void StartAfter(const LogPoint& point) {
    out_.locations.clear();
    out_.base = point;
    first_ = point.index + 1;
  }

  RecoveredLog& out_;
  Index first_ = 1;  // of locations; after the base when there are none
};

}  // namespace

absl::StatusOr<RecoveredLog> RecoverLog(base::FileSystem& fs, const std::string& dir,
                                        uint64_t cluster_id, uint64_t member_id) {
  RecoveredLog out;
  KEEL_ASSIGN_OR_RETURN(const SegmentList list,
                        OpenSegments(fs, dir, {cluster_id, member_id, 0}, &out));
  if (out.fresh) return out;
  Replay replay(&out);
  KEEL_RETURN_IF_ERROR(
      ReadSegments(fs, dir, list.sequences, RecordType::kCheckpoint, &replay, &out));
  if (!replay.Complete()) {
    return LogDamaged(SegmentPath(dir, out.segments.front().sequence), 0,
                      StrCat("the entries from ", out.base.index + 1, " to ", replay.first() - 1,
                             " are missing: a segment before it is gone"));
  }
  for (const uint64_t sequence : list.stale) {
    KEEL_RETURN_IF_ERROR(fs.Remove(SegmentPath(dir, sequence)));
  }
  const Index last = out.base.index + out.locations.size();
  // A commit index may outlive the torn entries it named, and lag a snapshot.
  out.hard_state.commit = std::clamp(out.hard_state.commit, out.base.index, last);
  return out;
}

}  // namespace keel::raft
