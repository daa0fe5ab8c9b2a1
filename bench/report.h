// What a run found, for people and as JSON.
#pragma once

#include <string>
#include <vector>

#include "bench/process_stats.h"
#include "bench/run.h"

namespace keel::bench {

struct Report {
  const Options* options = nullptr;
  double seconds = 0;  // measured
  Found found;
  double own_cpu_us = 0;            // of kvbench, in that time
  std::vector<ProcessUse> servers;  // of --server-pids, in that time
};

// Several lines, for people.
std::string ToText(const Report& report);
// One line; latencies in microseconds. bench/compare reads it.
std::string ToJson(const Report& report);

}  // namespace keel::bench
