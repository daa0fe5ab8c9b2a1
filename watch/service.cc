#include "watch/service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::watch {
namespace {

constexpr int64_t kNoWatchId = -1;

absl::Status NoLeader() { return absl::UnavailableError("etcdserver: no leader"); }

}  // namespace

// One stream of one client; lives on the connection's loop.
class Service::Handler final : public rpc::ServerStreamHandler,
                               public StreamSink,
                               public std::enable_shared_from_this<Handler> {
 public:
  Handler(Service& service, rpc::ServerCallPtr call)
      : service_(service),
        call_(std::move(call)),
        stream_(service.hub_.OpenStream(call_->loop(), *this)) {
    call_->SetWritableMark(service_.options_.queued_bytes_max / 4);
    if (guard() == nullptr) return;
    epoch_ = guard()->epoch().load(std::memory_order_acquire);
    std::lock_guard lock(service_.mu_);
    service_.handlers_.insert(this);
  }

  base::Loop& loop() const { return call_->loop(); }

  // ---- rpc::ServerStreamHandler

  void OnMessage(std::string_view bytes) override {
    if (!request_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      call_->Finish(absl::InternalError("grpc: failed to unmarshal the received message"));
      return;
    }
    switch (request_.request_union_case()) {
      case etcdserverpb::WatchRequest::kCreateRequest:
        Admit(request_.create_request());
        break;
      case etcdserverpb::WatchRequest::kCancelRequest:
        if (const int64_t id = request_.cancel_request().watch_id(); stream_->Cancel(id)) {
          granted_.erase(id);
          Send({.revision = service_.hub_.revision(), .watch_id = id, .canceled = true});
        }
        break;
      case etcdserverpb::WatchRequest::kProgressRequest:
        stream_->RequestProgress();
        break;
      case etcdserverpb::WatchRequest::REQUEST_UNION_NOT_SET:
        break;  // as etcd does
    }
    // What a client asks for without reading the answers must not pile up.
    if (call_->queued_bytes() > 2 * service_.options_.queued_bytes_max) {
      paused_ = true;
      call_->PauseReading();
    }
  }

  void OnWritable() override {
    if (std::exchange(paused_, false) && !admitting_) call_->ResumeReading();
    if (stream_ != nullptr) stream_->OnDrained();
  }

  void OnEnd() override {
    stream_.reset();
    std::lock_guard lock(service_.mu_);
    service_.need_leader_.erase(call_.get());
    service_.handlers_.erase(this);
  }

  // ---- rights

  // On the stream's loop, not within a callback of the stream.
  void Recheck() {
    if (stream_ == nullptr) return;
    FindRevoked();
    CancelRevoked();
  }

  // ---- StreamSink

  bool full() const override { return call_->queued_bytes() > service_.options_.queued_bytes_max; }

  void SendEvents(const EventsResponse& response) override {
    if (guard() != nullptr) {
      if (guard()->epoch().load(std::memory_order_acquire) != epoch_) [[unlikely]]
        FindRevoked();
      if (revoked_.contains(response.watch_id)) [[unlikely]]
        return;
    }
    rpc::Message message(
        EncodeResponseHead(service_.header_.Header(), {.revision = response.revision,
                                                       .watch_id = response.watch_id,
                                                       .fragment = response.fragment}));
    message.shared = response.events;
    call_->Send(std::move(message));
  }
  void SendProgress(int64_t watch_id, int64_t revision) override {
    Send({.revision = revision, .watch_id = watch_id});
  }
  void SendCompacted(int64_t watch_id, int64_t compact_revision) override {
    // etcd sends neither a revision nor a reason with it; clients go by
    // compact_revision.
    granted_.erase(watch_id);
    Send({.watch_id = watch_id, .canceled = true, .compact_revision = compact_revision});
  }

 private:
  // In whose name a watcher watches what.
  struct Grant {
    std::string user;
    std::string key;
    std::string range_end;
  };

  Guard* guard() const { return service_.options_.guard; }

  // The answer may take a while: what the client sends next waits its turn.
  void Admit(const etcdserverpb::WatchCreateRequest& request) {
    if (guard() == nullptr || !guard()->on()) return Create(request, nullptr);
    admitting_ = true;
    call_->PauseReading();
    guard()->Admit(call_, request.key(), request.range_end(),
                   [self = shared_from_this(), request](absl::StatusOr<std::string> user) {
                     self->OnAdmitted(request, std::move(user));
                   });
  }

  void OnAdmitted(const etcdserverpb::WatchCreateRequest& request,
                  absl::StatusOr<std::string> user) {
    admitting_ = false;
    if (stream_ == nullptr) return;  // the call has ended
    if (user.ok()) {
      const Grant grant{*std::move(user), request.key(), request.range_end()};
      Create(request, &grant);
    } else {
      Refuse(base::ToStd(user.status().message()));
    }
    // Last: what was held back may be delivered within.
    if (!paused_) call_->ResumeReading();
  }

  bool Allowed(int64_t id) const {
    const auto found = granted_.find(id);
    // Those that were created while nobody was asked belong to nobody.
    if (found == granted_.end()) return guard()->Allows({}, {}, {});
    const Grant& grant = found->second;
    return guard()->Allows(grant.user, grant.key, grant.range_end);
  }

  // Notes who has lost its right: from here on it is sent nothing.
  void FindRevoked() {
    epoch_ = guard()->epoch().load(std::memory_order_acquire);
    for (const int64_t id : stream_->watch_ids()) {
      if (!Allowed(id)) revoked_.insert(id);
    }
    if (revoked_.empty()) return;
    // The stream may be in the middle of delivering.
    call_->loop().Post([self = shared_from_this()] {
      if (self->stream_ != nullptr) self->CancelRevoked();
    });
  }

  void CancelRevoked() {
    for (const int64_t id : std::exchange(revoked_, {})) {
      granted_.erase(id);
      if (!stream_->Cancel(id)) continue;
      Send({.revision = service_.hub_.revision(),
            .watch_id = id,
            .canceled = true,
            .cancel_reason = guard()->denial()});
    }
  }

  void Send(const ResponseHead& head) {
    call_->Send(EncodeResponseHead(service_.header_.Header(), head));
  }

  void Refuse(std::string_view reason) {
    Send({.revision = service_.hub_.revision(),
          .watch_id = kNoWatchId,
          .created = true,
          .canceled = true,
          .cancel_reason = reason});
  }

  // `grant`: null while nobody is asked.
  void Create(const etcdserverpb::WatchCreateRequest& request, const Grant* grant) {
    CreateOptions options;
    options.range = KeyRange::FromRequest(request.key(), request.range_end());
    options.start_revision = request.start_revision();
    options.watch_id = request.watch_id();
    options.filter.prev_kv = request.prev_kv();
    for (const int filter : request.filters()) {
      options.filter.no_put |= filter == etcdserverpb::WatchCreateRequest::NOPUT;
      options.filter.no_delete |= filter == etcdserverpb::WatchCreateRequest::NODELETE;
    }
    options.progress_notify = request.progress_notify();
    options.fragment = request.fragment();
    const absl::StatusOr<CreateResult> created = stream_->Create(options);
    if (!created.ok()) return Refuse(base::ToStd(created.status().message()));
    if (grant != nullptr) granted_[created->watch_id] = *grant;
    Send({.revision = created->revision, .watch_id = created->watch_id, .created = true});
    if (created->compact_revision != 0) {
      SendCompacted(created->watch_id, created->compact_revision);
    }
  }

  Service& service_;
  const rpc::ServerCallPtr call_;
  std::unique_ptr<Stream> stream_;
  etcdserverpb::WatchRequest request_;  // kept for its memory
  bool paused_ = false;                 // for the client reads too slowly
  bool admitting_ = false;  // reading is paused until it is known whether a watcher may be
  // Of the watchers that were admitted while rights are asked for.
  absl::flat_hash_map<int64_t, Grant> granted_;
  uint64_t epoch_ = 0;                    // of the guard, at which they were last checked
  absl::flat_hash_set<int64_t> revoked_;  // to be cancelled
};

