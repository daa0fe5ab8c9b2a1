// What consensus costs the processor: three members of one group in one thread,
// proposals of 16 bytes, nothing on disk or on a wire.
//
//   build/release/benchmarks/raft_benchmark
//
// BM_Core:  the core alone (raft/core), a log in memory behind it. `batch`
//           proposals go in between two Readys; one iteration ends when all three
//           members have handed them out as committed.
// BM_Nodes: the whole path: raft::Node with its driver, the real log's code on a
//           file system in memory, messages handed over in memory, a state
//           machine that counts.
//
// allocs/proposal counts operator new, the proposal's own two (its bytes and
// their count of references) included.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "base/allocations.h"
#include "base/check.h"
#include "raft/core/memory_log.h"
#include "raft/driver/node_trio.h"

namespace keel::raft {
namespace {

Payload SixteenBytes() { return std::make_shared<const std::string>(16, 'x'); }

void Count(benchmark::State& state, uint64_t allocations_before) {
  const auto proposals = static_cast<double>(state.iterations() * state.range(0));
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["allocs/proposal"] =
      static_cast<double>(base::Allocations() - allocations_before) / proposals;
}

class Cores {
 public:
  Cores() {
    for (NodeId id = 1; id <= 3; ++id) {
      Config config;
      config.id = id;
      config.random = [id](uint64_t n) { return id % n; };
      rafts_.push_back(std::make_unique<Raft>(std::move(config), &logs_[id - 1], HardState{},
                                              ConfState{.voters = {1, 2, 3}}, 0));
    }
    rafts_[0]->Campaign();
    Settle();
    KEEL_CHECK(rafts_[0]->role() == Role::kLeader);
  }

  Raft& leader() { return *rafts_[0]; }
  Index applied() const { return rafts_[2]->applied(); }

  void Settle() {
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t i = 0; i < 3; ++i) {
        Raft& raft = *rafts_[i];
        while (raft.HasReady()) {
          moved = true;
          Ready ready = raft.TakeReady();
          logs_[i].Append(ready.entries);
          for (Message& m : ready.messages) Deliver(m);
          for (Message& m : ready.persisted_messages) Deliver(m);
          raft.Persisted(ready.id);
          if (!ready.committed.empty()) Applied(i, ready.committed.back().index);
          raft.Recycle(std::move(ready));
        }
      }
    }
  }

 private:
  void Deliver(Message& m) {
    Raft& to = *rafts_[m.to - 1];
    KEEL_CHECK(to.Step(std::move(m)).ok());
  }

  void Applied(size_t i, Index last) {
    rafts_[i]->Applied(last);
    if (logs_[i].LastIndex() - logs_[i].FirstIndex() < 100'000) return;
    logs_[i].SetSnapshot({last, *logs_[i].TermAt(last), {.voters = {1, 2, 3}}});
    logs_[i].Compact(last);
  }

  MemoryLog logs_[3];
  std::vector<std::unique_ptr<Raft>> rafts_;
};

void BM_Core(benchmark::State& state) {
  Cores cores;
  const uint64_t before = base::Allocations();
  for (auto _ : state) {
    for (int64_t i = 0; i < state.range(0); ++i) {
      KEEL_CHECK(cores.leader().Propose(SixteenBytes()).ok());
    }
    cores.Settle();
  }
  Count(state, before);
  KEEL_CHECK(cores.applied() >= static_cast<Index>(state.iterations() * state.range(0)));
}
BENCHMARK(BM_Core)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->ArgName("batch");

void BM_Nodes(benchmark::State& state) {
  NodeTrio trio;
  KEEL_CHECK(trio.led());
  const Index start = trio.leader().applied_index();
  uint64_t rounds = 0;
  const uint64_t before = base::Allocations();
  for (auto _ : state) {
    for (int64_t i = 0; i < state.range(0); ++i) trio.leader().Propose(SixteenBytes(), nullptr);
    trio.loop().RunUntilIdle();
    // Time passes: the log is truncated and heartbeats are sent, as in real use.
    if (++rounds % 1000 == 0) trio.loop().Advance(std::chrono::milliseconds(100));
  }
  Count(state, before);
  for (size_t member = 0; member < 3; ++member) {
    KEEL_CHECK(trio.applied(member) >=
               start + static_cast<Index>(state.iterations() * state.range(0)));
  }
}
BENCHMARK(BM_Nodes)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->ArgName("batch");

}  // namespace
}  // namespace keel::raft
