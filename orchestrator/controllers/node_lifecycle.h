// Which nodes are to be marked Unknown and tainted: what the node lifecycle controller decides,
// without I/O or clock.
//
//   NodeLifecycle lifecycle({});
//   lifecycle.SawLease("n1", renew_time, now);             // on every change
//   lifecycle.SawNode(node, now);
//   for (NodeLifecycle::Action& action : lifecycle.Tick(nodes, now)) carry it out
//
// A node lives as long as its lease or its Ready condition's heartbeat changes, by the time at
// which the change was seen here: its clock does not matter. Taints that evict are added node by
// node at a rate that falls when much of a zone is down, and not at all when every zone is: then
// it is likelier that this program is cut off (Kubernetes' node lifecycle controller).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "orchestrator/controllers/node_info.h"

namespace keel::orchestrator {

inline constexpr std::string_view kTaintNotReady = "node.kubernetes.io/not-ready";
inline constexpr std::string_view kTaintUnreachable = "node.kubernetes.io/unreachable";

struct NodeLifecycleOptions {
  absl::Duration grace = absl::Seconds(40);          // --node-monitor-grace-period
  absl::Duration startup_grace = absl::Seconds(60);  // --node-startup-grace-period
  double eviction_rate = 0.1;                        // nodes per second
  double secondary_eviction_rate = 0.01;             // in a zone of which much is down
  size_t large_cluster = 50;                         // smaller ones stop evicting then
  double unhealthy_zone = 0.55;                      // of a zone's nodes: that is much
};

enum class ZoneState : uint8_t { kNormal, kPartialDisruption, kFullDisruption };
ZoneState StateOfZone(size_t ready, size_t not_ready, const NodeLifecycleOptions& options);

class NodeLifecycle {
 public:
  struct Action {
    std::string node;
    bool mark_unknown = false;  // its conditions
    bool never_posted = false;  // its status, so far
    bool set_taints = false;
    std::vector<Taint> taints{};  // all that it shall have
  };

  explicit NodeLifecycle(NodeLifecycleOptions options) : options_(options) {}

  void SawLease(std::string_view node, absl::Time renewed, absl::Time now);
  void SawNode(const NodeInfo& node, absl::Time now);
  void Forget(std::string_view node);

  // REQUIRES: `nodes` are all there are.
  std::vector<Action> Tick(const std::vector<const NodeInfo*>& nodes, absl::Time now);

 private:
  struct Health {
    absl::Time renewed, heartbeat;  // as the node tells
    absl::Time seen;                // when either last changed
  };
  struct Zone {
    size_t ready = 0, not_ready = 0;
    double rate = 0;
  };
  struct Bucket {
    double tokens = 1;
    absl::Time since;
  };

  std::map<std::string, Zone> ReviewZones(const std::vector<const NodeInfo*>& nodes,
                                          bool& all_down) const;
  bool MayEvict(const std::string& zone, double rate, absl::Time now);

  const NodeLifecycleOptions options_;
  absl::flat_hash_map<std::string, Health> health_;
  std::map<std::string, Bucket> buckets_;  // by zone
};

// The taints that conditions and spec.unschedulable ask for, beside those that are not derived from
// them: what the node shall have but for the effect NoExecute, which NodeLifecycle decides.
std::vector<Taint> WithNoScheduleTaints(const NodeInfo& node, absl::Time now);

// When a pod with these tolerations must leave a node with these taints: the past when at once,
// InfiniteFuture when never.
absl::Time EvictionTime(const json::array& tolerations, const std::vector<Taint>& taints,
                        absl::Time now);

}  // namespace keel::orchestrator
