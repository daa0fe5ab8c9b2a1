#include "raft/log/shared_log.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "raft/log/shared_log_impl.h"

namespace keel::raft {

using base::StrCat;

namespace {
// Moved at a time, so that the loop is not blocked for long.
constexpr uint64_t kMoveBytes = 1 << 20;
}  // namespace

SharedLogImpl::SharedLogImpl(SharedLogOptions options) : options_(std::move(options)) {}

SharedLogImpl::~SharedLogImpl() {
  for (const auto& [id, group] : groups_) {
    KEEL_CHECK(!group->open, "the log of group ", id, " outlives the shared log");
  }
  if (writer_) writer_->Stop();
  if (pool_) pool_->Stop();
}

absl::StatusOr<std::unique_ptr<SharedLog>> SharedLog::Open(SharedLogOptions options) {
  options.Complete();
  auto log = std::make_unique<SharedLogImpl>(std::move(options));
  KEEL_RETURN_IF_ERROR(log->Open());
  return absl::StatusOr<std::unique_ptr<SharedLog>>(std::move(log));
}

absl::Status SharedLogImpl::Open() {
  const SharedLogOptions& o = options_;
  KEEL_RETURN_IF_ERROR(o.fs->CreateDirs(o.dir));
  KEEL_ASSIGN_OR_RETURN(lock_, o.fs->Lock(StrCat(o.dir, "/LOCK")));
  KEEL_ASSIGN_OR_RETURN(RecoveredSharedLog recovered,
                        RecoverSharedLog(*o.fs, o.dir, o.cluster_id, o.member_id));
  if (recovered.fresh) {
    const LogIdentity identity{o.cluster_id, o.member_id, o.random(), kSharedLogFormatVersion};
    KEEL_RETURN_IF_ERROR(SegmentWriter::Create(*o.fs, o.dir, identity, RecordType::kHorizon,
                                               EncodeU64(1), o.segment_bytes));
    KEEL_ASSIGN_OR_RETURN(recovered, RecoverSharedLog(*o.fs, o.dir, o.cluster_id, o.member_id));
  }
  pool_ = std::make_shared<SegmentPool>(*o.fs, o.dir, o.segment_bytes, o.fill_loop, o.write_loop);
  // Nothing is called any more once the destructor stopped the writer: both are on `loop`.
  LogPlaceOptions place = o;
  place.on_error = [this](absl::Status status) { Fail(std::move(status)); };
  writer_ = std::make_shared<SharedWriter>(
      place,
      [this](std::vector<SharedWrite>& writes, const SharedWritten& written) {
        OnWritten(writes, written);
      },
      pool_);
  KEEL_RETURN_IF_ERROR(writer_->Start(recovered, recovered.horizon));
  for (const uint64_t sequence : recovered.obsolete) {
    KEEL_RETURN_IF_ERROR(o.fs->Remove(SegmentPath(o.dir, sequence)));
  }
  salt_ = recovered.identity.salt;
  groups_ = std::move(recovered.groups);
  index_ = std::move(recovered.index);
  return absl::OkStatus();
}

void SharedLogImpl::Fail(absl::Status status) {
  if (std::exchange(failed_, true)) return;
  writer_->Stop();
  options_.on_error(std::move(status));
}

std::vector<GroupId> SharedLogImpl::Groups() const {
  std::vector<GroupId> out;
  out.reserve(groups_.size());
  for (const auto& [id, group] : groups_) out.push_back(id);
  std::sort(out.begin(), out.end());
  return out;
}

absl::StatusOr<std::unique_ptr<GroupLog>> SharedLogImpl::OpenGroup(GroupId id,
                                                                   const ConfState& initial_conf) {
  KEEL_CHECK(id != kNoGroup && id != kHostGroup);
  std::shared_ptr<SharedGroup>& group = groups_[id];
  if (group == nullptr) {
    group = std::make_shared<SharedGroup>(id);
    group->state.initial_conf = initial_conf;
    SharedWrite write;
    write.state = group->state;
    Enqueue(group, std::move(write), nullptr);
  } else if (group->open) {
    return absl::AlreadyExistsError(StrCat("the log of group ", id, " is open"));
  }
  group->open = true;
  ++group->generation;
  return std::make_unique<SharedGroupLog>(this, group);
}

absl::Status SharedLogImpl::RemoveGroup(GroupId id, absl::AnyInvocable<void()> done) {
  const auto it = groups_.find(id);
  if (it == groups_.end()) return absl::NotFoundError(StrCat("the log holds no group ", id));
  const std::shared_ptr<SharedGroup> group = it->second;
  if (group->open) return absl::FailedPreconditionError(StrCat("group ", id, " is open"));
  groups_.erase(it);
  group->removed = true;
  index_.DropAll(group.get());
  index_.DropState(group.get());
  Unlist(group.get());
  for (size_t i = 0; i < group->cache.size(); ++i) cached_bytes_ -= group->cache[i].data->size();
  group->cache.clear();
  SharedWrite write;
  write.removed = true;
  Enqueue(group, std::move(write), std::move(done));
  return absl::OkStatus();
}

SharedLogStats SharedLogImpl::stats() const {
  SharedLogStats out = stats_;
  out.groups = groups_.size();
  out.segments = index_.segments().size();
  out.log_bytes = index_.bytes() - index_.segments().back().bytes;
  out.live_bytes = index_.live_bytes();
  out.cached_bytes = cached_bytes_;
  return out;
}

// What a group's handle asks for.

absl::StatusOr<Term> SharedLogImpl::TermAt(const SharedGroup& group, Index index) const {
  const LogPoint& base = group.state.base;
  if (index == base.index) return base.term;
  if (index < base.index || index > group.last) {
    return absl::OutOfRangeError(StrCat("entry ", index, " of group ", group.id,
                                        " is not in the log [", base.index + 1, ", ", group.last,
                                        "]"));
  }
  const Index cached = group.last - group.cache.size() + 1;
  if (index >= cached) return group.cache[index - cached].term;
  return group.locations[index - base.index - 1].term;
}

absl::Status SharedLogImpl::ReadEntries(const SharedGroup& group, Index low, Index high,
                                        uint64_t max_bytes, std::vector<Entry>* entries) const {
  KEEL_CHECK(low < high && high <= group.last + 1, "group=", group.id, " low=", low, " high=", high,
             " last=", group.last);
  const Index base = group.state.base.index;
  if (low <= base) {
    return absl::OutOfRangeError(StrCat("entry ", low, " of group ", group.id,
                                        " is truncated away; the first is ", base + 1));
  }
  uint64_t bytes = 0;
  const Index cached = group.last - group.cache.size() + 1;
  Index index = low;
  const auto fits = [&](uint64_t more) { return index == low || bytes + more <= max_bytes; };
  while (index < std::min(high, cached)) {
    const uint64_t more =
        group.locations[index - base - 1].body_bytes - kGroupBytes - kEntryFixedBytes;
    if (!fits(more)) break;
    bytes += more;
    ++index;
  }
  if (index > low) KEEL_RETURN_IF_ERROR(ReadRun(group, low, index, entries));
  for (; index >= cached && index < high; ++index) {
    const Entry& entry = group.cache[index - cached];
    if (!fits(entry.data->size())) break;
    bytes += entry.data->size();
    entries->push_back(entry);
  }
  return absl::OkStatus();
}

// Reads entries [low, high); those that lie close together with one call.
absl::Status SharedLogImpl::ReadRun(const SharedGroup& group, Index low, Index high,
                                    std::vector<Entry>* out) const {
  constexpr uint64_t kReadBytesMax = 1 << 20;
  const Index base = group.state.base.index;
  while (low < high) {
    const EntryLocation& first = group.locations[low - base - 1];
    const uint64_t start = uint64_t{first.offset} * kRecordAlignBytes;
    uint64_t end = start + RecordBytes(first.body_bytes);
    uint64_t wanted = end - start;
    Index next = low + 1;
    for (; next < high; ++next) {
      const EntryLocation& l = group.locations[next - base - 1];
      const uint64_t at = uint64_t{l.offset} * kRecordAlignBytes;
      const uint64_t size = RecordBytes(l.body_bytes);
      // Others' records lie between: not more of them than of what is wanted.
      if (l.sequence != first.sequence || at < end || at + size - start > kReadBytesMax ||
          at + size - start > 2 * (wanted + size)) {
        break;
      }
      end = at + size;
      wanted += size;
    }
    KEEL_ASSIGN_OR_RETURN(const base::File* file, FileOf(first.sequence));
    KEEL_ASSIGN_OR_RETURN(const std::string bytes, file->Read(start, end - start));
    const uint32_t tag = SegmentTag(salt_, first.sequence);
    for (; low < next; ++low) {
      const EntryLocation& l = group.locations[low - base - 1];
      const uint64_t at = uint64_t{l.offset} * kRecordAlignBytes;
      const auto record = ParseRecord(bytes, start, at, tag);
      std::optional<Entry> entry;
      if (record &&
          (record->type == RecordType::kEntry || record->type == RecordType::kMovedEntry)) {
        std::string_view body = record->body;
        if (TakeGroup(&body) == group.id) entry = DecodeEntry(body, record->entry_type);
      }
      if (!entry || entry->index != low || entry->term != l.term) {
        return absl::DataLossError(StrCat(
            "Raft log damaged: ", file->path(), " at offset ", at, ": entry ", low, " of group ",
            group.id,
            " was written there but is not read back. Remove this host from the group, delete "
            "the group here and add it again"));
      }
      out->push_back(*std::move(entry));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<base::File*> SharedLogImpl::FileOf(uint64_t sequence) const {
  auto& file = files_[sequence];
  if (!file) {
    KEEL_ASSIGN_OR_RETURN(file, options_.fs->Open(SegmentPath(options_.dir, sequence),
                                                  base::FileSystem::Mode::kRead));
  }
  return file.get();
}

void SharedLogImpl::Append(const std::shared_ptr<SharedGroup>& group, LogWrite write,
                           absl::AnyInvocable<void()> durable) {
  KEEL_CHECK(!write.truncate);
  if (write.hard_state) group->state.hard_state = *write.hard_state;
  if (!write.must_sync) {
    KEEL_CHECK(write.entries.empty() && !write.reset);
    if (group->writes > 0) {
      pending_.push_back({.group = group,
                          .generation = group->generation,
                          .unwritten = true,
                          .durable = std::move(durable)});
    } else if (durable) {
      durable();
    }
    return;
  }
  SharedWrite out;
  if (write.reset) {
    index_.DropAll(group.get());
    for (size_t i = 0; i < group->cache.size(); ++i) cached_bytes_ -= group->cache[i].data->size();
    group->cache.clear();
    group->state.base = *write.reset;
    group->last = write.reset->index;
    out.reset = write.reset;
  }
  if (!write.entries.empty()) {
    const Index first = write.entries.front().index;
    KEEL_CHECK(first > group->state.base.index && first <= group->last + 1, "group=", group->id,
               " first=", first, " base=", group->state.base.index, " last=", group->last);
    while (group->last >= first) {
      if (!group->cache.empty()) {
        cached_bytes_ -= group->cache.back().data->size();
        group->cache.pop_back();
      }
      --group->last;
    }
    for (const Entry& entry : write.entries) {
      KEEL_CHECK(entry.index == group->last + 1 && entry.data != nullptr, "group=", group->id,
                 " entry=", entry.index, " last=", group->last);
      group->last = entry.index;
      cached_bytes_ += entry.data->size();
      group->cache.push_back(entry);
    }
    List(group.get());
    out.entries = std::move(write.entries);
  }
  if (group->state.hard_state != group->queued) {
    group->queued = group->state.hard_state;
    out.hard_state = group->queued;
  }
  Enqueue(group, std::move(out), std::move(durable));
}

void SharedLogImpl::Truncate(const std::shared_ptr<SharedGroup>& group, Index index) {
  if (index <= group->state.base.index) return;
  KEEL_CHECK(index <= group->last, "group=", group->id, " index=", index, " last=", group->last);
  const auto term = TermAt(*group, index);
  KEEL_CHECK(term.ok());
  index_.DropUpTo(group.get(), index);
  size_t count = 0;
  while (count < group->cache.size() && group->cache[count].index <= index) {
    cached_bytes_ -= group->cache[count].data->size();
    ++count;
  }
  group->cache.DropFront(count);
  group->state.base = {index, *term};
  SharedWrite write;
  write.truncate = group->state.base;
  Enqueue(group, std::move(write), nullptr);
}

void SharedLogImpl::Close(SharedGroup* group) {
  group->open = false;
  ++group->generation;
}

// On the way to disk and back.

void SharedLogImpl::Enqueue(const std::shared_ptr<SharedGroup>& group, SharedWrite write,
                            absl::AnyInvocable<void()> durable) {
  Pending pending;
  pending.group = group;
  pending.durable = std::move(durable);
  if (group != nullptr) {
    write.group = group->id;
    pending.generation = group->generation;
    ++group->writes;
    if (write.reset) ++group->resets;
    if (write.state) ++group->states;
    if (!write.entries.empty()) {
      pending.first = write.entries.front().index;
      if (!write.moved) group->first_written = std::min(group->first_written, pending.first);
    }
  }
  pending.entries = write.entries.size();
  pending.moved = write.moved;
  pending.reset = write.reset.has_value();
  pending.removed = write.removed;
  pending.horizon = write.horizon;
  if (write.state) pending.state_bytes = GroupRecordBytes(*write.state);
  pending_.push_back(std::move(pending));
  writer_->Write(std::move(write));
}

void SharedLogImpl::OnWritten(std::vector<SharedWrite>& writes, const SharedWritten& written) {
  size_t at = 0;
  size_t state_at = 0;
  ++stats_.batches;
  stats_.writes += writes.size();
  index_.SawSegment(index_.segments().back().sequence, written.bytes);
  for (SharedWrite& write : writes) {
    KEEL_CHECK(!pending_.empty());
    const Pending& pending = pending_.front();
    if (pending.horizon != 0) {
      FreeSegments(pending.horizon);
    } else {
      Settle(pending, written, &at, &state_at);
    }
    spares_.Give(std::move(write.entries));
    do {
      settled_.push_back(std::move(pending_.front()));
      pending_.pop_front();
    } while (!pending_.empty() && pending_.front().unwritten);
  }
  KEEL_CHECK(at == written.locations.size() && state_at == written.state_sequences.size());
  index_.SawSegment(written.sequence, 0);
  Evict();
  Clean();
  for (Pending& pending : settled_) {
    const bool current = pending.removed || pending.group == nullptr ||
                         pending.generation == pending.group->generation;
    if (pending.durable && current) pending.durable();
  }
  settled_.clear();
}

// Takes one write's records into the index.
void SharedLogImpl::Settle(const Pending& pending, const SharedWritten& written, size_t* at,
                           size_t* state_at) {
  SharedGroup* group = pending.group.get();
  --group->writes;
  if (pending.reset) --group->resets;
  if (group->writes == 0) group->first_written = ~Index{0};
  if (pending.moved) --moving_;
  if (pending.state_bytes > 0) {
    --group->states;
    const uint64_t sequence = written.state_sequences[(*state_at)++];
    if (!group->removed) index_.SetState(group, sequence, pending.state_bytes);
  }
  for (size_t k = 0; k < pending.entries; ++k, ++*at) {
    const Index index = pending.first + k;
    // A reset still on its way makes what came before it irrelevant.
    if (group->removed || group->resets > 0 || index <= group->state.base.index) continue;
    if (pending.moved) {
      stats_.moved_bytes += RecordBytes(written.locations[*at].body_bytes);
      index_.MoveEntry(group, index, written.locations[*at]);
    } else {
      index_.SetEntry(group, index, written.locations[*at]);
    }
  }
}

void SharedLogImpl::FreeSegments(uint64_t before_sequence) {
  std::vector<std::string> paths;
  while (index_.segments().front().sequence < before_sequence) {
    const uint64_t sequence = index_.segments().front().sequence;
    files_.erase(sequence);
    paths.push_back(SegmentPath(options_.dir, sequence));
    index_.PopOldest();
    ++stats_.freed_segments;
  }
  horizon_queued_ = false;
  clean_at_ = 0;
  pool_->Recycle(std::move(paths));
}

// Frees segments oldest first: at once those without anything live, and by
// moving what is live in one when the log takes too much room.
void SharedLogImpl::Clean() {
  if (failed_ || horizon_queued_ || moving_ > 0) return;
  const std::deque<SharedSegment>& segments = index_.segments();
  size_t dead = 0;
  while (dead + 1 < segments.size() && segments[dead].live_bytes == 0) ++dead;
  if (dead > 0) {
    horizon_queued_ = true;
    SharedWrite write;
    write.horizon = segments[dead].sequence;
    Enqueue(nullptr, std::move(write), nullptr);
    return;
  }
  const uint64_t old_bytes = index_.bytes() - segments.back().bytes;
  if (segments.size() == 1 ||
      old_bytes <= 2 * index_.live_bytes() + kSlackSegments * options_.segment_bytes) {
    return;
  }
  MoveSome();
}

void SharedLogImpl::MoveSome() {
  const std::vector<GroupId>& ids = index_.oldest().groups;
  uint64_t bytes = 0;
  for (; clean_at_ < ids.size() && bytes < kMoveBytes; ++clean_at_) {
    const auto it = groups_.find(ids[clean_at_]);
    if (it == groups_.end()) continue;
    bool whole = true;
    const absl::Status status = Move(it->second, kMoveBytes, &bytes, &whole);
    if (!status.ok()) return Fail(status);
    if (!whole) break;  // The rest of this group next time.
  }
  // Whoever could not be moved yet, because a write is on its way that will
  // replace what is there, is looked at again then.
  if (clean_at_ == ids.size()) clean_at_ = 0;
}

absl::Status SharedLogImpl::Move(const std::shared_ptr<SharedGroup>& group, uint64_t limit,
                                 uint64_t* bytes, bool* whole) {
  const uint64_t oldest = index_.oldest().sequence;
  SharedWrite write;
  write.moved = true;
  if (group->state_sequence == oldest && group->states == 0) {
    write.state = group->state;
    *bytes += GroupRecordBytes(group->state);
  }
  const auto queue = [&] {
    if (!write.state && write.entries.empty()) return;
    ++moving_;
    Enqueue(group, std::exchange(write, {}), nullptr);
    write.moved = true;
  };
  const Index base = group->state.base.index;
  for (size_t i = 0; group->resets == 0 && i < group->locations.size(); ++i) {
    const Index index = base + 1 + i;
    if (index >= group->first_written) break;  // about to be replaced
    if (group->locations[i].sequence != oldest) continue;
    if (*bytes >= limit) {
      *whole = false;
      break;
    }
    KEEL_RETURN_IF_ERROR(ReadRun(*group, index, index + 1, &write.entries));
    *bytes += RecordBytes(group->locations[i].body_bytes);
    // Entries of one write follow each other.
    if (i + 1 < group->locations.size() && group->locations[i + 1].sequence != oldest) queue();
  }
  queue();
  return absl::OkStatus();
}

// Entries in memory: those of the group that appended least recently go first.

void SharedLogImpl::Unlist(SharedGroup* group) {
  if (!group->listed) return;
  (group->newer != nullptr ? group->newer->older : newest_) = group->older;
  (group->older != nullptr ? group->older->newer : oldest_) = group->newer;
  group->newer = group->older = nullptr;
  group->listed = false;
}

void SharedLogImpl::List(SharedGroup* group) {
  if (newest_ == group) return;
  Unlist(group);
  group->older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = group;
  newest_ = group;
  group->listed = true;
}

void SharedLogImpl::Evict() {
  SharedGroup* group = oldest_;
  while (cached_bytes_ > options_.memory_bytes && group != nullptr) {
    size_t count = 0;
    while (count < group->cache.size() && cached_bytes_ > options_.memory_bytes &&
           group->cache[count].index < group->first_written) {
      cached_bytes_ -= group->cache[count].data->size();
      ++count;
    }
    group->cache.DropFront(count);
    SharedGroup* const next = group->newer;
    if (group->cache.empty()) Unlist(group);
    group = next;
  }
}

}  // namespace keel::raft
