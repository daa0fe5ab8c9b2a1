#include "kvstore/server/lease_service.h"

#include <cmath>

#include "kvstore/api/rpc.pb.h"
#include "kvstore/auth/errors.h"
#include "kvstore/mvcc/errors.h"
#include "kvstore/server/auth_gate.h"
#include "kvstore/server/errors.h"
#include "kvstore/server/service.h"
#include "kvstore/server/space_watch.h"
#include "kvstore/server/write.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;
using keel::kv::PeerRequest;

// Answers come in the order of the leader's answers, each for its lease id.
class LeaseService::KeepAliveStream final : public rpc::ServerStreamHandler {
 public:
  KeepAliveStream(LeaseService* service, rpc::ServerCallPtr call)
      : service_(service), call_(std::move(call)) {}

  void OnMessage(std::string_view message) override {
    const auto* request = ParseScratch<pb::LeaseKeepAliveRequest>(message);
    if (request == nullptr) return call_->Finish(ErrUnmarshal());
    ++open_->count;
    const int64_t id = request->id();
    const ServerContext& context = *service_->context_;
    if (!context.auth->enabled()) [[likely]] {
      return Ask(service_, call_, open_, id, std::string(message));
    }
    context.auth_gate->Admit(call_, CheckSomebody,
                             [service = service_, open = open_, id, body = std::string(message)](
                                 rpc::ServerCallPtr call, Caller) mutable {
                               Ask(service, std::move(call), std::move(open), id, std::move(body));
                             });
  }

  void OnHalfClose() override {
    open_->half_closed = true;
    if (open_->count == 0) call_->Finish(absl::OkStatus());
  }

 private:
  struct Open {
    size_t count = 0;  // requests without an answer yet; on the call's loop
    bool half_closed = false;
  };

  static void Ask(LeaseService* service, rpc::ServerCallPtr call, std::shared_ptr<Open> open,
                  int64_t id, std::string body) {
    service->context_->loop->Dispatch([service, call = std::move(call), open = std::move(open), id,
                                       body = std::move(body)]() mutable {
      service->calls_->Ask(PeerRequest::LEASE_KEEP_ALIVE, std::move(body),
                           [service, call = std::move(call), open = std::move(open),
                            id](absl::StatusOr<std::string> answer) {
                             if (!answer.ok()) return call->Finish(answer.status());
                             const ServerContext& context = *service->context_;
                             std::string response =
                                 WithHeader(context, context.machine->view()->revision(), *answer);
                             call->Send(std::move(response));
                             call->loop().Dispatch([call, open] {
                               if (--open->count == 0 && open->half_closed)
                                 call->Finish(absl::OkStatus());
                             });
                           });
    });
  }

  LeaseService* const service_;
  const rpc::ServerCallPtr call_;
  const std::shared_ptr<Open> open_ = std::make_shared<Open>();
};

LeaseService::LeaseService(ServerContext* context, Proposals* proposals, ReadGate* gate,
                           Lessor* lessor, LeaderCalls* calls)
    : context_(context), proposals_(proposals), gate_(gate), lessor_(lessor), calls_(calls) {
  calls_->Handle(PeerRequest::LEASE_KEEP_ALIVE,
                 [this](std::string_view body, LeaderCalls::Reply reply) {
                   ServeKeepAlive(body, std::move(reply));
                 });
  calls_->Handle(PeerRequest::LEASE_TIME_TO_LIVE,
                 [this](std::string_view body, LeaderCalls::Reply reply) {
                   ServeTimeToLive(body, std::move(reply));
                 });
}

