#include "orchestrator/keel/cluster_run.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

constexpr int kStages = 3;
constexpr int kMaxFailures = 6;  // of a daemon that never worked, before `keel up` gives up

std::string Seconds(base::Duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(duration).count());
  return text;
}

std::string LastLines(const std::string& path, size_t count) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(std::move(line));
  std::string text;
  for (size_t i = lines.size() > count ? lines.size() - count : 0; i < lines.size(); ++i) {
    text += "    " + lines[i] + "\n";
  }
  return text;
}

size_t CountReadyNodes(const std::string& body) {
  const absl::StatusOr<json::value> list = ParseJson(body);
  size_t ready = 0;
  if (!list.ok()) return 0;
  for (const json::value& node : ArrayAt(*list, {"items"})) {
    for (const json::value& condition : ArrayAt(node, {"status", "conditions"})) {
      ready +=
          StringAt(condition, {"type"}) == "Ready" && StringAt(condition, {"status"}) == "True";
    }
  }
  return ready;
}

}  // namespace

// One question that has to be answered well before the next stage.
struct ClusterRun::Probe {
  std::string path;
  std::unique_ptr<ApiClient> client;
  bool ready = false;
  bool asking = false;
};

ClusterRun::ClusterRun(base::AsioLoop& loop, ClusterOptions options, const std::string& program_dir,
                       Say say)
    : loop_(loop),
      options_(std::move(options)),
      files_(options_.data_dir),
      say_(std::move(say)),
      supervisor_(loop, launcher_, PlanCluster(options_, program_dir),
                  {.on_event = [this](const std::string& line) { say_("  ! " + line); },
                   .on_change = [this] { WriteDown(); }}),
      children_(loop.context()) {}

ClusterRun::~ClusterRun() = default;

void ClusterRun::Start(std::function<void(absl::Status)> on_up) {
  on_up_ = std::move(on_up);
  began_ = loop_.Now();
  children_.add(SIGCHLD);
  WatchChildren();
  BeginStage(0);
}

void ClusterRun::Stop(std::function<void()> done) {
  probes_.clear();
  supervisor_.Stop([this, done = std::move(done)] {
    WriteDown();
    done();
  });
}

void ClusterRun::WatchChildren() {
  children_.async_wait([this, weak = std::weak_ptr(alive_)](boost::system::error_code error, int) {
    if (error || weak.expired()) return;
    WatchChildren();
    int status = 0;
    for (const Supervisor::Daemon& daemon : std::vector(supervisor_.daemons())) {
      if (daemon.pid != 0 && waitpid(daemon.pid, &status, WNOHANG) == daemon.pid) {
        supervisor_.Exited(daemon.pid, status);
      }
    }
  });
}

std::string ClusterRun::StageName() const {
  switch (stage_) {
    case 0:
      return StrCat("store, ", options_.members, options_.members == 1 ? " member" : " members");
    case 1:
      return options_.apiservers == 1 ? "API server" : StrCat(options_.apiservers, " API servers");
    default:
      return "controllers, scheduler, nodes";
  }
}

void ClusterRun::BeginStage(int stage) {
  stage_ = stage;
  stage_began_ = loop_.Now();
  supervisor_.StartStage(stage);
  probes_.clear();
  for (const Supervisor::Daemon& daemon : supervisor_.daemons()) {
    if (daemon.plan.stage != stage || !daemon.plan.probed) continue;
    ClientConfig config;
    if (stage == 0) {
      config.ca_file = files_.pki + "/store-ca.crt";
      config.cert_file = files_.pki + "/apiserver-store-client.crt";
      config.key_file = files_.pki + "/apiserver-store-client.key";
    } else {
      config.ca_file = files_.pki + "/ca.crt";
      config.cert_file = files_.pki + "/admin.crt";
      config.key_file = files_.pki + "/admin.key";
    }
    config.servers = {StrCat("https://127.0.0.1:", daemon.plan.ports[0])};
    config.timeout = std::chrono::seconds(5);
    absl::StatusOr<std::unique_ptr<ApiClient>> client = ApiClient::Create(loop_, config);
    if (!client.ok()) return Fail(std::string(base::ToStd(client.status().message())));
    probes_.push_back({.path = stage == 0 ? "/health" : "/readyz", .client = *std::move(client)});
  }
  if (stage == 2 && options_.nodes > 0) {
    absl::StatusOr<ClientConfig> config = ClientConfig::FromKubeconfig(files_.kubeconfig);
    if (!config.ok()) return Fail(std::string(base::ToStd(config.status().message())));
    absl::StatusOr<std::unique_ptr<ApiClient>> client = ApiClient::Create(loop_, *config);
    if (!client.ok()) return Fail(std::string(base::ToStd(client.status().message())));
    probes_.push_back({.path = "/api/v1/nodes", .client = *std::move(client)});
  }
  Check();
}

