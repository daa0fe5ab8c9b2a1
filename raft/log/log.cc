#include "raft/log/log.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::raft {

using base::StrCat;

Log::Log(LogOptions options) : options_(std::move(options)) {}

Log::~Log() {
  if (writer_) writer_->Stop();
  if (pool_) pool_->Stop();
}

absl::StatusOr<std::unique_ptr<Log>> Log::Open(LogOptions options) {
  options.Complete();
  std::unique_ptr<Log> log(new Log(std::move(options)));
  const LogOptions& o = log->options_;

  KEEL_RETURN_IF_ERROR(o.fs->CreateDirs(o.dir));
  KEEL_ASSIGN_OR_RETURN(log->lock_, o.fs->Lock(StrCat(o.dir, "/LOCK")));
  const base::TimePoint begun = o.loop->Now();
  const auto recover = [&] { return RecoverLog(*o.fs, o.dir, o.cluster_id, o.member_id); };
  KEEL_ASSIGN_OR_RETURN(RecoveredLog recovered, recover());
  if (recovered.fresh) {
    const LogIdentity identity{o.cluster_id, o.member_id, o.random()};
    KEEL_RETURN_IF_ERROR(
        LogWriter::Create(*o.fs, o.dir, identity, o.initial_conf, o.segment_bytes));
    KEEL_ASSIGN_OR_RETURN(recovered, recover());
  }

  const base::TimePoint read = o.loop->Now();
  log->pool_ =
      std::make_shared<SegmentPool>(*o.fs, o.dir, o.segment_bytes, o.fill_loop, o.write_loop);
  // Not called any more once ~Log stopped the writer: both are on `loop`.
  log->writer_ = std::make_shared<LogWriter>(
      o,
      [raw = log.get()](std::vector<LogWrite>& writes, const LogWritten& written) {
        raw->OnWritten(writes, written);
      },
      log->pool_);
  KEEL_RETURN_IF_ERROR(log->writer_->Start(recovered));

  log->salt_ = recovered.identity.salt;
  log->hard_state_ = recovered.hard_state;
  log->initial_conf_ = std::move(recovered.initial_conf);
  log->base_ = recovered.base;
  log->last_ = recovered.base.index + recovered.locations.size();
  log->locations_ = std::move(recovered.locations);
  log->segments_ = std::move(recovered.segments);
  const auto ms = [](base::Duration took) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  };
  base::Log().info("raft log opened segments={} entries=[{}, {}] read_ms={} last_segment_ms={}",
                   log->segments_.size(), log->FirstIndex(), log->last_, ms(read - begun),
                   ms(o.loop->Now() - read));
  return log;
}

absl::StatusOr<Term> Log::TermAt(Index index) const {
  if (index == base_.index) return base_.term;
  if (index < base_.index || index > last_) {
    return absl::OutOfRangeError(
        StrCat("entry ", index, " is not in the log [", FirstIndex(), ", ", last_, "]"));
  }
  const Index cached = last_ - cache_.size() + 1;
  if (index >= cached) return cache_[index - cached].term;
  return locations_[index - base_.index - 1].term;
}

absl::Status Log::ReadEntries(Index low, Index high, uint64_t max_bytes,
                              std::vector<Entry>* entries) const {
  KEEL_CHECK(low < high && high <= last_ + 1, "low=", low, " high=", high, " last=", last_);
  if (low <= base_.index) {
    return absl::OutOfRangeError(
        StrCat("entry ", low, " is truncated away; the first is ", FirstIndex()));
  }
  uint64_t bytes = 0;
  const Index cached = last_ - cache_.size() + 1;
  Index index = low;
  const auto fits = [&](uint64_t more) { return index == low || bytes + more <= max_bytes; };
  while (index < std::min(high, cached)) {
    const uint64_t more = locations_[index - base_.index - 1].body_bytes - kEntryFixedBytes;
    if (!fits(more)) break;
    bytes += more;
    ++index;
  }
  if (index > low) KEEL_RETURN_IF_ERROR(ReadRun(low, index, entries));
  for (; index >= cached && index < high; ++index) {
    const Entry& entry = cache_[index - cached];
    if (!fits(entry.data->size())) break;
    bytes += entry.data->size();
    entries->push_back(entry);
  }
  return absl::OkStatus();
}

