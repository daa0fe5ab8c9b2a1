#include "watch/shard.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/mutation.h"

namespace keel::watch {
namespace {

// What a response carries besides its events, at most (about): kept free when
// a revision is cut into fragments.
constexpr size_t kResponseHeadBytes = 128;

// The bound on the events of one fragment.
size_t FragmentEventBytes(const HubOptions& options) {
  return options.fragment_bytes_min - std::min(options.fragment_bytes_min, kResponseHeadBytes);
}

}  // namespace

// ---- Streams and watchers come and go.

void Shard::Add(Stream& stream) {
  streams_.push_back(&stream);
  core_.streams.fetch_add(1, std::memory_order_relaxed);
}

void Shard::Remove(Stream& stream) {
  loop_.Cancel(stream.progress_timer_);
  std::erase(progress_waiting_, &stream);
  while (!stream.watchers_.empty()) DestroyWatcher(stream, stream.watchers_.begin()->first);
  std::erase(streams_, &stream);
  core_.streams.fetch_sub(1, std::memory_order_relaxed);
  AnswerProgress();
}

absl::StatusOr<CreateResult> Shard::Create(Stream& stream, const CreateOptions& options) {
  if (options.range.empty()) return absl::InvalidArgumentError("mvcc: watcher range is empty");
  int64_t id = options.watch_id;
  if (id == 0) {
    while (stream.watchers_.contains(stream.next_id_)) ++stream.next_id_;
    id = stream.next_id_++;
  } else if (stream.watchers_.contains(id)) {
    return absl::AlreadyExistsError("mvcc: duplicate watch ID provided on the WatchStream");
  }

  if (!active_.load()) {
    active_.store(true);  // before newest() is read: what comes after it will wake this shard
    live_ = core_.recent.newest();
  } else {
    Publish();
  }
  CreateResult result;
  result.watch_id = id;
  result.revision = std::max(core_.feed.current_revision(), live_);
  int64_t start_revision = options.start_revision;
  if (start_revision != 0 && start_revision < core_.feed.compact_revision()) {
    result.compact_revision = core_.feed.compact_revision();
    if (watcher_count_ == 0) active_.store(false);
    return result;
  }
  start_revision = std::max<int64_t>(start_revision, 0);

  auto owned = std::make_unique<Watcher>();
  Watcher& watcher = *owned;
  watcher.stream = &stream;
  watcher.id = id;
  watcher.start_revision = start_revision;
  watcher.next_revision = start_revision == 0 ? result.revision + 1 : start_revision;
  if (KEEL_MUTATION(kWatchStartOff) && start_revision == 0) ++watcher.next_revision;
  watcher.filter = options.filter;
  watcher.fragment = options.fragment;
  watcher.progress_notify = options.progress_notify;
  watcher.group = index_.FindOrAdd(options.range);
  watcher.position = watcher.group->synced.size();
  watcher.group->synced.push_back(&watcher);
  stream.watchers_.emplace(id, std::move(owned));
  ++watcher_count_;
  ++synced_count_;
  core_.watchers.fetch_add(1, std::memory_order_relaxed);

  if (watcher.next_revision <= live_) {
    SetBehind(watcher, watcher.next_revision);
    ScheduleCatchUp();
  }
  if (watcher.progress_notify && stream.progress_timer_ == 0) StartProgressTimer(stream);
  return result;
}

bool Shard::Cancel(Stream& stream, int64_t watch_id) {
  if (!stream.watchers_.contains(watch_id)) return false;
  DestroyWatcher(stream, watch_id);
  AnswerProgress();
  return true;
}

void Shard::OnDrained(Stream& stream) {
  while (!stream.blocked_.empty() && !stream.sink_.full()) {
    Watcher& watcher = stream.blocked_.front();
    watcher.state = Watcher::State::kReady;
    Enqueue(watcher);
  }
  ScheduleCatchUp();
}

// ---- The live path.

void Shard::Wake() {
  if (!active_.load() || wake_pending_.exchange(true)) return;
  loop_.Post([self = shared_from_this()] {
    self->wake_pending_.store(false);  // before reading: what comes later wakes again
    self->Publish();
  });
}

void Shard::Publish() {
  if (!active_.load()) return;
  if (synced_count_ == 0) {
    live_ = std::max(live_, core_.recent.newest());
  } else if (!core_.recent.Read(live_ + 1, std::numeric_limits<int64_t>::max(),
                                core_.options.turn_events_max, &span_)) {
    FallBehindAll();
  } else if (span_.through > live_) {
    live_ = span_.through;
    Distribute(span_, {.synced = true});
    if (core_.recent.newest() > live_) Wake();
  }
  AnswerProgress();
  ScheduleCatchUp();
}

// What follows live_ is not in memory any more: the state was replaced by a
// snapshot, or this loop was held up for longer than the recent revisions last.
void Shard::FallBehindAll() {
  const int64_t next = KEEL_MUTATION(kWatchGapAtReset) ? core_.recent.newest() + 1 : live_ + 1;
  live_ = core_.recent.newest();
  for (Stream* stream : streams_) {
    for (auto& [id, watcher] : stream->watchers_) {
      if (watcher->state != Watcher::State::kSynced) continue;
      watcher->next_revision = std::max(watcher->next_revision, next);
      if (watcher->next_revision <= live_) SetBehind(*watcher, watcher->next_revision);
    }
  }
}

void Shard::Distribute(const RevisionSpan& span, const Audience& audience) {
  for (const RevisionSpan::Ref& ref : span.revisions) {
    const auto& events = ref.batch->revisions()[ref.index].events;
    for (uint32_t i = 0; i < events.size(); ++i) {
      auto match = [&](WatcherGroup* group) {
        if ((audience.synced ? group->synced : group->behind).empty()) return;
        if (group->matched.empty()) touched_.push_back(group);
        group->matched.push_back({ref.batch, ref.index, i});
      };
      if (audience.only != nullptr) {
        match(audience.only);
      } else {
        index_.ForEachMatching(events[i].kv.key, match);
      }
    }
  }
  for (WatcherGroup* group : touched_) {
    DeliverToGroup(*group, span, audience);
    group->matched.clear();
  }
  touched_.clear();
}

void Shard::DeliverToGroup(WatcherGroup& group, const RevisionSpan& span,
                           const Audience& audience) {
  // Backwards: a watcher that falls behind is replaced by one already served.
  std::vector<Watcher*>& members = audience.synced ? group.synced : group.behind;
  for (size_t i = members.size(); i-- > 0;) {
    Watcher& watcher = *members[i];
    if (audience.synced || IsEligible(watcher, span, audience.has_prev)) {
      Deliver(watcher, span, /*last_is_through=*/!audience.synced);
    }
  }
  for (ResponsePlan& plan : plans_) plan.Clear();
}

void Shard::Deliver(Watcher& watcher, const RevisionSpan& span, bool last_is_through) {
  const std::vector<EventRef>& matched = watcher.group->matched;
  size_t begin = 0;
  if (matched.front().revision() < watcher.next_revision && !KEEL_MUTATION(kWatchDuplicates)) {
    begin = std::partition_point(
                matched.begin(), matched.end(),
                [&](const EventRef& ref) { return ref.revision() < watcher.next_revision; }) -
            matched.begin();
    if (begin == matched.size()) return;
  }
  ResponsePlan& plan = plans_[watcher.filter.variant()];
  if (!plan.Holds(begin)) {
    // Only a single revision may need fragments.
    plan.Build(matched, begin, watcher.filter,
               std::min(core_.options.response_bytes_target, FragmentEventBytes(core_.options)));
  }
  for (const ResponsePlan::Response& response : plan.responses()) {
    if (watcher.stream->sink_.full()) return SetBehind(watcher, response.first_revision);
    const bool last = &response == &plan.responses().back();
    Send(watcher, plan, response, last && last_is_through ? span.through : response.last_revision);
  }
}

void Shard::Send(Watcher& watcher, const ResponsePlan& plan, const ResponsePlan::Response& response,
                 int64_t revision) {
  StreamSink& sink = watcher.stream->sink_;
  watcher.progress_due = false;
  core_.events_sent.fetch_add(response.end - response.begin, std::memory_order_relaxed);
  core_.responses_sent.fetch_add(1, std::memory_order_relaxed);
  const size_t fragment_bytes = FragmentEventBytes(core_.options);
  if (!watcher.fragment || response.bytes <= fragment_bytes) {
    sink.SendEvents({.watch_id = watcher.id, .revision = revision, .events = response.parts});
    return;
  }
  const auto pieces = plan.Split(response, fragment_bytes);
  for (const ResponsePlan::Response& piece : pieces) {
    sink.SendEvents({.watch_id = watcher.id,
                     .revision = revision,
                     .fragment = &piece != &pieces.back(),
                     .events = piece.parts});
  }
}

// ---- Progress.

void Shard::RequestProgress(Stream& stream) {
  stream.progress_target_ = std::max(core_.feed.current_revision(), live_);
  if (!stream.progress_requested_) {
    stream.progress_requested_ = true;
    progress_waiting_.push_back(&stream);
  }
  Publish();
  AnswerProgress();
}

void Shard::AnswerProgress() {
  std::erase_if(progress_waiting_, [&](Stream* stream) {
    if (stream->watchers_.empty()) {
      stream->sink_.SendProgress(kAllWatchers, stream->progress_target_);
    } else if ((stream->behind_count_ > 0 || live_ < stream->progress_target_) &&
               !KEEL_MUTATION(kProgressTooEarly)) {
      return false;
    } else if (std::none_of(
                   stream->watchers_.begin(), stream->watchers_.end(),
                   [&](const auto& entry) { return entry.second->start_revision > live_; })) {
      stream->sink_.SendProgress(kAllWatchers, live_);
    }
    stream->progress_requested_ = false;
    return true;
  });
}

void Shard::StartProgressTimer(Stream& stream) {
  stream.progress_timer_ = loop_.After(core_.options.progress_notify_interval, [this, &stream] {
    stream.progress_timer_ = 0;
    NotifyProgress(stream);
  });
}

void Shard::NotifyProgress(Stream& stream) {
  bool wanted = false;
  for (auto& [id, watcher] : stream.watchers_) {
    if (!watcher->progress_notify) continue;
    wanted = true;
    if (watcher->progress_due && watcher->state == Watcher::State::kSynced &&
        watcher->start_revision <= live_) {
      // One that began after live_ has nothing to get before its own beginning.
      stream.sink_.SendProgress(id, std::max(live_, watcher->next_revision - 1));
    }
    watcher->progress_due = true;
  }
  if (wanted) StartProgressTimer(stream);
}

}  // namespace keel::watch
