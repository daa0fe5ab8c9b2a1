// Pods placed per second by the core alone, by number of nodes:
//
//   build/release/benchmarks/scheduler_core_benchmark
//
// Each run fills an empty cluster of three zones; a pod is one Schedule and one Place.
#include <benchmark/benchmark.h>

#include "orchestrator/scheduler/testing/world.h"

namespace keel::orchestrator::sched {
namespace {

std::string Term(std::string_view kind, std::string_view key, std::string_view app) {
  return base::StrCat(R"("affinity":{")", kind,
                      R"(":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":")",
                      key, R"(","labelSelector":{"matchLabels":{"app":")", app, R"("}}}]}},)");
}

enum Shape { kPlain, kMixed, kAntiHost, kAffinityZone, kSpreadZone, kSpreadHost };

// Of `kMixed` each pod is of another of 200 templates.
std::string Spec(int shape, int64_t i) {
  const std::string app = base::StrCat("a", i % 200);
  const auto spread = [&](std::string_view key) {
    return base::StrCat(R"("topologySpreadConstraints":[{"maxSkew":5,"topologyKey":")", key,
                        R"(","whenUnsatisfiable":"DoNotSchedule","labelSelector":)",
                        R"({"matchLabels":{"app":")", app, R"("}}}],)");
  };
  const std::string requests = World::Requests("10m", "10Mi");
  switch (shape) {
    case kAntiHost:
      return base::StrCat(Term("podAntiAffinity", "kubernetes.io/hostname", app), requests);
    case kAffinityZone:
      return base::StrCat(Term("podAffinity", "zone", app), requests);
    case kSpreadZone:
      return base::StrCat(spread("zone"), requests);
    case kSpreadHost:
      return base::StrCat(spread("kubernetes.io/hostname"), requests);
    default:
      return requests;
  }
}

void BM_Schedule(benchmark::State& state) {
  const int nodes = static_cast<int>(state.range(0));
  const int shape = static_cast<int>(state.range(1));
  World w;
  for (int i = 0; i < nodes; ++i) {
    w.Node(base::StrCat("n", i),
           base::StrCat(R"("labels":{"zone":"z)", i % 3, R"(","kubernetes.io/hostname":"n)", i,
                        R"("})"),
           "", R"("cpu":"32","memory":"64Gi","pods":"110")");
  }
  // Parsed outside of what is measured; templates as of many deployments.
  std::vector<PodClassPtr> classes;
  const int templates = shape == kPlain ? 1 : 200;
  for (int i = 0; i < templates; ++i) {
    classes.push_back(w.Pod("p", Spec(shape, i), base::StrCat(R"("app":"a)", i, "\""))->cls);
  }
  int64_t placed = 0, failed = 0;
  for (auto _ : state) {
    auto pod = std::make_shared<PodInfo>();
    pod->ns = "default";
    pod->name = base::StrCat("p", placed);
    pod->uid = pod->name;
    pod->cls = classes[static_cast<size_t>(placed) % classes.size()];
    const Decision d = w.core.Schedule(pod);
    if (d.node == kNoNode) {
      ++failed;
    } else {
      w.cluster.Place(std::move(pod), w.cluster.node(d.node).name);
    }
    ++placed;
  }
  state.SetItemsProcessed(placed);
  state.counters["failed"] = static_cast<double>(failed);
}

void AllShapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"nodes", "shape"});
  for (int shape : {kPlain, kMixed, kAntiHost, kAffinityZone, kSpreadZone, kSpreadHost}) {
    for (int nodes : {100, 1000, 5000, 15000}) b->Args({nodes, shape});
  }
}
// So many that no cluster but the smallest is full in the end.
BENCHMARK(BM_Schedule)->Apply(AllShapes)->Iterations(10'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace keel::orchestrator::sched
