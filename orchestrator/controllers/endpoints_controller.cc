#include "orchestrator/controllers/endpoints_controller.h"

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

// What was seen of one pod may be followed by more: one write for all of them.
constexpr base::Duration kGather = std::chrono::milliseconds(100);

ObjectKey ServiceOf(const json::object& slice) {
  return {std::string(NamespaceOf(slice)),
          std::string(StringAt(slice, {"metadata", "labels", "kubernetes.io/service-name"}))};
}

bool IsSame(const PodInfo& a, const PodInfo& b) {
  return a.uid == b.uid && a.pod_ip == b.pod_ip && a.ready == b.ready && a.deleting == b.deleting &&
         a.terminal() == b.terminal() && a.node == b.node && a.labels == b.labels;
}

}  // namespace

EndpointsController::EndpointsController(ControllerContext& context, Writes writes)
    : context_(context),
      writes_(writes),
      services_(context.shared.Get(ResourceOf(kServiceRef))),
      objects_(context.shared.Get(
          ResourceOf(writes == Writes::kEndpoints ? kEndpointsRef : kEndpointSliceRef))),
      runner_(context, ResourceOf(kServiceRef), "Service",
              writes == Writes::kEndpoints ? "endpoint-controller" : "endpoint-slice-controller"),
      queue_(context.loop,
             {.workers = context.concurrency(
                  writes == Writes::kEndpoints ? "endpoint" : "endpointslice", 5)},
             [this](const ObjectKey& key, Queue::Done done) { Sync(key, std::move(done)); }) {
  services_.OnChange([this](const ObjectKey& key, const RawObject*, const RawObject* now) {
    if (now == nullptr) {
      by_namespace_[key.ns].erase(key);
    } else {
      by_namespace_[key.ns].insert(key);
    }
    queue_.Add(key);
  });
  objects_.OnChange([this](const ObjectKey& key, const RawObject* before, const RawObject* now) {
    if (writes_ == Writes::kEndpoints) return queue_.Add(key);
    if (before != nullptr) slices_[ServiceOf(before->object)].erase(key);
    if (now != nullptr) slices_[ServiceOf(now->object)].insert(key);
    queue_.Add(ServiceOf((now == nullptr ? before : now)->object));
  });
  context_.pods.OnChange([this](const ObjectKey&, const PodInfo* before, const PodInfo* now) {
    if (before != nullptr && now != nullptr && IsSame(*before, *now)) return;
    OnPod(before, now);
  });
}

void EndpointsController::Start() { queue_.Resume(); }

void EndpointsController::OnPod(const PodInfo* before, const PodInfo* now) {
  const PodInfo& any = now == nullptr ? *before : *now;
  auto services = by_namespace_.find(std::string(any.ns));
  if (services == by_namespace_.end()) return;
  for (const ObjectKey& key : services->second) {
    const RawObject* service = services_.Find(key);
    if (service == nullptr) continue;
    if ((before != nullptr && Selects(service->object, *before)) ||
        (now != nullptr && Selects(service->object, *now))) {
      queue_.AddAfter(key, kGather);
    }
  }
}

Plan EndpointsController::Reconcile(const ObjectKey& key, const json::object& service) const {
  std::vector<const PodInfo*> pods;
  for (const ObjectKey& pod_key : context_.pods.InNamespace(key.ns)) {
    const PodInfo* pod = context_.pods.Find(pod_key);
    if (pod != nullptr && Selects(service, *pod)) pods.push_back(pod);
  }
  if (writes_ == Writes::kEndpoints) {
    const RawObject* current = objects_.Find(key);
    return ReconcileEndpoints(service, pods, current == nullptr ? nullptr : &current->object);
  }
  SlicesState state{.service = service, .pods = std::move(pods)};
  if (auto found = slices_.find(key); found != slices_.end()) {
    for (const ObjectKey& slice_key : found->second) {
      const RawObject* slice = objects_.Find(slice_key);
      if (slice != nullptr && StringAt(slice->object, {"metadata", "labels",
                                                       "endpointslice.kubernetes.io/managed-by"}) ==
                                  "endpointslice-controller.k8s.io") {
        state.slices.push_back(&slice->object);
      }
    }
  }
  return ReconcileSlices(state);
}

void EndpointsController::Sync(const ObjectKey& key, Queue::Done done) {
  const RawObject* service = services_.Find(key);
  if (service == nullptr) {
    // Slices go with their owner; an Endpoints object has none.
    if (writes_ == Writes::kSlices || objects_.Find(key) == nullptr) return done(absl::OkStatus());
    return context_.client.Delete(
        ResourceOf(kEndpointsRef), key.ns, key.name, nullptr,
        [done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
          done(IsReason(answer.status(), "NotFound") ? absl::OkStatus() : answer.status());
        });
  }
  if (!HasEndpoints(service->object) ||
      !StringAt(service->object, {"metadata", "deletionTimestamp"}).empty()) {
    return done(absl::OkStatus());
  }
  Plan plan = Reconcile(key, service->object);
  if (plan.requests.empty()) return done(absl::OkStatus());
  runner_.Run(service->object, std::move(plan), std::move(done));
}

}  // namespace keel::orchestrator
