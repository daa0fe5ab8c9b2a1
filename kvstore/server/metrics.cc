#include "kvstore/server/metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "absl/strings/str_format.h"
#include "base/strings.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

std::string Number(double value) {
  if (std::abs(value) < 9e15 && value == std::floor(value))
    return absl::StrFormat("%d", static_cast<int64_t>(value));
  return absl::StrFormat("%.9g", value);
}

}  // namespace

void AppendFamily(std::string_view name, std::string_view help, std::string_view type,
                  std::string* out) {
  out->append(StrCat("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n"));
}

void AppendSample(std::string_view name, std::string_view labels, double value, std::string* out) {
  if (labels.empty()) {
    out->append(StrCat(name, " ", Number(value), "\n"));
  } else {
    out->append(StrCat(name, "{", labels, "} ", Number(value), "\n"));
  }
}

void AppendGauge(std::string_view name, std::string_view help, double value, std::string* out) {
  AppendFamily(name, help, "gauge", out);
  AppendSample(name, "", value, out);
}

void AppendCounter(std::string_view name, std::string_view help, double value, std::string* out) {
  AppendFamily(name, help, "counter", out);
  AppendSample(name, "", value, out);
}

void Histogram::Observe(base::Duration duration) {
  size_t bucket = 0;
  for (base::Duration bound = first_; bucket < kBuckets && duration > bound; bound *= 2) ++bucket;
  counts_[bucket].fetch_add(1, std::memory_order_relaxed);
  sum_ns_.fetch_add(static_cast<uint64_t>(std::max<int64_t>(duration.count(), 0)),
                    std::memory_order_relaxed);
}

void Histogram::Append(std::string_view name, std::string_view help, std::string* out) const {
  AppendFamily(name, help, "histogram", out);
  AppendSamples(name, "", out);
}

void Histogram::AppendSamples(std::string_view name, std::string_view labels,
                              std::string* out) const {
  const std::string prefix = labels.empty() ? "" : StrCat(labels, ",");
  uint64_t total = 0;
  double bound = std::chrono::duration<double>(first_).count();
  for (size_t i = 0; i < kBuckets; ++i, bound *= 2) {
    total += counts_[i].load(std::memory_order_relaxed);
    AppendSample(StrCat(name, "_bucket"), StrCat(prefix, "le=\"", Number(bound), "\""),
                 static_cast<double>(total), out);
  }
  total += counts_[kBuckets].load(std::memory_order_relaxed);
  AppendSample(StrCat(name, "_bucket"), StrCat(prefix, "le=\"+Inf\""), static_cast<double>(total),
               out);
  AppendSample(StrCat(name, "_sum"), labels,
               static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) / 1e9, out);
  AppendSample(StrCat(name, "_count"), labels, static_cast<double>(total), out);
}

void AppendProcessMetrics(std::string* out) {
  uint64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  AppendGauge("process_resident_memory_bytes", "Resident memory size in bytes.",
              static_cast<double>(resident * page), out);
  AppendGauge("process_virtual_memory_bytes", "Virtual memory size in bytes.",
              static_cast<double>(pages * page), out);

  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + time.tv_usec / 1e6;
  };
  AppendCounter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.",
                seconds(usage.ru_utime) + seconds(usage.ru_stime), out);

  int64_t open = 0;
  if (DIR* dir = opendir("/proc/self/fd"); dir != nullptr) {
    while (readdir(dir) != nullptr) ++open;
    closedir(dir);
    open -= 3;  // ".", ".." and the folder itself
  }
  AppendGauge("process_open_fds", "Number of open file descriptors.", static_cast<double>(open),
              out);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  AppendGauge("process_max_fds", "Maximum number of open file descriptors.",
              static_cast<double>(limit.rlim_cur), out);
  AppendGauge("os_fd_limit", "The file descriptor limit.", static_cast<double>(limit.rlim_cur),
              out);
  AppendGauge("os_fd_used", "The number of used file descriptors.", static_cast<double>(open), out);
  static const double start =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  AppendGauge("process_start_time_seconds",
              "Start time of the process since unix epoch in seconds.", start, out);
}

}  // namespace keel::kvstore
