#include "raft/log/segment_reader.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <optional>

#include "base/log.h"
#include "base/mutation.h"
#include "base/status.h"
#include "base/strings.h"
#include "raft/log/read_window.h"
#include "raft/log/segment_pool.h"

namespace keel::raft {

using base::FileSystem;
using base::StrCat;

std::string IdentityPath(const std::string& dir) { return StrCat(dir, "/META"); }

std::string SegmentPath(const std::string& dir, uint64_t sequence) {
  char name[24];
  std::snprintf(name, sizeof(name), "/%016" PRIx64 ".seg", sequence);
  return StrCat(dir, name);
}

absl::Status LogDamaged(const std::string& path, uint64_t offset, std::string_view what) {
  return absl::DataLossError(
      StrCat("Raft log damaged: ", path, " at offset ", offset, ": ", what,
             ". Nothing was changed. Restore the file from a copy, or remove this member from the "
             "cluster, delete its data directory and add it again; it then copies the data from "
             "the others"));
}

namespace {

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

// Reads the segments in order.
class Reader {
 public:
  Reader(FileSystem& fs, const std::string& dir, RecordType first, RecordSink* sink, LogTail* out)
      : fs_(fs), dir_(dir), first_(first), sink_(*sink), out_(*out) {}

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
    if (read_ == 0) {
      return LogDamaged(SegmentPath(dir_, sequences.front()), 0, "no segment has an intact header");
    }
    return CutTornTail();
  }

 private:
  // Sets ended_ when the log ends in this segment.
  absl::Status ReadSegment(uint64_t sequence, bool newest) {
    const std::string path = SegmentPath(dir_, sequence);
    KEEL_RETURN_IF_ERROR(window_.Open(fs_, path));
    const uint32_t tag = SegmentTag(out_.identity.salt, sequence);
    KEEL_ASSIGN_OR_RETURN(const bool header_matches, HeaderMatches(sequence));
    KEEL_ASSIGN_OR_RETURN(const auto first, RecordAt(kSegmentHeaderBytes, tag));
    if (!header_matches || !first) {
      // Made ready but never used, or torn in its first write; else damaged.
      KEEL_ASSIGN_OR_RETURN(const Beyond beyond, LookBeyond(kSegmentHeaderBytes, tag));
      if (!newest || read_ == 0 || beyond.batch_max > out_.batch + 1) {
        return LogDamaged(path, 0, "the start of the segment is not intact");
      }
      ended_ = true;
      return Discard(sequence);
    }
    if (first->type != first_) {
      return LogDamaged(path, kSegmentHeaderBytes,
                        first_ == RecordType::kCheckpoint
                            ? "the segment does not start with a checkpoint"
                            : "the segment does not start with a horizon");
    }
    ++read_;
    out_.last_sequence = sequence;
    sink_.BeginSegment(sequence);
    out_.complete = false;
    uint64_t offset = kSegmentHeaderBytes;
    while (!out_.complete) {
      KEEL_ASSIGN_OR_RETURN(const auto record, RecordAt(offset, tag));
      if (!record) break;
      const uint64_t batch = out_.unsealed ? out_.batch : out_.batch + 1;
      const bool any_batch = read_ == 1 && offset == kSegmentHeaderBytes;
      if ((record->batch != batch && !any_batch) || !sink_.Take(*record, offset)) {
        return LogDamaged(path, offset, "the record contradicts those before it");
      }
      out_.batch = record->batch;
      out_.unsealed = !record->last_of_batch;
      offset = record->end;
      out_.complete = record->type == RecordType::kSegmentEnd;
    }
    out_.append_offset = offset;
    out_.capacity_bytes = window_.size();
    if (out_.complete) return absl::OkStatus();
    ended_ = true;
    return EndAt(path, offset, tag);
  }

  // Of the file that the window is on.
  absl::StatusOr<bool> HeaderMatches(uint64_t sequence) {
    KEEL_ASSIGN_OR_RETURN(const std::string_view data, window_.At(0, kSegmentHeaderBytes));
    return SegmentHeaderMatches(data, out_.identity, sequence);
  }

