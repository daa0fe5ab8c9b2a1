#include "orchestrator/controllers/workload_controller.h"

#include <utility>

namespace keel::orchestrator {

OwnedIndex::OwnedIndex(ControllerContext& context, const ResourceRef& resource)
    : informer_(context.shared.Get(ResourceOf(resource))) {
  informer_.OnChange([this](const ObjectKey& key, const RawObject* before, const RawObject* now) {
    if (before != nullptr) {
      const auto found = by_owner_.find(ControllerInfoOf(before->object).uid);
      if (found != by_owner_.end()) {
        found->second.erase(key);
        if (found->second.empty()) by_owner_.erase(found);
      }
    }
    if (now == nullptr) return;
    OwnerInfo owner = ControllerInfoOf(now->object);
    if (!owner.uid.empty()) by_owner_[std::string(owner.uid)].insert(key);
  });
}

std::vector<const json::object*> OwnedIndex::Of(std::string_view uid) const {
  std::vector<const json::object*> objects;
  const auto found = by_owner_.find(std::string(uid));
  if (found == by_owner_.end()) return objects;
  for (const ObjectKey& key : found->second) {
    if (const RawObject* object = informer_.Find(key)) objects.push_back(&object->object);
  }
  return objects;
}

WorkloadController::WorkloadController(ControllerContext& context, const Options& options)
    : context_(context),
      objects_(context.shared.Get(ResourceOf(options.resource))),
      options_(options),
      runner_(context, ResourceOf(options.resource), std::string(options.kind),
              std::string(options.component), options.owns_pods ? &expectations_ : nullptr),
      queue_(context.loop, {.workers = context.concurrency(options.flag, options.workers)},
             [this](const ObjectKey& key, KeyQueue::Done done) { Sync(key, std::move(done)); }) {
  objects_.OnChange([this](const ObjectKey& key, const RawObject* before, const RawObject* now) {
    if (now == nullptr || (before != nullptr && UidOf(before->object) != UidOf(now->object))) {
      expectations_.Forget(key);
    }
    queue_.Add(key);
  });
  if (options.owns_pods) {
    context_.pods.OnChange([this](const ObjectKey& key, const PodInfo* before, const PodInfo* now) {
      OnPod(key, before, now);
    });
  }
}

void WorkloadController::Start() { queue_.Resume(); }

void WorkloadController::QueueAll() {
  for (const auto& [key, object] : objects_.objects()) QueueSoon(key);
}

void WorkloadController::QueueSoon(const ObjectKey& key) {
  if (options_.gather == base::Duration::zero()) return queue_.Add(key);
  if (gathering_.insert(key).second) queue_.AddAfter(key, options_.gather);
}

void WorkloadController::Follow(OwnedIndex& owned) {
  owned.informer().OnChange(
      [this](const ObjectKey& key, const RawObject* before, const RawObject* now) {
        for (const RawObject* object : {before, now}) {
          if (object == nullptr) continue;
          const OwnerInfo owner = ControllerInfoOf(object->object);
          if (owner.kind == options_.kind) QueueSoon({key.ns, std::string(owner.name)});
        }
      });
}

const json::object* WorkloadController::Owner(const OwnerInfo& owner, std::string_view ns,
                                              ObjectKey& key) const {
  if (owner.uid.empty() || owner.kind != options_.kind) return nullptr;
  key = {std::string(ns), std::string(owner.name)};
  const RawObject* object = objects_.Find(key);
  if (object == nullptr || UidOf(object->object) != std::string_view(owner.uid)) return nullptr;
  return &object->object;
}

std::vector<const PodInfo*> WorkloadController::PodsOf(const json::object& object) const {
  std::vector<const PodInfo*> pods;
  for (const ObjectKey& key : context_.pods.OwnedBy(UidOf(object))) {
    const PodInfo* pod = context_.pods.Find(key);
    if (pod != nullptr && pod->owner.uid == UidOf(object)) pods.push_back(pod);
  }
  return pods;
}

void WorkloadController::OnPod(const ObjectKey& pod_key, const PodInfo* before,
                               const PodInfo* now) {
  ObjectKey key;
  if (before != nullptr && Owner(before->owner, before->ns, key) != nullptr) {
    if (now == nullptr || now->uid != before->uid || now->deleting) {
      expectations_.Deleted(key, pod_key.name);
    }
    QueueSoon(key);
  }
  if (now != nullptr && Owner(now->owner, now->ns, key) != nullptr) {
    if (before == nullptr || before->uid != now->uid) {
      expectations_.Created(key);
      if (now->deleting) expectations_.Deleted(key, pod_key.name);
    }
    QueueSoon(key);
  } else if (now != nullptr && now->owner.uid.empty() && !now->deleting && objects_.synced() &&
             (before == nullptr || !before->owner.uid.empty() || before->labels != now->labels)) {
    for (const auto& [object_key, object] : objects_.objects()) {
      if (object_key.ns == pod_key.ns &&
          SelectorMatches(ObjectAt(object->object, {"spec", "selector"}), now->labels, false)) {
        QueueSoon(object_key);
      }
    }
  }
}

void WorkloadController::Adopt(const json::object& object, Plan& plan) {
  if (!StringAt(object, {"metadata", "deletionTimestamp"}).empty()) return;
  const json::object& selector = ObjectAt(object, {"spec", "selector"});
  if (selector.empty()) return;
  for (const ObjectKey& key : context_.pods.Orphans(NamespaceOf(object))) {
    const PodInfo* pod = context_.pods.Find(key);
    if (pod == nullptr || pod->deleting || !SelectorMatches(selector, pod->labels, false) ||
        !MayAdopt(object, *pod)) {
      continue;
    }
    json::object metadata{{"uid", std::string_view(pod->uid)}};
    metadata["ownerReferences"] =
        json::array{OwnerReferenceTo(options_.api_version, options_.kind, object)};
    plan.requests.push_back({.verb = Request::Verb::kStrategicPatch,
                             .resource = kPodRef,
                             .ns = std::string(pod->ns),
                             .name = std::string(pod->name),
                             .body = json::object{{"metadata", std::move(metadata)}}});
  }
}

void WorkloadController::Sync(const ObjectKey& key, KeyQueue::Done done) {
  gathering_.erase(key);
  const RawObject* found = objects_.Find(key);
  if (found == nullptr || !expectations_.Satisfied(key, context_.loop.Now())) {
    return done(absl::OkStatus());
  }
  const json::object& object = found->object;
  Plan plan;
  if (options_.owns_pods) Adopt(object, plan);
  // Adopted pods count: they are looked at when they are seen to be owned.
  if (plan.requests.empty()) plan = Reconcile(key, object);
  if (plan.again < absl::InfiniteDuration()) {
    // Times are told in seconds: a moment later, so that none seems to be still to come.
    queue_.AddAfter(key, absl::ToChronoNanoseconds(plan.again + absl::Milliseconds(10)));
  }
  if (plan.empty()) return done(absl::OkStatus());
  runner_.Run(object, std::move(plan), std::move(done));
}

}  // namespace keel::orchestrator
