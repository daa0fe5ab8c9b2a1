// Deletes what nobody owns any more (garbage_graph.h), for every resource that the API server lets
// one list, watch and delete. What it knows of objects comes from watches of its own, but of pods
// from the shared cache; that an owner is gone is asked of the server before anything is deleted.
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/client/work_queue.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/discovery.h"
#include "orchestrator/controllers/garbage_graph.h"

namespace keel::orchestrator {

class GarbageCollector final : public Controller {
 public:
  explicit GarbageCollector(ControllerContext& context);
  ~GarbageCollector() override;
  void Start() override;

 private:
  using Queue = WorkQueue<ObjectPlace>;
  struct Watched {
    DiscoveredResource resource;
    std::unique_ptr<Informer<OwnedObject>> informer;  // null for pods
  };
  struct Job;

  void Discover();
  void Watch(const DiscoveredResource& resource);
  void OneSynced();
  void OnObject(const ObjectPlace& place, const OwnedObject* before, const OwnedObject* now);
  void OnPod(const ObjectKey& key, const PodInfo* before, const PodInfo* now);
  void Changed(const ObjectPlace& place, const OwnedObject* before, const OwnedObject* now);

  // False when it is not there.
  bool Look(const ObjectPlace& place, OwnedObject& object) const;
  std::vector<ObjectPlace> DependentsOf(std::string_view uid) const;
  // As the caches know it; false when they do not know.
  bool StateOf(const OwnerRef& owner, const std::string& ns, OwnerState& state) const;
  bool IsWaiting(const OwnerRef& owner) const;
  const DiscoveredResource* ResourceOfOwner(const OwnerRef& owner) const;

  void Sync(const ObjectPlace& place, Queue::Done done);
  void ResolveOwners(const std::shared_ptr<Job>& job);
  void Act(const std::shared_ptr<Job>& job);
  void OrphanDependents(const std::shared_ptr<Job>& job);
  // Reads the object and writes it without those references to owners, respectively finalizers.
  void DropOwners(const ObjectPlace& place, std::string uid, std::vector<std::string> owners,
                  Queue::Done done);
  void DropFinalizer(const ObjectPlace& place, std::string uid, std::string_view finalizer,
                     Queue::Done done);
  void Rewrite(const ObjectPlace& place, std::string uid, std::string_view field,
               std::function<bool(const json::value& entry)> keep, Queue::Done done);

  ControllerContext& context_;
  std::vector<Watched> watched_;  // the first is pods
  GarbageGraph graph_;
  absl::flat_hash_set<std::string> gone_;  // uids that never come back
  size_t unsynced_ = 0;
  bool discovered_ = false;
  bool ready_ = false;
  base::TimerId timer_ = 0;
  Queue queue_;
};

}  // namespace keel::orchestrator
