// Small deterministic workloads, a few for each layer: no thread races with
// another, no clock and no socket decides, all seeds are fixed. Two programs run
// them: layers_benchmark measures their time, guard_cases is what bench/guard.py
// counts the instructions of.
//
//   std::unique_ptr<Workload> workload = FindCase("apply/put")->make();
//   workload->Run(1600);
//
// Thread-safety: none; one workload at a time.
#pragma once

#include <memory>
#include <span>
#include <string_view>

namespace keel::bench {

class Workload {
 public:
  virtual ~Workload() = default;
  // Does so many operations. REQUIRES: a multiple of the case's `batch`.
  virtual void Run(int operations) = 0;
};

struct Case {
  const char* name;       // layer/what
  const char* operation;  // what one operation is
  int batch = 1;          // operations that go together
  int counted = 1000;     // operations that the guard counts; a quarter of that warms up
  std::unique_ptr<Workload> (*make)() = nullptr;
};

// Of each layer; cases.cc lists them all.
std::span<const Case> RaftCases();
std::span<const Case> RpcCases();
std::span<const Case> StoreCases();
std::span<const Case> WatchCases();

// Null when there is none of that name.
const Case* FindCase(std::string_view name);

template <typename Visit>
void ForEachCase(Visit visit) {
  for (const auto& cases : {RaftCases(), RpcCases(), StoreCases(), WatchCases()}) {
    for (const Case& found : cases) visit(found);
  }
}

}  // namespace keel::bench
