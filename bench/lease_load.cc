#include "bench/lease_load.h"

#include <future>
#include <utility>

#include "base/strings.h"
#include "bench/connect.h"

namespace keel::bench {
namespace {

constexpr int64_t kTtlSeconds = 60;

}  // namespace

class LeaseLoad::Stream final : public rpc::ClientStreamHandler {
 public:
  Stream(LeaseLoad& load, int64_t lease) : load_(load) {
    etcdserverpb::LeaseKeepAliveRequest request;
    request.set_id(lease);
    request_ = request.SerializeAsString();
  }

  void Open(rpc::Channel& channel, std::shared_ptr<Stream> self) {
    stream_ = channel.OpenStream("/etcdserverpb.Lease/LeaseKeepAlive", {}, std::move(self));
  }
  void Renew() {
    if (!load_.run_.TakeOne()) return;
    start_ns_ = NowNs();
    stream_->Send(request_);
  }
  void OnMessage(std::string_view message) override {
    const int64_t now = NowNs();
    if (load_.run_.Counts(now)) {
      etcdserverpb::LeaseKeepAliveResponse response;
      if (response.ParseFromArray(message.data(), static_cast<int>(message.size())) &&
          response.ttl() > 0) {
        load_.found_.latency_ns.Record(now - start_ns_);
      } else {
        load_.found_.Error(absl::NotFoundError("the lease is gone"));
      }
    }
    // Last: the run may be over with it.
    if (load_.run_.options.total != 0) load_.run_.completed.fetch_add(1, std::memory_order_release);
    Renew();
  }
  void OnFinished(absl::Status status) override {
    if (!load_.run_.stop.load()) {
      load_.found_.Error(status.ok() ? absl::UnavailableError("the server closed the stream")
                                     : status);
    }
  }

 private:
  LeaseLoad& load_;
  std::string request_;
  int64_t start_ns_ = 0;
  rpc::ClientStreamPtr stream_;
};

LeaseLoad::LeaseLoad(Run& run, int thread) : run_(run), loop_(base::StrCat("lease-", thread)) {
  channels_ = MakeChannels(run.options, thread, loop_);
}

LeaseLoad::~LeaseLoad() { Stop(); }

absl::Status LeaseLoad::Prepare() {
  loop_.Start();
  etcdserverpb::LeaseGrantRequest grant;
  grant.set_ttl(kTtlSeconds);
  const std::string bytes = grant.SerializeAsString();
  std::vector<std::promise<absl::StatusOr<std::string>>> granted(
      channels_.size() * static_cast<size_t>(run_.options.streams));
  for (size_t i = 0; i < granted.size(); ++i) {
    channels_[i % channels_.size()]->Call("/etcdserverpb.Lease/LeaseGrant", bytes,
                                          {.deadline = loop_.Now() + run_.options.timeout},
                                          [&granted, i](absl::StatusOr<std::string> response) {
                                            granted[i].set_value(std::move(response));
                                          });
  }
  // All are waited for: the callbacks write to `granted`.
  absl::Status failed;
  for (auto& one : granted) {
    auto response = one.get_future().get();
    etcdserverpb::LeaseGrantResponse lease;
    if (response.ok() && !lease.ParseFromString(*response)) {
      response = absl::InternalError("malformed lease response");
    }
    if (!response.ok()) {
      failed = response.status();
      continue;
    }
    streams_.push_back(std::make_shared<Stream>(*this, lease.id()));
  }
  return failed;
}

void LeaseLoad::Start() {
  loop_.Post([this] {
    for (size_t i = 0; i < streams_.size(); ++i) {
      streams_[i]->Open(*channels_[i % channels_.size()], streams_[i]);
      streams_[i]->Renew();
    }
  });
}

void LeaseLoad::Stop() {
  if (channels_.empty()) return;
  for (auto& channel : channels_) channel->Close();
  loop_.Stop();
  streams_.clear();
  channels_.clear();
}

}  // namespace keel::bench
