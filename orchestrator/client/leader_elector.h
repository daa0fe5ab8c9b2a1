// Of several instances of a daemon one works: who holds a Lease of coordination.k8s.io, as
// Kubernetes' daemons elect theirs.
//
//   LeaderElector elector(client, {.name = "keel-scheduler", .identity = "host_uuid"}, now,
//                         {.on_started = [&] { scheduler.Start(); }, .on_stopped = [] { exit(1);
//                         }});
//   elector.Start();
//   elector.Release([] { ... });   // on SIGTERM: another may take over at once
//
// A lease counts as held until `lease_duration` after this instance saw it change last: no clocks
// are compared. The holder renews every retry_period and, when it could not for renew_deadline,
// stops; who stopped does not start again. Thread-safety: on the client's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "orchestrator/client/api_client.h"

namespace keel::orchestrator {

struct LeaderElectionOptions {
  bool enabled = true;                                       // --leader-elect
  std::string ns = "kube-system";                            // --leader-elect-resource-namespace
  std::string name{};                                        // --leader-elect-resource-name
  std::string identity{};                                    // unique; empty: host_PID_random
  base::Duration lease_duration = std::chrono::seconds(15);  // --leader-elect-lease-duration
  base::Duration renew_deadline = std::chrono::seconds(10);  // --leader-elect-renew-deadline
  base::Duration retry_period = std::chrono::seconds(2);     // --leader-elect-retry-period

  absl::Status Validate() const;  // Kubernetes' conditions between the durations
};

class LeaderElector {
 public:
  struct Callbacks {
    std::function<void()> on_started{};
    std::function<void()> on_stopped{};                   // lost it; the process should end
    std::function<void(const std::string&)> on_leader{};  // each time another identity holds it
  };
  LeaderElector(ApiClient& client, LeaderElectionOptions options, std::function<absl::Time()> now,
                Callbacks callbacks);
  ~LeaderElector();  // Stops renewing; the lease runs out by itself.
  LeaderElector(const LeaderElector&) = delete;
  LeaderElector& operator=(const LeaderElector&) = delete;

  void Start();
  bool leading() const;
  // Gives the lease up if it is held; `done` also when that failed.
  void Release(absl::AnyInvocable<void()> done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace keel::orchestrator
