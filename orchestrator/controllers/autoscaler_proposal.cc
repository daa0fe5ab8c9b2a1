// The proposal of one resource metric.
#include <cmath>

#include "base/strings.h"
#include "orchestrator/controllers/autoscaler.h"

namespace keel::orchestrator {
namespace {

// A pod's first cpu readings say more about its start than about its load.
constexpr absl::Duration kCpuInitialization = absl::Minutes(5);
constexpr absl::Duration kInitialReadiness = absl::Seconds(30);

struct Groups {
  std::vector<const PodInfo*> ready, unready, missing;
};

bool CountsAsUnready(const PodInfo& pod, bool cpu, absl::Time now) {
  if (pod.phase == PodPhase::kPending) return true;
  if (!cpu) return false;
  if (pod.started == absl::InfinitePast()) return true;
  if (pod.started + kCpuInitialization > now) return !pod.ready;
  return !pod.ready && pod.started + kInitialReadiness > pod.ready_since;
}

int64_t UsageOf(const PodUsage& usage, bool cpu) {
  return cpu ? usage.cpu_milli : usage.memory_bytes;
}
int64_t RequestOf(const PodInfo& pod, bool cpu) {
  return cpu ? pod.cpu_request_milli : pod.memory_request_bytes;
}

}  // namespace

absl::StatusOr<Proposal> ProposeByResource(const AutoscalerState& state, bool cpu, bool by_value,
                                           int64_t target, double tolerance) {
  const std::string_view name = cpu ? "cpu" : "memory";
  if (!state.usage.has_value()) {
    return absl::InvalidArgumentError(
        base::StrCat("failed to get ", name, " utilization: unable to get metrics for resource ",
                     name, ": ", state.usage_error));
  }
  if (target <= 0) return absl::InvalidArgumentError("the target is not above zero");
  Groups groups;
  for (const PodInfo* pod : state.pods) {
    if (pod->deleting || pod->terminal()) continue;
    const bool has = state.usage->contains(std::string(pod->name));
    if (CountsAsUnready(*pod, cpu, state.now)) {
      groups.unready.push_back(pod);
    } else {
      (has ? groups.ready : groups.missing).push_back(pod);
    }
    if (!by_value && RequestOf(*pod, cpu) == 0) {
      return absl::InvalidArgumentError(base::StrCat("failed to get ", name,
                                                     " utilization: missing request for ", name,
                                                     " in pod ", pod->name));
    }
  }
  if (groups.ready.empty()) {
    return absl::InvalidArgumentError(
        base::StrCat("failed to get ", name,
                     " utilization: did not receive metrics for targeted pods (pods "
                     "might be unready)"));
  }
  double used = 0, base = 0;  // base: what usage is measured against, to be `target` percent of
  for (const PodInfo* pod : groups.ready) {
    used += static_cast<double>(UsageOf(state.usage->at(std::string(pod->name)), cpu));
    base += by_value ? 1 : static_cast<double>(RequestOf(*pod, cpu));
  }
  const double ready_count = static_cast<double>(groups.ready.size());
  const double goal = by_value ? static_cast<double>(target) : static_cast<double>(target) / 100;
  const double ratio = used / (base * goal);
  Proposal proposal{.replicas = state.spec_replicas};
  proposal.average_value = static_cast<int64_t>(used / ready_count);
  if (!by_value) proposal.utilization_percent = static_cast<int64_t>(used * 100 / base);

  const bool count_unready = !groups.unready.empty() && ratio > 1;
  if (!count_unready && groups.missing.empty()) {
    if (std::abs(1 - ratio) > tolerance) {
      proposal.replicas = static_cast<int64_t>(std::ceil(ratio * ready_count - 1e-9));
    }
    return proposal;
  }
  double count = ready_count, all_used = used, all_base = base;
  const auto assume = [&](const std::vector<const PodInfo*>& pods, bool at_target) {
    for (const PodInfo* pod : pods) {
      const double request = by_value ? 1 : static_cast<double>(RequestOf(*pod, cpu));
      // A missing metric: all that was requested when shrinking, nothing when growing.
      const double full = by_value ? goal : request * std::max(1.0, goal);
      all_used += at_target ? full : 0;
      all_base += request;
      count += 1;
    }
  };
  assume(groups.missing, ratio < 1);
  if (count_unready) assume(groups.unready, false);
  const double again = all_used / (all_base * goal);
  if (std::abs(1 - again) <= tolerance || (ratio < 1) != (again < 1)) return proposal;
  const int64_t replicas = static_cast<int64_t>(std::ceil(again * count - 1e-9));
  if ((again < 1) == (replicas < state.spec_replicas)) proposal.replicas = replicas;
  return proposal;
}

}  // namespace keel::orchestrator
