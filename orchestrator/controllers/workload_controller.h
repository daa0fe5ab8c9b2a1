// The shell that the controllers of pods' owners share: a queue of the owners' keys, fed by changes
// of the owners, of their pods and of what else they own, and a worker that reconciles one.
//
//   class JobController final : public WorkloadController {
//    public:
//     explicit JobController(ControllerContext& context)
//         : WorkloadController(context, {.resource = kJobRef, .kind = "Job",
//                                        .component = "job-controller", .flag = "job"}) {}
//    private:
//     Plan Reconcile(const ObjectKey& key, const json::object& job) override { ... }
//   };
//
// A key is left alone until the cache of pods has seen what was asked for it. Pods without a
// controller that the owner's selector selects are adopted. Thread-safety: the loop of the
// controllers only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "orchestrator/client/work_queue.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/expectations.h"
#include "orchestrator/controllers/plan_runner.h"

namespace keel::orchestrator {

// Objects of a shared informer by the uid of their controller.
class OwnedIndex {
 public:
  OwnedIndex(ControllerContext& context, const ResourceRef& resource);
  // Valid until the next change.
  std::vector<const json::object*> Of(std::string_view uid) const;
  Informer<RawObject>& informer() { return informer_; }

 private:
  Informer<RawObject>& informer_;
  absl::flat_hash_map<std::string, absl::flat_hash_set<ObjectKey>> by_owner_;
};

class WorkloadController : public Controller {
 public:
  void Start() override;

 protected:
  struct Options {
    ResourceRef resource;
    std::string_view kind, api_version;
    std::string_view component;  // "job-controller"
    std::string_view flag;       // the middle of --concurrent-X-syncs
    size_t workers = 5;
    bool owns_pods = true;
    // How long changes of pods are gathered before the owner is looked at.
    base::Duration gather = base::Duration::zero();
  };
  WorkloadController(ControllerContext& context, const Options& options);

  virtual Plan Reconcile(const ObjectKey& key, const json::object& object) = 0;
  // Whether a pod that the selector selects may be adopted.
  virtual bool MayAdopt(const json::object& object, const PodInfo& pod) { return true; }

  void Queue(const ObjectKey& key) { queue_.Add(key); }
  void QueueSoon(const ObjectKey& key);
  void QueueAll();
  // Queues the owner whenever something that it owns changes.
  void Follow(OwnedIndex& owned);
  // The object of ours that this is a reference to; null when it is none, or is gone.
  const json::object* Owner(const OwnerInfo& owner, std::string_view ns, ObjectKey& key) const;
  std::vector<const PodInfo*> PodsOf(const json::object& object) const;

  ControllerContext& context_;
  Informer<RawObject>& objects_;

 private:
  using KeyQueue = WorkQueue<ObjectKey>;
  void OnPod(const ObjectKey& key, const PodInfo* before, const PodInfo* now);
  void Adopt(const json::object& object, Plan& plan);
  void Sync(const ObjectKey& key, KeyQueue::Done done);

  const Options options_;
  Expectations expectations_;
  absl::flat_hash_set<ObjectKey> gathering_;
  PlanRunner runner_;
  KeyQueue queue_;
};

}  // namespace keel::orchestrator
