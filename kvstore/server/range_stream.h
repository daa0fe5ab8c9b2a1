// KV/RangeStream of etcd 3.7: the answer to a Range in pieces, all of one revision. The pieces hold
// keys and values; the last one has the header, `count` and `more` too, so that the pieces merged
// are what Range answers (Kubernetes KEP-5966).
//
// A client that reads slowly holds a bounded amount of memory; the next piece is read when it has
// taken the last ones.
//
// Threads: callbacks on the call's loop, reading on the workers, one step at a time.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "kvstore/server/auth_gate.h"
#include "kvstore/server/context.h"
#include "rpc/server.h"

namespace keel::kvstore {

class RangeStream final : public rpc::ServerStreamHandler,
                          public std::enable_shared_from_this<RangeStream> {
 public:
  RangeStream(rpc::ServerCallPtr call, ServerContext* context, AuthGate* auth)
      : call_(std::move(call)), context_(*context), auth_(*auth) {}

  static void RegisterOn(rpc::Server* server, ServerContext* context, AuthGate* auth);

  void OnMessage(std::string_view message) override;
  void OnWritable() override;

 private:
  void Admit(ReadGate::ViewPtr view);
  void Start(ReadGate::ViewPtr view);
  void PostStep();
  // On a worker: pieces until enough is queued, or to the end.
  void Step();
  absl::Status Piece(bool* last);

  const rpc::ServerCallPtr call_;
  ServerContext& context_;
  AuthGate& auth_;
  std::string bytes_;  // of the request
  etcdserverpb::RangeRequest request_;
  ReadGate::ViewPtr view_;
  std::atomic<bool> waiting_{false};  // for the client to read
  // Of the steps:
  std::string next_key_;
  int64_t left_ = 0;    // of the request's limit; 0: there is none
  int64_t keys_ = 128;  // for the next piece, by the size of the last
};

}  // namespace keel::kvstore
