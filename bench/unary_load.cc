#include "bench/unary_load.h"

#include <sys/prctl.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "bench/connect.h"

namespace keel::bench {
namespace {

constexpr base::Duration kPauseAfterError = std::chrono::milliseconds(10);
constexpr base::Duration kWindowPoll = std::chrono::microseconds(100);
// Calls of an open loop that would be due closer together than this are due
// together, so that the timer costs little at high rates.
constexpr double kStepNs = 200'000;

}  // namespace

UnaryLoad::UnaryLoad(Run& run, int thread)
    : run_(run),
      loop_(base::StrCat("load-", thread)),
      maker_(run.options, run.sequence, run.options.seed * 1000 + static_cast<uint64_t>(thread)) {
  const Options& options = run.options;
  channels_ = MakeChannels(options, thread, loop_);
  for (int s = 0; s < options.streams; ++s) {
    for (auto& channel : channels_) clients_.push_back({channel.get(), 0});
  }
  if (options.rate > 0) {
    interval_ns_ = 1e9 / (options.rate / options.threads);
    calls_per_step_ = std::max<uint64_t>(1, static_cast<uint64_t>(kStepNs / interval_ns_));
  }
  loop_.Start();
}

UnaryLoad::~UnaryLoad() { Stop(); }

absl::Status UnaryLoad::Prepare() { return Connect(channels_, loop_, run_.options.timeout); }

void UnaryLoad::Start() {
  loop_.Post([this] {
    if (interval_ns_ == 0) {
      const int64_t now = NowNs();
      for (Client& client : clients_) Free(client, now);
      return;
    }
    prctl(PR_SET_TIMERSLACK, 1000);
    for (Client& client : clients_) idle_.push_back(&client);
    next_due_ns_ = static_cast<double>(NowNs());
    Tick();
  });
}

// All calls that are due by now, and the timer for the next ones.
void UnaryLoad::Tick() {
  const int64_t now = NowNs();
  while (next_due_ns_ <= static_cast<double>(now)) {
    if (!run_.TakeOne()) return;
    const int64_t due = static_cast<int64_t>(next_due_ns_);
    if (idle_.empty()) {
      due_.push_back(due);
    } else {
      Client* client = idle_.back();
      idle_.pop_back();
      Issue(*client, due, now);
    }
    if (++calls_ % calls_per_step_ == 0)
      next_due_ns_ += interval_ns_ * static_cast<double>(calls_per_step_);
  }
  const double wait_ns = std::max(next_due_ns_ - static_cast<double>(NowNs()), 0.0);
  loop_.After(base::Duration(static_cast<int64_t>(wait_ns)), [this] { Tick(); });
}

void UnaryLoad::Issue(Client& client, int64_t start_ns, int64_t now_ns) {
  client.start_ns = start_ns;
  RequestMaker::Made made = maker_.Next(start_ns);
  client.channel->Call(
      made.path, std::move(made.bytes),
      {.deadline = base::TimePoint(base::Duration(now_ns)) + run_.options.timeout},
      [this, c = &client](absl::StatusOr<std::string> response) { Done(*c, response.status()); });
}

void UnaryLoad::Done(Client& client, const absl::Status& status) {
  const int64_t now = NowNs();
  if (run_.Counts(now)) {
    if (status.ok()) {
      found_.latency_ns.Record(now - client.start_ns);
    } else if (!run_.stop.load(std::memory_order_relaxed)) {
      found_.Error(status);
    }
  }
  // Last: the run may be over with it.
  if (run_.options.total != 0) run_.completed.fetch_add(1, std::memory_order_release);
  if (status.ok()) return Free(client, now);
  if (run_.stop.load(std::memory_order_relaxed)) return;
  loop_.After(kPauseAfterError, [this, c = &client] { Free(*c, NowNs()); });
}

void UnaryLoad::Free(Client& client, int64_t now_ns) {
  if (interval_ns_ == 0) {
    if (WindowFull()) {
      loop_.After(kWindowPoll, [this, c = &client] { Free(*c, NowNs()); });
      return;
    }
    if (!run_.TakeOne()) return;
    run_.puts_begun.fetch_add(1, std::memory_order_relaxed);
    Issue(client, now_ns, now_ns);
  } else if (due_.empty()) {
    idle_.push_back(&client);
  } else if (!run_.stop.load(std::memory_order_relaxed)) {
    const int64_t due = due_.front();
    due_.pop_front();
    Issue(client, due, now_ns);
  }
}

// Whether the watchers are to catch up before the next put (only of the watch workload).
bool UnaryLoad::WindowFull() const {
  const Options& options = run_.options;
  if (options.workload != Workload::kWatch || run_.stop.load(std::memory_order_relaxed)) {
    return false;
  }
  const auto watchers = static_cast<uint64_t>(options.watchers);
  const uint64_t seen_by_all = run_.events.load(std::memory_order_relaxed) / watchers;
  return run_.puts_begun.load(std::memory_order_relaxed) >=
         seen_by_all + static_cast<uint64_t>(options.window);
}

void UnaryLoad::Stop() {
  if (channels_.empty()) return;
  run_.stop = true;  // what fails as its channel closes is not tried again
  Disconnect(&channels_, loop_);
  loop_.Stop();
  found_.unstarted = due_.size();
}

}  // namespace keel::bench
