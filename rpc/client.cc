#include "rpc/client.h"

#include "rpc/channel_core.h"
#include "rpc/run_on_loop.h"

namespace keel::rpc {

using internal::ClientCall;
using internal::ClientOp;

namespace {
constexpr size_t kWritableMarkBytes = 64 * 1024;
}

// --- ClientStream ----------------------------------------------------------------

ClientStream::ClientStream(std::shared_ptr<internal::ChannelCore> core) : core_(std::move(core)) {}

ClientStream::~ClientStream() = default;

void ClientStream::Send(Message message) {
  if (finished_.load(std::memory_order_relaxed)) return;
  const size_t bytes = message.size();
  // As in ServerCall: the debt of an OnWritable is noted before the hand-over.
  if (queued_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > kWritableMarkBytes) {
    past_mark_.store(true, std::memory_order_relaxed);
  }
  core_->Do({ClientOp::Kind::kSend, nullptr, this, std::move(message)});
}

void ClientStream::CloseSend() { core_->Do({ClientOp::Kind::kCloseSend, nullptr, this, {}}); }
void ClientStream::Cancel() { core_->Do({ClientOp::Kind::kCancel, nullptr, this, {}}); }
void ClientStream::PauseReading() { core_->Do({ClientOp::Kind::kPauseReading, nullptr, this, {}}); }
void ClientStream::ResumeReading() {
  core_->Do({ClientOp::Kind::kResumeReading, nullptr, this, {}});
}

// --- Channel ---------------------------------------------------------------------

Channel::Channel(base::AsioLoop& loop, std::string target, ChannelOptions options)
    : core_(std::make_shared<internal::ChannelCore>(loop, std::move(target), std::move(options))) {}

Channel::~Channel() { Close(); }

void Channel::Call(std::string_view path, std::string request, CallOptions options,
                   UnaryDone done) {
  auto call = std::make_unique<ClientCall>();
  call->core = core_;
  call->path = path;
  call->options = std::move(options);
  call->done = std::move(done);
  call->out.Push(Message(std::move(request)));
  call->out_finished = true;
  core_->Do({ClientOp::Kind::kStart, std::move(call), nullptr, {}});
}

ClientStreamPtr Channel::OpenStream(std::string_view path, CallOptions options,
                                    std::shared_ptr<ClientStreamHandler> handler) {
  ClientStreamPtr stream(new ClientStream(core_));
  auto call = std::make_unique<ClientCall>();
  call->core = core_;
  call->path = path;
  call->options = std::move(options);
  call->stream = stream;
  call->handler = std::move(handler);
  core_->Do({ClientOp::Kind::kStart, std::move(call), nullptr, {}});
  return stream;
}

void Channel::Close() {
  internal::RunOnLoop(core_->loop(), [this] { core_->Close(); });
}

const std::string& Channel::target() const { return core_->target(); }

bool Channel::connected() const { return core_->connected(); }

}  // namespace keel::rpc
