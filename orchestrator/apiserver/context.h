// What every part of the API server works with. Made and owned by ApiServer (api_server.h).
#pragma once

#include <string>

#include "base/loop.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/apiserver/access.h"
#include "orchestrator/apiserver/cache.h"
#include "orchestrator/apiserver/store.h"

namespace keel::orchestrator {

struct ServerContext {
  base::Loop& loop;
  Store& store;
  Cache& cache;
  KindRegistry& kinds;
  // Null: the gate is open (--authorization-mode=AlwaysAllow), respectively there is none.
  Authenticator* authenticator = nullptr;
  Authorizer* authorizer = nullptr;
  Admission* admission = nullptr;
  ValueTransformer* transformer = nullptr;

  const std::string& prefix() const { return cache.options().prefix; }
};

}  // namespace keel::orchestrator