Index Log::IndexWithin(uint64_t bytes) const {
  size_t count = locations_.size();
  for (uint64_t sum = 0; count > 0; --count) {
    sum += RecordBytes(locations_[count - 1].body_bytes);
    if (sum > bytes) break;
  }
  return base_.index + count;
}

// Reads entries [low, high), neighbours in a segment with one call.
absl::Status Log::ReadRun(Index low, Index high, std::vector<Entry>* out) const {
  constexpr uint64_t kReadBytesMax = 4 << 20;
  while (low < high) {
    const EntryLocation& first = locations_[low - base_.index - 1];
    const uint64_t start = uint64_t{first.offset} * kRecordAlignBytes;
    uint64_t end = start + RecordBytes(first.body_bytes);
    Index next = low + 1;
    for (; next < high; ++next) {
      const EntryLocation& l = locations_[next - base_.index - 1];
      const uint64_t at = uint64_t{l.offset} * kRecordAlignBytes;
      if (l.sequence != first.sequence || at < end ||
          at + RecordBytes(l.body_bytes) - start > kReadBytesMax) {
        break;
      }
      end = at + RecordBytes(l.body_bytes);
    }
    KEEL_ASSIGN_OR_RETURN(const base::File* file, FileOf(first.sequence));
    KEEL_ASSIGN_OR_RETURN(const std::string bytes, file->Read(start, end - start));
    const uint32_t tag = SegmentTag(salt_, first.sequence);
    for (; low < next; ++low) {
      const EntryLocation& l = locations_[low - base_.index - 1];
      const uint64_t at = uint64_t{l.offset} * kRecordAlignBytes;
      const auto record = ParseRecord(bytes, start, at, tag);
      auto entry = record && record->type == RecordType::kEntry
                       ? DecodeEntry(record->body, record->entry_type)
                       : std::nullopt;
      if (!entry || entry->index != low || entry->term != l.term) {
        return absl::DataLossError(StrCat(
            "Raft log damaged: ", file->path(), " at offset ", at, ": entry ", low,
            " was written there but is not read back. Remove this member from the cluster, delete "
            "its data directory and add it again"));
      }
      out->push_back(*std::move(entry));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<base::File*> Log::FileOf(uint64_t sequence) const {
  auto& file = files_[sequence];
  if (!file) {
    KEEL_ASSIGN_OR_RETURN(file, options_.fs->Open(SegmentPath(options_.dir, sequence),
                                                  base::FileSystem::Mode::kRead));
  }
  return file.get();
}

void Log::Append(LogWrite write, absl::AnyInvocable<void()> durable) {
  KEEL_CHECK(!write.truncate);
  if (!write.must_sync) {
    KEEL_CHECK(write.entries.empty() && !write.reset);
    if (write.hard_state) deferred_ = write.hard_state;
    if (!pending_.empty()) {
      pending_.push_back({.unwritten = true, .durable = std::move(durable)});
    } else if (durable) {
      durable();
    }
    return;
  }
  if (!write.hard_state) write.hard_state = deferred_;
  deferred_.reset();
  if (write.reset) {
    cache_.clear();
    cache_bytes_ = 0;
    base_ = *write.reset;
    last_ = base_.index;
    locations_.clear();
    ++resets_;
  }
  Pending pending;
  pending.reset = write.reset.has_value();
  pending.durable = std::move(durable);
  if (!write.entries.empty()) {
    const Index first = write.entries.front().index;
    KEEL_CHECK(first > base_.index && first <= last_ + 1, "first=", first, " base=", base_.index,
               " last=", last_);
    pending.first = first;
    while (last_ >= first) {
      if (!cache_.empty()) {
        cache_bytes_ -= cache_.back().data->size();
        cache_.pop_back();
      }
      --last_;
    }
    for (const Entry& entry : write.entries) {
      KEEL_CHECK(entry.index == last_ + 1 && entry.data != nullptr, "entry=", entry.index,
                 " last=", last_);
      last_ = entry.index;
      cache_bytes_ += entry.data->size();
      cache_.push_back(entry);
    }
  }
  pending_.push_back(std::move(pending));
  writer_->Write(std::move(write));
}

void Log::Truncate(Index index) {
  if (index <= base_.index) return;
  KEEL_CHECK(index <= last_, "index=", index, " last=", last_);
  const auto term = TermAt(index);
  KEEL_CHECK(term.ok());
  ForgetUpTo(index);
  base_ = {index, *term};
  Pending pending;
  pending.truncate = true;
  pending_.push_back(std::move(pending));
  LogWrite write;
  write.truncate = base_;
  writer_->Write(std::move(write));
}

void Log::ForgetUpTo(Index index) {
  locations_.DropFront(std::min<uint64_t>(index - base_.index, locations_.size()));
  size_t count = 0;
  for (; count < cache_.size() && cache_[count].index <= index; ++count) {
    cache_bytes_ -= cache_[count].data->size();
  }
  cache_.DropFront(count);
}

void Log::OnWritten(std::vector<LogWrite>& writes, const LogWritten& written) {
  size_t at = 0;
  bool free_segments = false;
  for (LogWrite& write : writes) {
    KEEL_CHECK(!pending_.empty());
    Pending& pending = pending_.front();
    free_segments |= pending.truncate || pending.reset;
    if (pending.reset) --resets_;
    for (size_t k = 0; k < write.entries.size(); ++k, ++at) {
      const EntryLocation& location = written.locations[at];
      const Index index = pending.first + k;
      SawSegment(location.sequence);
      segments_.back().max_index = std::max(segments_.back().max_index, index);
      // A reset still on its way makes what came before it irrelevant.
      if (resets_ > 0 || index <= base_.index) continue;
      KEEL_CHECK(index - base_.index - 1 <= locations_.size(), "index=", index,
                 " base=", base_.index, " durable=", locations_.size());
      locations_.Truncate(index - base_.index - 1);
      locations_.push_back(location);
    }
    spares_.Give(std::move(write.entries));
    do {
      settled_.push_back(std::move(pending_.front()));
      pending_.pop_front();
    } while (!pending_.empty() && pending_.front().unwritten);
  }
  SawSegment(written.sequence);
  if (free_segments) FreeSegments(written.sequence);
  Evict();
  for (Pending& pending : settled_) {
    if (pending.durable) pending.durable();
  }
  settled_.clear();
}

void Log::SawSegment(uint64_t sequence) {
  while (segments_.back().sequence < sequence) {
    segments_.push_back({segments_.back().sequence + 1, 0});
  }
}

void Log::FreeSegments(uint64_t before_sequence) {
  std::vector<std::string> paths;
  size_t count = 0;
  // Oldest first and without a gap: the record of the truncation is behind them.
  while (count < segments_.size() && segments_[count].sequence < before_sequence &&
         segments_[count].max_index <= base_.index) {
    files_.erase(segments_[count].sequence);
    paths.push_back(SegmentPath(options_.dir, segments_[count].sequence));
    ++count;
  }
  if (count == 0) return;
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<long>(count));
  pool_->Recycle(std::move(paths));
}

void Log::Evict() {
  if (cache_bytes_ <= options_.memory_bytes) return;
  Index bound = last_;  // entries from here on stay: not durable yet
  for (const Pending& pending : pending_) {
    if (pending.first != 0) bound = std::min(bound, pending.first);
  }
  size_t count = 0;
  for (;
       cache_bytes_ > options_.memory_bytes && count < cache_.size() && cache_[count].index < bound;
       ++count) {
    cache_bytes_ -= cache_[count].data->size();
  }
  cache_.DropFront(count);
}

}  // namespace keel::raft
