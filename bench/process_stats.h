// Processor time and memory of processes, from /proc.
//
//   CpuMeter meter({4711, 4712});          // at the start of the measurement
//   std::vector<ProcessUse> use = meter.Stop();
//
// The processor time of a process is utime + stime of /proc/PID/stat, in ticks
// of 10 ms: over a few seconds of load the error is far below one percent.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keel::bench {

struct ProcessUse {
  int pid = 0;
  double cpu_us = 0;          // microseconds, user and system, since the start
  int64_t rss_bytes = 0;      // at the end
  int64_t rss_max_bytes = 0;  // ever, as the kernel has it
};

// NotFound when there is no such process.
absl::StatusOr<ProcessUse> ReadProcess(int pid);

// Since this process started, microseconds of user and system time.
double OwnCpuUs();

// What was used between two readings of the same processes.
class CpuMeter {
 public:
  // NotFound naming the first process that is not there.
  absl::Status Start(const std::vector<int>& pids);
  absl::StatusOr<std::vector<ProcessUse>> Stop() const;

 private:
  std::vector<ProcessUse> start_;
};

}  // namespace keel::bench
