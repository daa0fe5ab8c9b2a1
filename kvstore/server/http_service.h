// Plain HTTP on the client port: /health, /livez, /readyz, /version, /metrics.
//
// Thread-safety: Handle is called on a connection's loop and may answer later.
// Lifetime: outlives the rpc::Server.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kvstore/server/context.h"
#include "kvstore/server/read_gate.h"
#include "rpc/http.h"

namespace keel::kvstore {

class HttpService {
 public:
  // `metrics` writes the whole exposition.
  HttpService(ServerContext* context, ReadGate* gate, std::function<std::string()> metrics);

  void Handle(rpc::HttpRequest request, rpc::HttpRespond respond);

 private:
  struct Check {
    std::string name;
    std::string failure;  // empty: passed
  };

  void Health(const rpc::HttpRequest& request, rpc::HttpRespond respond);
  void Probe(const rpc::HttpRequest& request, rpc::HttpRespond respond, bool ready);
  // Calls back with why a read fails, or with nothing; linearizable unless said otherwise.
  void TryRead(bool serializable, absl::AnyInvocable<void(std::string failure)> done);
  std::string Version() const;

  ServerContext* const context_;
  ReadGate* const gate_;
  const std::function<std::string()> metrics_;
};

}  // namespace keel::kvstore
