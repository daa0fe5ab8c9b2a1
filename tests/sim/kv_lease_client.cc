#include "kvstore/api/rpc.pb.h"
#include "tests/sim/kv_clients.h"

namespace keel::sim {

namespace pb = etcdserverpb;

namespace {

constexpr Nanos kTimeLimit = 9 * kSecond;

Outcome OutcomeOf(const absl::StatusOr<std::string>& answer) {
  return answer.ok() ? Outcome::kOk : Outcome::kUnknown;
}

}  // namespace

void KvLeaseClient::Later(Nanos delay, std::function<void()> task) {
  shared_.world.After(delay, std::move(task));
}

void KvLeaseClient::Grant() {
  if (shared_.stopped) return;
  pb::LeaseGrantRequest request;
  request.set_ttl(shared_.random.Between(1, 6));
  request.set_id(static_cast<int64_t>(id_ * 1'000'000 + leases_.size() + 1));
  leases_.push_back(std::make_unique<LeaseRecord>());
  LeaseRecord* const lease = leases_.back().get();
  lease->id = request.id();
  lease->renewals.push_back({.invoked = shared_.world.now(), .ttl = request.ttl() * kSecond});
  ++shared_.counters.leases;
  SimMember& member = shared_.AnyMember();
  shared_.world.Note(member.id(), "lease client %d grants %d ttl=%d", id_, lease->id,
                     request.ttl());
  shared_.Call(member, "/etcdserverpb.Lease/LeaseGrant", request.SerializeAsString(), nullptr,
               [this, lease](absl::StatusOr<std::string> answer) {
                 Renewal& grant = lease->renewals[0];
                 grant.outcome = OutcomeOf(answer);
                 pb::LeaseGrantResponse response;
                 if (!answer.ok() || !response.ParseFromString(*answer)) {
                   return Later(kSecond, [this] { Grant(); });
                 }
                 grant.returned = shared_.world.now();
                 grant.ttl = response.ttl() * kSecond;
                 Attach(lease);
               });
}

void KvLeaseClient::Attach(LeaseRecord* lease) {
  // Keys of their own: nobody else deletes them.
  Operation put = PutOperation(absl::StrFormat("lease/%d/%d", lease->id, shared_.random.Below(3)),
                               absl::StrFormat("l%d.%d", id_, ++keys_), lease->id);
  put.id = shared_.next_operation++;
  put.client = 1000 + id_;
  put.invoked = shared_.world.now();
  pb::PutRequest request;
  request.set_key(put.then[0].key);
  request.set_value(put.then[0].value);
  request.set_lease(lease->id);
  history_.push_back(put);
  auto sent = std::make_shared<bool>(false);
  shared_.Call(
      shared_.AnyMember(), "/etcdserverpb.KV/Put", request.SerializeAsString(), sent.get(),
      [this, lease, sent, place = history_.size() - 1](absl::StatusOr<std::string> answer) {
        Operation& operation = history_[place];
        pb::PutResponse response;
        if (answer.ok() && response.ParseFromString(*answer)) {
          operation.outcome = Outcome::kOk;
          operation.returned = shared_.world.now();
          operation.revision = response.header().revision();
          operation.results.resize(1);
          shared_.SawRevision(operation.revision);
        } else if (absl::IsNotFound(answer.status()) || !*sent) {
          operation.outcome = Outcome::kFail;
          operation.returned = shared_.world.now();
        }
        Live(lease);
      });
}

void KvLeaseClient::Live(LeaseRecord* lease) {
  Random& random = shared_.random;
  Later(random.Between(10 * kMilli, 1500 * kMilli), [this, lease, choice = random.Below(20)] {
    if (shared_.stopped) return;
    if (choice < 11) return KeepAlive(lease);
    if (choice < 16) return Attach(lease);
    if (choice < 18) return Revoke(lease);
    Grant();  // this one is left to itself
  });
}

void KvLeaseClient::KeepAlive(LeaseRecord* lease) {
  SimMember& member = shared_.AnyMember();
  const size_t place = lease->renewals.size();
  lease->renewals.push_back({.invoked = shared_.world.now(), .ttl = lease->renewals[0].ttl});
  struct State {
    std::unique_ptr<rpc::LocalStream> stream;
    bool over = false;
  };
  auto state = std::make_shared<State>();
  const auto finish = [this, lease, place, state](absl::StatusOr<std::string> answer) {
    if (std::exchange(state->over, true)) return;
    Renewal& renewal = lease->renewals[place];
    pb::LeaseKeepAliveResponse response;
    if (answer.ok() && response.ParseFromString(*answer)) {
      renewal.returned = shared_.world.now();
      renewal.outcome = response.ttl() > 0 ? Outcome::kOk : Outcome::kFail;
      renewal.ttl = response.ttl() * kSecond;
      if (response.ttl() <= 0) return Later(kSecond, [this] { Grant(); });
    }
    Live(lease);
  };
  shared_.world.After(kTimeLimit, [finish] { finish(absl::CancelledError("no answer")); });
  shared_.world.After(shared_.Delay(), [this, &member, lease, state, finish] {
    if (!member.up()) return finish(absl::UnavailableError("the member is down"));
    member.loop().Post([this, &member, lease, state, finish] {
      auto& stack = static_cast<KvStack&>(member.stack());
      const auto later = [this, finish](absl::StatusOr<std::string> answer) {
        shared_.world.After(shared_.Delay(), [finish, answer] { finish(answer); });
      };
      state->stream = stack.channel().OpenStream(
          "/etcdserverpb.Lease/LeaseKeepAlive", {},
          {.on_message = [later](std::string bytes) { later(std::move(bytes)); },
           .on_end =
               [later](absl::Status status) {
                 later(status.ok() ? absl::UnavailableError("ended") : status);
               }});
      pb::LeaseKeepAliveRequest request;
      request.set_id(lease->id);
      state->stream->Send(request.SerializeAsString());
      state->stream->CloseSend();
    });
  });
}

void KvLeaseClient::Revoke(LeaseRecord* lease) {
  pb::LeaseRevokeRequest request;
  request.set_id(lease->id);
  lease->revoke_invoked = shared_.world.now();
  auto sent = std::make_shared<bool>(false);
  shared_.Call(shared_.AnyMember(), "/etcdserverpb.Lease/LeaseRevoke", request.SerializeAsString(),
               sent.get(), [this, lease, sent](absl::StatusOr<std::string> answer) {
                 lease->revoke_outcome = OutcomeOf(answer);
                 if (answer.ok()) lease->revoke_returned = shared_.world.now();
                 Later(kSecond, [this] { Grant(); });
               });
}

}  // namespace keel::sim
