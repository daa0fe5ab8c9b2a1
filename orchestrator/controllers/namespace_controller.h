// Deletes what is in a namespace that is being deleted, and then lets it go: every namespaced
// resource that the API server knows, found by discovery.
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <memory>

#include "orchestrator/client/work_queue.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/discovery.h"
#include "orchestrator/controllers/namespace_reconcile.h"

namespace keel::orchestrator {

inline const Resource kNamespaces{"", "v1", "namespaces"};

class NamespaceController final : public Controller {
 public:
  explicit NamespaceController(ControllerContext& context);
  void Start() override;

 private:
  using Queue = WorkQueue<ObjectKey>;
  struct Job;
  void Sync(const ObjectKey& key, Queue::Done done);
  void DeleteContent(const std::shared_ptr<Job>& job, const DiscoveredResource& resource);
  void CountContent(const std::shared_ptr<Job>& job, const DiscoveredResource& resource);
  void Counted(const std::shared_ptr<Job>& job, const DiscoveredResource& resource,
               const absl::StatusOr<json::value>& list);
  void OneLess(const std::shared_ptr<Job>& job);
  void Conclude(const std::shared_ptr<Job>& job);

  ControllerContext& context_;
  Informer<RawObject>& namespaces_;
  Queue queue_;
};

}  // namespace keel::orchestrator
