#include "bench/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "base/status.h"
#include "base/strings.h"

namespace keel::bench {

absl::StatusOr<ProcessUse> ReadProcess(int pid) {
  const std::string dir = base::StrCat("/proc/", pid);
  std::ifstream stat(dir + "/stat");
  std::string line;
  if (!std::getline(stat, line)) return absl::NotFoundError(base::StrCat("no process ", pid));
  // Behind the name in parentheses, which may hold anything: field 3 and on.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field <= 13; ++field) fields >> skipped;
  double user_ticks = 0, system_ticks = 0;
  fields >> user_ticks >> system_ticks;
  if (!fields) return absl::InternalError(base::StrCat(dir, "/stat is not as expected"));

  ProcessUse use;
  use.pid = pid;
  use.cpu_us = (user_ticks + system_ticks) * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
  std::ifstream status(dir + "/status");
  while (std::getline(status, line)) {
    std::istringstream words(line);
    std::string name;
    int64_t kib = 0;
    if (!(words >> name >> kib)) continue;
    if (name == "VmRSS:") use.rss_bytes = kib * 1024;
    if (name == "VmHWM:") use.rss_max_bytes = kib * 1024;
  }
  return use;
}

double OwnCpuUs() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

absl::Status CpuMeter::Start(const std::vector<int>& pids) {
  start_.clear();
  for (const int pid : pids) {
    KEEL_ASSIGN_OR_RETURN(ProcessUse use, ReadProcess(pid));
    start_.push_back(use);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ProcessUse>> CpuMeter::Stop() const {
  std::vector<ProcessUse> result;
  for (const ProcessUse& start : start_) {
    KEEL_ASSIGN_OR_RETURN(ProcessUse use, ReadProcess(start.pid));
    use.cpu_us -= start.cpu_us;
    result.push_back(use);
  }
  return result;
}

}  // namespace keel::bench
