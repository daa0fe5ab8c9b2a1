// podbench: puts pods on a cluster and prints what it measured as JSON. bench/orchestrator drives
// it.
#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <iostream>

#include "base/asio_loop.h"
#include "base/log.h"
#include "base/strings.h"
#include "bench/pods/pod_load.h"

namespace {

namespace o = keel::orchestrator;
using keel::bench::PodLoad;
using keel::bench::PodLoadOptions;

int Main(int argc, char** argv) {
  PodLoadOptions options;
  std::string kubeconfig, master, until = "running";
  double timeout_s = 600;
  size_t connections = 32;
  bool observe = false;
  CLI::App app("Puts pods on a cluster through its API and prints how it took them, as JSON.",
               "podbench");
  app.footer(
      "Examples:\n"
      "  podbench --kubeconfig FILE --pods 3000 --rate 100 --reads 200   # open loop\n"
      "  podbench --kubeconfig FILE --pods 30000 --until bound           # as fast as it goes\n"
      "  podbench --kubeconfig FILE --observe --pods 30000 --until bound # of pods that are there");
  app.add_option("--kubeconfig", kubeconfig)->required();
  app.add_option("--master", master, "API servers instead of the kubeconfig's");
  app.add_option("--pods", options.pods)->capture_default_str();
  app.add_option("--first", options.first, "number of the first pod")->capture_default_str();
  app.add_option("--rate", options.rate,
                 "creates a second; 0: as fast as --concurrency clients can")
      ->capture_default_str();
  app.add_option("--concurrency", options.concurrency)->capture_default_str();
  app.add_option("--connections", connections)->capture_default_str();
  app.add_option("--namespaces", options.namespaces)->capture_default_str();
  app.add_option("--reads", options.reads_per_s, "gets, patches and lists a second meanwhile")
      ->capture_default_str();
  app.add_flag("--affinity", options.affinity, "pods keep away from each other and prefer a zone");
  app.add_flag("--observe", observe, "create none; wait for what is there");
  app.add_option("--until", until, "created, bound or running")
      ->check(CLI::IsMember({"created", "bound", "running"}))
      ->capture_default_str();
  app.add_option("--timeout", timeout_s, "seconds")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options.create = !observe;
  options.timeout = std::chrono::milliseconds(static_cast<int64_t>(timeout_s * 1000));
  options.until = until == "created" ? PodLoad::Until::kCreated
                  : until == "bound" ? PodLoad::Until::kBound
                                     : PodLoad::Until::kRunning;
  std::signal(SIGPIPE, SIG_IGN);
  absl::StatusOr<o::ClientConfig> config = o::ClientConfig::FromFlags(kubeconfig, master);
  if (!config.ok()) {
    std::cerr << "podbench: " << keel::base::ToStd(config.status().message()) << "\n";
    return 2;
  }
  config->max_connections = connections;
  keel::base::AsioLoop loop("podbench");
  auto client = o::ApiClient::Create(loop, *std::move(config));
  if (!client.ok()) {
    std::cerr << "podbench: " << keel::base::ToStd(client.status().message()) << "\n";
    return 2;
  }
  absl::Status result;
  PodLoad load(**client, options);
  loop.Post([&] {
    load.Start([&](absl::Status status) {
      result = std::move(status);
      loop.Stop();
    });
  });
  loop.Run();
  std::cout << o::ToPrettyJson(load.Report()) << std::endl;
  if (!result.ok()) {
    std::cerr << "podbench: " << keel::base::ToStd(result.message()) << "\n";
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return Main(argc, argv); }
