// kvbench: load on any etcd v3 endpoint. See --help and docs/benchmarking.md.
#include <future>
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

#include "base/asio_loop.h"
#include "base/status.h"
#include "base/strings.h"
#include "bench/lease_load.h"
#include "bench/report.h"
#include "bench/run.h"
#include "bench/unary_load.h"
#include "bench/watch_load.h"
#include "rpc/client.h"

namespace keel::bench {
namespace {

// Writes every key of the key space, so that reads find something.
absl::Status Prefill(const Options& options) {
  constexpr uint64_t kKeysPerTxn = 100;  // etcd takes 128
  constexpr size_t kInFlight = 16;
  base::AsioLoop loop("prefill");
  loop.Start();
  rpc::Channel channel(loop, options.endpoints.front());
  const std::string value(static_cast<size_t>(options.value_size_bytes), 'v');
  uint64_t next = 0;
  while (next < options.keys) {
    std::vector<std::promise<absl::Status>> answers(kInFlight);
    size_t sent = 0;
    for (; sent < kInFlight && next < options.keys; ++sent) {
      etcdserverpb::TxnRequest txn;
      for (uint64_t i = 0; i < kKeysPerTxn && next < options.keys; ++i) {
        auto* put = txn.add_success()->mutable_request_put();
        put->set_key(KeyAt(options, next++));
        put->set_value(value);
      }
      channel.Call("/etcdserverpb.KV/Txn", txn.SerializeAsString(),
                   {.deadline = loop.Now() + options.timeout},
                   [&answers, sent](absl::StatusOr<std::string> response) {
                     answers[sent].set_value(response.status());
                   });
    }
    absl::Status failed;
    for (size_t i = 0; i < sent; ++i) failed.Update(answers[i].get_future().get());
    KEEL_RETURN_IF_ERROR(failed);
  }
  channel.Close();
  loop.Stop();
  return absl::OkStatus();
}

absl::StatusOr<Report> Measure(const Options& options) {
  const bool reads = options.workload == Workload::kRange || options.workload == Workload::kMixed;
  if (reads && options.prefill) KEEL_RETURN_IF_ERROR(Prefill(options));

  Run run(options);
  std::vector<std::unique_ptr<Load>> loads;
  for (int thread = 0; thread < options.threads; ++thread) {
    if (options.workload == Workload::kWatch)
      loads.push_back(std::make_unique<WatchLoad>(run, thread));
    if (options.workload == Workload::kLease) {
      loads.push_back(std::make_unique<LeaseLoad>(run, thread));
    } else {
      loads.push_back(std::make_unique<UnaryLoad>(run, thread));
    }
  }
  for (auto& load : loads) KEEL_RETURN_IF_ERROR(load->Prepare());

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
  return report->found.latency_ns.count() == 0 ? 1 : 0;
}
