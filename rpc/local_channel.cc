#include "rpc/local_channel.h"

#include <deque>

#include "base/check.h"
#include "base/strings.h"
#include "rpc/local_end.h"

namespace keel::rpc {
namespace internal {

// It and its ServerCall keep each other alive until the call has ended.
class LocalCall final : public LocalEnd, public std::enable_shared_from_this<LocalCall> {
 public:
  LocalCall(base::Loop& loop, const ServerMethod* method) : loop_(loop), method_(method) {}

  void StartUnary(const std::shared_ptr<const ServerPeer>& peer, std::string request,
                  LocalMetadata metadata, LocalChannel::Done done) {
    done_ = std::move(done);
    Start(peer, std::move(request), std::move(metadata));
    method_->unary(call_);
  }

  void StartStream(const std::shared_ptr<const ServerPeer>& peer, LocalMetadata metadata,
                   LocalStream::Events events) {
    events_ = std::move(events);
    Start(peer, "", std::move(metadata));
    const ServerCallPtr keep = call_;
    auto handler = method_->stream(keep);
    if (call_ != nullptr) {
      handler_ = std::move(handler);
    } else if (handler != nullptr) {
      handler->OnEnd();  // it ended inside the factory
    }
  }

  // ---- LocalEnd

  void Do(CallOp op) override {
    if (loop_.InLoop()) {
      Handle(std::move(op));
    } else {
      Post(std::move(op));
    }
  }
  void Post(CallOp op) override {
    loop_.Post(
        [self = shared_from_this(), op = std::move(op)]() mutable { self->Handle(std::move(op)); });
  }
  void OnCancel(absl::AnyInvocable<void()> callback) override {
    if (call_ != nullptr) on_cancel_ = std::move(callback);
  }

  // ---- the caller's side

  void Send(std::string_view message) {
    if (call_ == nullptr || half_closed_) return;
    if (paused_reading_ || !to_server_.empty()) {
      to_server_.emplace_back(message);
    } else if (const auto keep = handler_) {
      keep->OnMessage(message);
    }
  }
  void CloseSend() {
    if (call_ == nullptr || std::exchange(half_closed_, true)) return;
    if (to_server_.empty() && handler_ != nullptr) {
      const auto keep = handler_;
      keep->OnHalfClose();
    }
  }
  void Cancel() {
    if (call_ == nullptr) return;
    SetCancelled(*call_);
    done_ = nullptr;
    events_ = {};
    if (on_cancel_) std::exchange(on_cancel_, nullptr)();
    End();
  }
  void Pause() { paused_ = true; }
  void Resume() {
    paused_ = false;
    Deliver();
  }

 private:
  struct Answer {
    Message message;
    bool end = false;
    absl::Status status;
  };

  void Start(const std::shared_ptr<const ServerPeer>& peer, std::string request,
             LocalMetadata metadata) {
    call_ = MakeCall(peer, method_, shared_from_this(), std::move(request), std::move(metadata));
  }

  void Handle(CallOp op) {
    if (call_ == nullptr) return;
    switch (op.kind) {
      case CallOp::Kind::kReply:
        answers_.push_back({std::move(op.message), true, absl::OkStatus()});
        break;
      case CallOp::Kind::kFinish:
        answers_.push_back({{}, true, std::move(op.status)});
        break;
      case CallOp::Kind::kSend:
        answers_.push_back({std::move(op.message), false, absl::OkStatus()});
        break;
      case CallOp::Kind::kPauseReading:
        paused_reading_ = true;
        return;
      case CallOp::Kind::kResumeReading:
        paused_reading_ = false;
        return Feed();
      case CallOp::Kind::kAbandoned:
        if (!ClaimAnswer(*call_)) return;
        answers_.push_back(
            {{}, true, absl::InternalError("the call was dropped without an answer")});
        break;
    }
    // Later, as from a socket: never inside the handler's own call.
    if (std::exchange(delivery_posted_, true)) return;
    loop_.Post([self = shared_from_this()] {
      self->delivery_posted_ = false;
      self->Deliver();
    });
  }

