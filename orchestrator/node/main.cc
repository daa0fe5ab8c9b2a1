// keel-node: node agents. With --runtime=hollow, as many nodes as wanted in one process, which
// behave like nodes without running anything.
//
// Exit codes: 0 after SIGTERM or SIGINT, 1 when it cannot start, 2 for flags that make no sense.
#include <CLI/CLI.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/asio_loop.h"
#include "base/log.h"
#include "base/strings.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/client/api_client.h"
#include "orchestrator/node/hollow_runtime.h"
#include "orchestrator/node/node_reporter.h"
#include "orchestrator/node/node_set.h"
#include "orchestrator/node/pod_manager.h"

namespace keel::orchestrator {
namespace {

struct Options {
  std::string kubeconfig;
  std::string master;
  std::string runtime = "hollow";
  std::string log_level = "info";
  std::string cpu = "8", memory = "32Gi", storage = "100Gi";
  std::vector<std::string> labels, taints;
  size_t connections = 32;
  NodeSetOptions nodes;
  HollowOptions hollow;
  PodManagerOptions pods;
  NodeReporterOptions reporter;
};

// "10s", "1m30s", "100ms".
CLI::Option* AddDuration(CLI::App& app, const std::string& name, base::Duration& to,
                         const std::string& help) {
  const std::string shown = absl::FormatDuration(absl::FromChrono(to));
  return app
      .add_option_function<std::string>(
          name,
          [&to, name](const std::string& text) {
            absl::Duration duration;
            if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration()) {
              throw CLI::ValidationError(name,
                                         "'" + text + "' is no duration such as 10s or 1m30s");
            }
            to = absl::ToChronoNanoseconds(duration);
          },
          help)
      ->default_str(shown)
      ->type_name("DURATION");
}

void AddOptions(CLI::App& app, Options& o) {
  app.add_option("--kubeconfig", o.kubeconfig, "how to reach the API server, and as whom");
  app.add_option("--master", o.master,
                 "API servers to use instead of the kubeconfig's: https://HOST:PORT,...");
  app.add_option("--runtime", o.runtime, "what runs containers: hollow (nothing does)")
      ->check(CLI::IsMember({"hollow"}))
      ->capture_default_str();
  app.add_option("--nodes", o.nodes.count, "how many nodes this process plays")
      ->check(CLI::Range(1, 30000))
      ->capture_default_str();
  app.add_option("--first-node", o.nodes.first,
                 "number of the first: several processes must not share numbers")
      ->capture_default_str();
  app.add_option("--name-prefix", o.nodes.name_prefix, "nodes are PREFIX0, PREFIX1, ...")
      ->capture_default_str();
  app.add_option("--zones", o.nodes.zones, "zones that nodes are spread over; 0: none")
      ->capture_default_str();
  app.add_option("--region", o.nodes.region)->capture_default_str();
  app.add_option("--node-labels", o.labels, "more labels of each node: NAME=VALUE,...")
      ->delimiter(',');
  app.add_option("--register-with-taints", o.taints, "NAME=VALUE:EFFECT,...")->delimiter(',');
  app.add_option("--node-cpu", o.cpu, "of each node")->capture_default_str();
  app.add_option("--node-memory", o.memory, "of each node")->capture_default_str();
  app.add_option("--node-storage", o.storage, "of each node")->capture_default_str();
  app.add_option("--max-pods", o.nodes.capacity.pods, "on each node")->capture_default_str();
  AddDuration(app, "--node-lease-renew-interval", o.reporter.renew_period,
              "between two renewals of a node's lease");
  AddDuration(app, "--node-lease-duration", o.reporter.lease_duration,
              "after which a node that does not renew counts as dead");
  AddDuration(app, "--node-status-report-frequency", o.reporter.status_period,
              "between two reports of an unchanged status");
  AddDuration(app, "--pod-start-delay", o.hollow.start_delay, "until a pod's containers run");
  AddDuration(app, "--pod-stop-delay", o.hollow.stop_delay, "until a deleted pod has stopped");
  AddDuration(app, "--pod-run-time", o.hollow.run_time,
              "of containers that end (restartPolicy OnFailure or Never, or failing)");
  app.add_option("--pod-jitter", o.hollow.jitter, "random part of these delays, either way")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--pod-failure-rate", o.hollow.failure_rate, "share of containers that fail")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  AddDuration(app, "--crash-back-off", o.pods.back_off,
              "before the second restart of a container; doubles with each");
  app.add_option("--seed", o.hollow.seed, "of the random numbers")->capture_default_str();
  app.add_option("--status-writers", o.pods.writers, "statuses of pods that are written at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--kube-api-connections", o.connections, "to the API server, but for watches")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--log-level", o.log_level, "debug, info, warn or error")->capture_default_str();
}

