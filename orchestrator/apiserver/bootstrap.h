// What every cluster has from its first moment: the four namespaces and the service `kubernetes`
// with its endpoints; and what the gates want (roles, priority classes).
//
// Written only when missing; safe when several servers start at once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/apiserver/object_api.h"

namespace keel::orchestrator {

struct BootstrapOptions {
  std::string advertise_address = "127.0.0.1";
  int port = 6443;  // 0: no service `kubernetes`
};

class Bootstrap {
 public:
  Bootstrap(ObjectApi& objects, BootstrapOptions options)
      : objects_(objects), options_(std::move(options)) {}

  // Returns at once; what fails is logged and tried again at the next call.
  void Run();
  // Creates (`mod_revision` 0) or replaces an object by the kind's defaults, past admission.
  void Ensure(json::object object, int64_t mod_revision = 0);

 private:
  void EnsureService();

  ObjectApi& objects_;
  const BootstrapOptions options_;
};

}  // namespace keel::orchestrator
