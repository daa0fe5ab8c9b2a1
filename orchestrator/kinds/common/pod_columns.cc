#include "orchestrator/kinds/common/pod_columns.h"

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "orchestrator/api/time.h"
#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {
namespace {

struct Summary {
  std::string word;
  int64_t ready = 0;
  int64_t total = 0;
  int64_t restarts = 0;
  absl::Time last_restart = absl::InfinitePast();
};

bool ConditionIsTrue(const json::object& pod, std::string_view type) {
  for (const json::value& condition : ArrayAt(pod, {"status", "conditions"})) {
    if (StringAt(condition, {"type"}) == type) return StringAt(condition, {"status"}) == "True";
  }
  return false;
}

void CountRestarts(const json::value& status, Summary& summary) {
  summary.restarts += IntAt(status, {"restartCount"});
  const std::string_view finished = StringAt(status, {"lastState", "terminated", "finishedAt"});
  if (finished.empty()) return;
  if (const auto time = ParseTime(finished); time.ok()) {
    summary.last_restart = std::max(summary.last_restart, *time);
  }
}

// The reason of an end; without one the signal or the exit code.
std::string EndWord(const json::value& terminated) {
  const std::string_view reason = StringAt(terminated, {"reason"});
  if (!reason.empty()) return std::string(reason);
  const int64_t signal = IntAt(terminated, {"signal"});
  if (signal != 0) return base::StrCat("Signal:", signal);
  return base::StrCat("ExitCode:", IntAt(terminated, {"exitCode"}));
}

Summary Summarize(const json::object& pod) {
  Summary out;
  const json::array& init_containers = ArrayAt(pod, {"spec", "initContainers"});
  std::set<std::string_view> sidecars;  // init containers that run on beside the others
  for (const json::value& container : init_containers) {
    if (StringAt(container, {"restartPolicy"}) == "Always") {
      sidecars.insert(StringAt(container, {"name"}));
    }
  }
  out.total = static_cast<int64_t>(ArrayAt(pod, {"spec", "containers"}).size() + sidecars.size());
  out.word = StringAt(pod, {"status", "phase"});
  if (const std::string_view reason = StringAt(pod, {"status", "reason"}); !reason.empty()) {
    out.word = reason;
  }
  for (const json::value& condition : ArrayAt(pod, {"status", "conditions"})) {
    if (StringAt(condition, {"type"}) == "PodScheduled" &&
        StringAt(condition, {"reason"}) == "SchedulingGated") {
      out.word = "SchedulingGated";
    }
  }

  bool initializing = false;
  size_t index = 0;
  Summary of_sidecars;
  for (const json::value& status : ArrayAt(pod, {"status", "initContainerStatuses"})) {
    CountRestarts(status, out);
    const bool sidecar = sidecars.contains(StringAt(status, {"name"}));
    if (sidecar) CountRestarts(status, of_sidecars);
    const size_t i = index++;
    const json::value* terminated = Find(status, {"state", "terminated"});
    const std::string_view waiting = StringAt(status, {"state", "waiting", "reason"});
    if (terminated != nullptr && IntAt(*terminated, {"exitCode"}) == 0) continue;
    if (sidecar && BoolAt(status, {"started"})) {
      if (BoolAt(status, {"ready"})) ++out.ready;
      continue;
    }
    if (terminated != nullptr) {
      out.word = "Init:" + EndWord(*terminated);
    } else if (!waiting.empty() && waiting != "PodInitializing") {
      out.word = base::StrCat("Init:", waiting);
    } else {
      out.word = base::StrCat("Init:", i, "/", init_containers.size());
    }
    initializing = true;
    break;
  }

  if (!initializing || ConditionIsTrue(pod, "Initialized")) {
    out.restarts = of_sidecars.restarts;
    out.last_restart = of_sidecars.last_restart;
    bool running = false;
    const json::array& statuses = ArrayAt(pod, {"status", "containerStatuses"});
    // From the last to the first: the first that has something to say has the last word.
    for (size_t i = statuses.size(); i-- > 0;) {
      const json::value& status = statuses[i];
      CountRestarts(status, out);
      const std::string_view waiting = StringAt(status, {"state", "waiting", "reason"});
      if (!waiting.empty()) {
        out.word = waiting;
      } else if (const json::value* terminated = Find(status, {"state", "terminated"})) {
        out.word = EndWord(*terminated);
      } else if (BoolAt(status, {"ready"}) && Find(status, {"state", "running"}) != nullptr) {
        running = true;
        ++out.ready;
      }
    }
    if (out.word == "Completed" && running) {
      out.word = ConditionIsTrue(pod, "Ready") ? "Running" : "NotReady";
    }
  }

  if (!StringAt(pod, {"metadata", "deletionTimestamp"}).empty()) {
    const std::string_view phase = StringAt(pod, {"status", "phase"});
    if (StringAt(pod, {"status", "reason"}) == "NodeLost") {
      out.word = "Unknown";
    } else if (phase != "Succeeded" && phase != "Failed") {
      out.word = "Terminating";
    }
  }
  return out;
}

json::value ReadyCell(const json::object& pod, absl::Time) {
  const Summary summary = Summarize(pod);
  return json::value(base::StrCat(summary.ready, "/", summary.total));
}

json::value StatusCell(const json::object& pod, absl::Time) {
  return json::value(Summarize(pod).word);
}

json::value RestartsCell(const json::object& pod, absl::Time now) {
  const Summary summary = Summarize(pod);
  if (summary.restarts == 0 || summary.last_restart == absl::InfinitePast()) {
    return json::value(base::StrCat(summary.restarts));
  }
  return json::value(
      base::StrCat(summary.restarts, " (", HumanDuration(now - summary.last_restart), " ago)"));
}

json::value GatesCell(const json::object& pod, absl::Time) {
  const json::array& gates = ArrayAt(pod, {"spec", "readinessGates"});
  if (gates.empty()) return "<none>";
  size_t open = 0;
  for (const json::value& gate : gates) {
    if (ConditionIsTrue(pod, StringAt(gate, {"conditionType"}))) ++open;
  }
  return json::value(base::StrCat(open, "/", gates.size()));
}

json::value IpCell(const json::object& pod, absl::Time) {
  const json::array& ips = ArrayAt(pod, {"status", "podIPs"});
  std::string_view ip = ips.empty() ? "" : StringAt(ips[0], {"ip"});
  if (ip.empty()) ip = StringAt(pod, {"status", "podIP"});
  return json::value(ip.empty() ? "<none>" : ip);
}

}  // namespace

std::string PodStatusWord(const json::object& pod) { return Summarize(pod).word; }

std::vector<Column> PodColumns() {
  return {CellColumn("Ready", "string", 0, ReadyCell),
          CellColumn("Status", "string", 0, StatusCell),
          CellColumn("Restarts", "string", 0, RestartsCell),
          AgeColumn(),
          CellColumn("IP", "string", 1, IpCell),
          TextColumn("Node", {"spec", "nodeName"}, "<none>", 1),
          TextColumn("Nominated Node", {"status", "nominatedNodeName"}, "<none>", 1),
          CellColumn("Readiness Gates", "string", 1, GatesCell)};
}

}  // namespace keel::orchestrator