absl::Status Complete(Options& o) {
  const std::pair<std::string*, int64_t*> amounts[] = {{&o.memory, &o.nodes.capacity.memory_bytes},
                                                       {&o.storage, &o.nodes.storage_bytes}};
  for (const auto& [text, to] : amounts) {
    const absl::StatusOr<Quantity> amount = Quantity::Parse(*text);
    if (!amount.ok()) return amount.status();
    *to = amount->Value();
  }
  const absl::StatusOr<Quantity> cpu = Quantity::Parse(o.cpu);
  if (!cpu.ok()) return cpu.status();
  o.nodes.capacity.cpu_milli = cpu->MilliValue();
  for (const std::string& label : o.labels) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          base::StrCat("--node-labels: '", label, "' is not NAME=VALUE"));
    }
    o.nodes.labels.emplace_back(label.substr(0, equals), label.substr(equals + 1));
  }
  for (const std::string& taint : o.taints) {
    const size_t colon = taint.rfind(':');
    const std::string key = taint.substr(0, colon),
                      effect = colon == std::string::npos ? "" : taint.substr(colon + 1);
    if (effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute") {
      return absl::InvalidArgumentError(
          base::StrCat("--register-with-taints: '", taint, "' is not NAME=VALUE:EFFECT"));
    }
    const size_t equals = key.find('=');
    json::object object{{"key", key.substr(0, equals)}, {"effect", effect}};
    if (equals != std::string::npos) object["value"] = key.substr(equals + 1);
    o.nodes.taints.push_back(std::move(object));
  }
  o.hollow.first_node = o.nodes.first;
  o.pods.report_creating = o.hollow.start_delay >= std::chrono::seconds(1);
  return absl::OkStatus();
}

int Run(Options o) {
  absl::StatusOr<ClientConfig> config = ClientConfig::FromFlags(o.kubeconfig, o.master);
  if (!config.ok()) {
    base::Log().critical("keel-node stops: {}", base::ToStd(config.status().message()));
    return 1;
  }
  config->user_agent = "keel-node/v1.35.0+keel";
  config->max_connections = o.connections;

  base::AsioLoop loop("node");
  boost::asio::signal_set signals(loop.context(), SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code error, int number) {
    if (error) return;
    base::Log().info("stopping signal={}", number);
    loop.Stop();
  });
  absl::StatusOr<std::unique_ptr<ApiClient>> client = ApiClient::Create(loop, *std::move(config));
  if (!client.ok()) {
    base::Log().critical("keel-node stops: {}", base::ToStd(client.status().message()));
    return 1;
  }
  const auto now = [] { return absl::Now(); };
  NodeSet nodes(o.nodes);
  HollowRuntime runtime(loop, o.hollow, now);
  PodManager pods(**client, nodes, runtime, now, o.pods);
  NodeReporter reporter(**client, nodes, now, o.reporter,
                        [&](uint32_t node) { pods.NodeChanged(node); });
  loop.Post([&] {
    reporter.Start([&] { base::Log().info("all nodes are registered nodes={}", nodes.size()); });
    pods.Start([&] {
      base::Log().info("took over pods pods={} running={}", pods.size(), pods.running());
    });
  });
  base::Log().info("keel-node starts runtime={} nodes={}", o.runtime, o.nodes.count);
  loop.Run();
  return 0;
}

int Main(int argc, char** argv) {
  Options o;
  CLI::App app("Node agents of a Keel cluster: nodes that behave, without running anything.",
               "keel-node");
  app.set_version_flag("--version", "Kubernetes v1.35.0+keel");
  app.footer(
      "Examples:\n"
      "  keel-node --runtime=hollow --nodes=3 --kubeconfig keel-data/node.kubeconfig\n"
      "  keel-node --nodes=1000 --zones=5 --node-cpu=16 --pod-start-delay=2s --kubeconfig FILE\n"
      "  keel-node --nodes=10 --first-node=1000 --name-prefix=big- --node-labels=disk=ssd "
      "--kubeconfig FILE\n"
      "docs/orchestrator.md says what annotations of pods do.");
  AddOptions(app, o);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  for (const absl::Status& status : {Complete(o), base::SetLogLevel(o.log_level)}) {
    if (status.ok()) continue;
    std::fprintf(stderr, "keel-node: %s\n", std::string(base::ToStd(status.message())).c_str());
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  return Run(std::move(o));
}

}  // namespace
}  // namespace keel::orchestrator

int main(int argc, char** argv) { return keel::orchestrator::Main(argc, argv); }
