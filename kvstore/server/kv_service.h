// etcdserverpb.KV: Range, Put, DeleteRange, Txn, Compact.
//
// Writes are checked here, spliced into a Command as they came and proposed;
// the answer is sent from the apply loop. Reads of one key run on the
// connection's loop; ranges, whose length nobody knows beforehand, on a worker.
//
// Thread-safety: as service.h. Lifetime: outlives the rpc::Server's last call.
#pragma once

#include "kvstore/server/auth_gate.h"
#include "kvstore/server/context.h"
#include "kvstore/server/proposals.h"
#include "kvstore/server/read_gate.h"
#include "rpc/server.h"

namespace keel::kvstore {

class KvService {
 public:
  KvService(ServerContext* context, Proposals* proposals, AuthGate* auth);

  void RegisterOn(rpc::Server* server);

 private:
  using AnswerRead = void (*)(const ServerContext&, const rpc::ServerCallPtr&, const ReadView&);

  void Range(rpc::ServerCallPtr call);
  void Put(rpc::ServerCallPtr call);
  void DeleteRange(rpc::ServerCallPtr call);
  void Txn(rpc::ServerCallPtr call);
  void Compact(rpc::ServerCallPtr call);

  // A read at the newest view, or behind the gate; `answer` runs on the call's
  // loop, or on a worker when `long_read`.
  void Read(rpc::ServerCallPtr call, bool serializable, bool long_read, AnswerRead answer,
            AccessCheck check);
  void Serve(rpc::ServerCallPtr to, ReadGate::ViewPtr view, bool long_read, AnswerRead answer);

  ServerContext* const context_;
  Proposals* const proposals_;
  AuthGate* const auth_;
};

}  // namespace keel::kvstore