Service::Service(Hub& hub, const HeaderSource& header, ServiceOptions options)
    : hub_(hub), header_(header), options_(std::move(options)) {}

Service::~Service() = default;

void Service::Register(rpc::Server& server) {
  server.RegisterStream(
      "/etcdserverpb.Watch/Watch",
      [this](rpc::ServerCallPtr call) -> std::shared_ptr<rpc::ServerStreamHandler> {
        if (call->Metadata("hasleader") == "true" && !Admit(*call)) {
          call->Finish(NoLeader());
          return nullptr;
        }
        return std::make_shared<Handler>(*this, std::move(call));
      });
}

bool Service::Admit(rpc::ServerCall& call) {
  std::lock_guard lock(mu_);
  // Under the lock: a leader lost from now on ends this stream with the others.
  if (options_.has_leader && !options_.has_leader()) return false;
  need_leader_.insert(&call);
  return true;
}

void Service::RecheckRights() {
  std::vector<std::shared_ptr<Handler>> handlers;
  {
    std::lock_guard lock(mu_);
    for (Handler* handler : handlers_) {
      // Null while it is being made: then it begins with the new epoch.
      if (auto held = handler->weak_from_this().lock()) handlers.push_back(std::move(held));
    }
  }
  for (std::shared_ptr<Handler>& handler : handlers) {
    base::Loop& loop = handler->loop();
    loop.Post([handler = std::move(handler)] { handler->Recheck(); });
  }
}

void Service::EndStreamsWithoutLeader() {
  std::vector<rpc::ServerCallPtr> calls;
  {
    std::lock_guard lock(mu_);
    calls.assign(need_leader_.begin(), need_leader_.end());
  }
  for (const rpc::ServerCallPtr& call : calls) call->Finish(NoLeader());
}

}  // namespace keel::watch