void ClusterRun::Check() {
  if (failed_ || up_ || supervisor_.stopping()) return;
  if (std::all_of(probes_.begin(), probes_.end(), [](const Probe& p) { return p.ready; })) {
    return StageReady();
  }
  for (const Supervisor::Daemon& daemon : supervisor_.daemons()) {
    if (daemon.failures < kMaxFailures) continue;
    return Fail(StrCat(daemon.plan.name, " does not stay up (", daemon.last_end,
                       "); the end of its log, ", daemon.plan.log, ":\n",
                       LastLines(daemon.plan.log, 10)));
  }
  const base::Duration limit = std::chrono::seconds(120 + options_.nodes / 50);
  if (loop_.Now() - stage_began_ > limit) {
    return Fail(StrCat(StageName(), ": not ready after ", Seconds(limit), "; logs are in ",
                       files_.logs,
                       stage_ == 2 ? StrCat("; nodes that are Ready: ", ready_nodes_) : ""));
  }
  for (size_t i = 0; i < probes_.size(); ++i) {
    Probe& probe = probes_[i];
    if (probe.ready || std::exchange(probe.asking, true)) continue;
    probe.client->CallBytes("GET", probe.path, "", "",
                            [this, i, stage = stage_](absl::StatusOr<std::string> body) {
                              if (stage != stage_ || i >= probes_.size()) return;
                              if (!body.ok()) return Answered(i, false);
                              if (stage_ == 0)
                                return Answered(i, body->find("true") != std::string::npos);
                              if (stage_ == 1) return Answered(i, true);
                              ready_nodes_ = CountReadyNodes(*body);
                              Answered(i, ready_nodes_ >= options_.nodes);
                            });
  }
  const auto period = std::chrono::milliseconds(stage_ == 2 && options_.nodes > 200 ? 1000 : 100);
  loop_.After(period, [this, weak = std::weak_ptr(alive_), stage = stage_] {
    if (!weak.expired() && stage == stage_) Check();
  });
}

void ClusterRun::Answered(size_t probe, bool ready) {
  probes_[probe].asking = false;
  probes_[probe].ready = ready;
}

void ClusterRun::StageReady() {
  std::string line = StageName() + ": ready";
  if (stage_ == 1) line += " at " + ApiServerUrls(options_);
  if (stage_ == 2 && options_.nodes > 0) {
    line = StrCat("controllers, scheduler: started; ", ready_nodes_,
                  ready_nodes_ == 1 ? " node is Ready" : " nodes are Ready");
  }
  say_(StrCat("  ", line, " (", Seconds(loop_.Now() - stage_began_), ")"));
  if (stage_ + 1 < kStages) return BeginStage(stage_ + 1);
  probes_.clear();
  up_ = true;
  WriteDown();
  on_up_(absl::OkStatus());
}

void ClusterRun::Fail(const std::string& why) {
  if (std::exchange(failed_, true)) return;
  on_up_(absl::UnavailableError(why));
}

void ClusterRun::WriteDown() {
  ClusterState state;
  state.keel_pid = getpid();
  state.ready = up_;
  state.options = options_;
  for (const Supervisor::Daemon& daemon : supervisor_.daemons()) {
    state.daemons.push_back({.name = daemon.plan.name,
                             .pid = daemon.pid,
                             .restarts = daemon.restarts,
                             .ports = daemon.plan.ports,
                             .last_end = daemon.last_end,
                             .log = daemon.plan.log,
                             .program = daemon.plan.command[0]});
  }
  if (const absl::Status status = WriteState(files_.state, state); !status.ok()) {
    base::Log().warn("state not written: {}", base::ToStd(status.message()));
  }
}

}  // namespace keel::orchestrator
