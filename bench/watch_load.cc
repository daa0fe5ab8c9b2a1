#include "bench/watch_load.h"

#include <future>
#include <string>
#include <utility>

#include "base/strings.h"

namespace keel::bench {
namespace {

// Every key with the prefix.
std::string EndOf(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');
  ++prefix.back();
  return prefix;
}

}  // namespace

class WatchLoad::Stream final : public rpc::ClientStreamHandler {
 public:
  Stream(WatchLoad& load, int watchers) : load_(load), missing_(watchers) {}

  void Open(rpc::Channel& channel, std::shared_ptr<Stream> self) {
    const Options& options = load_.run_.options;
    stream_ = channel.OpenStream("/etcdserverpb.Watch/Watch", {}, std::move(self));
    etcdserverpb::WatchRequest request;
    auto* create = request.mutable_create_request();
    create->set_key(options.prefix);
    create->set_range_end(EndOf(options.prefix));
    const std::string bytes = request.SerializeAsString();
    const int watchers = missing_;
    for (int i = 0; i < watchers; ++i) stream_->Send(bytes);
  }
  std::future<absl::Status> created() { return created_.get_future(); }

  void OnMessage(std::string_view message) override {
    const int64_t now = NowNs();
    if (!response_.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
      return Fail(absl::InternalError("malformed watch response"));
    }
    if (response_.canceled()) return Fail(absl::CancelledError(response_.cancel_reason()));
    if (response_.created()) {
      if (--missing_ == 0) Say(absl::OkStatus());
      return;
    }
    if (!load_.run_.Counts(now)) return;
    for (const auto& event : response_.events()) {
      const int64_t start_ns = RequestMaker::StartOf(event.kv().value());
      if (start_ns != 0) load_.found_.event_latency_ns.Record(now - start_ns);
    }
  }
  void OnFinished(absl::Status status) override {
    Fail(status.ok() ? absl::UnavailableError("the server closed the watch stream") : status);
  }

 private:
  void Say(absl::Status status) {
    if (!std::exchange(said_, true)) created_.set_value(std::move(status));
  }
  void Fail(const absl::Status& status) {
    if (said_ && !load_.run_.stop.load()) load_.found_.Error(status);
    Say(status);
  }

  WatchLoad& load_;
  int missing_;
  bool said_ = false;
  std::promise<absl::Status> created_;
  rpc::ClientStreamPtr stream_;
  etcdserverpb::WatchResponse response_;  // kept for its memory
};

WatchLoad::WatchLoad(Run& run, int thread) : run_(run), loop_(base::StrCat("watch-", thread)) {
  const Options& options = run.options;
  const int streams =
      (options.watchers + options.watchers_per_stream - 1) / options.watchers_per_stream;
  for (int c = thread; c < options.connections; c += options.threads) {
    const auto& endpoint = options.endpoints[static_cast<size_t>(c) % options.endpoints.size()];
    channels_.push_back(std::make_unique<rpc::Channel>(loop_, endpoint));
  }
  for (int s = thread; s < streams; s += options.threads) {
    const int left = options.watchers - s * options.watchers_per_stream;
    streams_.push_back(
        std::make_shared<Stream>(*this, std::min(left, options.watchers_per_stream)));
  }
}

WatchLoad::~WatchLoad() { Stop(); }

absl::Status WatchLoad::Prepare() {
  loop_.Start();
  std::vector<std::future<absl::Status>> created;
  for (size_t s = 0; s < streams_.size(); ++s) {
    created.push_back(streams_[s]->created());
    loop_.Post([this, s] { streams_[s]->Open(*channels_[s % channels_.size()], streams_[s]); });
  }
  const auto deadline = std::chrono::steady_clock::now() + run_.options.timeout;
  for (auto& one : created) {
    if (one.wait_until(deadline) != std::future_status::ready) {
      return absl::DeadlineExceededError("the watches were not established in time");
    }
    const absl::Status status = one.get();
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void WatchLoad::Stop() {
  if (channels_.empty()) return;
  for (auto& channel : channels_) channel->Close();
  loop_.Stop();
  streams_.clear();
  channels_.clear();
}

}  // namespace keel::bench
