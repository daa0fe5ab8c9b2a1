#include "orchestrator/node/pod_record.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "orchestrator/api/time.h"

namespace keel::orchestrator {
namespace {

using State = ContainerRecord::State;
using Phase = PodRecord::Phase;

absl::Time TimeAt(const json::object& in, JsonPath path) {
  const absl::StatusOr<absl::Time> time = ParseTime(StringAt(in, path));
  return time.ok() ? *time : absl::InfinitePast();
}

json::value TimeOrNull(absl::Time time) {
  return time == absl::InfinitePast() ? json::value(nullptr)
                                      : json::value(orchestrator::FormatTime(time));
}

// As Go prints whole seconds: "40s", "2m40s".
std::string GoSeconds(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds < 60) return base::StrCat(seconds, "s");
  return base::StrCat(seconds / 60, "m", seconds % 60, "s");
}

std::string ContainerId(const PodRecord& pod, size_t index, int32_t attempt) {
  return base::StrCat("hollow://", pod.uid, "-", index, "-", attempt);
}

json::object Terminated(const PodRecord& pod, size_t index, const ContainerRecord& container,
                        int32_t attempt) {
  return {{"exitCode", container.exit_code},
          {"reason", container.exit_code == 0 ? "Completed" : "Error"},
          {"startedAt", TimeOrNull(container.last_started)},
          {"finishedAt", TimeOrNull(container.finished)},
          {"containerID", ContainerId(pod, index, attempt)}};
}

json::object ContainerState(const PodRecord& pod, size_t index, absl::Duration back_off) {
  const ContainerRecord& container = pod.containers[index];
  switch (container.state) {
    case State::kCreating:
      return {{"waiting",
               {{"reason", pod.running_inits < pod.spec->init_containers.size()
                               ? "PodInitializing"
                               : "ContainerCreating"}}}};
    case State::kRunning:
      return {{"running", {{"startedAt", orchestrator::FormatTime(container.started)}}}};
    case State::kTerminated:
      return {{"terminated", Terminated(pod, index, container, container.restarts)}};
    case State::kBackOff:
      break;
  }
  return {{"waiting",
           {{"reason", "CrashLoopBackOff"},
            {"message", base::StrCat("back-off ", GoSeconds(back_off),
                                     " restarting failed container=", pod.spec->at(index).name,
                                     " pod=", pod.key.name, "_", pod.key.ns, "(", pod.uid, ")")}}}};
}

json::object ContainerStatus(const PodRecord& pod, size_t index, absl::Duration back_off) {
  const ContainerSpec& spec = pod.spec->at(index);
  const ContainerRecord& container = pod.containers[index];
  const bool init = index < pod.spec->init_containers.size();
  json::object last;
  const bool ended = container.finished != absl::InfinitePast();
  if (ended && container.state != State::kTerminated && container.restarts > 0) {
    last["terminated"] = Terminated(pod, index, container, container.restarts - 1);
  } else if (ended && container.state == State::kBackOff) {
    last["terminated"] = Terminated(pod, index, container, container.restarts);
  }
  const bool ready = container.ready ||
                     (init && container.state == State::kTerminated && container.exit_code == 0);
  json::object status{
      {"name", spec.name},
      {"state", ContainerState(pod, index, back_off)},
      {"lastState", std::move(last)},
      {"ready", ready},
      {"restartCount", container.restarts},
      {"image", spec.image},
      {"imageID",
       container.state == State::kCreating ? std::string() : base::StrCat("hollow://", spec.image)},
      {"started", container.state == State::kRunning}};
  if (container.state != State::kCreating) {
    status["containerID"] = ContainerId(pod, index, container.restarts);
  }
  return status;
}

json::object Condition(std::string_view type, bool holds, absl::Time changed,
                       std::string_view reason = {}, std::string_view message = {}) {
  json::object condition{{"type", type},
                         {"status", holds ? "True" : "False"},
                         {"lastProbeTime", nullptr},
                         {"lastTransitionTime", TimeOrNull(changed)}};
  // A merge would keep the old ones.
  condition["reason"] = reason.empty() ? json::value(nullptr) : json::value(reason);
  condition["message"] = message.empty() ? json::value(nullptr) : json::value(message);
  return condition;
}

json::array Conditions(const PodRecord& pod) {
  const size_t inits = pod.spec->init_containers.size();
  const bool initialized =
      pod.running_inits >= inits && pod.phase != Phase::kPending ? true : inits == 0;
  const bool ready = pod.Ready();
  const absl::Time changed =
      pod.ready_changed == absl::InfinitePast() ? pod.start : pod.ready_changed;
  std::string reason, message;
  if (!ready) {
    if (pod.phase == Phase::kSucceeded) {
      reason = "PodCompleted";
    } else if (pod.phase == Phase::kFailed) {
      reason = "PodFailed";
    } else {
      reason = "ContainersNotReady";
      message = "containers with unready status: [";
      bool first = true;
      for (size_t i = inits; i < pod.containers.size(); ++i) {
        if (pod.containers[i].ready) continue;
        message += (first ? "" : " ") + pod.spec->at(i).name;
        first = false;
      }
      message += "]";
    }
  }
  json::array conditions;
  conditions.push_back(Condition("PodReadyToStartContainers", !pod.ip.empty() && !pod.terminal(),
                                 pod.terminal() ? changed : pod.start));
  if (initialized) {
    const absl::Time when = pod.initialized == absl::InfinitePast() ? pod.start : pod.initialized;
    conditions.push_back(
        Condition("Initialized", true, when, pod.phase == Phase::kSucceeded ? "PodCompleted" : ""));
  } else {
    std::string waiting = "containers with incomplete status: [";
    for (size_t i = pod.running_inits; i < inits; ++i) {
      waiting += (i > pod.running_inits ? " " : "") + pod.spec->at(i).name;
    }
    conditions.push_back(
        Condition("Initialized", false, pod.start, "ContainersNotInitialized", waiting + "]"));
  }
  conditions.push_back(Condition("Ready", ready, changed, reason, message));
  conditions.push_back(Condition("ContainersReady", ready, changed, reason, message));
  if (!pod.scheduled) conditions.push_back(Condition("PodScheduled", true, pod.start));
  return conditions;
}

}  // namespace

