#include "kvstore/client/stream.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "kvstore/client/retry.h"

namespace keel::kvstore {

// Outlives the stream it was made for; cut off by dropping `stream`.
class ReopeningStream::Handler final : public rpc::ClientStreamHandler {
 public:
  explicit Handler(ReopeningStream* stream) : stream_(stream) {}
  void Detach() { stream_ = nullptr; }

  void OnMessage(std::string_view message) override {
    if (stream_ == nullptr) return;
    if (!std::exchange(stream_->heard_, true)) {
      stream_->core_->endpoints().Succeeded(stream_->server_);
      stream_->rounds_ = 0;
      stream_->tried_.clear();
      stream_->errors_.clear();
    }
    auto keep = stream_->shared_from_this();
    stream_->owner_->OnMessage(message);
  }
  void OnFinished(absl::Status status) override {
    if (stream_ == nullptr) return;
    auto keep = stream_->shared_from_this();
    keep->OnFinished(std::move(status));
  }

 private:
  ReopeningStream* stream_;
};

void ReopeningStream::Start() {
  if (running_) return;
  running_ = true;
  silent_since_ = core_->loop().Now();
  rounds_ = 0;
  tried_.clear();
  errors_.clear();
  Open();
}

void ReopeningStream::Open() {
  if (!core_->login().needed()) return OpenNow();
  core_->LogIn([self = shared_from_this()](const absl::Status& status) {
    if (!self->running_ || self->stream_ != nullptr || self->timer_ != 0) return;
    if (status.ok()) return self->OpenNow();
    const bool again = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
    if (self->core_->closed() || !again) {
      self->running_ = false;
      return self->owner_->OnRefused(status);
    }
    self->OpenAfter(self->core_->Backoff(self->rounds_++));
    self->owner_->OnBroken(status);
  });
}

void ReopeningStream::OpenAfter(base::Duration pause) {
  timer_ = core_->loop().After(pause, [self = shared_from_this()] {
    self->timer_ = 0;
    self->Open();
  });
}

void ReopeningStream::OpenNow() {
  KEEL_CHECK(stream_ == nullptr && running_);
  const auto index = core_->endpoints().Pick(core_->loop().Now(), false, tried_);
  KEEL_CHECK(index.has_value(), "no server left to try in this round");
  server_ = *index;
  tried_.resize(core_->endpoints().size());
  tried_[server_] = true;
  heard_ = false;
  handler_ = std::make_shared<Handler>(this);
  rpc::CallOptions options;
  // etcd: break the stream when the server loses touch with the leader, so
  // that another server can be asked.
  options.metadata = core_->login().Metadata();
  options.metadata.emplace_back("hasleader", "true");
  token_ = core_->login().token();
  stream_ = core_->channel(server_).OpenStream(path_, std::move(options), handler_);
  owner_->OnOpened();
}

bool ReopeningStream::Send(std::string message) {
  if (stream_ == nullptr) return false;
  stream_->Send(std::move(message));
  return true;
}

void ReopeningStream::OnFinished(absl::Status status) {
  handler_->Detach();
  handler_.reset();
  stream_.reset();
  const base::TimePoint now = core_->loop().Now();
  if (heard_) silent_since_ = now;
  if (status.ok()) status = absl::UnavailableError("the server closed the stream");
  const bool token = core_->login().IsAboutToken(status);
  if (token) core_->login().Forget(token_);
  const bool again = token || absl::IsUnavailable(status) || absl::IsInternal(status);
  if (core_->closed() || !again) {
    running_ = false;
    return owner_->OnRefused(status);
  }
  if (!token && Classify(status) != Failure::kNotApplied) core_->endpoints().Failed(server_, now);
  if (Classify(status) == Failure::kNotConnected) errors_.push_back(status);

  const bool untried = std::find(tried_.begin(), tried_.end(), false) != tried_.end();
  base::Duration pause = base::Duration::zero();
  if (!untried) {
    pause = core_->Backoff(rounds_++);
    if (errors_.size() == core_->endpoints().size()) status = NoEndpointAnswers(errors_);
    tried_.clear();
    errors_.clear();
  }
  // Armed first: the owner may Stop.
  OpenAfter(pause);
  owner_->OnBroken(status);
}

void ReopeningStream::Abandon(absl::Status why) {
  if (stream_ == nullptr) return;
  rpc::ClientStreamPtr stream = stream_;
  OnFinished(std::move(why));
  stream->Cancel();
}

void ReopeningStream::Stop() {
  running_ = false;
  core_->loop().Cancel(std::exchange(timer_, 0));
  if (stream_ == nullptr) return;
  handler_->Detach();
  handler_.reset();
  std::exchange(stream_, nullptr)->Cancel();
}

}  // namespace keel::kvstore