  // Valid until the next call.
  absl::StatusOr<std::optional<RecordView>> RecordAt(uint64_t offset, uint32_t tag) {
    KEEL_ASSIGN_OR_RETURN(std::string_view data, window_.At(offset, kRecordHeaderBytes));
    const auto bytes = ClaimedRecordBytes(data, 0, tag);
    if (!bytes) return std::nullopt;
    if (*bytes > data.size()) {
      KEEL_ASSIGN_OR_RETURN(data, window_.At(offset, *bytes));
    }
    return ParseRecord(data, offset, offset, tag);
  }

  absl::StatusOr<Beyond> LookBeyond(uint64_t from, uint32_t tag) {
    Beyond beyond;
    uint64_t at = (from + kRecordAlignBytes - 1) / kRecordAlignBytes * kRecordAlignBytes;
    while (at + kRecordHeaderBytes <= window_.size()) {
      KEEL_ASSIGN_OR_RETURN(const std::string_view data, window_.At(at, kRecordHeaderBytes));
      if (data.size() < kRecordHeaderBytes) break;
      uint64_t skip = 0;
      while (skip + kRecordHeaderBytes <= data.size() && !HasTagAt(data, skip, tag)) {
        skip += kRecordAlignBytes;
      }
      if (skip > 0) {
        at += skip;
        continue;
      }
      KEEL_ASSIGN_OR_RETURN(const auto record, RecordAt(at, tag));
      if (!record) {
        at += kRecordAlignBytes;
        continue;
      }
      if (record->batch > beyond.batch_max) {
        beyond.batch_max = record->batch;
        beyond.batch_max_at = at;
      }
      beyond.end = record->end;
      at = record->end;
    }
    return beyond;
  }

  // The log ends at `offset` unless something durable once lies behind it.
  absl::Status EndAt(const std::string& path, uint64_t offset, uint32_t tag) {
    KEEL_ASSIGN_OR_RETURN(const std::string_view data, window_.At(offset, kRecordHeaderBytes));
    const bool has_tag = HasTagAt(data, 0, tag);
    KEEL_ASSIGN_OR_RETURN(const Beyond beyond, LookBeyond(offset, tag));
    // The bytes at `offset` belong to the batch of the last record when that
    // was not its end, else to the next one.
    const uint64_t torn_batch = out_.unsealed ? out_.batch : out_.batch + 1;
    if (beyond.batch_max > torn_batch && !KEEL_MUTATION(kIgnoreCorruption)) {
      return LogDamaged(path, offset,
                        StrCat("no intact record, though a later one at offset ",
                               beyond.batch_max_at, " shows that there was one"));
    }
    if (offset >= window_.size() || KEEL_MUTATION(kKeepTornTail)) return absl::OkStatus();
    if (!out_.unsealed && beyond.end == 0 && !has_tag) return absl::OkStatus();
    // Intact records behind the cut must not come back once new ones lie before them.
    const uint64_t end =
        std::min<uint64_t>(std::max(beyond.end, offset + kRecordHeaderBytes), window_.size());
    cut_ = Cut{path, offset, end};
    return absl::OkStatus();
  }

  // The log ended before these segments, so none of them may hold anything.
  absl::Status CheckUnused(const std::vector<uint64_t>& sequences, size_t from) {
    for (size_t i = from; i < sequences.size(); ++i) {
      const std::string path = SegmentPath(dir_, sequences[i]);
      KEEL_RETURN_IF_ERROR(window_.Open(fs_, path));
      const uint32_t tag = SegmentTag(out_.identity.salt, sequences[i]);
      KEEL_ASSIGN_OR_RETURN(const bool header_matches, HeaderMatches(sequences[i]));
      KEEL_ASSIGN_OR_RETURN(const Beyond beyond, LookBeyond(kSegmentHeaderBytes, tag));
      if (header_matches || beyond.end != 0) {
        return LogDamaged(
            SegmentPath(dir_, out_.last_sequence), out_.append_offset,
            StrCat("no intact record, though a later segment ", path, " shows that there was one"));
      }
    }
    for (size_t i = from; i < sequences.size(); ++i) {
      KEEL_RETURN_IF_ERROR(Discard(sequences[i]));
    }
    return absl::OkStatus();
  }

