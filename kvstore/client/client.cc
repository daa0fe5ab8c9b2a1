#include "kvstore/client/client.h"

#include <atomic>
#include <optional>

#include "base/check.h"
#include "base/status.h"
#include "kvstore/client/core.h"
#include "kvstore/client/lease_stream.h"
#include "kvstore/client/watch_stream.h"

namespace keel::kvstore {
namespace {

bool Writes(const google::protobuf::RepeatedPtrField<etcdserverpb::RequestOp>& ops) {
  for (const auto& op : ops) {
    if (op.has_request_txn()) {
      if (RepeatOf(op.request_txn()) == Repeat::kNever) return true;
    } else if (!op.has_request_range()) {
      return true;
    }
  }
  return false;
}

// Runs `task` on the loop and waits for it; at once when on the loop, and when that was stopped:
// it would never come to it.
void RunOn(base::AsioLoop& loop, absl::AnyInvocable<void()> task) {
  if (loop.InLoop() || loop.context().stopped()) return task();
  std::promise<void> done;
  loop.Post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace

Repeat RepeatOf(const etcdserverpb::TxnRequest& request) {
  return Writes(request.success()) || Writes(request.failure()) ? Repeat::kNever : Repeat::kAlways;
}

// What handles may still hold when the Client is gone.
struct Client::Shared {
  Shared(base::AsioLoop& loop, ClientOptions options, std::vector<std::string> addresses,
         std::shared_ptr<base::TlsContext> tls)
      : core(std::make_shared<ClientCore>(loop, std::move(options), std::move(addresses),
                                          std::move(tls))),
        watches(std::in_place, core),
        leases(std::in_place, core) {}

  std::shared_ptr<ClientCore> core;
  // Loop only; gone once the client is closed.
  std::optional<WatchStream> watches;
  std::optional<LeaseStream> leases;
  std::atomic<int64_t> last_id = 0;
  std::atomic<bool> closed = false;
};

absl::StatusOr<std::unique_ptr<Client>> Client::Create(ClientOptions options,
                                                       base::AsioLoop* loop) {
  if (options.endpoints.empty()) return absl::InvalidArgumentError("no endpoint was given");
  std::vector<std::string> addresses;
  bool secure = options.tls.has_value();
  for (const std::string& endpoint : options.endpoints) {
    KEEL_ASSIGN_OR_RETURN(std::string address, ParseEndpoint(endpoint));
    addresses.push_back(std::move(address));
    secure = secure || WantsTls(endpoint, false);
  }
  std::shared_ptr<base::TlsContext> tls;
  if (secure) {
    base::TlsOptions tls_options = options.tls.value_or(base::TlsOptions());
    tls_options.protocols = {"h2"};
    KEEL_ASSIGN_OR_RETURN(tls,
                          base::TlsContext::Create(std::move(tls_options), base::TlsRole::kClient));
  }
  std::unique_ptr<base::AsioLoop> own_loop;
  if (loop == nullptr) {
    own_loop = std::make_unique<base::AsioLoop>("kv-client");
    own_loop->Start();
    loop = own_loop.get();
  }
  auto shared =
      std::make_shared<Shared>(*loop, std::move(options), std::move(addresses), std::move(tls));
  return std::unique_ptr<Client>(new Client(std::move(shared), std::move(own_loop)));
}

Client::Client(std::shared_ptr<Shared> shared, std::unique_ptr<base::AsioLoop> own_loop)
    : own_loop_(std::move(own_loop)), shared_(std::move(shared)) {}

Client::~Client() {
  KEEL_CHECK(own_loop_ == nullptr || !own_loop_->InLoop(),
             "a Client destroyed in its own callback");
  RunOn(loop(), [&] {
    shared_->watches->Close();
    shared_->leases->Close();
    shared_->watches.reset();
    shared_->leases.reset();
    shared_->core->Close();
    shared_->closed = true;
  });
  if (own_loop_ != nullptr) own_loop_->Stop();
}

base::AsioLoop& Client::loop() { return shared_->core->loop(); }

void Client::CheckMayBlock() const {
  KEEL_CHECK(!shared_->core->loop().InLoop(), "a blocking call on the client's loop");
}

void Client::CallBytes(std::string_view path, Repeat repeat, std::string request,
                       const RpcOptions& options, BytesDone done) {
  shared_->core->Call(path, repeat, std::move(request), options, std::move(done));
}

absl::StatusOr<etcdserverpb::CompactionResponse> Client::Compact(int64_t revision, bool physical) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  request.set_physical(physical);
  return Await(request);
}

namespace {

// One stream, to one server.
class SnapshotReader final : public rpc::ClientStreamHandler,
                             public std::enable_shared_from_this<SnapshotReader> {
 public:
  using Take = absl::FunctionRef<absl::Status(const etcdserverpb::SnapshotResponse&)>;
  explicit SnapshotReader(Take take) : take_(take) {}

  // On the loop.
  void Open(ClientCore& core, size_t server) {
    stream_ =
        core.channel(server).OpenStream("/etcdserverpb.Maintenance/Snapshot",
                                        {.metadata = core.login().Metadata()}, shared_from_this());
    stream_->Send(std::string());
    stream_->CloseSend();
  }
  void OnMessage(std::string_view message) override {
    if (!failed_.ok()) return;
    etcdserverpb::SnapshotResponse response;
    failed_ = response.ParseFromArray(message.data(), static_cast<int>(message.size()))
                  ? take_(response)
                  : absl::InternalError("the server sent a malformed response");
    if (!failed_.ok()) stream_->Cancel();
  }
  void OnFinished(absl::Status status) override {
    stream_.reset();
    done.set_value(failed_.ok() ? std::move(status) : failed_);
  }

  std::promise<absl::Status> done;

 private:
  const Take take_;
  absl::Status failed_;
  rpc::ClientStreamPtr stream_;
};

}  // namespace

absl::Status Client::Snapshot(
    absl::FunctionRef<absl::Status(const etcdserverpb::SnapshotResponse&)> take,
    const RpcOptions& options) {
  CheckMayBlock();
  const auto reader = std::make_shared<SnapshotReader>(take);
  loop().Post([shared = shared_, reader, endpoint = options.endpoint] {
    ClientCore& core = *shared->core;
    if (core.closed()) return reader->done.set_value(absl::CancelledError("the client is closed"));
    const auto index = endpoint.empty() ? absl::StatusOr<size_t>(0) : core.IndexOf(endpoint);
    if (!index.ok()) return reader->done.set_value(index.status());
    const size_t server = *index;
    if (!core.login().needed()) return reader->Open(core, server);
    core.LogIn([shared, reader, server](const absl::Status& status) {
      if (!status.ok()) return reader->done.set_value(status);
      reader->Open(*shared->core, server);
    });
  });
  return reader->done.get_future().get();
}

absl::StatusOr<etcdserverpb::LeaseGrantResponse> Client::Grant(std::chrono::seconds ttl,
                                                               int64_t id) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(ttl.count());
  request.set_id(id);
  return Await(request);
}

absl::StatusOr<etcdserverpb::LeaseRevokeResponse> Client::Revoke(int64_t lease) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  return Await(request);
}

