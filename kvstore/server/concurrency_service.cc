#include "kvstore/server/concurrency_service.h"

#include <utility>

#include "kvstore/api/v3election.pb.h"
#include "kvstore/api/v3lock.pb.h"
#include "kvstore/client/requests.h"
#include "kvstore/server/local_concurrency_store.h"
#include "kvstore/server/service.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;
using Call = rpc::ServerCallPtr;

namespace {

// etcd's, for callers that bring no lease.
constexpr int64_t kLeaseSeconds = 60;

absl::Status ErrMissingLeaderKey() {
  return absl::UnknownError("\"leader\" field must be provided");
}

// In etcd these services are clients that pass on what they were told as their own error, and
// gRPC calls that Unknown; only the text says what it was.
absl::Status OwnError(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kDeadlineExceeded:
      return status;
    default:
      return absl::UnknownError(status.message());
  }
}

std::string LockAnswer(const std::string&, int64_t, const Place& place) {
  v3lockpb::LockResponse response;
  *response.mutable_header() = place.header;
  response.set_key(place.key);
  return response.SerializeAsString();
}

std::string CampaignAnswer(const std::string& name, int64_t lease, const Place& place) {
  v3electionpb::CampaignResponse response;
  *response.mutable_header() = place.header;
  v3electionpb::LeaderKey* leader = response.mutable_leader();
  leader->set_name(name);
  leader->set_key(place.key);
  leader->set_rev(place.revision);
  leader->set_lease(lease);
  return response.SerializeAsString();
}

// Answers with a Response that has nothing but the header of `got`.
template <typename Response, typename Got>
void AnswerWithHeader(const Call& call, const absl::StatusOr<Got>& got) {
  if (!got.ok()) return call->Finish(OwnError(got.status()));
  Response response;
  *response.mutable_header() = got->header();
  call->Reply(response.SerializeAsString());
}

std::string LeaderAnswer(const pb::ResponseHeader& header, const mvccpb::KeyValue& leader) {
  v3electionpb::LeaderResponse response;
  *response.mutable_header() = header;
  *response.mutable_kv() = leader;
  return response.SerializeAsString();
}

}  // namespace

// Somebody in a queue, and the lease that is renewed meanwhile.
struct ConcurrencyService::Waiter {
  std::shared_ptr<kvstore::Campaign> campaign;
  std::unique_ptr<LocalLeaseKeeper> keeper;
};

// One Observe stream.
class ConcurrencyService::Observer final : public rpc::ServerStreamHandler {
 public:
  Observer(ConcurrencyService* service, Call call) : service_(service), call_(std::move(call)) {}

  void OnMessage(std::string_view message) override {
    v3electionpb::LeaderRequest request;
    if (!request.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
      return call_->Finish(ErrUnmarshal());
    }
    if (observation_ != nullptr) return;  // one request only
    observation_ = std::make_shared<Observation>(
        std::make_shared<LocalConcurrencyStore>(&service_->channel_, *call_), request.name(),
        Observation::Events{
            .on_leader =
                [call = call_](const pb::ResponseHeader& header, const mvccpb::KeyValue& leader) {
                  call->Send(LeaderAnswer(header, leader));
                },
            .on_end = [call = call_](absl::Status status) { call->Finish(OwnError(status)); }});
    service_->loop_->Dispatch([observation = observation_] { observation->Start(); });
  }

  void OnEnd() override {
    if (observation_ == nullptr) return;
    service_->loop_->Dispatch([observation = std::move(observation_)] { observation->Stop(); });
  }

 private:
  ConcurrencyService* const service_;
  const Call call_;
  std::shared_ptr<Observation> observation_;
};

ConcurrencyService::ConcurrencyService(rpc::Server* server, base::Loop* loop)
    : loop_(loop), channel_(*server, *loop) {
  const auto unary = [this, server](std::string path, void (ConcurrencyService::*handler)(Call)) {
    server->RegisterUnary(std::move(path), [this, handler](Call call) {
      loop_->Dispatch(
          [this, handler, call = std::move(call)]() mutable { (this->*handler)(std::move(call)); });
    });
  };
  unary("/v3lockpb.Lock/Lock", &ConcurrencyService::Lock);
  unary("/v3lockpb.Lock/Unlock", &ConcurrencyService::Unlock);
  unary("/v3electionpb.Election/Campaign", &ConcurrencyService::Campaign);
  unary("/v3electionpb.Election/Proclaim", &ConcurrencyService::Proclaim);
  unary("/v3electionpb.Election/Leader", &ConcurrencyService::Leader);
  unary("/v3electionpb.Election/Resign", &ConcurrencyService::Resign);
  server->RegisterStream("/v3electionpb.Election/Observe", [this](Call call) {
    return std::make_shared<Observer>(this, std::move(call));
  });
}

