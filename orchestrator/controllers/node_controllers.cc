#include "orchestrator/controllers/node_controllers.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/pod_gc.h"

namespace keel::orchestrator {
namespace {

constexpr base::Duration kNodeMonitorPeriod = std::chrono::seconds(5);
constexpr base::Duration kPodGcPeriod = std::chrono::seconds(20);
// A node that has just vanished may be one that registers again.
constexpr base::Duration kQuarantine = std::chrono::seconds(40);
constexpr std::string_view kNodeComponent = "node-controller";
const Resource kNodes{"", "v1", "nodes"};
const Resource kLeases{"coordination.k8s.io", "v1", "leases"};

NodeLifecycleOptions OptionsOf(const ControllerContext& context) {
  NodeLifecycleOptions options;
  const auto duration = [&](std::string_view flag, absl::Duration& into) {
    const std::string text = context.flag(flag);
    if (!text.empty()) absl::ParseDuration(text, &into);
  };
  duration("node-monitor-grace-period", options.grace);
  if (const std::string rate = context.flag("node-eviction-rate"); !rate.empty()) {
    options.eviction_rate = std::strtod(rate.c_str(), nullptr);
  }
  return options;
}

// What it answers matters to nobody: the next turn sees what came of it.
void Forgotten(absl::StatusOr<json::value>) {}

json::object Condition(std::string_view type, std::string_view status, std::string_view reason,
                       std::string_view message, absl::Time now) {
  return {{"type", type},
          {"status", status},
          {"reason", reason},
          {"message", message},
          {"lastTransitionTime", TimeText(now)}};
}

json::value ForcedDeletion(std::string_view uid) {
  return json::object{{"apiVersion", "v1"},
                      {"kind", "DeleteOptions"},
                      {"gracePeriodSeconds", 0},
                      {"preconditions", {{"uid", uid}}}};
}

ObjectReference NodeReference(std::string_view name) {
  // Kubernetes refers to a node by its name where others have their uid.
  return {"v1", "Node", "", std::string(name), std::string(name)};
}
ObjectReference PodReference(const PodInfo& pod) {
  return {"v1", "Pod", std::string(pod.ns), std::string(pod.name), std::string(pod.uid)};
}

absl::Status WithoutNotFound(const absl::StatusOr<json::value>& answer) {
  return answer.ok() || IsReason(answer.status(), "NotFound") ? absl::OkStatus() : answer.status();
}

}  // namespace

// ---- Node lifecycle

NodeLifecycleController::Lease NodeLifecycleController::Lease::Parse(const json::object& lease) {
  return {TimeOf(StringAt(lease, {"spec", "renewTime"}))};
}

NodeLifecycleController::NodeLifecycleController(ControllerContext& context)
    : context_(context),
      nodes_(context),
      leases_(context.client, kLeases, {.ns = "kube-node-lease"}),
      lifecycle_(OptionsOf(context)) {
  nodes_.OnChange([this](const NodeInfo* before, const NodeInfo* now) { OnNode(before, now); });
  leases_.OnChange([this](const ObjectKey& key, const Lease*, const Lease* now) {
    if (now != nullptr) lifecycle_.SawLease(key.name, now->renewed, context_.now());
  });
}

void NodeLifecycleController::Start() {
  leases_.Start([this] { nodes_.Start([this] { Tick(); }); });
}

void NodeLifecycleController::OnNode(const NodeInfo* before, const NodeInfo* now) {
  if (now == nullptr) {
    lifecycle_.Forget(before->name);
    context_.events.RecordAs(kNodeComponent, NodeReference(before->name), EventType::kNormal,
                             "RemovingNode",
                             base::StrCat("Node ", before->name, " event: Removing Node ",
                                          before->name, " from Controller"));
    return;
  }
  lifecycle_.SawNode(*now, context_.now());
  if (!nodes_.synced()) return;
  if (before == nullptr) {
    context_.events.RecordAs(
        kNodeComponent, NodeReference(now->name), EventType::kNormal, "RegisteredNode",
        base::StrCat("Node ", now->name, " event: Registered Node ", now->name, " in Controller"));
  } else if (before->ready == "True" && now->ready != "True") {
    MarkPodsNotReady(std::string(now->name));
    context_.events.RecordAs(kNodeComponent, NodeReference(now->name), EventType::kNormal,
                             "NodeNotReady",
                             base::StrCat("Node ", now->name, " status is now: NodeNotReady"));
  }
  // What only keeps new pods away does not wait for the next tick.
  std::vector<Taint> taints = WithNoScheduleTaints(*now, context_.now());
  if (now->ready == "True") {
    std::erase_if(taints, [](const Taint& taint) {
      return taint.effect == "NoExecute" &&
             (taint.key == kTaintNotReady || taint.key == kTaintUnreachable);
    });
  }
  if (taints != now->taints) SetTaints(*now, taints);
}

void NodeLifecycleController::Tick() {
  for (const NodeLifecycle::Action& action : lifecycle_.Tick(nodes_.All(), context_.now())) {
    const NodeInfo* node = nodes_.Find(action.node);
    if (node == nullptr) continue;
    if (action.mark_unknown) MarkUnknown(*node, action.never_posted);
    if (action.set_taints) SetTaints(*node, action.taints);
  }
  context_.loop.After(kNodeMonitorPeriod, [this] { Tick(); });
}

void NodeLifecycleController::MarkUnknown(const NodeInfo& node, bool never_posted) {
  json::array conditions;
  for (const char* type : {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}) {
    conditions.push_back(Condition(
        type, "Unknown", never_posted ? "NodeStatusNeverUpdated" : "NodeStatusUnknown",
        never_posted ? "Kubelet never posted node status." : "Kubelet stopped posting node status.",
        context_.now()));
  }
  context_.client.Patch(kNodes, "", node.name, kStrategicPatch,
                        json::object{{"status", {{"conditions", std::move(conditions)}}}},
                        Forgotten, "status");
}

void NodeLifecycleController::MarkPodsNotReady(const std::string& node) {
  for (const ObjectKey& key : context_.pods.OnNode(node)) {
    const PodInfo* pod = context_.pods.Find(key);
    if (pod == nullptr || !pod->ready) continue;
    json::array conditions{json::object{
        {"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", TimeText(context_.now())}}};
    context_.client.Patch(kPods, key.ns, key.name, kStrategicPatch,
                          json::object{{"metadata", {{"uid", std::string_view(pod->uid)}}},
                                       {"status", {{"conditions", std::move(conditions)}}}},
                          Forgotten, "status");
    context_.events.RecordAs(kNodeComponent, PodReference(*pod), EventType::kWarning,
                             "NodeNotReady", "Node is not ready");
  }
}

void NodeLifecycleController::SetTaints(const NodeInfo& node, const std::vector<Taint>& taints) {
  json::array list;
  for (const Taint& taint : taints) {
    json::object each{{"key", taint.key}};
    if (!taint.value.empty()) each["value"] = taint.value;
    each["effect"] = taint.effect;
    if (taint.added != absl::InfinitePast()) each["timeAdded"] = TimeText(taint.added);
    list.push_back(std::move(each));
  }
  // Others taint nodes too: the list is replaced only as it was read.
  json::object patch{{"metadata", {{"resourceVersion", base::StrCat(node.resource_version)}}}};
  *Ensure(patch, {"spec", "taints"}) =
      list.empty() ? json::value(nullptr) : json::value(std::move(list));
  context_.client.Patch(kNodes, "", node.name, kMergePatch, patch, Forgotten);
}

// ---- Taint eviction

TaintEvictionController::TaintEvictionController(ControllerContext& context)
    : context_(context),
      nodes_(context),
      queue_(context.loop, {.workers = 32},
             [this](const ObjectKey& key, WorkQueue<ObjectKey>::Done done) {
               Sync(key, std::move(done));
             }) {
  const auto evicts = [](const NodeInfo& node) {
    return std::any_of(node.taints.begin(), node.taints.end(),
                       [](const Taint& taint) { return taint.effect == "NoExecute"; });
  };
  nodes_.OnChange([this, evicts](const NodeInfo* before, const NodeInfo* now) {
    if (now == nullptr || !evicts(*now) || (before != nullptr && before->taints == now->taints)) {
      return;
    }
    for (const ObjectKey& key : context_.pods.OnNode(now->name)) queue_.Add(key);
  });
  context.pods.OnChange(
      [this, evicts](const ObjectKey& key, const PodInfo* before, const PodInfo* now) {
        if (now == nullptr || now->node.empty()) return;
        if (before != nullptr && before->node == now->node && before->uid == now->uid &&
            before->tolerations == now->tolerations) {
          return;
        }
        const NodeInfo* node = nodes_.Find(now->node);
        if (node != nullptr && evicts(*node)) queue_.Add(key);
      });
}

void TaintEvictionController::Start() {
  nodes_.Start([this] { queue_.Resume(); });
}

void TaintEvictionController::Sync(const ObjectKey& key, WorkQueue<ObjectKey>::Done done) {
  const PodInfo* pod = context_.pods.Find(key);
  const NodeInfo* node =
      pod == nullptr || pod->deleting || pod->node.empty() ? nullptr : nodes_.Find(pod->node);
  if (node == nullptr) return done(absl::OkStatus());
  const absl::Time now = context_.now();
  const absl::Time due = EvictionTime(pod->tolerations, node->taints, now);
  if (due == absl::InfiniteFuture()) return done(absl::OkStatus());
  if (due > now) {
    queue_.AddAfter(key, absl::ToChronoNanoseconds(due - now));
    return done(absl::OkStatus());
  }
  context_.events.RecordAs("taint-eviction-controller", PodReference(*pod), EventType::kNormal,
                           "TaintManagerEviction",
                           base::StrCat("Marking for deletion Pod ", pod->ns, "/", pod->name));
  const std::string uid(pod->uid);
  json::array conditions{Condition("DisruptionTarget", "True", "DeletionByTaintManager",
                                   "Taint manager: deleting due to NoExecute taint", now)};
  context_.client.Patch(
      kPods, key.ns, key.name, kStrategicPatch,
      json::object{{"metadata", {{"uid", uid}}},
                   {"status", {{"conditions", std::move(conditions)}}}},
      [this, key, uid, done = std::move(done)](absl::StatusOr<json::value> marked) mutable {
        if (!marked.ok()) return done(WithoutNotFound(marked));
        context_.client.Delete(
            kPods, key.ns, key.name, DeleteRequest(kPodRef, key.ns, key.name, uid).body,
            [done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
              done(WithoutNotFound(answer));
            });
      },
      "status");
}

// ---- Pod garbage

PodGcController::PodGcController(ControllerContext& context)
    : context_(context),
      nodes_(context),
      queue_(context.loop, {.workers = 16},
             [this](const ObjectKey& key, WorkQueue<ObjectKey>::Done done) {
               Collect(key, std::move(done));
             }) {}

void PodGcController::Start() {
  nodes_.Start([this] {
    queue_.Resume();
    Tick();
  });
}

void PodGcController::Tick() {
  context_.loop.After(kPodGcPeriod, [this] { Tick(); });
  const base::TimePoint now = context_.loop.Now();
  absl::flat_hash_map<std::string, base::TimePoint> missing;
  const auto has_node = [&](std::string_view name) {
    if (nodes_.Find(name) != nullptr) return true;
    const auto before = missing_.find(std::string(name));
    const base::TimePoint since = before == missing_.end() ? now : before->second;
    missing[std::string(name)] = since;
    return now - since < kQuarantine;
  };
  int64_t threshold = 12500;
  if (const std::string text = context_.flag("terminated-pod-gc-threshold"); !text.empty()) {
    threshold = std::strtoll(text.c_str(), nullptr, 10);
  }
  std::vector<const PodInfo*> pods;
  pods.reserve(context_.pods.size());
  for (const auto& [key, pod] : context_.pods.objects()) pods.push_back(pod.get());
  for (const PodGarbage& each : FindPodGarbage(pods, has_node, threshold)) {
    const ObjectKey key{std::string(each.pod->ns), std::string(each.pod->name)};
    of_gone_nodes_[key] = each.why == PodGarbage::Why::kNodeGone;
    queue_.Add(key);
  }
  missing_ = std::move(missing);
}

void PodGcController::Collect(const ObjectKey& key, WorkQueue<ObjectKey>::Done done) {
  const PodInfo* pod = context_.pods.Find(key);
  const bool node_gone = std::exchange(of_gone_nodes_[key], false);
  of_gone_nodes_.erase(key);
  if (pod == nullptr) return done(absl::OkStatus());
  const std::string uid(pod->uid);
  auto remove = [this, key, uid, done = std::move(done)](absl::Status status) mutable {
    if (!status.ok()) return done(status);
    context_.client.Delete(kPods, key.ns, key.name, ForcedDeletion(uid),
                           [done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
                             done(WithoutNotFound(answer));
                           });
  };
  if (pod->terminal()) return std::move(remove)(absl::OkStatus());
  // It has not ended as a pod does; whoever counts must be told how it did.
  json::object status{{"phase", "Failed"}};
  if (node_gone) {
    status["conditions"] = json::array{Condition("DisruptionTarget", "True", "DeletionByPodGC",
                                                 "PodGC: node no longer exists", context_.now())};
  }
  context_.client.Patch(
      kPods, key.ns, key.name, kStrategicPatch,
      json::object{{"metadata", {{"uid", uid}}}, {"status", std::move(status)}},
      [remove = std::move(remove)](absl::StatusOr<json::value> answer) mutable {
        remove(WithoutNotFound(answer));
      },
      "status");
}

}  // namespace keel::orchestrator
