// kvbench: load on any etcd v3 endpoint. See --help and docs/benchmarking.md.
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

#include "base/status.h"
#include "base/strings.h"
#include "bench/fill.h"
#include "bench/lease_load.h"
#include "bench/pages_load.h"
#include "bench/report.h"
#include "bench/run.h"
#include "bench/unary_load.h"
#include "bench/watch_load.h"

namespace keel::bench {
namespace {

absl::StatusOr<Report> MeasureFill(const Options& options) {
  Report report;
  report.options = &options;
  CpuMeter servers;
  KEEL_RETURN_IF_ERROR(servers.Start(options.server_pids));
  const double own_before_us = OwnCpuUs();
  const int64_t from_ns = NowNs();
  KEEL_RETURN_IF_ERROR(Fill(options, &report.found));
  report.seconds = static_cast<double>(NowNs() - from_ns) / 1e9;
  report.own_cpu_us = OwnCpuUs() - own_before_us;
  KEEL_ASSIGN_OR_RETURN(report.servers, servers.Stop());
  return report;
}

std::unique_ptr<Load> MakeLoad(Run& run, int thread) {
  switch (run.options.workload) {
    case Workload::kLease:
      return std::make_unique<LeaseLoad>(run, thread);
    case Workload::kPages:
      return std::make_unique<PagesLoad>(run, thread);
    case Workload::kIdle:
      return std::make_unique<WatchLoad>(run, thread);
    default:
      return std::make_unique<UnaryLoad>(run, thread);
  }
}

absl::StatusOr<Report> Measure(const Options& options) {
  if (options.workload == Workload::kFill) return MeasureFill(options);
  const bool reads = options.workload == Workload::kRange || options.workload == Workload::kMixed ||
                     options.workload == Workload::kPages;
  if (reads && options.prefill) KEEL_RETURN_IF_ERROR(Fill(options, nullptr));

  Run run(options);
  std::vector<std::unique_ptr<Load>> loads;
  for (int thread = 0; thread < options.threads; ++thread) {
    if (options.workload == Workload::kWatch)
      loads.push_back(std::make_unique<WatchLoad>(run, thread));
    loads.push_back(MakeLoad(run, thread));
  }
  for (auto& load : loads) KEEL_RETURN_IF_ERROR(load->Prepare());
  // For whoever looks at the servers from outside while the watchers only wait.
  if (options.workload == Workload::kIdle) std::cerr << "ready" << std::endl;

  CpuMeter servers;
  for (auto& load : loads) load->Start();
  std::this_thread::sleep_for(options.warmup);
  KEEL_RETURN_IF_ERROR(servers.Start(options.server_pids));
  const double own_before_us = OwnCpuUs();
  const int64_t from_ns = NowNs();
  // With a total there is no warm-up: everything counts.
  run.from_ns = options.total != 0 ? 0 : from_ns;
  if (options.total == 0) {
    std::this_thread::sleep_for(options.duration);
  } else {
    while (run.completed.load() < options.total)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const int64_t to_ns = NowNs();
  run.to_ns = to_ns;
  run.stop = true;
  Report report;
  report.options = &options;
  report.own_cpu_us = OwnCpuUs() - own_before_us;
  KEEL_ASSIGN_OR_RETURN(report.servers, servers.Stop());
  report.seconds = static_cast<double>(to_ns - from_ns) / 1e9;
  for (auto& load : loads) {
    load->Stop();
    report.found.Add(load->found());
  }
  return report;
}

}  // namespace
}  // namespace keel::bench

int main(int argc, char** argv) {
  int exit_code = 0;
  const auto options = keel::bench::ParseOptions(argc, argv, &exit_code);
  if (!options) return exit_code;
  const auto report = keel::bench::Measure(*options);
  if (!report.ok()) {
    std::cerr << "kvbench: " << keel::base::ToStd(report.status().message()) << "\n";
    return 1;
  }
  std::cout << (options->json ? keel::bench::ToJson(*report) + "\n" : keel::bench::ToText(*report));
  const bool works = options->workload != keel::bench::Workload::kIdle;
  return works && report->found.latency_ns.count() == 0 ? 1 : 0;
}