absl::StatusOr<etcdserverpb::LeaseTimeToLiveResponse> Client::TimeToLive(int64_t lease, bool keys) {
  etcdserverpb::LeaseTimeToLiveRequest request;
  request.set_id(lease);
  request.set_keys(keys);
  return Await(request);
}

class Client::WatchHandle final : public Watcher {
 public:
  WatchHandle(std::shared_ptr<Shared> shared, int64_t id) : shared_(std::move(shared)), id_(id) {}
  ~WatchHandle() override {
    if (shared_->closed) return;
    RunOn(shared_->core->loop(), [this] {
      if (shared_->watches) shared_->watches->Remove(id_);
    });
  }
  void RequestProgress() override {
    if (shared_->closed) return;
    shared_->core->loop().Post([shared = shared_] {
      if (shared->watches) shared->watches->RequestProgress();
    });
  }

 private:
  const std::shared_ptr<Shared> shared_;
  const int64_t id_;
};

std::unique_ptr<Watcher> Client::Watch(std::string_view key, const WatchOptions& options,
                                       OnWatchResponse on_response, OnWatchEnd on_end) {
  KEEL_CHECK(on_response != nullptr, "a watch needs a callback");
  if (on_end == nullptr) on_end = [](const WatchEnd&) {};
  etcdserverpb::WatchCreateRequest request;
  request.set_key(key.data(), key.size());
  request.set_range_end(options.range_end);
  request.set_start_revision(options.start_revision);
  request.set_prev_kv(options.prev_kv);
  request.set_progress_notify(options.progress_notify);
  request.set_fragment(options.fragment);
  if (options.no_puts) request.add_filters(etcdserverpb::WatchCreateRequest::NOPUT);
  if (options.no_deletes) request.add_filters(etcdserverpb::WatchCreateRequest::NODELETE);
  const int64_t id = ++shared_->last_id;
  loop().Post([shared = shared_, id, request = std::move(request),
               reconnect_timeout = options.reconnect_timeout, on_response = std::move(on_response),
               on_end = std::move(on_end)]() mutable {
    if (!shared->watches) return on_end({absl::CancelledError("the client is closed"), 0, {}});
    shared->watches->Add(id, std::move(request), reconnect_timeout, std::move(on_response),
                         std::move(on_end));
  });
  return std::make_unique<WatchHandle>(shared_, id);
}

class Client::KeepAliveHandle final : public LeaseKeeper {
 public:
  KeepAliveHandle(std::shared_ptr<Shared> shared, int64_t id)
      : shared_(std::move(shared)), id_(id) {}
  ~KeepAliveHandle() override {
    if (shared_->closed) return;
    RunOn(shared_->core->loop(), [this] {
      if (shared_->leases) shared_->leases->Remove(id_);
    });
  }

 private:
  const std::shared_ptr<Shared> shared_;
  const int64_t id_;
};

std::unique_ptr<LeaseKeeper> Client::KeepAlive(int64_t lease, OnLeaseRenewed on_renewed,
                                               OnLeaseLost on_lost) {
  if (on_renewed == nullptr) on_renewed = [](const etcdserverpb::LeaseKeepAliveResponse&) {};
  if (on_lost == nullptr) on_lost = [](const absl::Status&) {};
  const int64_t id = ++shared_->last_id;
  loop().Post([shared = shared_, id, lease, on_renewed = std::move(on_renewed),
               on_lost = std::move(on_lost)]() mutable {
    if (!shared->leases) return on_lost(absl::CancelledError("the client is closed"));
    shared->leases->Add(id, lease, std::move(on_renewed), std::move(on_lost));
  });
  return std::make_unique<KeepAliveHandle>(shared_, id);
}

absl::StatusOr<etcdserverpb::LeaseKeepAliveResponse> Client::KeepAliveOnce(int64_t lease) {
  CheckMayBlock();
  std::promise<absl::StatusOr<etcdserverpb::LeaseKeepAliveResponse>> result;
  bool told = false;  // on the loop: only the first word counts
  auto keeper = KeepAlive(
      lease,
      [&](const etcdserverpb::LeaseKeepAliveResponse& response) {
        if (!std::exchange(told, true)) result.set_value(response);
      },
      [&](const absl::Status& lost) {
        if (!std::exchange(told, true)) result.set_value(lost);
      });
  return result.get_future().get();
}

}  // namespace keel::kvstore