bool PodRecord::Ready() const {
  if (phase != Phase::kRunning || containers.empty()) return false;
  return std::all_of(containers.begin() + static_cast<std::ptrdiff_t>(spec->init_containers.size()),
                     containers.end(), [](const ContainerRecord& c) { return c.ready; });
}

std::string_view PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kPending:
      return "Pending";
    case Phase::kRunning:
      return "Running";
    case Phase::kSucceeded:
      return "Succeeded";
    case Phase::kFailed:
      break;
  }
  return "Failed";
}

json::object StatusPatch(const PodRecord& pod, std::string_view host_ip, absl::Duration back_off) {
  json::object status{{"phase", PhaseName(pod.phase)}};
  if (!pod.reason.empty()) {  // Rejected: it never had containers.
    status["reason"] = pod.reason;
    status["message"] = pod.message;
    status["startTime"] = TimeOrNull(pod.start);
    return {{"metadata", {{"uid", pod.uid}}}, {"status", std::move(status)}};
  }
  status["conditions"] = Conditions(pod);
  status["hostIP"] = host_ip;
  status["hostIPs"] = json::array{json::object{{"ip", host_ip}}};
  status["startTime"] = TimeOrNull(pod.start);
  const std::string_view ip = pod.spec->host_network ? host_ip : std::string_view(pod.ip);
  if (!ip.empty()) {
    status["podIP"] = ip;
    status["podIPs"] = json::array{json::object{{"ip", ip}}};
  }
  json::array inits, containers;
  for (size_t i = 0; i < pod.containers.size(); ++i) {
    (i < pod.spec->init_containers.size() ? inits : containers)
        .push_back(ContainerStatus(pod, i, back_off));
  }
  if (!inits.empty()) status["initContainerStatuses"] = std::move(inits);
  status["containerStatuses"] = std::move(containers);
  return {{"metadata", {{"uid", pod.uid}}}, {"status", std::move(status)}};
}

void AdoptStatus(const json::object& object, PodRecord& pod) {
  const json::object& status = ObjectAt(object, {"status"});
  const std::string_view phase = StringAt(status, {"phase"});
  if (phase == "Running") pod.phase = Phase::kRunning;
  if (phase == "Succeeded") pod.phase = Phase::kSucceeded;
  if (phase == "Failed") pod.phase = Phase::kFailed;
  if (pod.phase == Phase::kPending) return;
  pod.end_written = pod.terminal();
  pod.ip = StringAt(status, {"podIP"});
  pod.start = TimeAt(status, {"startTime"});
  for (const json::value& condition : ArrayAt(status, {"conditions"})) {
    const std::string_view type = StringAt(condition, {"type"});
    if (type != "Ready" && type != "Initialized") continue;
    const absl::Time changed = condition.is_object()
                                   ? TimeAt(condition.get_object(), {"lastTransitionTime"})
                                   : absl::InfinitePast();
    if (type == "Initialized") {
      pod.initialized = changed;
    } else {
      pod.ready_changed = changed;
      pod.written_ready = StringAt(condition, {"status"}) == "True";
    }
  }
  const size_t inits = pod.spec->init_containers.size();
  const auto adopt = [&](const json::value& value, size_t begin, size_t end) {
    if (!value.is_object()) return;
    const json::object& from = value.get_object();
    for (size_t i = begin; i < end; ++i) {
      if (pod.spec->at(i).name != StringAt(from, {"name"})) continue;
      ContainerRecord& container = pod.containers[i];
      container.restarts = static_cast<int32_t>(IntAt(from, {"restartCount"}));
      container.ready = BoolAt(from, {"ready"});
      const auto take_end = [&container](const json::object& ended) {
        if (ended.empty()) return;
        container.exit_code = static_cast<int32_t>(IntAt(ended, {"exitCode"}));
        container.started = container.last_started = TimeAt(ended, {"startedAt"});
        container.finished = TimeAt(ended, {"finishedAt"});
      };
      take_end(ObjectAt(from, {"lastState", "terminated"}));
      take_end(ObjectAt(from, {"state", "terminated"}));
      if (Find(from, {"state", "running"}) != nullptr) {
        container.state = State::kRunning;
        container.started = TimeAt(from, {"state", "running", "startedAt"});
      } else if (Find(from, {"state", "terminated"}) != nullptr) {
        container.state = State::kTerminated;
      } else if (StringAt(from, {"state", "waiting", "reason"}) == "CrashLoopBackOff") {
        container.state = State::kBackOff;
      }
      if (i < inits) {
        const bool done = container.state == State::kTerminated && container.exit_code == 0;
        const bool runs = pod.spec->at(i).sidecar && container.state == State::kRunning;
        if (done || runs) pod.running_inits = static_cast<uint8_t>(i + 1);
      }
    }
  };
  for (const json::value& c : ArrayAt(status, {"initContainerStatuses"})) adopt(c, 0, inits);
  for (const json::value& c : ArrayAt(status, {"containerStatuses"})) {
    adopt(c, inits, pod.spec->size());
  }
}

}  // namespace keel::orchestrator
