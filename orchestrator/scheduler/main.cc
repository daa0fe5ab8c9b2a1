// keel-scheduler: gives pods nodes.
//
// Exit codes: 0 after SIGTERM or SIGINT, 1 when it cannot start or lost the lease (the reason is
// the last line of the log), 2 for flags that make no sense.
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/asio_loop.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/scheduler/flags.h"
#include "orchestrator/scheduler/scheduler.h"
#include "rpc/server.h"

namespace keel::orchestrator::sched {
namespace {

class Program {
 public:
  explicit Program(const SchedulerFlags& flags) : flags_(flags) {}

  absl::Status Run() {
    KEEL_ASSIGN_OR_RETURN(ClientConfig config,
                          ClientConfig::FromFlags(flags_.kubeconfig, flags_.master));
    config.user_agent = "keel-scheduler/v1.35.0+keel";
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
    scheduler_.reset();
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
        const std::string text = scheduler_ == nullptr ? Metrics().Text({.leading = false})
                                                       : scheduler_->MetricsText(true);
        std::move(respond)(
            {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = text});
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
                  // Another decides now: what is assumed here is worth nothing.
                  result_ = absl::AbortedError("leaderelection lost");
                  listener_.Stop();
                  loop_.Stop();
                },
            .on_leader = [](const std::string& who) { base::Log().info("leader is {}", who); }});
    elector_->Start();
  }

  void Work() {
    scheduler_ = std::make_unique<Scheduler>(
        *client_, SchedulerOptions{.now = [] { return absl::Now(); },
                                   .seed = static_cast<uint64_t>(absl::ToUnixNanos(absl::Now())),
                                   .max_binds = flags_.max_binds});
    scheduler_->Start();
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

  const SchedulerFlags& flags_;
  base::AsioLoop loop_{"scheduler"};
  rpc::Server listener_{{&loop_}};
  std::unique_ptr<ApiClient> client_;
  std::unique_ptr<LeaderElector> elector_;
  std::unique_ptr<Scheduler> scheduler_;
  absl::Status result_;
};

int Main(int argc, char** argv) {
  const auto refuse = [](const absl::Status& status) {
    std::fprintf(stderr, "keel-scheduler: %s\n",
                 std::string(base::ToStd(status.message())).c_str());
    return 2;
  };
  auto flags = ParseSchedulerFlags(std::vector<std::string>(argv + 1, argv + argc));
  if (!flags.ok()) return refuse(flags.status());
  if (flags->help) {
    std::fputs(SchedulerHelp().c_str(), stdout);
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
    base::Log().critical("keel-scheduler stops: {}", base::ToStd(status.message()));
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace keel::orchestrator::sched

int main(int argc, char** argv) { return keel::orchestrator::sched::Main(argc, argv); }
