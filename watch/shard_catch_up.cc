// The part of a shard that looks after watchers that are behind.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mutation.h"
#include "watch/shard.h"

namespace keel::watch {
namespace {

// With more ranges than this waiting for the store, one read of all keys
// serves them all instead of one read for each.
constexpr size_t kRangesReadApartMax = 3;
// So many waiting watchers are looked at to decide that.
constexpr size_t kLookAhead = 64;

void Take(std::vector<Watcher*>& members, const Watcher& watcher) {
  KEEL_CHECK(members[watcher.position] == &watcher);
  members[watcher.position] = members.back();
  members[watcher.position]->position = watcher.position;
  members.pop_back();
}

void Put(std::vector<Watcher*>& members, Watcher& watcher) {
  watcher.position = members.size();
  members.push_back(&watcher);
}

}  // namespace

void Shard::SetBehind(Watcher& watcher, int64_t next_revision) {
  if (watcher.state == Watcher::State::kSynced) {
    Take(watcher.group->synced, watcher);
    Put(watcher.group->behind, watcher);
    --synced_count_;
    ++watcher.stream->behind_count_;
    core_.watchers_behind.fetch_add(1, std::memory_order_relaxed);
  }
  watcher.next_revision = next_revision;
  watcher.state = watcher.stream->sink_.full() ? Watcher::State::kBlocked : Watcher::State::kReady;
  Enqueue(watcher);
}

void Shard::SetSynced(Watcher& watcher) {
  KEEL_CHECK(watcher.next_revision > live_, "next=", watcher.next_revision, " live=", live_);
  watcher.unlink();
  Take(watcher.group->behind, watcher);
  Put(watcher.group->synced, watcher);
  watcher.state = Watcher::State::kSynced;
  ++synced_count_;
  --watcher.stream->behind_count_;
  core_.watchers_behind.fetch_sub(1, std::memory_order_relaxed);
}

void Shard::Enqueue(Watcher& watcher) {
  if (watcher.is_linked()) watcher.unlink();
  if (watcher.state == Watcher::State::kBlocked) {
    watcher.stream->blocked_.push_back(watcher);
  } else if (core_.recent.Covers(watcher.next_revision)) {
    recent_queue_.push_back(watcher);
  } else {
    history_queue_.push_back(watcher);
  }
}

void Shard::Detach(Watcher& watcher) {
  if (watcher.state == Watcher::State::kSynced) {
    Take(watcher.group->synced, watcher);
    --synced_count_;
  } else {
    watcher.unlink();
    Take(watcher.group->behind, watcher);
    --watcher.stream->behind_count_;
    core_.watchers_behind.fetch_sub(1, std::memory_order_relaxed);
  }
  if (watcher.group->synced.empty() && watcher.group->behind.empty()) {
    index_.Remove(watcher.group);
  }
}

void Shard::DestroyWatcher(Stream& stream, int64_t watch_id) {
  auto it = stream.watchers_.find(watch_id);
  KEEL_CHECK(it != stream.watchers_.end(), "watch_id=", watch_id);
  Detach(*it->second);
  stream.watchers_.erase(it);
  core_.watchers.fetch_sub(1, std::memory_order_relaxed);
  if (--watcher_count_ == 0) active_.store(false);
}

bool Shard::IsEligible(const Watcher& watcher, const RevisionSpan& span, bool has_prev) const {
  return watcher.state == Watcher::State::kReady && watcher.next_revision >= span.from &&
         watcher.next_revision <= span.through && (has_prev || !watcher.filter.prev_kv);
}

// Moves the next revision of all that a distribution has served.
void Shard::Advance(const RevisionSpan& span, const Audience& audience) {
  if (audience.only != nullptr) {
    std::vector<Watcher*>& members = audience.only->behind;
    for (size_t i = members.size(); i-- > 0;) AdvanceOne(*members[i], span, audience);
    return;
  }
  for (WatcherQueue* queue : {&recent_queue_, &history_queue_}) {
    for (auto it = queue->begin(); it != queue->end();) {
      Watcher& watcher = *it++;
      AdvanceOne(watcher, span, audience);
    }
  }
}

void Shard::AdvanceOne(Watcher& watcher, const RevisionSpan& span, const Audience& audience) {
  if (!IsEligible(watcher, span, audience.has_prev)) return;
  watcher.next_revision = span.through + 1;
  if (KEEL_MUTATION(kWatchGapAtHandover) && watcher.next_revision == live_) ++watcher.next_revision;
  if (watcher.next_revision > live_) {
    SetSynced(watcher);
  } else {
    Enqueue(watcher);  // at the end: the others have their turn first
  }
}

void Shard::ScheduleCatchUp() {
  if (catch_up_scheduled_) return;
  if (recent_queue_.empty() && (history_queue_.empty() || history_in_flight_)) return;
  catch_up_scheduled_ = true;
  loop_.Post([self = shared_from_this()] {
    self->catch_up_scheduled_ = false;
    self->CatchUp();
  });
}

void Shard::CatchUp() {
  if (!recent_queue_.empty()) CatchUpFromRecent();
  if (!history_queue_.empty() && !history_in_flight_) StartHistoryRead();
  AnswerProgress();
  ScheduleCatchUp();
}

// In turn the one that waits longest and the one furthest behind: a span from
// the latter serves all others that it reaches, so that many at many different
// revisions take few spans, and the former keeps those from starving the rest.
// Null when there is none that can take more.
Watcher* Shard::NextBehind(WatcherQueue& queue) {
  while (!queue.empty() && queue.front().stream->sink_.full()) {
    SetBehind(queue.front(), queue.front().next_revision);
  }
  if (queue.empty()) return nullptr;
  pick_furthest_ = !pick_furthest_;
  if (pick_furthest_) {
    Watcher& furthest = *std::min_element(
        queue.begin(), queue.end(),
        [](const Watcher& a, const Watcher& b) { return a.next_revision < b.next_revision; });
    if (!furthest.stream->sink_.full()) return &furthest;
    SetBehind(furthest, furthest.next_revision);
  }
  return &queue.front();
}

void Shard::CatchUpFromRecent() {
  Watcher* chosen = NextBehind(recent_queue_);
  if (chosen == nullptr) return;
  Watcher& watcher = *chosen;
  if (!core_.recent.Read(watcher.next_revision, live_, core_.options.turn_events_max, &span_)) {
    return Enqueue(watcher);  // for the store
  }
  const Audience audience;
  Distribute(span_, audience);
  Advance(span_, audience);
}

void Shard::StartHistoryRead() {
  // Reads for others may have brought some within reach of memory.
  while (!history_queue_.empty() && core_.recent.Covers(history_queue_.front().next_revision)) {
    Enqueue(history_queue_.front());
  }
  const Watcher* chosen = NextBehind(history_queue_);
  if (chosen == nullptr) return;

  kvstore::ChangeFeed::HistoryOptions request;
  request.from_revision = chosen->next_revision;
  request.max_bytes = core_.options.history_bytes_max;
  request.max_scanned = core_.options.history_scanned_max;
  request.prev_kv = chosen->filter.prev_kv;
  absl::InlinedVector<const WatcherGroup*, kRangesReadApartMax + 1> groups = {chosen->group};
  size_t looked_at = 0;
  for (const Watcher& watcher : history_queue_) {
    if (++looked_at > kLookAhead) break;
    request.prev_kv |= watcher.filter.prev_kv;
    if (groups.size() <= kRangesReadApartMax &&
        std::find(groups.begin(), groups.end(), watcher.group) == groups.end()) {
      groups.push_back(watcher.group);
    }
  }
  const bool sweep = groups.size() > kRangesReadApartMax;
  const KeyRange range = sweep ? KeyRange::All() : chosen->group->range;
  request.key = range.key;
  request.range_end = range.RequestEnd();

  history_in_flight_ = true;
  core_.history_reads.fetch_add(1, std::memory_order_relaxed);
  core_.worker.Post([self = shared_from_this(), request = std::move(request), sweep] {
    auto history = self->core_.feed.ReadHistory(request);
    self->loop_.Post([self, request, sweep, history = std::move(history)]() mutable {
      self->OnHistory(request, sweep, std::move(history));
    });
  });
}

void Shard::OnHistory(const kvstore::ChangeFeed::HistoryOptions& request, bool sweep,
                      absl::StatusOr<kvstore::ChangeFeed::History> history) {
  if (absl::IsOutOfRange(history.status())) {
    history_in_flight_ = false;
    OnCompacted(request.from_revision);
  } else if (!history.ok()) {
    base::Log().warn("watch history read failed revision={} error=\"{}\"", request.from_revision,
                     history.status().ToString());
    loop_.After(core_.options.history_retry_interval, [self = shared_from_this()] {
      self->history_in_flight_ = false;
      self->ScheduleCatchUp();
    });
    return;
  } else {
    history_in_flight_ = false;
    KEEL_CHECK(history->next_revision > request.from_revision, "from=", request.from_revision,
               " next=", history->next_revision);
    // The ranges and watchers of the request may be gone, and others come.
    Audience audience{.has_prev = request.prev_kv};
    bool wanted = true;
    if (!sweep) {
      audience.only = index_.Find(KeyRange::FromRequest(request.key, request.range_end));
      wanted = audience.only != nullptr;
    }
    if (wanted) {
      RevisionSpan span;
      span.from = request.from_revision;
      span.through = history->next_revision - 1;
      if (!history->revisions.empty()) {
        auto batch = std::make_shared<const EventBatch>(
            std::make_shared<const kvstore::FeedBatch>(std::move(history->revisions)));
        KEEL_CHECK(batch->first_revision() >= span.from && batch->last_revision() <= span.through);
        for (uint32_t i = 0; i < batch->revisions().size(); ++i) {
          span.revisions.push_back({batch.get(), i});
        }
        span.batches.push_back(std::move(batch));
      }
      Distribute(span, audience);
      Advance(span, audience);
    }
  }
  AnswerProgress();
  ScheduleCatchUp();
}

void Shard::OnCompacted(int64_t from_revision) {
  const int64_t compact_revision = std::max(core_.feed.compact_revision(), from_revision + 1);
  std::vector<Watcher*> gone;
  for (Watcher& watcher : history_queue_) {
    if (watcher.next_revision <= from_revision) gone.push_back(&watcher);
  }
  for (Watcher* watcher : gone) {
    Stream& stream = *watcher->stream;
    const int64_t id = watcher->id;
    DestroyWatcher(stream, id);
    stream.sink_.SendCompacted(id, compact_revision);
  }
}

}  // namespace keel::watch
