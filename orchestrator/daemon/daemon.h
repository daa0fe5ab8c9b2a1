// A daemon of which several instances may run and one works: connects to the API server, serves
// health (to anybody) and metrics (to whom the gate lets pass) over TLS, is elected, works, and
// hands over when it is told to stop.
//
//   class Program final : public ElectedDaemon {
//     void Work() override { scheduler_ = std::make_unique<Scheduler>(client(), ...); ... }
//     void Rest() override { scheduler_.reset(); }
//     std::string MetricsText() const override { ... }
//   };
//   int main(int argc, char** argv) {
//     return RunDaemon<Program>("keel-scheduler", ParseSchedulerFlags({argv + 1, argv + argc}),
//                               SchedulerHelp);
//   }
//
// Exit codes of RunDaemon: 0 after SIGTERM or SIGINT, 1 when it cannot start or lost the lease (the
// reason is the last line of the log), 2 for flags that make no sense. All runs on one loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/asio_loop.h"
#include "orchestrator/daemon/flags.h"
#include "orchestrator/daemon/gate.h"
#include "rpc/server.h"

namespace keel::orchestrator {

class ElectedDaemon {
 public:
  // `flags` outlives it. `program`: "keel-scheduler"; `loop`: the thread's name.
  ElectedDaemon(std::string program, const std::string& loop, const DaemonFlags& flags);
  virtual ~ElectedDaemon() = default;
  ElectedDaemon(const ElectedDaemon&) = delete;
  ElectedDaemon& operator=(const ElectedDaemon&) = delete;

  // Blocks until a signal, or until the lease is lost (Aborted) or it cannot start.
  absl::Status Run();

 protected:
  virtual void Work() = 0;                      // elected, or alone
  virtual void Rest() = 0;                      // lets go of all that uses the client
  virtual std::string MetricsText() const = 0;  // in Prometheus' text format
  ApiClient& client() { return *client_; }
  // Null when nobody is elected.
  const LeaderElector* elector() const { return elector_.get(); }

 private:
  absl::Status Serve();
  void Answer(const rpc::HttpRequest& request, rpc::HttpRespond respond);
  void Start();
  void Stop();

  const std::string program_;
  const DaemonFlags& flags_;
  base::AsioLoop loop_;
  rpc::Server listener_{{&loop_}};
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<ApiClient> client_;
  std::unique_ptr<LeaderElector> elector_;
  absl::Status result_;
};

namespace internal {
int RunDaemon(const absl::Status& parsed, const DaemonFlags* flags, const std::string& program,
              const std::function<std::string()>& help,
              const std::function<std::unique_ptr<ElectedDaemon>()>& make);
}  // namespace internal

// What main() does with what it made of its arguments.
template <typename Program, typename Flags>
int RunDaemon(const std::string& program, const absl::StatusOr<Flags>& flags,
              const std::function<std::string()>& help) {
  return internal::RunDaemon(flags.status(), flags.ok() ? &*flags : nullptr, program, help,
                             [&flags] { return std::make_unique<Program>(*flags); });
}

}  // namespace keel::orchestrator
