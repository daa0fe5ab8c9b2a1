#include "kvstore/server/service.h"

#include "base/check.h"
#include "kvstore/server/auth_gate.h"
#include "kvstore/server/errors.h"
#include "kvstore/server/leader_streams.h"

namespace keel::kvstore {

namespace {
AccessCheck CheckOf(const DoorRules& rules) {
  return rules.who == Who::kRoot ? CheckRoot : CheckSomebody;
}

bool NeedsLeader(const rpc::ServerCall& call) { return call.Metadata("hasleader") == "true"; }

// A stream that ends when the leader is gone for long: the handler's own, but for that.
class LeaderBoundStream final : public rpc::ServerStreamHandler {
 public:
  LeaderBoundStream(std::shared_ptr<rpc::ServerStreamHandler> handler, rpc::ServerCall* call,
                    LeaderStreams* streams)
      : handler_(std::move(handler)), call_(call), streams_(streams) {}

  void OnMessage(std::string_view message) override { handler_->OnMessage(message); }
  void OnHalfClose() override { handler_->OnHalfClose(); }
  void OnWritable() override { handler_->OnWritable(); }
  void OnEnd() override {
    streams_->Remove(call_);
    handler_->OnEnd();
  }

 private:
  const std::shared_ptr<rpc::ServerStreamHandler> handler_;
  rpc::ServerCall* const call_;
  LeaderStreams* const streams_;
};
}  // namespace

absl::Status CheckDoor(const rpc::ServerCall& call, const ServerContext& context, DoorRules rules) {
  if (!rules.learner_may && context.is_learner.load(std::memory_order_relaxed)) {
    return ErrNotSupportedForLearner();
  }
  if (context.LacksLeader() && NeedsLeader(call)) return ErrNoLeader();
  return absl::OkStatus();
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

void RegisterStream(rpc::Server* server, std::string path, const ServerContext* context,
                    DoorRules rules, rpc::Server::StreamHandlerFactory factory) {
  KEEL_CHECK(rules.who == Who::kAsked);
  server->RegisterStream(
      std::move(path),
      [context, rules, factory = std::move(factory)](
          rpc::ServerCallPtr call) -> std::shared_ptr<rpc::ServerStreamHandler> {
        absl::Status refused = CheckDoor(*call, *context, rules);
        const bool needs_leader = NeedsLeader(*call);
        if (refused.ok() && needs_leader && !context->leader_streams->Add(call.get(), *context)) {
          refused = ErrNoLeader();
        }
        if (!refused.ok()) {
          call->Finish(std::move(refused));
          return nullptr;
        }
        if (!needs_leader) return factory(std::move(call));
        rpc::ServerCall* const noted = call.get();  // the server holds it until OnEnd
        auto handler = factory(std::move(call));
        KEEL_CHECK(handler != nullptr);  // whose OnEnd takes it off the list
        return std::make_shared<LeaderBoundStream>(std::move(handler), noted,
                                                   context->leader_streams);
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
