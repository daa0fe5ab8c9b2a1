// Plain HTTP on the client port: /health, /livez, /readyz, /version, /metrics, as etcd 3.6
// answers them (docs/http.md).
//
// Thread-safety: Handle is called on a connection's loop and may answer later.
// Lifetime: outlives the rpc::Server.
#pragma once

#include <string>
#include <vector>

#include "kvstore/server/context.h"
#include "kvstore/server/read_gate.h"
#include "kvstore/server/server_metrics.h"
#include "rpc/http.h"

namespace keel::kvstore {

class HttpService {
 public:
  HttpService(ServerContext* context, ReadGate* gate, ServerMetrics* metrics)
      : context_(context), gate_(gate), metrics_(metrics) {}

  void Handle(rpc::HttpRequest request, rpc::HttpRespond respond);

 private:
  struct Check {
    std::string name;
    std::string failure;  // empty: passed
  };

  void Health(const rpc::HttpRequest& request, rpc::HttpRespond respond);
  // `type`: "livez" or "readyz"; `only`: one check, or empty for all.
  void Probe(const rpc::HttpRequest& request, rpc::HttpRespond respond, const std::string& type,
             const std::string& only);
  void AnswerProbe(const std::string& type, const std::vector<Check>& checks, bool verbose,
                   rpc::HttpRespond respond);
  // Why a read of this member's store fails; empty when it does not.
  std::string ReadHere() const;
  // Calls back with the same of a linearizable read.
  void ReadBehindGate(absl::AnyInvocable<void(std::string failure)> done);
  std::string Version() const;

  ServerContext* const context_;
  ReadGate* const gate_;
  ServerMetrics* const metrics_;
};

}  // namespace keel::kvstore
