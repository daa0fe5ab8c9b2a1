// What the scheduler writes: bindings, conditions and events of pods, and evictions.
#include <chrono>

#include "base/log.h"
#include "base/strings.h"
#include "orchestrator/scheduler/scheduler.h"

namespace keel::orchestrator::sched {
namespace {

const Resource& Pods() {
  static const Resource& pods = *new Resource{"", "v1", "pods"};
  return pods;
}

std::string Quoted(std::string_view text) {
  return json::serialize(json::string_view(text.data(), text.size()));
}

ObjectReference RefOfPod(const PodInfo& pod) {
  return {.api_version = "v1", .kind = "Pod", .ns = pod.ns, .name = pod.name, .uid = pod.uid};
}

}  // namespace

void Scheduler::Bind(const SchedulingQueue::Entry& entry, const std::string& node) {
  const PodInfo& pod = *entry.pod;
  const std::string key = pod.Key();
  ++binds_;
  assumed_[key] = {.pod = entry.pod,
                   .node = node,
                   .added = entry.added,
                   .sent = loop_.Now(),
                   .attempts = entry.attempts};
  // Names and uids hold nothing that JSON would escape.
  client_.CallBytes(
      "POST", Pods().Path(pod.ns, pod.name, "binding"), "application/json",
      base::StrCat(R"({"apiVersion":"v1","kind":"Binding","metadata":{"name":")", pod.name,
                   R"(","namespace":")", pod.ns, R"(","uid":")", pod.uid,
                   R"("},"target":{"apiVersion":"v1","kind":"Node","name":")", node, R"("}})"),
      [this, alive = std::weak_ptr(alive_), key, uid = pod.uid, pod_kept = entry.pod,
       node](absl::StatusOr<std::string> answer) {
        if (alive.expired()) return;
        if (answer.ok()) {
          events_.Record(RefOfPod(*pod_kept), EventType::kNormal, "Scheduled",
                         base::StrCat("Successfully assigned ", key, " to ", node));
        }
        BindEnded(key, uid, answer.status());
      });
}

void Scheduler::CountBound(const Binding& binding) {
  const auto since = [&](base::TimePoint then) {
    return std::chrono::duration<double>(loop_.Now() - then).count();
  };
  metrics_.Bound(binding.attempts, since(binding.added), since(binding.sent));
}

void Scheduler::BindEnded(const std::string& key, const std::string& uid,
                          const absl::Status& status) {
  --binds_;
  auto found = assumed_.find(key);
  const bool waiting = found != assumed_.end() && found->second.pod->uid == uid;
  if (status.ok()) {
    if (waiting) {
      CountBound(found->second);
      found->second.answered = true;
      queue_.Done(key);
    }
    return Wake();
  }
  metrics_.BindFailed();
  if (!waiting) return Wake();  // The watch has told what became of it.
  const Binding binding = std::move(found->second);
  assumed_.erase(found);
  base::Log().warn("bind failed pod={} node={} error={}", key, binding.node,
                   base::ToStd(status.message()));
  const NodeInfo* node = cluster_.FindNode(binding.node);
  cluster_.Remove(key);
  if (IsReason(status, "NotFound")) {
    queue_.Remove(key);
  } else {
    if (SchedulingQueue::Entry* entry = queue_.Find(key)) {
      events_.Record(
          RefOfPod(*entry->pod), EventType::kWarning, "FailedScheduling",
          base::StrCat("running Bind plugin \"DefaultBinder\": ", base::ToStd(status.message())));
    }
    queue_.Retry(key, loop_.Now());
  }
  if (node != nullptr) MayFitOn(node->index);
  Wake();
}

void Scheduler::PatchStatus(const PodInfo& pod, std::string_view body) {
  client_.CallBytes("PATCH", Pods().Path(pod.ns, pod.name, "status"), kStrategicPatch,
                    std::string(body), [key = pod.Key()](absl::StatusOr<std::string> answer) {
                      if (answer.ok() || IsReason(answer.status(), "NotFound")) return;
                      base::Log().warn("status of pod {} is not written: {}", key,
                                       base::ToStd(answer.status().message()));
                    });
}

void Scheduler::Report(SchedulingQueue::Entry& entry, const FitError& error,
                       const std::string& nominated) {
  const PodInfo& pod = *entry.pod;
  const std::string message = error.Message();
  const bool same = entry.told == message;
  // Again only now and then: each attempt would be a write.
  const bool seldom = (entry.attempts & (entry.attempts - 1)) == 0;
  if (!same || seldom) {
    events_.Record(RefOfPod(pod), EventType::kWarning, "FailedScheduling", message);
  }
  if (same && nominated == pod.nominated) return;
  entry.told = message;
  const std::string now =
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", options_.now(), absl::UTCTimeZone());
  // A condition that was False before keeps its time of transition.
  const std::string transition =
      pod.scheduled_false ? "" : base::StrCat(R"(,"lastTransitionTime":")", now, "\"");
  PatchStatus(pod,
              base::StrCat(R"({"metadata":{"uid":")", pod.uid,
                           R"("},"status":{"conditions":[{"type":"PodScheduled","status":"False",)",
                           R"("reason":"Unschedulable","message":)", Quoted(message),
                           R"(,"lastProbeTime":null)", transition, "}]",
                           nominated == pod.nominated
                               ? ""
                               : base::StrCat(R"(,"nominatedNodeName":)",
                                              nominated.empty() ? "null" : Quoted(nominated)),
                           "}}"));
}

void Scheduler::Evict(const PodPtr& pod, const Victims& victims) {
  const std::string& node = cluster_.node(victims.node).name;
  const std::string now =
      absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", options_.now(), absl::UTCTimeZone());
  for (const PodPtr& victim : victims.pods) {
    if (victim->terminating) continue;
    base::Log().info("preempts pod={} node={} for={}", victim->Key(), node, pod->Key());
    PatchStatus(
        *victim,
        base::StrCat(
            R"({"status":{"conditions":[{"type":"DisruptionTarget","status":"True",)",
            R"("reason":"PreemptionByScheduler","message":"default-scheduler: preempting )",
            R"(to accommodate a higher priority pod","lastTransitionTime":")", now, R"("}]}})"));
    json::object options{{"apiVersion", "v1"},
                         {"kind", "DeleteOptions"},
                         {"preconditions", json::object{{"uid", victim->uid}}}};
    client_.Delete(Pods(), victim->ns, victim->name, json::value(std::move(options)),
                   [key = victim->Key()](absl::StatusOr<json::value> answer) {
                     if (answer.ok() || IsReason(answer.status(), "NotFound")) return;
                     base::Log().warn("pod {} is not preempted: {}", key,
                                      base::ToStd(answer.status().message()));
                   });
    events_.Record(RefOfPod(*victim), EventType::kNormal, "Preempted",
                   base::StrCat("Preempted by pod ", pod->uid, " on node ", node));
  }
}

}  // namespace keel::orchestrator::sched
