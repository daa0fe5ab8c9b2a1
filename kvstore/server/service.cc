#include "kvstore/server/service.h"

#include "kvstore/server/errors.h"

namespace keel::kvstore {

absl::Status CheckDoor(const rpc::ServerCall& call, const ServerContext& context, DoorRules rules) {
  if (!rules.learner_may && context.is_learner.load(std::memory_order_relaxed)) {
    return ErrNotSupportedForLearner();
  }
  if (!context.HasLeader() && call.Metadata("hasleader") == "true") return ErrNoLeader();
  return absl::OkStatus();
}

void Register(rpc::Server* server, std::string path, const ServerContext* context, DoorRules rules,
              rpc::Server::UnaryHandler handler) {
  server->RegisterUnary(
      std::move(path), [context, rules, handler = std::move(handler)](rpc::ServerCallPtr call) {
        if (absl::Status refused = CheckDoor(*call, *context, rules); !refused.ok()) {
          return call->Finish(std::move(refused));
        }
        handler(std::move(call));
      });
}

absl::Status ErrUnmarshal() {
  return absl::InternalError("grpc: error unmarshalling request: proto: cannot parse the message");
}

std::string WithHeader(const ServerContext& context, int64_t revision, std::string_view body) {
  std::string out;
  out.reserve(body.size() + 48);
  context.AppendHeader(revision, &out);
  out.append(body);
  return out;
}

}  // namespace keel::kvstore
