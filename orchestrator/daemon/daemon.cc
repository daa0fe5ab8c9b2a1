#include "orchestrator/daemon/daemon.h"

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "base/tls/context.h"
#include "base/tls/self_signed.h"

namespace keel::orchestrator {
namespace {

absl::StatusOr<std::shared_ptr<base::TlsContext>> MakeTls(const DaemonFlags& flags) {
  base::TlsOptions options;
  options.cert_file = flags.tls_cert_file;
  options.key_file = flags.tls_private_key_file;
  if (options.cert_file.empty()) {
    std::vector<std::string> hosts = {"localhost", "127.0.0.1", "::1"};
    const std::string& here = flags.bind_address;
    if (!here.empty() && here != "0.0.0.0" && here != "::") hosts.push_back(here);
    if (flags.cert_dir.empty()) {
      KEEL_ASSIGN_OR_RETURN(options.pair, base::MakeSelfSigned(hosts, 1));
    } else {
      KEEL_RETURN_IF_ERROR(base::EnsureSelfSigned(flags.cert_dir, hosts, 1));
      options.cert_file = flags.cert_dir + "/cert.pem";
      options.key_file = flags.cert_dir + "/key.pem";
    }
  }
  options.trusted_ca_file = flags.client_ca_file;
  options.request_client_cert = !flags.client_ca_file.empty();
  options.protocols = {"h2", "http/1.1"};
  return base::TlsContext::Create(std::move(options), base::TlsRole::kServer);
}

}  // namespace

ElectedDaemon::ElectedDaemon(std::string program, const std::string& loop, const DaemonFlags& flags)
    : program_(std::move(program)), flags_(flags), loop_(loop) {}

absl::Status ElectedDaemon::Run() {
  KEEL_ASSIGN_OR_RETURN(ClientConfig config,
                        ClientConfig::FromFlags(flags_.kubeconfig, flags_.master));
  config.user_agent = base::StrCat(program_, "/v1.35.0+keel");
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
  Rest();
  client_.reset();
  return result_;
}

absl::Status ElectedDaemon::Serve() {
  if (flags_.port == 0) return absl::OkStatus();
  gate_ = std::make_unique<Gate>(*client_);
  listener_.SetHttpHandler([this](const rpc::HttpRequest& request, rpc::HttpRespond respond) {
    Answer(request, std::move(respond));
  });
  KEEL_ASSIGN_OR_RETURN(auto tls, MakeTls(flags_));
  return listener_.Listen(flags_.bind_address, flags_.port, std::move(tls)).status();
}

void ElectedDaemon::Answer(const rpc::HttpRequest& request, rpc::HttpRespond respond) {
  for (const std::string path : {"/healthz", "/livez", "/readyz"}) {
    if (request.path == path || request.path.starts_with(path + "/")) {
      return std::move(respond)({.body = "ok"});
    }
  }
  gate_->Check(request, [this, path = request.path,
                         respond = std::move(respond)](absl::Status allowed) mutable {
    if (!allowed.ok()) {
      std::move(respond)(Gate::Refusal(allowed));
    } else if (path == "/metrics") {
      std::move(respond)(
          {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = MetricsText()});
    } else {
      std::move(respond)({.status = 404, .body = "404 page not found\n"});
    }
  });
}

void ElectedDaemon::Start() {
  if (!flags_.leader_election.enabled) return Work();
  elector_ = std::make_unique<LeaderElector>(
      *client_, flags_.leader_election, [] { return absl::Now(); },
      LeaderElector::Callbacks{
          .on_started = [this] { Work(); },
          .on_stopped =
              [this] {
                // Another decides now: what is under way or assumed here is worth nothing.
                result_ = absl::AbortedError("leaderelection lost");
                listener_.Stop();
                loop_.Stop();
              },
          .on_leader = [](const std::string& who) { base::Log().info("leader is {}", who); }});
  elector_->Start();
}

void ElectedDaemon::Stop() {
  base::Log().info("stops");
  listener_.Stop();
  if (elector_ == nullptr) return loop_.Stop();
  // Another instance need not wait for the lease to run out; but a server that does not answer
  // must not hold up the end.
  loop_.After(std::chrono::seconds(2), [this] { loop_.Stop(); });
  elector_->Release([this] { loop_.Stop(); });
}

namespace internal {

int RunDaemon(const absl::Status& parsed, const DaemonFlags* flags, const std::string& program,
              const std::function<std::string()>& help,
              const std::function<std::unique_ptr<ElectedDaemon>()>& make) {
  const auto refuse = [&program](const absl::Status& status) {
    std::fprintf(stderr, "%s: %s\n", program.c_str(),
                 std::string(base::ToStd(status.message())).c_str());
    return 2;
  };
  if (!parsed.ok()) return refuse(parsed);
  if (flags->help) {
    std::fputs(help().c_str(), stdout);
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
  if (absl::Status status = make()->Run(); !status.ok()) {
    base::Log().critical("{} stops: {}", program, base::ToStd(status.message()));
    return 1;
  }
  return 0;
}

}  // namespace internal
}  // namespace keel::orchestrator
