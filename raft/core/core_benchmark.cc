// CPU of the core alone: a leader and two followers in one thread, logs in
// memory, durable at once. One iteration proposes `batch` entries at a time and
// goes on until all three have them handed out as committed.
#include <benchmark/benchmark.h>

#include "base/check.h"
#include "raft/core/testing/trio.h"

namespace keel::raft {
namespace {

void BM_Replicate(benchmark::State& state) {
  Trio trio;
  const Payload data = std::make_shared<const std::string>(256, 'x');
  trio.messages = 0;
  for (auto _ : state) {
    for (int64_t i = 0; i < state.range(0); ++i) {
      KEEL_CHECK(trio.rafts[0]->Propose(data).ok());
    }
    trio.Settle();
  }
  KEEL_CHECK(trio.rafts[2]->commit() == trio.rafts[0]->commit());
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["messages/round"] =
      static_cast<double>(trio.messages) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_Replicate)->Arg(1)->Arg(16)->Arg(256)->Unit(benchmark::kMicrosecond);

void BM_ReadIndex(benchmark::State& state) {
  Trio trio;
  uint64_t context = 0;
  for (auto _ : state) {
    for (int64_t i = 0; i < state.range(0); ++i) {
      KEEL_CHECK(trio.rafts[0]->ReadIndex(++context).ok());
    }
    trio.Settle();
  }
  KEEL_CHECK(trio.reads == context);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_ReadIndex)->Arg(1)->Arg(64)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace keel::raft
