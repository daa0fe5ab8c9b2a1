#include "raft/log/recovery.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

#include "base/log.h"
#include "base/mutation.h"
#include "base/status.h"
#include "base/strings.h"
#include "raft/log/segment_pool.h"

namespace keel::raft {
namespace {

using base::FileSystem;
using base::StrCat;

absl::Status Damaged(const std::string& path, uint64_t offset, std::string_view what) {
  return absl::DataLossError(
      StrCat("Raft log damaged: ", path, " at offset ", offset, ": ", what,
             ". Nothing was changed. Restore the file from a copy, or remove this member from the "
             "cluster, delete its data directory and add it again; it then copies the data from "
             "the others"));
}

// The sequence in a segment's file name, or nothing for another file.
std::optional<uint64_t> ParseSegmentName(const std::string& name) {
  uint64_t sequence = 0;
  int used = 0;
  if (name.size() != 20 ||
      std::sscanf(name.c_str(), "%16" SCNx64 ".seg%n", &sequence, &used) != 1 || used != 20) {
    return std::nullopt;
  }
  return sequence;
}

// What lies behind the first bytes that do not parse.
struct Beyond {
  uint64_t batch_max = 0;     // newest batch of an intact record; 0: none
  uint64_t batch_max_at = 0;  // where
  uint64_t end = 0;           // after the last intact record
};

Beyond LookBeyond(std::string_view data, uint64_t from, uint32_t tag) {
  Beyond beyond;
  from = (from + kRecordAlignBytes - 1) / kRecordAlignBytes * kRecordAlignBytes;
  for (uint64_t at = from; at + kRecordHeaderBytes <= data.size(); at += kRecordAlignBytes) {
    if (!HasTagAt(data, at, tag)) continue;
    const auto record = ParseRecord(data, 0, at, tag);
    if (!record) continue;
    if (record->batch > beyond.batch_max) {
      beyond.batch_max = record->batch;
      beyond.batch_max_at = at;
    }
    beyond.end = record->end;
    at = record->end - kRecordAlignBytes;
  }
  return beyond;
}

// Builds up the log's state record by record.
class Replay {
 public:
  Replay(RecoveredLog* out, uint64_t memory_bytes) : out_(*out), memory_bytes_(memory_bytes) {}

  // False when the record contradicts what came before.
  bool Take(const RecordView& record, uint64_t offset) {
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
    }
    return false;
  }

  // Whether the entries left follow the base without a gap.
  bool Complete() const { return out_.locations.empty() || first_ == out_.base.index + 1; }
  Index first() const { return first_; }

 private:
  Index last() const { return first_ + out_.locations.size() - 1; }

  bool TakeEntry(const RecordView& record, uint64_t offset) {
    auto entry = DecodeEntry(record.body, record.entry_type);
    if (!entry || entry->index <= out_.base.index) return false;
    SegmentInfo& segment = out_.segments.back();
    segment.max_index = std::max(segment.max_index, entry->index);
    if (out_.locations.empty() || entry->index < first_) {
      // Entries may be missing between the base and the first one left while a
      // later record moves the base up to them: Complete() looks at the end.
      Clear();
      first_ = entry->index;
    } else if (entry->index > last() + 1) {
      return false;
    }
    while (!out_.locations.empty() && last() >= entry->index) PopBack();
    out_.locations.push_back({entry->term, static_cast<uint32_t>(segment.sequence),
                              static_cast<uint32_t>(offset / kRecordAlignBytes),
                              static_cast<uint32_t>(record.body.size())});
    tail_bytes_ += entry->data->size();
    out_.tail.push_back(std::move(*entry));
    while (tail_bytes_ > memory_bytes_ && out_.tail.size() > 1) PopFront();
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
      if (out_.tail.size() == out_.locations.size()) PopFront();
      out_.locations.pop_front();
      ++first_;
    }
    out_.base = point;
    if (out_.locations.empty()) first_ = point.index + 1;
  }

  void StartAfter(const LogPoint& point) {
    Clear();
    out_.base = point;
    first_ = point.index + 1;
  }

  void Clear() {
    out_.locations.clear();
    out_.tail.clear();
    tail_bytes_ = 0;
  }

  void PopBack() {
    out_.locations.pop_back();
    if (out_.tail.empty()) return;
    tail_bytes_ -= out_.tail.back().data->size();
    out_.tail.pop_back();
  }

  void PopFront() {
    tail_bytes_ -= out_.tail.front().data->size();
    out_.tail.pop_front();
  }

  RecoveredLog& out_;
  const uint64_t memory_bytes_;
  uint64_t tail_bytes_ = 0;
  Index first_ = 1;  // of locations; after the base when there are none
};

