#include "kvstore/server/leader_calls.h"

#include <chrono>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "kvstore/server/errors.h"

namespace keel::kvstore {

using keel::kv::PeerMessage;
using keel::kv::PeerResponse;

namespace {
constexpr base::Duration kRetry = std::chrono::seconds(1);
}  // namespace

LeaderCalls::LeaderCalls(ServerContext* context, ReadGate* gate)
    : context_(context),
      gate_(gate),
      // Answers to calls of an earlier run must not be taken for those of this one.
      next_id_(context->unix_ms() * 1000) {}

void LeaderCalls::Handle(Kind kind, Handler handler) { handlers_[kind] = std::move(handler); }

void LeaderCalls::HandleAnywhere(Kind kind, Handler handler) {
  handlers_anywhere_[kind] = std::move(handler);
}

void LeaderCalls::AskMember(raft::NodeId member, Kind kind, std::string body, base::Duration limit,
                            Done done) {
  if (stopped_) return done(ErrStopped());
  const uint64_t id = next_id_++;
  Call& call = calls_[id];
  call.kind = kind;
  call.body = std::move(body);
  call.done = std::move(done);
  call.member = member;
  call.give_up = context_->loop->Now() + limit;
  Send(id, call);
}

void LeaderCalls::Ask(Kind kind, std::string body, Done done) {
  AskMember(raft::kNoNode, kind, std::move(body), context_->config.request_timeout(),
            std::move(done));
}

void LeaderCalls::Send(uint64_t id, Call& call) {
  const raft::NodeId leader = call.member != raft::kNoNode ? call.member : context_->node->leader();
  if (leader == raft::kNoNode) return;  // Tick asks again
  call.asked = context_->loop->Now();
  call.asked_of = leader;
  if (leader == context_->member_id) {
    const std::string body = call.body;  // the answer may come at once and erase the call
    Serve(call.kind, body, [this, id](absl::StatusOr<std::string> answer) {
      context_->loop->Dispatch(
          [this, id, answer = std::move(answer)]() mutable { OnAnswer(id, std::move(answer)); });
    });
    return;
  }
  PeerMessage message;
  message.set_id(id);
  message.mutable_request()->set_kind(call.kind);
  message.mutable_request()->set_body(call.body);
  message.mutable_request()->set_applied_index(context_->machine->view()->applied_index());
  context_->transport->SendUser(leader, message.SerializeAsString());
}

void LeaderCalls::OnAnswer(uint64_t id, absl::StatusOr<std::string> answer) {
  const auto it = calls_.find(id);
  if (it == calls_.end()) return;
  if (answer.status() == ErrNotLeader()) {
    it->second.asked_of = raft::kNoNode;  // Tick asks again
    return;
  }
  Done done = std::move(it->second.done);
  calls_.erase(it);
  done(std::move(answer));
}

void LeaderCalls::Serve(Kind kind, std::string_view body, Reply reply) {
  if (const auto it = handlers_anywhere_.find(kind); it != handlers_anywhere_.end() && !stopped_) {
    return it->second(body, std::move(reply));
  }
  if (stopped_ || !context_->IsLeader()) return reply(ErrNotLeader());
  const auto it = handlers_.find(kind);
  if (it == handlers_.end())
    return reply(absl::UnimplementedError("etcdserver: unknown request of a member"));
  it->second(body, std::move(reply));
}

void LeaderCalls::ServeMember(keel::kv::PeerRequest request, Reply reply) {
  const bool behind = context_->node->applied_index() < request.applied_index();
  auto serve = [this, request = std::move(request), reply = std::move(reply)]() mutable {
    Serve(request.kind(), request.body(), std::move(reply));
  };
  // Behind what apply posted to this loop before it said how far it is.
  if (!behind) return context_->loop->Post(std::move(serve));
  gate_->Read([serve = std::move(serve)](const absl::StatusOr<ReadGate::ViewPtr>&) mutable {
    serve();  // without a leader Serve finds out by itself
  });
}

void LeaderCalls::OnUserMessage(raft::NodeId from, std::string_view payload) {
  PeerMessage message;
  if (!message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    base::Log().warn("dropped a message that cannot be parsed peer={:x} bytes={}", from,
                     payload.size());
    return;
  }
  if (message.has_response()) {
    const PeerResponse& response = message.response();
    if (response.code() == 0)
      return OnAnswer(message.id(), std::move(*message.mutable_response()->mutable_body()));
    return OnAnswer(message.id(), absl::Status(static_cast<absl::StatusCode>(response.code()),
                                               response.message()));
  }
  if (!message.has_request()) return;
  ServeMember(std::move(*message.mutable_request()),
              [context = context_, from, id = message.id()](absl::StatusOr<std::string> answer) {
                PeerMessage out;
                out.set_id(id);
                PeerResponse* response = out.mutable_response();
                if (answer.ok()) {
                  response->set_body(*std::move(answer));
                } else {
                  response->set_code(static_cast<uint32_t>(answer.status().code()));
                  response->set_message(std::string(base::ToStd(answer.status().message())));
                }
                context->transport->SendUser(from, out.SerializeAsString());
              });
}

void LeaderCalls::OnLeaderChange() { Tick(); }

void LeaderCalls::Tick() {
  const base::TimePoint now = context_->loop->Now();
  const raft::NodeId leader = context_->node->leader();
  std::vector<uint64_t> late, again;
  for (const auto& [id, call] : calls_) {
    if (call.give_up <= now) {
      late.push_back(id);
    } else if (const raft::NodeId wanted = call.member != raft::kNoNode ? call.member : leader;
               wanted != raft::kNoNode && (call.asked_of != wanted || now - call.asked > kRetry)) {
      again.push_back(id);
    }
  }
  for (const uint64_t id : late) {
    OnAnswer(id, leader == raft::kNoNode ? ErrNoLeader() : ErrTimeout());
  }
  for (const uint64_t id : again) {
    if (const auto it = calls_.find(id); it != calls_.end()) Send(id, it->second);
  }
}

void LeaderCalls::Stop() {
  stopped_ = true;
  absl::btree_map<uint64_t, Call> left;
  left.swap(calls_);
  for (auto& [id, call] : left) call.done(ErrStopped());
}

}  // namespace keel::kvstore
