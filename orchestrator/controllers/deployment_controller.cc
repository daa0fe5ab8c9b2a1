#include "orchestrator/controllers/deployment_controller.h"

#include "base/log.h"
#include "base/strings.h"
#include "orchestrator/controllers/deployment_sets.h"

namespace keel::orchestrator {
namespace {

std::string IndexOf(const json::object& set) {
  std::string uid = ControllerInfoOf(set).uid;
  return uid.empty() ? base::StrCat("ns/", NamespaceOf(set)) : uid;
}

}  // namespace

DeploymentController::DeploymentController(ControllerContext& context)
    : context_(context),
      deployments_(context.shared.Get(ResourceOf(kDeploymentRef))),
      sets_(context.shared.Get(ResourceOf(kReplicaSetRef))),
      runner_(context, ResourceOf(kDeploymentRef), "Deployment", "deployment-controller"),
      queue_(context.loop, {.workers = context.concurrency("deployment", 5)},
             [this](const ObjectKey& key, Queue::Done done) { Sync(key, std::move(done)); }) {
  deployments_.OnChange(
      [this](const ObjectKey& key, const RawObject*, const RawObject*) { queue_.Add(key); });
  sets_.OnChange([this](const ObjectKey& key, const RawObject* before, const RawObject* now) {
    const std::string from = before == nullptr ? "" : IndexOf(before->object);
    const std::string to = now == nullptr ? "" : IndexOf(now->object);
    if (from != to) {
      if (auto found = by_owner_.find(from); found != by_owner_.end()) {
        found->second.erase(key);
        if (found->second.empty()) by_owner_.erase(found);
      }
      if (!to.empty()) by_owner_[to].insert(key);
    }
    OnSet(before, now);
  });
  context_.pods.OnChange([this](const ObjectKey&, const PodInfo* before, const PodInfo* now) {
    // Recreate waits for the last pod of the old set.
    if (before != nullptr && (now == nullptr || (now->terminal() && !before->terminal()))) {
      OnPodGone(*before);
    }
  });
}

void DeploymentController::Start() { queue_.Resume(); }

void DeploymentController::OnSet(const RawObject* before, const RawObject* now) {
  for (const RawObject* set : {before, now}) {
    if (set == nullptr) continue;
    const OwnerInfo owner = ControllerInfoOf(set->object);
    if (owner.kind == "Deployment") {
      queue_.Add({std::string(NamespaceOf(set->object)), std::string(owner.name)});
    } else if (owner.uid.empty() && set == now) {
      for (const auto& [key, deployment] : deployments_.objects()) {
        if (key.ns != NamespaceOf(set->object)) continue;
        const auto selector =
            LabelSelector::FromObject(Find(deployment->object, {"spec", "selector"}));
        if (selector.ok() && selector->Matches(ObjectAt(set->object, {"metadata", "labels"}))) {
          queue_.Add(key);
        }
      }
    }
  }
}

void DeploymentController::OnPodGone(const PodInfo& pod) {
  if (pod.owner.kind != "ReplicaSet") return;
  const RawObject* set = sets_.Find({std::string(pod.ns), std::string(pod.owner.name)});
  if (set == nullptr) return;
  const OwnerInfo owner = ControllerInfoOf(set->object);
  if (owner.kind != "Deployment") return;
  const ObjectKey key{std::string(pod.ns), std::string(owner.name)};
  const RawObject* deployment = deployments_.Find(key);
  if (deployment != nullptr &&
      StringAt(deployment->object, {"spec", "strategy", "type"}) == "Recreate") {
    queue_.Add(key);
  }
}

void DeploymentController::Sync(const ObjectKey& key, Queue::Done done) {
  const RawObject* found = deployments_.Find(key);
  if (found == nullptr) return done(absl::OkStatus());
  const json::object& deployment = found->object;
  DeploymentState state{.deployment = deployment, .now = context_.now()};
  for (const std::string& index : {std::string(UidOf(deployment)), base::StrCat("ns/", key.ns)}) {
    auto names = by_owner_.find(index);
    if (names == by_owner_.end()) continue;
    for (const ObjectKey& name : names->second) {
      if (const RawObject* set = sets_.Find(name)) state.sets.push_back(&set->object);
    }
  }
  if (StringAt(deployment, {"spec", "strategy", "type"}) == "Recreate") {
    for (const json::object* set : state.sets) {
      int64_t running = 0;
      for (const ObjectKey& pod : context_.pods.OwnedBy(UidOf(*set))) {
        const PodInfo* info = context_.pods.Find(pod);
        running += info != nullptr && !info->terminal();
      }
      state.running_pods[std::string(UidOf(*set))] = running;
    }
  }
  DeploymentPlan plan = ReconcileDeployment(state);
  if (plan.plan.again < absl::InfiniteDuration()) {
    queue_.AddAfter(key, absl::ToChronoNanoseconds(plan.plan.again));
  }
  if (plan.plan.requests.empty() && !plan.plan.status.has_value()) return done(absl::OkStatus());
  runner_.Run(deployment, std::move(plan.plan),
              [this, key, creates = std::move(plan.creates),
               done = std::move(done)](absl::Status status) mutable {
                if (!creates.empty() && IsReason(status, "AlreadyExists")) {
                  return Collided(key, creates, std::move(done));
                }
                done(std::move(status));
              });
}

void DeploymentController::Collided(const ObjectKey& key, const std::string& name,
                                    Queue::Done done) {
  context_.client.Get(
      ResourceOf(kReplicaSetRef), key.ns, name,
      [this, key, done = std::move(done)](absl::StatusOr<json::value> set) mutable {
        const RawObject* found = deployments_.Find(key);
        if (!set.ok() || !set->is_object() || found == nullptr) return done(set.status());
        const json::object& deployment = found->object;
        if (ControllerInfoOf(set->get_object()).uid == UidOf(deployment) &&
            IsSameTemplate(deployment, set->get_object())) {
          // Made by us; the cache will show it.
          return done(absl::OkStatus());
        }
        const int64_t count = IntAt(deployment, {"status", "collisionCount"}) + 1;
        base::Log().info("deployment {}: the name of its replica set is taken, collisionCount={}",
                         key.ToString(), count);
        const json::value patch = {
            {"metadata",
             {{"resourceVersion", StringAt(deployment, {"metadata", "resourceVersion"})}}},
            {"status", {{"collisionCount", count}}}};
        context_.client.Patch(
            ResourceOf(kDeploymentRef), key.ns, key.name, kMergePatch, patch,
            [done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
              done(answer.status());
            },
            "status");
      });
}

}  // namespace keel::orchestrator