// Reads the segments in order.
class Reader {
 public:
  Reader(FileSystem& fs, const std::string& dir, RecoveredLog* out, uint64_t memory_bytes)
      : fs_(fs), dir_(dir), out_(*out), replay_(out, memory_bytes) {}

  absl::Status Run(const std::vector<uint64_t>& sequences) {
    for (size_t i = 0; i < sequences.size() && !ended_; ++i) {
      const bool newest = i + 1 == sequences.size();
      // The one before the newest may be the last with content: the newest is
      // then a file made ready that nothing was written to, or a torn start.
      KEEL_RETURN_IF_ERROR(ReadSegment(sequences[i], newest));
      if (ended_ && !newest) {
        KEEL_RETURN_IF_ERROR(CheckUnused(sequences, i + 1));
      }
    }
    if (out_.segments.empty()) {
      return Damaged(SegmentPath(dir_, sequences.front()), 0, "no segment has an intact header");
    }
    if (!replay_.Complete()) {
      return Damaged(SegmentPath(dir_, out_.segments.front().sequence), 0,
                     StrCat("the entries from ", out_.base.index + 1, " to ", replay_.first() - 1,
                            " are missing: a segment before it is gone"));
    }
    return absl::OkStatus();
  }

 private:
  // Sets ended_ when the log ends in this segment.
  absl::Status ReadSegment(uint64_t sequence, bool newest) {
    const std::string path = SegmentPath(dir_, sequence);
    KEEL_ASSIGN_OR_RETURN(const std::string data, ReadFile(fs_, path));
    const uint32_t tag = SegmentTag(out_.identity.salt, sequence);
    const auto first = ParseRecord(data, 0, kSegmentHeaderBytes, tag);
    if (!SegmentHeaderMatches(data, out_.identity, sequence) || !first) {
      // Made ready but never used, or torn in its first write; else damaged.
      const Beyond beyond = LookBeyond(data, kSegmentHeaderBytes, tag);
      if (!newest || out_.segments.empty() || beyond.batch_max > out_.batch + 1) {
        return Damaged(path, 0, "the start of the segment is not intact");
      }
      ended_ = true;
      return SetAside(sequence, beyond.end == 0);
    }
    if (first->type != RecordType::kCheckpoint) {
      return Damaged(path, kSegmentHeaderBytes, "the segment does not start with a checkpoint");
    }
    out_.segments.push_back({sequence, 0});
    out_.complete = false;
    uint64_t offset = kSegmentHeaderBytes;
    while (!out_.complete) {
      const auto record = ParseRecord(data, 0, offset, tag);
      if (!record) break;
      const uint64_t batch = out_.unsealed ? out_.batch : out_.batch + 1;
      const bool any_batch = out_.segments.size() == 1 && offset == kSegmentHeaderBytes;
      if ((record->batch != batch && !any_batch) || !replay_.Take(*record, offset)) {
        return Damaged(path, offset, "the record contradicts those before it");
      }
      out_.batch = record->batch;
      out_.unsealed = !record->last_of_batch;
      offset = record->end;
      out_.complete = record->type == RecordType::kSegmentEnd;
    }
    out_.append_offset = offset;
    out_.capacity_bytes = data.size();
    if (out_.complete) return absl::OkStatus();
    ended_ = true;
    return EndAt(path, data, offset, tag);
  }

  // The log ends at `offset` unless something durable once lies behind it.
  absl::Status EndAt(const std::string& path, const std::string& data, uint64_t offset,
                     uint32_t tag) {
    const Beyond beyond = LookBeyond(data, offset, tag);
    // The bytes at `offset` belong to the batch of the last record when that
    // was not its end, else to the next one.
    const uint64_t torn_batch = out_.unsealed ? out_.batch : out_.batch + 1;
    if (beyond.batch_max > torn_batch && !KEEL_MUTATION(kIgnoreCorruption)) {
      return Damaged(path, offset,
                     StrCat("no intact record, though a later one at offset ", beyond.batch_max_at,
                            " shows that there was one"));
    }
    if (offset >= data.size() || KEEL_MUTATION(kKeepTornTail)) return absl::OkStatus();
    if (!out_.unsealed && beyond.end == 0 && !HasTagAt(data, offset, tag)) return absl::OkStatus();
    base::Log().warn(
        "raft log: cut the torn tail of a write that a crash interrupted path={} offset={}", path,
        offset);
    // Intact records behind the cut must not come back once new ones lie before them.
    const uint64_t end =
        std::min<uint64_t>(std::max(beyond.end, offset + kRecordHeaderBytes), data.size());
    KEEL_ASSIGN_OR_RETURN(auto file, fs_.Open(path, FileSystem::Mode::kReadWrite));
    KEEL_RETURN_IF_ERROR(file->Write(offset, std::string(end - offset, '\0')));
    return file->Sync();
  }

