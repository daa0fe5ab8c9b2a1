#include "tests/sim/kv_clients.h"

#include "kvstore/api/rpc.pb.h"

namespace keel::sim {

namespace pb = etcdserverpb;

namespace {

constexpr Nanos kTimeLimit = 9 * kSecond;

void ToRequest(const Action& action, int64_t at_revision, bool serializable, pb::RequestOp* out) {
  switch (action.type) {
    case Action::Type::kPut: {
      auto* put = out->mutable_request_put();
      put->set_key(action.key);
      put->set_value(action.value);
      put->set_lease(action.lease);
      break;
    }
    case Action::Type::kDelete: {
      auto* remove = out->mutable_request_delete_range();
      remove->set_key(action.key);
      remove->set_range_end(action.range_end);
      break;
    }
    case Action::Type::kGet: {
      auto* range = out->mutable_request_range();
      range->set_key(action.key);
      range->set_range_end(action.range_end);
      range->set_revision(at_revision);
      range->set_serializable(serializable);
      break;
    }
  }
}

std::vector<KeyVersion> FromKvs(const google::protobuf::RepeatedPtrField<mvccpb::KeyValue>& kvs) {
  std::vector<KeyVersion> out;
  for (const mvccpb::KeyValue& kv : kvs) {
    out.push_back(
        {kv.key(), kv.value(), kv.create_revision(), kv.mod_revision(), kv.version(), kv.lease()});
  }
  return out;
}

// Answers that say for certain that nothing happened.
bool Refused(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
         absl::IsOutOfRange(status) || absl::IsResourceExhausted(status) ||
         absl::IsUnimplemented(status);
}

template <typename T>
bool Parse(const std::string& bytes, T* out) {
  return out->ParseFromString(bytes);
}

}  // namespace

void KvShared::Call(SimMember& member, std::string path, std::string request, bool* sent,
                    Done done) {
  struct State {
    Done done;
    bool over = false;
  };
  auto state = std::make_shared<State>();
  state->done = std::move(done);
  const auto finish = [this, state](absl::StatusOr<std::string> answer) {
    if (std::exchange(state->over, true)) return;
    state->done(std::move(answer));
  };
  world.After(kTimeLimit, [finish] { finish(absl::CancelledError("no answer in time")); });
  world.After(Delay(), [this, &member, sent, path = std::move(path), request = std::move(request),
                        finish]() mutable {
    if (!member.up()) {
      world.After(Delay(), [finish] { finish(absl::UnavailableError("the member is down")); });
      return;
    }
    if (sent != nullptr) *sent = true;
    member.loop().Post(
        [this, &member, path = std::move(path), request = std::move(request), finish]() mutable {
          auto& stack = static_cast<KvStack&>(member.stack());
          stack.channel().Call(
              path, std::move(request), {}, [this, finish](absl::StatusOr<std::string> answer) {
                world.After(Delay(), [finish, answer = std::move(answer)]() mutable {
                  finish(std::move(answer));
                });
              });
        });
  });
}

KvClient::KvClient(KvShared* shared, uint64_t id, std::vector<std::string> keys, Nanos pace)
    : shared_(*shared), id_(id), keys_(std::move(keys)), pace_(pace) {}

void KvClient::Next() {
  busy_ = false;
  shared_.world.After(shared_.random.Between(kMilli, 2 * pace_), [this] {
    if (!shared_.stopped) Ask();
  });
}

void KvClient::Ask() {
  busy_ = true;
  if (shared_.random.Chance(0.01)) return Compact();
  Send(Draw());
}

Operation KvClient::Draw() {
  Random& random = shared_.random;
  const std::string& key = keys_[random.Below(keys_.size())];
  const std::string& other = keys_[random.Below(keys_.size())];
  const std::string value = absl::StrFormat("v%d.%d%s", id_, shared_.next_operation,
                                            random.Chance(0.1) ? std::string(500, 'x') : "");
  if (shared_.sim.healed() && !wrote_) return PutOperation(key, value);
  if (shared_.sim.healed() && !read_) return GetOperation(key);
  switch (random.Below(12)) {
    case 0:
    case 1:
    case 2:
      return PutOperation(key, value);
    case 3:
      return DeleteOperation(key);
    case 4:
    case 5:
      return CasOperation(key, seen_.contains(key) ? seen_[key] : 0, value);
    case 6: {  // two keys at once, and what was there
      Operation operation = PutOperation(key, value);
      if (other != key) {
        operation.then.push_back({.type = Action::Type::kPut, .key = other, .value = value + "b"});
      }
      operation.then.insert(operation.then.begin(), {.type = Action::Type::kGet, .key = key});
      return operation;
    }
    case 7:
    case 8:
      return GetOperation(key);
    case 9:
      return GetOperation("k", "l");
    case 10: {
      Operation operation = GetOperation("k", "l");
      operation.serializable = true;
      return operation;
    }
    default: {
      Operation operation = GetOperation(key);
      if (random.Chance(0.5)) {
        operation.at_revision =
            random.Between(std::max<int64_t>(1, shared_.newest - 20), shared_.newest);
      }
      return operation;
    }
  }
}

void KvClient::Send(Operation operation) {
  World& world = shared_.world;
  operation.id = shared_.next_operation++;
  operation.client = id_;
  operation.invoked = world.now();
  ++shared_.counters.operations;

  std::string path = "/etcdserverpb.KV/Txn";
  std::string request;
  const bool lone = operation.compares.empty() && operation.then.size() == 1;
  if (lone) {
    pb::RequestOp one;
    ToRequest(operation.then[0], operation.at_revision, operation.serializable, &one);
    if (one.has_request_put()) {
      path = "/etcdserverpb.KV/Put";
      request = one.request_put().SerializeAsString();
    } else if (one.has_request_delete_range()) {
      path = "/etcdserverpb.KV/DeleteRange";
      request = one.request_delete_range().SerializeAsString();
    } else {
      path = "/etcdserverpb.KV/Range";
      request = one.request_range().SerializeAsString();
    }
  } else {
    pb::TxnRequest txn;
    for (const Compare& compare : operation.compares) {
      pb::Compare* out = txn.add_compare();
      out->set_key(compare.key);
      out->set_target(pb::Compare::MOD);
      out->set_result(pb::Compare::EQUAL);
      out->set_mod_revision(compare.number);
    }
    for (const Action& action : operation.then) ToRequest(action, 0, false, txn.add_success());
    for (const Action& action : operation.otherwise) ToRequest(action, 0, false, txn.add_failure());
    request = txn.SerializeAsString();
  }
  SimMember& member = shared_.AnyMember();
  world.Note(member.id(), "client %d asks %s", id_, Describe(operation));
  history_.push_back(std::move(operation));
  auto sent = std::make_shared<bool>(false);
  shared_.Call(member, std::move(path), std::move(request), sent.get(),
               [this, place = history_.size() - 1, sent](absl::StatusOr<std::string> answer) {
                 Answered(place, answer, *sent);
               });
}

void KvClient::Answered(size_t place, const absl::StatusOr<std::string>& answer, bool sent) {
  Operation& operation = history_[place];
  operation.outcome = Outcome::kUnknown;
  if (answer.ok()) {
    operation.outcome = Outcome::kOk;
    operation.returned = shared_.world.now();
    const bool lone = operation.compares.empty() && operation.then.size() == 1;
    const auto take = [&](const pb::ResponseOp& response) {
      ActionResult& result = operation.results.emplace_back();
      if (response.has_response_range()) result.read = FromKvs(response.response_range().kvs());
      if (response.has_response_delete_range()) {
        result.deleted = response.response_delete_range().deleted();
      }
    };
    pb::ResponseOp one;
    bool parsed = false;
    if (!lone) {
      pb::TxnResponse txn;
      parsed = Parse(*answer, &txn);
      operation.succeeded = txn.succeeded();
      operation.revision = txn.header().revision();
      for (const pb::ResponseOp& response : txn.responses()) take(response);
    } else if (operation.then[0].type == Action::Type::kPut) {
      parsed = Parse(*answer, one.mutable_response_put());
      operation.revision = one.response_put().header().revision();
      take(one);
    } else if (operation.then[0].type == Action::Type::kDelete) {
      parsed = Parse(*answer, one.mutable_response_delete_range());
      operation.revision = one.response_delete_range().header().revision();
      take(one);
    } else {
      parsed = Parse(*answer, one.mutable_response_range());
      operation.revision = one.response_range().header().revision();
      take(one);
    }
    if (!parsed) shared_.sim.oracle().Fail("bad answer", Describe(operation));
    shared_.SawRevision(operation.revision);
    for (const ActionResult& result : operation.results) {
      for (const KeyVersion& kv : result.read) seen_[kv.key] = kv.mod_revision;
    }
    bool writes = false;
    for (const Action& action : operation.Ran()) {
      writes |= action.type == Action::Type::kPut;
      if (action.type == Action::Type::kPut) seen_[action.key] = operation.revision;
    }
    (writes ? wrote_ : read_) = true;
    ++shared_.counters.acknowledged;
  } else if (Refused(answer.status()) || !sent) {
    operation.outcome = Outcome::kFail;
    operation.returned = shared_.world.now();
    ++shared_.counters.refused;
  } else {
    ++shared_.counters.unknown;
  }
  shared_.world.Note(0, "client %d: op %d %s", id_, operation.id,
                     answer.ok() ? absl::StrFormat("ok at revision %d", operation.revision)
                                 : answer.status().ToString());
  Next();
}

void KvClient::Compact() {
  pb::CompactionRequest request;
  request.set_revision(std::max<int64_t>(1, shared_.newest - shared_.random.Between(0, 30)));
  SimMember& member = shared_.AnyMember();
  shared_.world.Note(member.id(), "client %d compacts at %d", id_, request.revision());
  shared_.Call(member, "/etcdserverpb.KV/Compact", request.SerializeAsString(), nullptr,
               [this](absl::StatusOr<std::string>) { Next(); });
}

}  // namespace keel::sim
