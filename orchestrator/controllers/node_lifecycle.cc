#include "orchestrator/controllers/node_lifecycle.h"

#include <algorithm>
#include <array>

namespace keel::orchestrator {
namespace {

constexpr std::string_view kNoSchedule = "NoSchedule";
constexpr std::string_view kNoExecute = "NoExecute";

// The effect NoSchedule of these is derived from the node's state.
constexpr std::array<std::string_view, 7> kDerived = {
    kTaintNotReady,
    kTaintUnreachable,
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
};

std::string_view TaintOfCondition(std::string_view condition) {
  if (condition == "MemoryPressure") return kDerived[3];
  if (condition == "DiskPressure") return kDerived[4];
  if (condition == "PIDPressure") return kDerived[5];
  return kDerived[6];
}

bool IsDerived(const Taint& taint) {
  return taint.effect == kNoSchedule &&
         std::find(kDerived.begin(), kDerived.end(), taint.key) != kDerived.end();
}

bool IsHealthTaint(const Taint& taint) {
  return taint.effect == kNoExecute &&
         (taint.key == kTaintNotReady || taint.key == kTaintUnreachable);
}

// In seconds, as they are written.
absl::Time Whole(absl::Time time) { return absl::FromUnixSeconds(absl::ToUnixSeconds(time)); }

const Taint* FindTaint(const std::vector<Taint>& taints, std::string_view key,
                       std::string_view effect) {
  for (const Taint& taint : taints) {
    if (taint.key == key && taint.effect == effect) return &taint;
  }
  return nullptr;
}

}  // namespace

ZoneState StateOfZone(size_t ready, size_t not_ready, const NodeLifecycleOptions& options) {
  if (ready == 0 && not_ready > 0) return ZoneState::kFullDisruption;
  const double part =
      static_cast<double>(not_ready) / static_cast<double>(ready + not_ready + 1e-9);
  return not_ready > 2 && part >= options.unhealthy_zone ? ZoneState::kPartialDisruption
                                                         : ZoneState::kNormal;
}

void NodeLifecycle::SawLease(std::string_view node, absl::Time renewed, absl::Time now) {
  auto [found, is_new] =
      health_.try_emplace(std::string(node), Health{renewed, absl::InfinitePast(), now});
  if (is_new || found->second.renewed == renewed) return;
  found->second.renewed = renewed;
  found->second.seen = now;
}

void NodeLifecycle::SawNode(const NodeInfo& node, absl::Time now) {
  auto [found, is_new] = health_.try_emplace(
      std::string(node.name), Health{absl::InfinitePast(), node.ready_heartbeat, now});
  if (is_new || found->second.heartbeat == node.ready_heartbeat) return;
  found->second.heartbeat = node.ready_heartbeat;
  found->second.seen = now;
}

void NodeLifecycle::Forget(std::string_view node) { health_.erase(std::string(node)); }

std::map<std::string, NodeLifecycle::Zone> NodeLifecycle::ReviewZones(
    const std::vector<const NodeInfo*>& nodes, bool& all_down) const {
  std::map<std::string, Zone> zones;
  for (const NodeInfo* node : nodes) {
    Zone& zone = zones[node->zone()];
    ++(node->ready == "True" ? zone.ready : zone.not_ready);
  }
  all_down = !zones.empty();
  for (auto& [name, zone] : zones) {
    const ZoneState state = StateOfZone(zone.ready, zone.not_ready, options_);
    all_down = all_down && state == ZoneState::kFullDisruption;
    zone.rate = options_.eviction_rate;
    if (state == ZoneState::kPartialDisruption) {
      const bool large = zone.ready + zone.not_ready > options_.large_cluster;
      zone.rate = large ? options_.secondary_eviction_rate : 0;
    }
  }
  return zones;
}

bool NodeLifecycle::MayEvict(const std::string& zone, double rate, absl::Time now) {
  auto [found, is_new] = buckets_.try_emplace(zone, Bucket{1, now});
  Bucket& bucket = found->second;
  bucket.tokens = std::min(1.0, bucket.tokens + rate * absl::ToDoubleSeconds(now - bucket.since));
  bucket.since = now;
  if (rate <= 0 || bucket.tokens < 1 - 1e-9) return false;
  bucket.tokens -= 1;
  return true;
}

std::vector<NodeLifecycle::Action> NodeLifecycle::Tick(const std::vector<const NodeInfo*>& nodes,
                                                       absl::Time now) {
  bool all_down = false;
  const std::map<std::string, Zone> zones = ReviewZones(nodes, all_down);
  std::vector<Action> actions;
  for (const NodeInfo* node : nodes) {
    Action action{.node = std::string(node->name)};
    SawNode(*node, now);
    const Health& health = health_.at(std::string(node->name));
    const bool never = node->ready_heartbeat == absl::InfinitePast();
    const absl::Duration grace = never ? options_.startup_grace : options_.grace;
    const bool has_condition = node->ready_since != absl::InfinitePast() || !never;
    if (now - health.seen > grace && (node->ready != "Unknown" || !has_condition)) {
      action.mark_unknown = true;
      action.never_posted = never;
    }
    std::vector<Taint> taints = WithNoScheduleTaints(*node, now);
    std::string_view wanted;
    if (node->ready == "False") wanted = kTaintNotReady;
    if (node->ready == "Unknown" && has_condition) wanted = kTaintUnreachable;
    if (all_down) wanted = {};
    const auto is_health = std::find_if(taints.begin(), taints.end(), IsHealthTaint);
    const bool has_any = is_health != taints.end();
    if (!wanted.empty() && FindTaint(taints, wanted, kNoExecute) == nullptr) {
      // One that changes its reason is being evicted already.
      const std::string zone = node->zone();
      if (has_any || MayEvict(zone, zones.at(zone).rate, now)) {
        std::erase_if(taints, IsHealthTaint);
        taints.push_back({std::string(wanted), "", std::string(kNoExecute), Whole(now)});
      }
    } else if (wanted.empty()) {
      std::erase_if(taints, IsHealthTaint);
    }
    if (taints != node->taints) {
      action.set_taints = true;
      action.taints = std::move(taints);
    }
    if (action.mark_unknown || action.set_taints) actions.push_back(std::move(action));
  }
  return actions;
}

std::vector<Taint> WithNoScheduleTaints(const NodeInfo& node, absl::Time now) {
  std::vector<std::string_view> wanted;
  if (node.ready == "False") wanted.push_back(kTaintNotReady);
  if (node.ready == "Unknown" && node.ready_since != absl::InfinitePast()) {
    wanted.push_back(kTaintUnreachable);
  }
  if (node.unschedulable) wanted.push_back("node.kubernetes.io/unschedulable");
  for (const std::string& condition : node.pressures) wanted.push_back(TaintOfCondition(condition));
  std::vector<Taint> taints;
  for (const Taint& taint : node.taints) {
    if (!IsDerived(taint) || std::find(wanted.begin(), wanted.end(), taint.key) != wanted.end()) {
      taints.push_back(taint);
    }
  }
  for (const std::string_view key : wanted) {
    if (FindTaint(taints, key, kNoSchedule) == nullptr) {
      taints.push_back({std::string(key), "", std::string(kNoSchedule), Whole(now)});
    }
  }
  return taints;
}

absl::Time EvictionTime(const json::array& tolerations, const std::vector<Taint>& taints,
                        absl::Time now) {
  absl::Time due = absl::InfiniteFuture();
  for (const Taint& taint : taints) {
    if (taint.effect != kNoExecute) continue;
    bool tolerated = false;
    absl::Duration least = absl::InfiniteDuration();
    for (const json::value& toleration : tolerations) {
      if (!Tolerates({toleration}, taint)) continue;
      tolerated = true;
      const json::value* seconds = Find(toleration, {"tolerationSeconds"});
      if (seconds != nullptr && seconds->is_int64()) {
        least = std::min(least, absl::Seconds(std::max<int64_t>(seconds->get_int64(), 0)));
      }
    }
    if (!tolerated) return absl::InfinitePast();
    if (least == absl::InfiniteDuration()) continue;
    due = std::min(due, (taint.added == absl::InfinitePast() ? now : taint.added) + least);
  }
  return due;
}

}  // namespace keel::orchestrator
