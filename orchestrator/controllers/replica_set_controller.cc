#include "orchestrator/controllers/replica_set_controller.h"

#include "base/strings.h"

namespace keel::orchestrator {

ReplicaSetController::ReplicaSetController(ControllerContext& context, const ReplicasKind& kind,
                                           std::string component, std::string_view flag)
    : context_(context),
      kind_(kind),
      sets_(context.shared.Get(ResourceOf(kind.resource))),
      runner_(context, ResourceOf(kind.resource), std::string(kind.kind), std::move(component),
              &expectations_),
      queue_(context.loop, {.workers = context.concurrency(flag, 5)},
             [this](const ObjectKey& key, Queue::Done done) { Sync(key, std::move(done)); }) {
  sets_.OnChange([this](const ObjectKey& key, const RawObject* before, const RawObject* now) {
    if (now == nullptr || (before != nullptr && UidOf(before->object) != UidOf(now->object))) {
      expectations_.Forget(key);
      failures_.erase(key);
    }
    queue_.Add(key);
  });
  context_.pods.OnChange([this](const ObjectKey& key, const PodInfo* before, const PodInfo* now) {
    OnPod(key, before, now);
  });
}

void ReplicaSetController::Start() { queue_.Resume(); }

const json::object* ReplicaSetController::OwnerOf(const PodInfo& pod, ObjectKey& key) const {
  if (pod.owner.uid.empty() || pod.owner.kind != kind_.kind) return nullptr;
  key = {std::string(pod.ns), std::string(pod.owner.name)};
  const RawObject* set = sets_.Find(key);
  if (set == nullptr || UidOf(set->object) != std::string_view(pod.owner.uid)) return nullptr;
  return &set->object;
}

void ReplicaSetController::OnPod(const ObjectKey& pod_key, const PodInfo* before,
                                 const PodInfo* now) {
  ObjectKey key;
  if (before != nullptr && OwnerOf(*before, key) != nullptr) {
    const bool gone = now == nullptr || now->uid != before->uid || now->deleting;
    if (gone) expectations_.Deleted(key, pod_key.name);
    queue_.Add(key);
  }
  if (now == nullptr) return;
  if (OwnerOf(*now, key) != nullptr) {
    const bool is_new = before == nullptr || now->uid != before->uid;
    if (is_new) expectations_.Created(key);
    if (is_new && now->deleting) expectations_.Deleted(key, pod_key.name);
    queue_.Add(key);
  } else if (now->owner.uid.empty() && sets_.synced() &&
             (before == nullptr || !before->owner.uid.empty() || before->labels != now->labels)) {
    AddSelecting(*now);
  }
}

void ReplicaSetController::AddSelecting(const PodInfo& pod) {
  for (const auto& [key, set] : sets_.objects()) {
    if (key.ns == pod.ns && Selects(SelectorOf(set->object, kind_), pod)) queue_.Add(key);
  }
}

void ReplicaSetController::Sync(const ObjectKey& key, Queue::Done done) {
  const RawObject* found = sets_.Find(key);
  if (found == nullptr) return done(absl::OkStatus());
  const json::object& set = found->object;
  ReplicasState state{.set = set,
                      .kind = kind_,
                      .may_manage = expectations_.Satisfied(key, context_.loop.Now()),
                      .now = context_.now()};
  for (const ObjectKey& pod : context_.pods.OwnedBy(UidOf(set))) {
    if (const PodInfo* info = context_.pods.Find(pod)) state.pods.push_back(info);
  }
  for (const ObjectKey& pod : context_.pods.Orphans(key.ns)) {
    if (const PodInfo* info = context_.pods.Find(pod)) state.pods.push_back(info);
  }
  if (auto failure = failures_.find(key); failure != failures_.end()) {
    state.failure_reason = failure->second.first;
    state.failure_message = failure->second.second;
  }
  Plan plan = ReconcileReplicas(state);
  if (plan.again < absl::InfiniteDuration()) {
    queue_.AddAfter(key, absl::ToChronoNanoseconds(plan.again));
  }
  if (plan.requests.empty() && !plan.status.has_value()) {
    // Nothing is left to be done: what failed has been made up for.
    if (state.may_manage && failures_.erase(key) > 0) queue_.Add(key);
    return done(absl::OkStatus());
  }
  const bool creates =
      !plan.requests.empty() && plan.requests.back().verb == Request::Verb::kCreate;
  const bool managed = !plan.requests.empty();
  runner_.Run(set, std::move(plan),
              [this, key, creates, managed, done = std::move(done)](absl::Status status) mutable {
                if (!status.ok()) {
                  failures_[key] = {creates ? "FailedCreate" : "FailedDelete",
                                    std::string(base::ToStd(status.message()))};
                } else if (managed && failures_.erase(key) > 0) {
                  queue_.Add(key);
                }
                done(std::move(status));
              });
}

}  // namespace keel::orchestrator
