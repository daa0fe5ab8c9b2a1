#include "kvstore/server/read_gate.h"

#include "base/mutation.h"
#include "kvstore/server/errors.h"

namespace keel::kvstore {

namespace {
// How long a round may stay unanswered before it is asked again (etcd: readIndexRetryTime).
constexpr base::Duration kRetry = std::chrono::milliseconds(500);
}  // namespace

ReadGate::ReadGate(ServerContext* context, base::Loop* loop)
    : context_(context), loop_(loop), self_(std::make_shared<ReadGate*>(this)) {}

void ReadGate::Read(Done done) {
  if (stopped_) return done(ErrStopped());
  if (KEEL_MUTATION(kJoinRunningRound) && !round_.reads.empty()) {
    round_.reads.push_back({std::move(done), loop_->Now()});
    return;
  }
  if (KEEL_MUTATION(kStaleReadView)) {
    done = [done = std::move(done),
            stale = context_->machine->view()](absl::StatusOr<ViewPtr> view) mutable {
      done(view.ok() ? std::move(stale) : std::move(view));
    };
  }
  queued_.push_back({std::move(done), loop_->Now()});
  if (!round_.reads.empty() || start_posted_) return;
  // At the end of this turn, so that all requests of one turn share the round.
  start_posted_ = true;
  loop_->Post([self = self_] {
    if (*self != nullptr) (*self)->StartRound();
  });
}

void ReadGate::StartRound() {
  start_posted_ = false;
  if (!round_.reads.empty() || queued_.empty()) return;
  round_.id = next_round_++;
  round_.reads.swap(queued_);
  Ask();
}

void ReadGate::Ask() {
  round_.asked = loop_->Now();
  round_.failed = false;
  context_->node->ReadIndex([self = self_, context = context_, loop = loop_,
                             round = round_.id](absl::StatusOr<raft::Index> index) {
    // On the apply loop, right after the apply of `index`: the newest view holds it.
    ViewPtr view = index.ok() ? context->machine->view() : nullptr;
    loop->Dispatch([self, round, index = std::move(index), view = std::move(view)]() mutable {
      if (*self != nullptr) (*self)->OnAnswer(round, std::move(index), std::move(view));
    });
  });
}

void ReadGate::OnAnswer(uint64_t round, absl::StatusOr<raft::Index> index, ViewPtr view) {
  if (round != round_.id || round_.reads.empty()) return;  // answered before
  if (!index.ok()) {
    failed_total_.fetch_add(1, std::memory_order_relaxed);
    round_.failed = true;  // Tick asks again
    return;
  }
  std::deque<PendingRead> reads = std::move(round_.reads);
  round_.reads.clear();
  // The next round runs while this one's reads are served.
  StartRound();
  for (PendingRead& read : reads) read.done(view);
}

void ReadGate::FailLate(std::deque<PendingRead>& reads, base::TimePoint now) {
  while (!reads.empty() && reads.front().start + context_->config.request_timeout() <= now) {
    Done done = std::move(reads.front().done);
    reads.pop_front();
    slow_total_.fetch_add(1, std::memory_order_relaxed);
    done(ErrTimeout());
  }
}

void ReadGate::Tick() {
  const base::TimePoint now = loop_->Now();
  FailLate(round_.reads, now);
  FailLate(queued_, now);
  if (round_.reads.empty()) {
    StartRound();
  } else if ((round_.failed && context_->HasLeader()) || now - round_.asked > kRetry) {
    Ask();
  }
}

void ReadGate::Stop() {
  stopped_ = true;
  *self_ = nullptr;
  std::deque<PendingRead> reads = std::move(round_.reads);
  for (PendingRead& read : queued_) reads.push_back(std::move(read));
  queued_.clear();
  for (PendingRead& read : reads) read.done(ErrStopped());
}

}  // namespace keel::kvstore
