#include "kvstore/server/service.h"

#include "base/status.h"
#include "kvstore/server/auth_gate.h"
#include "kvstore/server/errors.h"

namespace keel::kvstore {

namespace {
AccessCheck CheckOf(const DoorRules& rules) {
  return rules.who == Who::kRoot ? CheckRoot : CheckSomebody;
}
}  // namespace

absl::Status CheckDoor(const rpc::ServerCall& call, const ServerContext& context, DoorRules rules) {
  if (!rules.learner_may && context.is_learner.load(std::memory_order_relaxed)) {
    return ErrNotSupportedForLearner();
  }
  if (!context.HasLeader() && call.Metadata("hasleader") == "true") return ErrNoLeader();
  return absl::OkStatus();
}

absl::Status CheckStreamDoor(const rpc::ServerCall& call, const ServerContext& context,
                             DoorRules rules) {
  KEEL_RETURN_IF_ERROR(CheckDoor(call, context, rules));
  if (rules.who == Who::kAsked || !context.auth->enabled()) return absl::OkStatus();
  KEEL_ASSIGN_OR_RETURN(const Caller caller, context.auth_gate->IdentifyNow(call));
  return CheckOf(rules)(*context.auth, caller, {});
}

void Register(rpc::Server* server, std::string path, const ServerContext* context, DoorRules rules,
              rpc::Server::UnaryHandler handler) {
  server->RegisterUnary(std::move(path), [context, rules,
                                          handler = std::make_shared<rpc::Server::UnaryHandler>(
                                              std::move(handler))](rpc::ServerCallPtr call) {
    if (absl::Status refused = CheckDoor(*call, *context, rules); !refused.ok()) {
      return call->Finish(std::move(refused));
    }
    if (rules.who != Who::kAsked && context->auth->enabled()) [[unlikely]] {
      return context->auth_gate->Admit(
          std::move(call), CheckOf(rules),
          [handler](rpc::ServerCallPtr admitted, Caller) { (*handler)(std::move(admitted)); });
    }
    (*handler)(std::move(call));
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