  // Once it is clear that nothing is damaged.
  absl::Status CutTornTail() {
    if (!cut_) return absl::OkStatus();
    base::Log().warn(
        "raft log: cut the torn tail of a write that a crash interrupted path={} offset={}",
        cut_->path, cut_->offset);
    KEEL_ASSIGN_OR_RETURN(auto file, fs_.Open(cut_->path, FileSystem::Mode::kReadWrite));
    KEEL_RETURN_IF_ERROR(file->Write(cut_->offset, std::string(cut_->end - cut_->offset, '\0')));
    return file->Sync();
  }

  // A segment made ready and not used. It does not go back to the pool: a sync of it may have
  // failed in an earlier life of the process, and then none that follows means anything.
  absl::Status Discard(uint64_t sequence) { return fs_.Remove(SegmentPath(dir_, sequence)); }

  FileSystem& fs_;
  const std::string& dir_;
  const RecordType first_;
  RecordSink& sink_;
  LogTail& out_;
  ReadWindow window_;
  size_t read_ = 0;  // segments with an intact start
  bool ended_ = false;
  struct Cut {
    std::string path;
    uint64_t offset = 0;
    uint64_t end = 0;
  };
  std::optional<Cut> cut_;
};

}  // namespace

absl::StatusOr<SegmentList> OpenSegments(FileSystem& fs, const std::string& dir,
                                         const LogIdentity& wanted, LogTail* tail) {
  SegmentList out;
  std::vector<uint64_t>& sequences = out.sequences;
  KEEL_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(dir));
  for (const std::string& name : names) {
    if (const auto sequence = ParseSegmentName(name)) sequences.push_back(*sequence);
  }
  std::sort(sequences.begin(), sequences.end());

  const std::string identity_path = IdentityPath(dir);
  if (!fs.Exists(identity_path)) {
    // The identity is written once the first segment is durable: a segment
    // alone is a first start that was interrupted.
    if (sequences.size() > 1 || (sequences.size() == 1 && sequences[0] != 1)) {
      return LogDamaged(identity_path, 0, "it is missing, though there are segments");
    }
    for (const uint64_t sequence : sequences) {
      KEEL_RETURN_IF_ERROR(fs.Remove(SegmentPath(dir, sequence)));
    }
    sequences.clear();
    tail->fresh = true;
    return out;
  }
  KEEL_ASSIGN_OR_RETURN(const std::string identity_bytes, ReadFile(fs, identity_path));
  auto identity = DecodeIdentity(identity_bytes, wanted.version);
  if (!identity.ok()) {
    if (absl::IsDataLoss(identity.status())) {
      return LogDamaged(identity_path, 0, "it is not an intact log identity");
    }
    return absl::Status(identity.status().code(),
                        StrCat(identity_path, ": ", base::ToStd(identity.status().message())));
  }
  if (identity->cluster_id != wanted.cluster_id || identity->member_id != wanted.member_id) {
    char text[200];
    std::snprintf(text, sizeof(text),
                  "belongs to member %" PRIx64 " of cluster %" PRIx64 ", not to member %" PRIx64
                  " of cluster %" PRIx64,
                  identity->member_id, identity->cluster_id, wanted.member_id, wanted.cluster_id);
    return absl::FailedPreconditionError(StrCat("the Raft log in ", dir, " ", text));
  }
  tail->identity = *identity;
  if (sequences.empty()) return LogDamaged(identity_path, 0, "the log has no segments");

  // Left-overs of a truncation whose removals did not all reach the disk lie
  // before a gap in the sequence.
  size_t run = sequences.size() - 1;
  while (run > 0 && sequences[run - 1] + 1 == sequences[run]) --run;
  out.stale.assign(sequences.begin(), sequences.begin() + static_cast<long>(run));
  sequences.erase(sequences.begin(), sequences.begin() + static_cast<long>(run));

  return out;
}

absl::Status ReadSegments(FileSystem& fs, const std::string& dir,
                          const std::vector<uint64_t>& sequences, RecordType first,
                          RecordSink* sink, LogTail* tail) {
  return Reader(fs, dir, first, sink, tail).Run(sequences);
}

}  // namespace keel::raft