  void Feed() {
    while (call_ != nullptr && !paused_reading_ && !to_server_.empty()) {
      const std::string message = std::move(to_server_.front());
      to_server_.pop_front();
      if (const auto keep = handler_) keep->OnMessage(message);
    }
    if (call_ != nullptr && !paused_reading_ && half_closed_ && handler_ != nullptr) {
      const auto keep = handler_;
      keep->OnHalfClose();
    }
  }

  void Deliver() {
    while (call_ != nullptr && !paused_ && !answers_.empty()) {
      Answer answer = std::move(answers_.front());
      answers_.pop_front();
      std::string bytes = std::move(answer.message.head);
      for (const auto& part : answer.message.shared) bytes += *part;
      const bool writable = Taken(*call_, bytes.size());
      if (done_ != nullptr) {
        auto done = std::exchange(done_, nullptr);
        const absl::Status status = answer.status;
        End();
        return status.ok() ? done(std::move(bytes)) : done(status);
      }
      if (answer.end) {
        const auto on_end = std::move(events_.on_end);
        End();
        if (on_end) on_end(std::move(answer.status));
        return;
      }
      if (events_.on_message) {
        const auto on_message = events_.on_message;
        on_message(std::move(bytes));
      }
      if (writable && call_ != nullptr && handler_ != nullptr) {
        const auto keep = handler_;
        keep->OnWritable();
      }
    }
  }

  void End() {
    const auto self = shared_from_this();
    const ServerCallPtr call = std::move(call_);
    call_ = nullptr;
    on_cancel_ = nullptr;
    if (const auto handler = std::move(handler_)) handler->OnEnd();
  }

  base::Loop& loop_;
  const ServerMethod* const method_;
  ServerCallPtr call_;  // null once ended
  std::shared_ptr<ServerStreamHandler> handler_;
  absl::AnyInvocable<void()> on_cancel_;
  LocalChannel::Done done_;
  LocalStream::Events events_;
  std::deque<Answer> answers_;
  std::deque<std::string> to_server_;
  bool paused_ = false;
  bool paused_reading_ = false;
  bool half_closed_ = false;
  bool delivery_posted_ = false;
};

}  // namespace internal

using internal::LocalCall;

LocalStream::LocalStream(std::shared_ptr<LocalCall> call) : call_(std::move(call)) {}
LocalStream::~LocalStream() { Cancel(); }
void LocalStream::Send(std::string_view message) { call_->Send(message); }
void LocalStream::CloseSend() { call_->CloseSend(); }
void LocalStream::Cancel() { call_->Cancel(); }
void LocalStream::Pause() { call_->Pause(); }
void LocalStream::Resume() { call_->Resume(); }

LocalChannel::LocalChannel(const Server& server, base::Loop& loop, std::string name)
    : registry_(server.registry()),
      loop_(loop),
      peer_(std::make_shared<internal::ServerPeer>(
          internal::ServerPeer{std::move(name), &loop, nullptr, registry_, std::nullopt})) {}

LocalChannel::~LocalChannel() {
  for (const auto& weak : calls_) {
    if (const auto call = weak.lock()) call->Cancel();
  }
}

std::shared_ptr<LocalCall> LocalChannel::Make(std::string_view path, bool unary) {
  const auto& methods = registry_->methods;
  const auto it = methods.find(std::string(path));
  if (it == methods.end() || (it->second->unary != nullptr) != unary) return nullptr;
  auto call = std::make_shared<LocalCall>(loop_, it->second.get());
  calls_.remove_if([](const std::weak_ptr<LocalCall>& weak) { return weak.expired(); });
  calls_.push_back(call);
  return call;
}

void LocalChannel::Call(std::string_view path, std::string request, LocalMetadata metadata,
                        Done done) {
  const auto call = Make(path, true);
  if (call == nullptr) {
    return done(absl::UnimplementedError(base::StrCat("unknown method ", path)));
  }
  call->StartUnary(peer_, std::move(request), std::move(metadata), std::move(done));
}

std::unique_ptr<LocalStream> LocalChannel::OpenStream(std::string_view path, LocalMetadata metadata,
                                                      LocalStream::Events events) {
  const auto call = Make(path, false);
  if (call == nullptr) return nullptr;
  auto stream = std::make_unique<LocalStream>(call);
  call->StartStream(peer_, std::move(metadata), std::move(events));
  return stream;
}

}  // namespace keel::rpc
