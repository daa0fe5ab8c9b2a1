#include "rpc/deadline_wheel.h"

#include <algorithm>

namespace keel::rpc::internal {

namespace {

constexpr int64_t kTickNanoseconds = 10'000'000;

int64_t TickAtOrAfter(base::TimePoint at) {
  const int64_t ns = at.time_since_epoch().count();
  return ns / kTickNanoseconds + (ns % kTickNanoseconds > 0);
}

int64_t TickAtOrBefore(base::TimePoint at) {
  return at.time_since_epoch().count() / kTickNanoseconds;
}

}  // namespace

base::TimePoint DeadlineWheel::Now() {
  return base::TimePoint(std::chrono::duration_cast<base::Duration>(
      std::chrono::steady_clock::now().time_since_epoch()));
}

DeadlineWheel::DeadlineWheel(boost::asio::io_context& context)
    : timer_(context), visited_tick_(TickAtOrBefore(Now())) {}

void DeadlineWheel::Arm(Entry& entry, base::TimePoint at) {
  entry.Disarm();
  entry.at_ = at;
  if (wake_tick_ == INT64_MAX) visited_tick_ = TickAtOrBefore(Now());  // nothing was armed
  Insert(entry);
  const int64_t tick = std::max(TickAtOrAfter(at), visited_tick_ + 1);
  if (tick < wake_tick_) StartTimer(tick);
}

void DeadlineWheel::Insert(Entry& entry) {
  const int64_t tick = std::max(TickAtOrAfter(entry.at_), visited_tick_ + 1);
  slots_[static_cast<size_t>(tick % kSlots)].push_back(entry);
}

void DeadlineWheel::StartTimer(int64_t tick) {
  // A deadline far ahead shares a slot with nearer ticks; waking there early
  // is harmless and keeps the arithmetic in range.
  wake_tick_ = std::min(tick, visited_tick_ + kSlots);
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::nanoseconds(wake_tick_ * kTickNanoseconds)));
  timer_.async_wait([this, owner = owner_](boost::system::error_code error) {
    const auto alive = owner.lock();
    if (error || alive == nullptr) return;
    Wake();
  });
}

void DeadlineWheel::Wake() {
  const base::TimePoint now = Now();
  const int64_t now_tick = TickAtOrBefore(now);
  if (wake_tick_ > now_tick) return;  // re-armed for later while this handler waited
  const int64_t first = std::max(visited_tick_ + 1, now_tick - kSlots + 1);
  visited_tick_ = now_tick;
  List due;
  for (int64_t tick = first; tick <= now_tick; ++tick) {
    List& slot = slots_[static_cast<size_t>(tick % kSlots)];
    due.splice(due.end(), slot);
  }
  // From here on a callback may arm, disarm or destroy any entry.
  wake_tick_ = 0;  // Arm below leaves the timer to us
  while (!due.empty()) {
    Entry& entry = due.front();
    due.pop_front();
    if (entry.at_ <= now) {
      entry.OnDeadline();
    } else {
      Insert(entry);
    }
  }
  wake_tick_ = INT64_MAX;
  for (int64_t tick = visited_tick_ + 1; tick <= visited_tick_ + kSlots; ++tick) {
    if (!slots_[static_cast<size_t>(tick % kSlots)].empty()) return StartTimer(tick);
  }
}

void DeadlineWheel::Stop() {
  for (List& slot : slots_) slot.clear();
  timer_.cancel();
  wake_tick_ = INT64_MAX;
}

}  // namespace keel::rpc::internal
