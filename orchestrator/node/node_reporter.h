// Tells the API of this process's nodes: registers them, renews their leases spread evenly over the
// period, posts their status now and then (kubelet's node status and lease controllers).
//
//   NodeReporter reporter(client, nodes, now, {}, [&](uint32_t node) { pods.NodeChanged(node); });
//   reporter.Start([] { ... });     // called once, when all nodes are registered
//
// A node that is deleted in the API is not registered again before the process starts anew. A node
// with the label keel.io/hollow-down (any value) plays dead until the label goes: no lease, no
// status, its pods untouched.
//
// Thread-safety: on the client's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "orchestrator/client/informer.h"
#include "orchestrator/client/work_queue.h"
#include "orchestrator/node/node_set.h"

namespace keel::orchestrator {

inline constexpr std::string_view kDownLabel = "keel.io/hollow-down";

struct NodeReporterOptions {
  base::Duration renew_period = std::chrono::seconds(10);    // --node-lease-renew-interval
  base::Duration lease_duration = std::chrono::seconds(40);  // --node-lease-duration
  base::Duration status_period = std::chrono::minutes(5);    // --node-status-report-frequency
  size_t registrations = 16;                                 // at once
};

class NodeReporter final : private Reflector::Sink {
 public:
  NodeReporter(ApiClient& client, NodeSet& nodes, std::function<absl::Time()> now,
               NodeReporterOptions options, std::function<void(uint32_t node)> on_changed);
  ~NodeReporter() override;

  void Start(std::function<void()> on_registered);
  size_t registered() const { return registered_; }

 private:
  using Done = WorkQueue<uint32_t>::Done;

  // Of the watch of nodes that play dead.
  void ListBegins() override { listed_.clear(); }
  void Listed(const json::object& object) override;
  void ListEnds() override;
  void Changed(const json::object& object, bool deleted) override;
  void SetDown(uint32_t index, bool down);

  void Register(uint32_t index, Done done);
  void Registered(uint32_t index, const json::value& object, Done done);
  void CreateLease(uint32_t index, Done done);
  void Tick();
  void Renew(uint32_t index);
  void LeaseMissing(uint32_t index);
  void PostStatus(uint32_t index, std::function<void(absl::Status)> done);
  // How many of a turn through all nodes every `period` are due by now.
  uint64_t Due(base::Duration period) const;

  ApiClient& client_;
  NodeSet& nodes_;
  const std::function<absl::Time()> now_;
  const NodeReporterOptions options_;
  const std::function<void(uint32_t)> on_changed_;
  std::function<void()> on_registered_;
  size_t registered_ = 0;
  base::TimePoint begin_{};
  uint64_t renewed_ = 0, reported_ = 0;  // turns taken since begin_
  std::vector<uint32_t> listed_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  WorkQueue<uint32_t> registrations_;
  std::unique_ptr<Reflector> reflector_;
};

}  // namespace keel::orchestrator
