#include "bench/watch_load.h"

#include <future>
#include <string>
#include <utility>

#include "base/strings.h"
#include "bench/connect.h"

namespace keel::bench {
class WatchLoad::Stream final : public rpc::ClientStreamHandler {
 public:
  // `first`: the place of its first watcher among all.
  Stream(WatchLoad& load, int first, int watchers)
      : load_(load), first_(first), missing_(watchers) {}

  void Open(rpc::Channel& channel, std::shared_ptr<Stream> self) {
    const Options& options = load_.run_.options;
    stream_ = channel.OpenStream("/etcdserverpb.Watch/Watch", {}, std::move(self));
    etcdserverpb::WatchRequest request;
    auto* create = request.mutable_create_request();
    create->set_key(options.prefix);
    create->set_range_end(EndOfPrefix(options.prefix));
    for (int i = 0; i < missing_; ++i) {
      if (options.workload == Workload::kIdle) {
        create->set_key(KeyAt(options, static_cast<uint64_t>(first_ + i)));
        create->clear_range_end();
      }
      stream_->Send(request.SerializeAsString());
    }
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
    load_.run_.events.fetch_add(static_cast<uint64_t>(response_.events_size()),
                                std::memory_order_relaxed);
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
  const int first_;
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
  channels_ = MakeChannels(options, thread, loop_);
  for (int s = thread; s < streams; s += options.threads) {
    const int first = s * options.watchers_per_stream;
    streams_.push_back(std::make_shared<Stream>(
        *this, first, std::min(options.watchers - first, options.watchers_per_stream)));
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
