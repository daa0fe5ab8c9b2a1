// What every namespace has: the ServiceAccount "default", and the ConfigMap kube-root-ca.crt with
// the certificate of the CA by which pods know the API server.
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <string>

#include "orchestrator/client/work_queue.h"
#include "orchestrator/controllers/controller.h"

namespace keel::orchestrator {

// Keeps one object of one kind in each namespace that is not being deleted.
class NamespaceDefaults final : public Controller {
 public:
  // `wanted`: what must be in the object (an object of members that are compared whole), beside
  // apiVersion and kind.
  NamespaceDefaults(ControllerContext& context, Resource resource, std::string kind,
                    std::string name, json::object wanted);
  void Start() override;

 private:
  using Queue = WorkQueue<ObjectKey>;
  void Sync(const ObjectKey& key, Queue::Done done);

  ControllerContext& context_;
  const Resource resource_;
  const std::string kind_, name_;
  const json::object wanted_;
  Informer<RawObject>& namespaces_;
  Informer<RawObject> objects_;  // those of that name
  Queue queue_;
};

std::unique_ptr<Controller> MakeServiceAccountController(ControllerContext& context);
// --root-ca-file; without it there is nothing to publish.
std::unique_ptr<Controller> MakeRootCaPublisher(ControllerContext& context);

}  // namespace keel::orchestrator