ConcurrencyService::~ConcurrencyService() = default;

void ConcurrencyService::Lock(Call call) {
  const auto* request = ParseScratch<v3lockpb::LockRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  Enter(std::move(call), request->name(), request->lease(), "", LockAnswer);
}

void ConcurrencyService::Campaign(Call call) {
  const auto* request = ParseScratch<v3electionpb::CampaignRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  Enter(std::move(call), request->name(), request->lease(), request->value(), CampaignAnswer);
}

void ConcurrencyService::Enter(Call call, std::string name, int64_t lease, std::string value,
                               Answer answer) {
  if (lease != 0) {
    return Wait(std::move(call), std::move(name), lease, std::move(value), answer);
  }
  LocalConcurrencyStore store(&channel_, *call);
  store.Grant(kLeaseSeconds,
              [this, call = std::move(call), name = std::move(name), value = std::move(value),
               answer](absl::StatusOr<pb::LeaseGrantResponse> granted) mutable {
                if (!granted.ok()) return call->Finish(OwnError(granted.status()));
                Wait(std::move(call), std::move(name), granted->id(), std::move(value), answer);
              });
}

void ConcurrencyService::Wait(Call call, std::string name, int64_t lease, std::string value,
                              Answer answer) {
  if (call->cancelled()) return;
  auto waiter = std::make_shared<Waiter>();
  waiter->campaign = std::make_shared<kvstore::Campaign>(
      std::make_shared<LocalConcurrencyStore>(&channel_, *call), name, lease, std::move(value));
  waiter->keeper = std::make_unique<LocalLeaseKeeper>(&channel_, loop_, lease, *call);
  waiters_.insert(waiter);
  const std::weak_ptr<Waiter> weak = waiter;

  // On the call's own loop, as it wants it; it may have gone on the way there.
  call->loop().Dispatch([this, call, weak] {
    const auto leave = [this, weak] {
      loop_->Dispatch([this, weak] {
        const auto left = weak.lock();
        if (left != nullptr && waiters_.erase(left) != 0) left->campaign->Cancel();
      });
    };
    if (call->cancelled()) return leave();
    call->OnCancel(leave);
  });
  waiter->campaign->Start(
      [this, weak, call, name = std::move(name), lease, answer](absl::StatusOr<Place> won) {
        if (const auto served = weak.lock()) waiters_.erase(served);
        if (!won.ok()) return call->Finish(OwnError(won.status()));
        call->Reply(answer(name, lease, *won));
      });
}

void ConcurrencyService::Unlock(Call call) {
  const auto* request = ParseScratch<v3lockpb::UnlockRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  LocalConcurrencyStore store(&channel_, *call);
  store.DeleteRange(MakeDelete(request->key()),
                    [call = std::move(call)](absl::StatusOr<pb::DeleteRangeResponse> deleted) {
                      AnswerWithHeader<v3lockpb::UnlockResponse>(call, deleted);
                    });
}

void ConcurrencyService::Proclaim(Call call) {
  const auto* request = ParseScratch<v3electionpb::ProclaimRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  if (!request->has_leader()) return call->Finish(ErrMissingLeaderKey());
  LocalConcurrencyStore store(&channel_, *call);
  const v3electionpb::LeaderKey& leader = request->leader();
  kvstore::Proclaim(store, leader.key(), leader.rev(), leader.lease(), request->value(),
                    [call = std::move(call)](absl::StatusOr<pb::TxnResponse> proclaimed) {
                      AnswerWithHeader<v3electionpb::ProclaimResponse>(call, proclaimed);
                    });
}

void ConcurrencyService::Leader(Call call) {
  const auto* request = ParseScratch<v3electionpb::LeaderRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  LocalConcurrencyStore store(&channel_, *call);
  FindLeader(store, request->name(),
             [call = std::move(call)](absl::StatusOr<pb::RangeResponse> found) {
               if (!found.ok()) return call->Finish(OwnError(found.status()));
               call->Reply(LeaderAnswer(found->header(), found->kvs(0)));
             });
}

void ConcurrencyService::Resign(Call call) {
  const auto* request = ParseScratch<v3electionpb::ResignRequest>(call->request());
  if (request == nullptr) return call->Finish(ErrUnmarshal());
  if (!request->has_leader()) return call->Finish(ErrMissingLeaderKey());
  LocalConcurrencyStore store(&channel_, *call);
  kvstore::Resign(store, request->leader().key(), request->leader().rev(),
                  [call = std::move(call)](absl::StatusOr<pb::TxnResponse> resigned) {
                    AnswerWithHeader<v3electionpb::ResignResponse>(call, resigned);
                  });
}

}  // namespace keel::kvstore