  // The log ended before these segments, so none of them may hold anything.
  absl::Status CheckUnused(const std::vector<uint64_t>& sequences, size_t from) {
    for (size_t i = from; i < sequences.size(); ++i) {
      const std::string path = SegmentPath(dir_, sequences[i]);
      KEEL_ASSIGN_OR_RETURN(const std::string data, ReadFile(fs_, path));
      const uint32_t tag = SegmentTag(out_.identity.salt, sequences[i]);
      if (SegmentHeaderMatches(data, out_.identity, sequences[i]) ||
          LookBeyond(data, kSegmentHeaderBytes, tag).end != 0) {
        return Damaged(
            SegmentPath(dir_, out_.segments.back().sequence), out_.append_offset,
            StrCat("no intact record, though a later segment ", path, " shows that there was one"));
      }
      KEEL_RETURN_IF_ERROR(SetAside(sequences[i], true));
    }
    return absl::OkStatus();
  }

  // A segment made ready and not used goes back to the pool.
  absl::Status SetAside(uint64_t sequence, bool untouched) {
    const std::string path = SegmentPath(dir_, sequence);
    return untouched ? fs_.Rename(path, SegmentPool::SparePath(dir_, sequence)) : fs_.Remove(path);
  }

  FileSystem& fs_;
  const std::string& dir_;
  RecoveredLog& out_;
  Replay replay_;
  bool ended_ = false;
};

}  // namespace

std::string IdentityPath(const std::string& dir) { return StrCat(dir, "/META"); }

std::string SegmentPath(const std::string& dir, uint64_t sequence) {
  char name[24];
  std::snprintf(name, sizeof(name), "/%016" PRIx64 ".seg", sequence);
  return StrCat(dir, name);
}

absl::StatusOr<RecoveredLog> RecoverLog(FileSystem& fs, const std::string& dir, uint64_t cluster_id,
                                        uint64_t member_id, uint64_t memory_bytes) {
  RecoveredLog out;
  KEEL_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(dir));
  std::vector<uint64_t> sequences;
  for (const std::string& name : names) {
    if (const auto sequence = ParseSegmentName(name)) sequences.push_back(*sequence);
  }
  std::sort(sequences.begin(), sequences.end());

  const std::string identity_path = IdentityPath(dir);
  if (!fs.Exists(identity_path)) {
    // The identity is written once the first segment is durable: a segment
    // alone is a first start that was interrupted.
    if (sequences.size() > 1 || (sequences.size() == 1 && sequences[0] != 1)) {
      return Damaged(identity_path, 0, "it is missing, though there are segments");
    }
    for (const uint64_t sequence : sequences) {
      KEEL_RETURN_IF_ERROR(fs.Remove(SegmentPath(dir, sequence)));
    }
    out.fresh = true;
    return out;
  }
  KEEL_ASSIGN_OR_RETURN(const std::string identity_bytes, ReadFile(fs, identity_path));
  auto identity = DecodeIdentity(identity_bytes);
  if (!identity.ok()) {
    if (absl::IsDataLoss(identity.status())) {
      return Damaged(identity_path, 0, "it is not an intact log identity");
    }
    return absl::Status(identity.status().code(),
                        StrCat(identity_path, ": ", base::ToStd(identity.status().message())));
  }
  if (identity->cluster_id != cluster_id || identity->member_id != member_id) {
    char text[200];
    std::snprintf(text, sizeof(text),
                  "belongs to member %" PRIx64 " of cluster %" PRIx64 ", not to member %" PRIx64
                  " of cluster %" PRIx64,
                  identity->member_id, identity->cluster_id, member_id, cluster_id);
    return absl::FailedPreconditionError(StrCat("the Raft log in ", dir, " ", text));
  }
  out.identity = *identity;
  if (sequences.empty()) return Damaged(identity_path, 0, "the log has no segments");

  // Left-overs of a truncation whose removals did not all reach the disk lie
  // before a gap in the sequence.
  size_t run = sequences.size() - 1;
  while (run > 0 && sequences[run - 1] + 1 == sequences[run]) --run;
  const std::vector<uint64_t> stale(sequences.begin(), sequences.begin() + static_cast<long>(run));
  sequences.erase(sequences.begin(), sequences.begin() + static_cast<long>(run));

  Reader reader(fs, dir, &out, memory_bytes);
  KEEL_RETURN_IF_ERROR(reader.Run(sequences));
  for (const uint64_t sequence : stale) {
    KEEL_RETURN_IF_ERROR(fs.Remove(SegmentPath(dir, sequence)));
  }
  const Index last = out.base.index + out.locations.size();
  // A commit index may outlive the torn entries it named, and lag a snapshot.
  out.hard_state.commit = std::clamp(out.hard_state.commit, out.base.index, last);
  return out;
}

}  // namespace keel::raft
