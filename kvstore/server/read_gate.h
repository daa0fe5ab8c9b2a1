// Linearizable reads: all that queue while one ReadIndex round runs share the
// next one (thesis, section 6.4).
//
//   gate.Read([call](absl::StatusOr<std::shared_ptr<const ReadView>> view) { ... });
//
// A round that fails or stays unanswered is asked again, until the request's
// time is up: a change of leader delays reads and does not fail them.
//
// Thread-safety: one gate per I/O loop; everything on that loop.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "kvstore/server/context.h"

namespace keel::kvstore {

class ReadGate {
 public:
  using ViewPtr = std::shared_ptr<const ReadView>;
  // On the gate's loop, once.
  using Done = absl::AnyInvocable<void(absl::StatusOr<ViewPtr>)>;

  ReadGate(ServerContext* context, base::Loop* loop);

  base::Loop& loop() const { return *loop_; }

  void Read(Done done);
  // Asks again and fails what is out of time; called regularly.
  void Tick();
  // Fails everything, also what comes later.
  void Stop();

  // Read indexes that could not be had (they are asked for again).
  uint64_t failed_total() const { return failed_total_.load(std::memory_order_relaxed); }
  // Reads that were given up after the request timeout.
  uint64_t slow_total() const { return slow_total_.load(std::memory_order_relaxed); }

 private:
  struct PendingRead {
    Done done;
    base::TimePoint start;
  };
  struct Round {
    uint64_t id = 0;
    std::deque<PendingRead> reads;  // by start
    base::TimePoint asked;
    bool failed = false;
  };

  void StartRound();
  void Ask();
  void OnAnswer(uint64_t round, absl::StatusOr<raft::Index> index, ViewPtr view);
  void FailLate(std::deque<PendingRead>& reads, base::TimePoint now);

  ServerContext* const context_;
  base::Loop* const loop_;
  // Outlives the gate inside callbacks that are still on their way.
  std::shared_ptr<ReadGate*> self_;

  std::deque<PendingRead> queued_;
  Round round_;  // running when round_.reads is not empty
  bool start_posted_ = false;
  bool stopped_ = false;
  uint64_t next_round_ = 1;
  std::atomic<uint64_t> failed_total_{0};
  std::atomic<uint64_t> slow_total_{0};
};

}  // namespace keel::kvstore
