// keel-controller-manager: all controllers in one process.
//
// Exit codes: 0 after SIGTERM or SIGINT, 1 when it cannot start or lost the lease (the reason is
// the last line of the log), 2 for flags that make no sense.
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/asio_loop.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/controllers/flags.h"
#include "orchestrator/controllers/manager.h"
#include "rpc/server.h"

namespace keel::orchestrator {
namespace {

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

std::string Metrics(const ControllerManager* manager, bool leading, const std::string& lease) {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  std::string text;
  const auto add = [&](std::string_view name, std::string_view labels, std::string_view type,
                       auto value) {
    text += base::StrCat("# TYPE ", name, " ", type, "\n", name, labels, " ", value, "\n");
  };
  add("leader_election_master_status", base::StrCat("{name=\"", lease, "\"}"), "gauge",
      leading ? 1 : 0);
  add("keel_controllers", "", "gauge", manager == nullptr ? size_t{0} : manager->controllers());
  add("keel_cached_pods", "", "gauge", manager == nullptr ? size_t{0} : manager->pods().size());
  add("process_resident_memory_bytes", "", "gauge", ResidentBytes());
  add("process_cpu_seconds_total", "", "counter", cpu);
  return text;
}

class Program {
 public:
  explicit Program(const ControllerManagerFlags& flags) : flags_(flags) {}

  absl::Status Run() {
    KEEL_ASSIGN_OR_RETURN(ClientConfig config,
                          ClientConfig::FromFlags(flags_.kubeconfig, flags_.master));
    config.user_agent = "keel-controller-manager/v1.35.0+keel";
    config.max_connections = flags_.max_requests;
    KEEL_ASSIGN_OR_RETURN(client_, ApiClient::Create(loop_, std::move(config)));
    KEEL_RETURN_IF_ERROR(Serve());

    boost::asio::signal_set signals(loop_.context(), SIGTERM, SIGINT);
    signals.async_wait([this](const boost::system::error_code& error, int) {
      if (!error) Stop();
    });
    loop_.Post([this] { Start(); });
    loop_.Run();
    elector_.reset();
    manager_.reset();
    client_.reset();
    return result_;
  }

 private:
  absl::Status Serve() {
    if (flags_.port == 0) return absl::OkStatus();
    listener_.SetHttpHandler([this](const rpc::HttpRequest& request, rpc::HttpRespond respond) {
      const auto is = [&](std::string_view path) {
        return request.path == path || request.path.starts_with(base::StrCat(path, "/"));
      };
      if (is("/healthz") || is("/livez") || is("/readyz")) {
        std::move(respond)({.body = "ok"});
      } else if (request.path == "/metrics") {
        const bool leading = elector_ == nullptr ? manager_ != nullptr : elector_->leading();
        std::move(respond)({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                            .body = Metrics(manager_.get(), leading, flags_.leader_election.name)});
      } else {
        std::move(respond)({.status = 404, .body = "404 page not found\n"});
      }
    });
    return listener_.Listen(flags_.bind_address, flags_.port).status();
  }

  void Start() {
    if (!flags_.leader_election.enabled) return Work();
    elector_ = std::make_unique<LeaderElector>(
        *client_, flags_.leader_election, [] { return absl::Now(); },
        LeaderElector::Callbacks{
            .on_started = [this] { Work(); },
            .on_stopped =
                [this] {
                  // What is under way was decided by a leader that no longer is.
                  result_ = absl::AbortedError("leaderelection lost");
                  listener_.Stop();
                  loop_.Stop();
                },
            .on_leader = [](const std::string& who) { base::Log().info("leader is {}", who); }});
    elector_->Start();
  }

  void Work() {
    manager_ = std::make_unique<ControllerManager>(
        *client_,
        ControllerManagerOptions{
            .is_enabled = [this](std::string_view name) { return flags_.IsEnabled(name); },
            .now = [] { return absl::Now(); },
            .concurrency =
                [this](std::string_view name, size_t otherwise) {
                  auto found = flags_.concurrency.find(std::string(name));
                  return found == flags_.concurrency.end() ? otherwise : found->second;
                },
            .flag =
                [this](std::string_view name) {
                  auto found = flags_.other.find(std::string(name));
                  return found == flags_.other.end() ? std::string() : found->second;
                }});
    manager_->Start();
  }

  void Stop() {
    base::Log().info("stops");
    listener_.Stop();
    if (elector_ == nullptr) return loop_.Stop();
    // Another instance need not wait for the lease to run out; but a server that does not answer
    // must not hold up the end.
    loop_.After(std::chrono::seconds(2), [this] { loop_.Stop(); });
    elector_->Release([this] { loop_.Stop(); });
  }

  const ControllerManagerFlags& flags_;
  base::AsioLoop loop_{"controllers"};
  rpc::Server listener_{{&loop_}};
  std::unique_ptr<ApiClient> client_;
  std::unique_ptr<LeaderElector> elector_;
  std::unique_ptr<ControllerManager> manager_;
  absl::Status result_;
};

int Main(int argc, char** argv) {
  const auto refuse = [](const absl::Status& status) {
    std::fprintf(stderr, "keel-controller-manager: %s\n",
                 std::string(base::ToStd(status.message())).c_str());
    return 2;
  };
  auto flags = ParseControllerManagerFlags(std::vector<std::string>(argv + 1, argv + argc));
  if (!flags.ok()) return refuse(flags.status());
  if (flags->help) {
    std::fputs(ControllerManagerHelp().c_str(), stdout);
    return 0;
  }
  if (flags->version) {
    std::printf("Kubernetes v1.35.0+keel\n");
    return 0;
  }
  if (absl::Status status = base::SetLogLevel(flags->log_level); !status.ok()) {
    return refuse(status);
  }
  std::signal(SIGPIPE, SIG_IGN);
  Program program(*flags);
  if (absl::Status status = program.Run(); !status.ok()) {
    base::Log().critical("keel-controller-manager stops: {}", base::ToStd(status.message()));
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace keel::orchestrator

int main(int argc, char** argv) { return keel::orchestrator::Main(argc, argv); }