void LeaseService::RegisterOn(rpc::Server* server) {
  using Call = rpc::ServerCallPtr;
  // LeaseLeases is the newer name of the method that old clients know as Leases.
  Register(server, "/etcdserverpb.Lease/LeaseGrant", context_, {.who = Who::kSomebody},
           [this](Call call) { Grant(std::move(call)); });
  Register(server, "/etcdserverpb.Lease/LeaseRevoke", context_, {},
           [this](Call call) { Revoke(std::move(call)); });
  Register(server, "/etcdserverpb.Lease/LeaseTimeToLive", context_, {.who = Who::kSomebody},
           [this](Call call) { TimeToLive(std::move(call)); });
  Register(server, "/etcdserverpb.Lease/LeaseLeases", context_, {.who = Who::kSomebody},
           [this](Call call) { Leases(std::move(call)); });
  RegisterStream(server, "/etcdserverpb.Lease/LeaseKeepAlive", context_, {}, [this](Call call) {
    return std::make_shared<KeepAliveStream>(this, std::move(call));
  });
}

int64_t LeaseService::MinTtl() const {
  const uint64_t ms = 3 * context_->config.election_ticks() / 2 * context_->config.heartbeat_ms;
  return static_cast<int64_t>((ms + 999) / 1000);
}

void LeaseService::Grant(rpc::ServerCallPtr call) {
  pb::LeaseGrantRequest request;
  const std::string_view bytes = call->request();
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return call->Finish(ErrUnmarshal());
  if (request.ttl() > kMaxLeaseTtl) return call->Finish(ErrLeaseTtlTooLarge());
  if (!context_->space->Admit(call->request().size())) return call->Finish(ErrNoSpace());
  // Members may differ in their least TTL: what goes to the log is final.
  request.set_ttl(std::max(request.ttl(), MinTtl()));
  while (request.id() == 0) request.set_id(static_cast<int64_t>(proposals_->NewId() & INT64_MAX));
  proposals_->Propose(
      CommandField::kLeaseGrant, request.SerializeAsString(),
      [context = context_, call = std::move(call)](absl::Status error, ApplyResult* result) {
        if (!error.ok()) return call->Finish(std::move(error));
        if (!result->status.ok()) return call->Finish(std::move(result->status));
        call->Reply(WithHeader(*context, result->revision, result->body));
      });
}

void LeaseService::Revoke(rpc::ServerCallPtr call) {
  if (ParseScratch<pb::LeaseRevokeRequest>(call->request()) == nullptr)
    return call->Finish(ErrUnmarshal());
  // The keys that go with it are looked at where it is applied.
  Write(context_, proposals_, CommandField::kLeaseRevoke, std::move(call), CheckPresent);
}

void LeaseService::TimeToLive(rpc::ServerCallPtr call) {
  if (ParseScratch<pb::LeaseTimeToLiveRequest>(call->request()) == nullptr)
    return call->Finish(ErrUnmarshal());
  context_->loop->Dispatch([this, call = std::move(call)]() mutable {
    std::string body(call->request());
    calls_->Ask(PeerRequest::LEASE_TIME_TO_LIVE, std::move(body),
                [this, call = std::move(call)](absl::StatusOr<std::string> answer) mutable {
                  if (!answer.ok()) return call->Finish(answer.status());
                  ReplyTimeToLive(std::move(call), *std::move(answer));
                });
  });
}

void LeaseService::ReplyTimeToLive(rpc::ServerCallPtr call, std::string answer) {
  base::Loop& loop = call->loop();
  const bool asks = context_->auth->enabled() &&
                    ParseScratch<pb::LeaseTimeToLiveRequest>(call->request())->keys();
  if (!asks) {
    return call->Reply(WithHeader(*context_, context_->machine->view()->revision(), answer));
  }
  // The leader has named the keys; what the caller may read is decided by a state no older.
  loop.Dispatch([this, call = std::move(call), answer = std::move(answer)]() mutable {
    AuthGate& auth = *context_->auth_gate;
    ReadGate& gate = auth.GateOf(*call);
    gate.Read([this, &auth, call = std::move(call),
               answer = std::move(answer)](absl::StatusOr<ReadGate::ViewPtr> view) {
      if (!view.ok()) return call->Finish(view.status());
      const absl::StatusOr<Caller> caller = auth.IdentifyNow(*call);
      if (!caller.ok()) return call->Finish(caller.status());
      const auto rights = auth.state().RightsOf(*caller);
      if (!rights.ok()) return call->Finish(rights.status());
      for (const std::string& key : ParseScratch<pb::LeaseTimeToLiveResponse>(answer)->keys()) {
        if (!(*rights)->CanRead(key, {})) return call->Finish(ErrPermissionDenied());
      }
      call->Reply(WithHeader(*context_, (*view)->revision(), answer));
    });
  });
}

