#include "kvstore/server/local_concurrency_store.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kvstore/client/methods.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;

namespace {

// Who calls, and whether only while there is a leader.
constexpr std::string_view kPassedOn[] = {"token", "authorization", "hasleader"};

rpc::LocalMetadata MetadataOf(const rpc::ServerCall& caller) {
  rpc::LocalMetadata metadata;
  for (const std::string_view name : kPassedOn) {
    const std::string_view value = caller.Metadata(name);
    if (!value.empty()) metadata.emplace_back(std::string(name), std::string(value));
  }
  return metadata;
}

absl::Status Malformed() { return absl::InternalError("the server sent a malformed response"); }

class LocalWatch final : public ConcurrencyStore::Watching {
 public:
  LocalWatch(rpc::LocalChannel* channel, const rpc::LocalMetadata& metadata,
             const pb::WatchCreateRequest& request, ConcurrencyStore::WatchEvents events)
      : state_(std::make_shared<State>()) {
    state_->events = std::move(events);
    // The state outlives the callback that runs, should that destroy the watch.
    const auto state = state_;
    stream_ = channel->OpenStream(
        "/etcdserverpb.Watch/Watch", metadata,
        {.on_message = [state](std::string message) { OnMessage(state, message); },
         .on_end = [state](absl::Status status) { End(state, std::move(status)); }});
    pb::WatchRequest create;
    *create.mutable_create_request() = request;
    stream_->Send(create.SerializeAsString());
  }
  ~LocalWatch() override { state_->over = true; }

 private:
  struct State {
    ConcurrencyStore::WatchEvents events;
    bool over = false;
  };

  static void OnMessage(std::shared_ptr<State> state, const std::string& message) {
    if (state->over) return;
    pb::WatchResponse response;
    if (!response.ParseFromString(message)) return End(state, Malformed());
    if (response.canceled()) {
      return End(state, response.compact_revision() != 0
                            ? absl::OutOfRangeError(
                                  "etcdserver: mvcc: required revision has been compacted")
                            : absl::UnknownError(response.cancel_reason()));
    }
    state->events.on_response(response);
  }

  static void End(std::shared_ptr<State> state, absl::Status status) {
    if (std::exchange(state->over, true)) return;
    if (status.ok()) status = absl::UnavailableError("the watch has ended");
    state->events.on_end(std::move(status));
  }

  const std::shared_ptr<State> state_;
  std::unique_ptr<rpc::LocalStream> stream_;
};

}  // namespace

LocalConcurrencyStore::LocalConcurrencyStore(rpc::LocalChannel* channel,
                                             const rpc::ServerCall& caller)
    : channel_(channel), metadata_(MetadataOf(caller)) {}

template <typename Request, typename Response>
void LocalConcurrencyStore::Call(std::string_view path, const Request& request,
                                 Done<Response> done) {
  channel_->Call(path, request.SerializeAsString(), metadata_,
                 [done = std::move(done)](absl::StatusOr<std::string> bytes) mutable {
                   if (!bytes.ok()) return done(bytes.status());
                   Response response;
                   if (!response.ParseFromString(*bytes)) return done(Malformed());
                   done(std::move(response));
                 });
}

void LocalConcurrencyStore::Range(const pb::RangeRequest& request, Done<pb::RangeResponse> done) {
  Call(RpcOf<pb::RangeRequest>::kPath, request, std::move(done));
}

void LocalConcurrencyStore::Txn(const pb::TxnRequest& request, Done<pb::TxnResponse> done) {
  Call(RpcOf<pb::TxnRequest>::kPath, request, std::move(done));
}

void LocalConcurrencyStore::DeleteRange(const pb::DeleteRangeRequest& request,
                                        Done<pb::DeleteRangeResponse> done) {
  Call(RpcOf<pb::DeleteRangeRequest>::kPath, request, std::move(done));
}

void LocalConcurrencyStore::Grant(int64_t ttl_seconds, Done<pb::LeaseGrantResponse> done) {
  pb::LeaseGrantRequest request;
  request.set_ttl(ttl_seconds);
  Call(RpcOf<pb::LeaseGrantRequest>::kPath, request, std::move(done));
}

std::unique_ptr<ConcurrencyStore::Watching> LocalConcurrencyStore::Watch(
    const pb::WatchCreateRequest& request, WatchEvents events) {
  return std::make_unique<LocalWatch>(channel_, metadata_, request, std::move(events));
}

LocalLeaseKeeper::LocalLeaseKeeper(rpc::LocalChannel* channel, base::Loop* loop, int64_t lease,
                                   const rpc::ServerCall& caller)
    : loop_(loop), lease_(lease) {
  // Whoever waits under the lease learns of its end from the store.
  stream_ = channel->OpenStream("/etcdserverpb.Lease/LeaseKeepAlive", MetadataOf(caller),
                                {.on_message = [this](std::string message) { OnRenewed(message); },
                                 .on_end = [](absl::Status) {}});
  Renew();
}

LocalLeaseKeeper::~LocalLeaseKeeper() { loop_->Cancel(timer_); }

void LocalLeaseKeeper::Renew() {
  timer_ = 0;
  pb::LeaseKeepAliveRequest request;
  request.set_id(lease_);
  stream_->Send(request.SerializeAsString());
}

void LocalLeaseKeeper::OnRenewed(std::string_view message) {
  pb::LeaseKeepAliveResponse response;
  if (!response.ParseFromArray(message.data(), static_cast<int>(message.size()))) return;
  if (response.ttl() <= 0) return;
  timer_ = loop_->After(std::chrono::milliseconds(response.ttl() * 1000 / 3), [this] { Renew(); });
}

}  // namespace keel::kvstore
