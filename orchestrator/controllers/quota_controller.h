// The controller of ResourceQuotas: a shell over quota_reconcile.h.
//
//   auto controller = std::make_unique<QuotaController>(context);
//
// Resources are watched from when a first quota bounds them, over all namespaces, and only what
// counts of an object is kept. The API server adds to a quota in the transaction that creates an
// object; so that a count of a cache that has not seen that object yet does not take it off again,
// a quota is left alone until the cache is as new as the quota's last addition, and written only
// as it was read.
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "orchestrator/client/work_queue.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/discovery.h"
#include "orchestrator/controllers/quota_reconcile.h"

namespace keel::orchestrator {

class QuotaController final : public Controller {
 public:
  explicit QuotaController(ControllerContext& context);
  ~QuotaController() override;
  void Start() override;

 private:
  using Queue = WorkQueue<ObjectKey>;
  struct Counted;  // the objects of one resource
  // A change of a quota's counts by another hand.
  struct Addition {
    uint64_t version = 0;
    base::TimePoint at{};
  };

  void OnQuota(const ObjectKey& key, const RawObject* before, const RawObject* now);
  Counted& CountedOf(const std::string& resource);
  void Watch(Counted& counted, const Resource& resource);
  void OnObject(Counted& counted, const ObjectKey& key, std::shared_ptr<const json::object> part,
                uint64_t version);
  void Discover();
  void Discovered(const std::vector<DiscoveredResource>& found);
  void QueueSoon(const ObjectKey& key);
  void QueueAll();
  void Sync(const ObjectKey& key, Queue::Done done);
  void Write(const ObjectKey& key, const json::object& quota, const json::object& status,
             Queue::Done done);

  ControllerContext& context_;
  Informer<RawObject>& quotas_;
  absl::flat_hash_map<std::string, absl::flat_hash_set<ObjectKey>> by_namespace_;
  std::map<std::string, std::unique_ptr<Counted>> counted_;
  absl::flat_hash_map<ObjectKey, Addition> additions_;
  absl::flat_hash_map<ObjectKey, uint64_t> ours_;  // the last version that was written here
  absl::flat_hash_set<ObjectKey> soon_;
  bool discovering_ = false;
  base::TimerId timer_ = 0;
  Queue queue_;
};

}  // namespace keel::orchestrator
