// Runs one case, counted by callgrind from behind the warm-up to the end.
//
//   guard_cases --list
//   valgrind --tool=callgrind --instr-atstart=no guard_cases --case apply/put
//   guard_cases --case apply/put --operations 100000     # for perf
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/log.h"
#include "bench/guard/cases.h"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
// bench/guard.py sees that nothing was counted, and says why.
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#endif

namespace keel::bench {
namespace {

int Main(int argc, char** argv) {
  CLI::App app("Runs one workload of bench/guard.", "guard_cases");
  bool list = false;
  std::string name;
  int operations = 0;
  app.add_flag("--list", list, "print name, operations counted and what an operation is");
  app.add_option("--case", name, "which");
  app.add_option("--operations", operations, "how many; rounded up to whole batches")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  if (list) {
    ForEachCase([](const Case& c) { std::printf("%s\t%d\t%s\n", c.name, c.counted, c.operation); });
    return 0;
  }
  const Case* chosen = FindCase(name);
  if (chosen == nullptr) {
    std::fprintf(stderr, "guard_cases: no case '%s'; --list names them\n", name.c_str());
    return 2;
  }
  base::Log().set_level(spdlog::level::err);
  const auto batches = [&](int wanted) {
    return (wanted + chosen->batch - 1) / chosen->batch * chosen->batch;
  };
  const int counted = batches(operations > 0 ? operations : chosen->counted);
  const std::unique_ptr<Workload> workload = chosen->make();
  workload->Run(batches(chosen->counted / 4));
  CALLGRIND_START_INSTRUMENTATION;
  workload->Run(counted);
  CALLGRIND_STOP_INSTRUMENTATION;
  std::printf("operations %d\n", counted);
  return 0;
}

}  // namespace
}  // namespace keel::bench

int main(int argc, char** argv) { return keel::bench::Main(argc, argv); }
