#include "orchestrator/scheduler/queue.h"

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace keel::orchestrator::sched {

void SchedulingQueue::Leave(Entry& entry) {
  --sizes_[static_cast<size_t>(entry.state)];
  switch (entry.state) {
    case State::kActive:
      active_.erase(&entry);
      break;
    case State::kBackoff:
      backoff_.erase(&entry);
      break;
    case State::kUnschedulable: {
      waiting_.erase(&entry);
      auto group = by_class_.find(entry.pod->cls->id);
      group->second.erase(&entry);
      if (group->second.empty()) by_class_.erase(group);
      break;
    }
    case State::kGated:
    case State::kInFlight:
      break;
  }
}

void SchedulingQueue::Enter(Entry& entry, State state) {
  entry.state = state;
  ++sizes_[static_cast<size_t>(state)];
  if (state == State::kActive) active_.insert(&entry);
  if (state == State::kBackoff) backoff_.insert(&entry);
  if (state == State::kUnschedulable) {
    waiting_.insert(&entry);
    by_class_[entry.pod->cls->id].insert(&entry);
  }
}

void SchedulingQueue::Activate(Entry& entry, base::TimePoint now) {
  Enter(entry, entry.backoff_until > now ? State::kBackoff : State::kActive);
}

base::Duration SchedulingQueue::BackoffOf(const Entry& entry) const {
  base::Duration delay = options_.first_backoff;
  for (int i = 1; i < entry.attempts && delay < options_.longest_backoff; ++i) delay *= 2;
  return std::min(delay, options_.longest_backoff);
}

void SchedulingQueue::Add(PodPtr pod, base::TimePoint now) {
  auto& slot = entries_[pod->Key()];
  if (slot && slot->pod->uid != pod->uid) {
    Leave(*slot);
    slot.reset();
  }
  if (!slot) {
    slot = std::make_unique<Entry>();
    slot->added = slot->changed = now;
    slot->number = next_number_++;
    slot->told = pod->scheduled_false ? pod->message : "";
    const State state = pod->gated ? State::kGated : State::kActive;
    slot->pod = std::move(pod);
    Enter(*slot, state);
    return;
  }
  Entry& entry = *slot;
  if (entry.state == State::kInFlight) {
    entry.pod = std::move(pod);
    return;
  }
  const bool changed = entry.pod->cls != pod->cls || entry.pod->gated != pod->gated;
  const State before = entry.state;
  Leave(entry);
  const bool gated = pod->gated;
  entry.pod = std::move(pod);
  if (gated) {
    Enter(entry, State::kGated);
  } else if (changed) {
    Activate(entry, now);
  } else {
    Enter(entry, before);
  }
}

void SchedulingQueue::Remove(const std::string& key) {
  auto found = entries_.find(key);
  if (found == entries_.end()) return;
  Leave(*found->second);
  entries_.erase(found);
}

SchedulingQueue::Entry* SchedulingQueue::Pop(base::TimePoint now) {
  if (active_.empty()) return nullptr;
  Entry& entry = **active_.begin();
  Leave(entry);
  Enter(entry, State::kInFlight);
  ++entry.attempts;
  return &entry;
}

SchedulingQueue::Entry* SchedulingQueue::Find(const std::string& key) {
  auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : found->second.get();
}

void SchedulingQueue::Unschedulable(const std::string& key, std::shared_ptr<const FitError> error,
                                    base::TimePoint now) {
  Entry* entry = Find(key);
  KEEL_CHECK(entry != nullptr && entry->state == State::kInFlight, key);
  Leave(*entry);
  entry->error = std::move(error);
  entry->changed = now;
  entry->backoff_until = now + BackoffOf(*entry);
  Enter(*entry, State::kUnschedulable);
}

void SchedulingQueue::Retry(const std::string& key, base::TimePoint now) {
  Entry* entry = Find(key);
  if (entry == nullptr || entry->state != State::kInFlight) return;
  Leave(*entry);
  entry->changed = now;
  entry->backoff_until = now + BackoffOf(*entry);
  Enter(*entry, State::kBackoff);
}

size_t SchedulingQueue::OnEvent(base::TimePoint now, const MayFit& may_fit) {
  std::vector<Entry*> moving;
  for (const auto& [cls, group] : by_class_) {
    const FitError* asked = nullptr;
    bool yes = false;
    for (Entry* entry : group) {
      if (asked == nullptr || entry->error.get() != asked) {
        asked = entry->error.get();
        yes = may_fit(entry->pod, *entry->error);
      }
      if (yes) moving.push_back(entry);
    }
  }
  for (Entry* entry : moving) {
    Leave(*entry);
    Activate(*entry, now);
  }
  return moving.size();
}

void SchedulingQueue::Flush(base::TimePoint now) {
  while (!backoff_.empty() && (*backoff_.begin())->backoff_until <= now) {
    Entry& entry = **backoff_.begin();
    Leave(entry);
    Enter(entry, State::kActive);
  }
  while (!waiting_.empty() && (*waiting_.begin())->changed + options_.longest_wait <= now) {
    Entry& entry = **waiting_.begin();
    Leave(entry);
    Activate(entry, now);
  }
}

base::TimePoint SchedulingQueue::NextFlush() const {
  base::TimePoint next = base::TimePoint::max();
  if (!backoff_.empty()) next = (*backoff_.begin())->backoff_until;
  if (!waiting_.empty()) {
    next = std::min(next, (*waiting_.begin())->changed + options_.longest_wait);
  }
  return next;
}

}  // namespace keel::orchestrator::sched