void LeaseService::Leases(rpc::ServerCallPtr call) {
  pb::LeaseLeasesResponse response;
  for (const Lease& lease : context_->machine->leases().List())
    response.add_leases()->set_id(lease.id);
  call->Reply(
      WithHeader(*context_, context_->machine->view()->revision(), response.SerializeAsString()));
}

void LeaseService::WhenCaughtUp(absl::AnyInvocable<void(absl::Status)> then) {
  gate_->Read([this, then = std::move(then)](absl::StatusOr<ReadGate::ViewPtr> view) mutable {
    // What apply told the lessor is queued on this loop before this runs.
    if (view.ok() && !lessor_->leads()) return then(ErrNotLeader());
    then(view.status());
  });
}

void LeaseService::ServeKeepAlive(std::string_view body, LeaderCalls::Reply reply) {
  pb::LeaseKeepAliveRequest request;
  if (!request.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return reply(ErrUnmarshal());
  if (!lessor_->leads()) return reply(ErrNotLeader());
  const auto encode = [id = request.id()](int64_t ttl) {
    pb::LeaseKeepAliveResponse response;
    response.set_id(id);
    response.set_ttl(ttl);
    return response.SerializeAsString();
  };
  // A leader that was deposed without knowing must not promise what its successor does not: the
  // round shows that this one led after the request had come, so that whoever follows
  // counts the whole time to live from later on. All renewals of a turn share one round.
  WhenCaughtUp(
      [this, id = request.id(), encode, reply = std::move(reply)](absl::Status status) mutable {
        if (!status.ok()) return reply(std::move(status));
        reply(encode(lessor_->Renew(id).value_or(0)));
      });
}

void LeaseService::ServeTimeToLive(std::string_view body, LeaderCalls::Reply reply) {
  pb::LeaseTimeToLiveRequest request;
  if (!request.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return reply(ErrUnmarshal());
  if (!lessor_->leads()) return reply(ErrNotLeader());
  const auto answer = [this, request](LeaderCalls::Reply to) {
    pb::LeaseTimeToLiveResponse response;
    response.set_id(request.id());
    const std::optional<Lease> lease = context_->machine->leases().Find(request.id());
    const std::optional<int64_t> left = lessor_->Remaining(request.id());
    if (!lease.has_value() || !left.has_value()) {
      response.set_ttl(-1);
      return to(response.SerializeAsString());
    }
    response.set_ttl(*left);
    response.set_grantedttl(lease->granted_ttl);
    if (!request.keys()) return to(response.SerializeAsString());
    context_->NextWorker().Post([context = context_, response, to = std::move(to)]() mutable {
      absl::StatusOr<std::vector<std::string>> keys =
          context->machine->view()->LeaseKeys(response.id());
      if (!keys.ok()) return to(keys.status());
      for (std::string& key : *keys) response.add_keys(std::move(key));
      to(response.SerializeAsString());
    });
  };
  // Keys that were attached through another member may not be applied here yet.
  if (!request.keys() && lessor_->Remaining(request.id()).has_value()) {
    return answer(std::move(reply));
  }
  WhenCaughtUp([answer, reply = std::move(reply)](absl::Status status) mutable {
    if (!status.ok()) return reply(std::move(status));
    answer(std::move(reply));
  });
}

}  // namespace keel::kvstore
