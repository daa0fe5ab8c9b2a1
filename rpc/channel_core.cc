#include "rpc/channel_core.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "rpc/client_connection.h"
#include "rpc/connector.h"

namespace keel::rpc::internal {

namespace {

absl::Status DeadlineError() { return absl::DeadlineExceededError("context deadline exceeded"); }
absl::Status ClosedError() { return absl::CancelledError("the channel is closed"); }

}  // namespace

// --- ClientCall ------------------------------------------------------------------

void ClientCall::OnDeadline() { core->Stop(*this, DeadlineError()); }

void ClientCall::End(absl::Status status) {
  if (ended) return;
  ended = true;
  Disarm();
  if (unary()) {
    auto callback = std::move(done);
    if (status.ok()) {
      callback(std::move(response));
    } else {
      callback(std::move(status));
    }
    return;
  }
  stream->call_ = nullptr;
  stream->finished_.store(true, std::memory_order_relaxed);
  const auto keep = std::move(handler);
  keep->OnFinished(std::move(status));
}

// --- ChannelCore -----------------------------------------------------------------

ChannelCore::ChannelCore(base::AsioLoop& loop, std::string target, ChannelOptions options)
    : loop_(loop),
      target_(std::move(target)),
      options_(std::move(options)),
      io_(IoLoop::Create(loop)),
      mailbox_(std::make_shared<Mailbox<ClientOp>>(loop, &Handle)) {
  if (loop.InLoop()) mailbox_->EnterLoop();
}

ChannelCore::~ChannelCore() = default;

void ChannelCore::Do(ClientOp op) {
  if (mailbox_->InLoop()) {
    Handle(op);
  } else if (!mailbox_->Post(op) && op.kind == ClientOp::Kind::kStart) {
    FailLater(std::move(op.call), ClosedError());
  }
}

void ChannelCore::Handle(ClientOp& op) {
  if (op.kind == ClientOp::Kind::kStart) {
    const auto core = op.call->core;
    return core->Start(std::move(op.call));
  }
  ClientCall* call = op.stream->call_;
  if (call == nullptr || call->ended) return;
  ClientConnection* connection = call->connection;
  switch (op.kind) {
    case ClientOp::Kind::kStart:
      return;
    case ClientOp::Kind::kSend:
      if (connection != nullptr) return connection->Send(*call, std::move(op.message));
      if (!call->out_finished) call->out.Push(std::move(op.message));
      return;
    case ClientOp::Kind::kCloseSend:
      if (connection != nullptr) return connection->CloseSend(*call);
      call->out_finished = true;
      return;
    case ClientOp::Kind::kCancel:
      // Not inside the caller's call of Cancel, see client.h.
      return call->core->loop_.Post([stream = op.stream] {
        if (stream->call_ != nullptr) {
          stream->call_->core->Stop(*stream->call_, absl::CancelledError("context canceled"));
        }
      });
    case ClientOp::Kind::kPauseReading:
      call->paused = true;
      return;
    case ClientOp::Kind::kResumeReading:
      if (connection != nullptr) return connection->ResumeReading(*call);
      call->paused = false;
      return;
  }
}

void ChannelCore::Start(std::unique_ptr<ClientCall> call) {
  if (closed_) return FailLater(std::move(call), ClosedError());
  if (call->stream != nullptr) call->stream->call_ = call.get();
  const base::TimePoint now = DeadlineWheel::Now();
  if (call->options.deadline != base::TimePoint::max()) {
    if (call->options.deadline <= now) {
      return FailLater(std::move(call), DeadlineError());
    }
    io_->wheel().Arm(*call, call->options.deadline);
  }
  if (current_ != nullptr && !current_->CanSubmit()) {
    const auto leaving = current_;
    ConnectionLeaves(*leaving);
    leaving->Retire();
  }
  if (current_ != nullptr) return current_->Submit(std::move(call), now);
  if (connector_ == nullptr && now < retry_at_ && !call->options.wait_for_ready) {
    return FailLater(std::move(call), last_error_);
  }
  waiting_.push_back(*call.release());
  Connect();
}

void ChannelCore::FailLater(std::unique_ptr<ClientCall> call, absl::Status status) {
  call->Disarm();
  if (call->stream != nullptr) call->stream->call_ = nullptr;
  loop_.Post([call = std::move(call), status = std::move(status)]() mutable {
    call->End(std::move(status));
  });
}

void ChannelCore::Stop(ClientCall& call, absl::Status status) {
  if (call.ended) return;
  if (call.connection != nullptr) return call.connection->Cancel(call, std::move(status));
  const std::unique_ptr<ClientCall> waiting(&call);
  call.StreamHook::unlink();
  call.End(std::move(status));
}

// --- connecting ------------------------------------------------------------------

void ChannelCore::Connect() {
  if (connector_ != nullptr || current_ != nullptr) return;
  if (DeadlineWheel::Now() < retry_at_) {
    if (!retry_.armed()) io_->wheel().Arm(retry_, retry_at_);
    return;
  }
  connector_ = std::make_shared<Connector>(*this, io_->context());
  connector_->Start(target_, options_.connect_timeout);
}

void ChannelCore::Retry() {
  if (!waiting_.empty()) Connect();
}

void ChannelCore::Connected(Socket socket) {
  const auto self = shared_from_this();
  connector_ = nullptr;
  backoff_ = base::Duration(0);
  retry_at_ = base::TimePoint();
  current_ = std::make_shared<ClientConnection>(self, io_, std::move(socket));
  connected_.store(true, std::memory_order_relaxed);
  current_->Start();
  while (!waiting_.empty() && current_ != nullptr) {
    std::unique_ptr<ClientCall> call(static_cast<ClientCall*>(&waiting_.front()));
    waiting_.pop_front();
    current_->Submit(std::move(call), DeadlineWheel::Now());
  }
}

void ChannelCore::ConnectFailed(std::string_view why) {
  const auto self = shared_from_this();
  connector_ = nullptr;
  backoff_ = std::clamp(backoff_ * 2, options_.backoff_min, options_.backoff_max);
  retry_at_ = DeadlineWheel::Now() + backoff_;
  last_error_ = absl::UnavailableError(base::StrCat("connect ", target_, ": ", why));
  FailWaiting(last_error_, /*also_patient=*/false);
  if (!waiting_.empty()) Connect();
}

void ChannelCore::FailWaiting(const absl::Status& status, bool also_patient) {
  // Callbacks may start calls; those are not of this round.
  StreamList round;
  round.swap(waiting_);
  while (!round.empty()) {
    std::unique_ptr<ClientCall> call(static_cast<ClientCall*>(&round.front()));
    round.pop_front();
    if (call->options.wait_for_ready && !also_patient && !closed_) {
      waiting_.push_back(*call.release());
    } else {
      call->End(closed_ ? ClosedError() : status);
    }
  }
}

void ChannelCore::ConnectionLeaves(ClientConnection& connection) {
  if (current_.get() != &connection) return;
  leaving_.insert(std::move(current_));
  current_ = nullptr;
  connected_.store(false, std::memory_order_relaxed);
}

void ChannelCore::ConnectionClosed(ClientConnection& connection) {
  ConnectionLeaves(connection);
  const auto found = std::find_if(leaving_.begin(), leaving_.end(),
                                  [&](const auto& member) { return member.get() == &connection; });
  // The connection is held by whoever closes it.
  if (found != leaving_.end()) leaving_.erase(found);
}

void ChannelCore::Close() {
  if (closed_) return;
  closed_ = true;
  const auto self = shared_from_this();
  retry_.Disarm();
  if (connector_ != nullptr) connector_->Stop();
  connector_ = nullptr;
  FailWaiting(ClosedError(), /*also_patient=*/true);
  if (const auto connection = current_) connection->Close(ClosedError());
  while (!leaving_.empty()) {
    const auto connection = *leaving_.begin();
    connection->Close(ClosedError());
  }
  io_->wheel().Stop();
  for (ClientOp& op : mailbox_->Close()) {
    if (op.kind == ClientOp::Kind::kStart) op.call->End(ClosedError());
  }
}

}  // namespace keel::rpc::internal
