#include "watch/service.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::watch {
namespace {

constexpr int64_t kNoWatchId = -1;

absl::Status NoLeader() { return absl::UnavailableError("etcdserver: no leader"); }

}  // namespace

// One stream of one client; lives on the connection's loop.
class Service::Handler final : public rpc::ServerStreamHandler, public StreamSink {
 public:
  Handler(Service& service, rpc::ServerCallPtr call)
      : service_(service),
        call_(std::move(call)),
        stream_(service.hub_.OpenStream(call_->loop(), *this)) {
    call_->SetWritableMark(service_.options_.queued_bytes_max / 4);
  }

  // ---- rpc::ServerStreamHandler

  void OnMessage(std::string_view bytes) override {
    if (!request_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      call_->Finish(absl::InternalError("grpc: failed to unmarshal the received message"));
      return;
    }
    switch (request_.request_union_case()) {
      case etcdserverpb::WatchRequest::kCreateRequest:
        Create(request_.create_request());
        break;
      case etcdserverpb::WatchRequest::kCancelRequest:
        if (const int64_t id = request_.cancel_request().watch_id(); stream_->Cancel(id)) {
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
    if (std::exchange(paused_, false)) call_->ResumeReading();
    if (stream_ != nullptr) stream_->OnDrained();
  }

  void OnEnd() override {
    stream_.reset();
    std::lock_guard lock(service_.mu_);
    service_.need_leader_.erase(call_.get());
  }

  // ---- StreamSink

  bool full() const override { return call_->queued_bytes() > service_.options_.queued_bytes_max; }

  void SendEvents(const EventsResponse& response) override {
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
    Send({.watch_id = watch_id, .canceled = true, .compact_revision = compact_revision});
  }

 private:
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

  void Create(const etcdserverpb::WatchCreateRequest& request) {
    if (service_.options_.authorize) {
      const absl::Status allowed =
          service_.options_.authorize(*call_, request.key(), request.range_end());
      if (!allowed.ok()) return Refuse(base::ToStd(allowed.message()));
    }
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
    Send({.revision = created->revision, .watch_id = created->watch_id, .created = true});
    if (created->compact_revision != 0) {
      SendCompacted(created->watch_id, created->compact_revision);
    }
  }

  Service& service_;
  const rpc::ServerCallPtr call_;
  std::unique_ptr<Stream> stream_;
  etcdserverpb::WatchRequest request_;  // kept for its memory
  bool paused_ = false;
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

void Service::EndStreamsWithoutLeader() {
  std::vector<rpc::ServerCallPtr> calls;
  {
    std::lock_guard lock(mu_);
    calls.assign(need_leader_.begin(), need_leader_.end());
  }
  for (const rpc::ServerCallPtr& call : calls) call->Finish(NoLeader());
}

}  // namespace keel::watch
