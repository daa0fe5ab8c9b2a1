// The time of one operation of every layer: the same workloads whose instructions
// bench/guard.py guards, so that a loss there can be looked at here.
//
//   build/release/benchmarks/layers_benchmark
//   build/release/benchmarks/layers_benchmark --benchmark_filter=apply/
#include <benchmark/benchmark.h>

#include "base/log.h"
#include "bench/guard/cases.h"

int main(int argc, char** argv) {
  keel::base::Log().set_level(spdlog::level::err);
  keel::bench::ForEachCase([](const keel::bench::Case& c) {
    benchmark::RegisterBenchmark(c.name, [&c](benchmark::State& state) {
      const auto workload = c.make();
      while (state.KeepRunningBatch(c.batch)) workload->Run(c.batch);
      state.SetItemsProcessed(state.iterations());
    });
  });
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
