#include "rpc/http1_stream.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace keel::rpc::internal {

namespace {
// As much goes into one write.
constexpr size_t kWriteBytes = 256 * 1024;
constexpr size_t kWriteMessagesMax = 256;
}  // namespace

void Http1Stream::Start(std::shared_ptr<const ServerPeer> peer, std::string head,
                        HttpStreamFactory factory) {
  mailbox_ = peer->mailbox;
  head_ = std::move(head);
  call_ = MakeCall(std::move(peer), nullptr, shared_from_this(), {}, {});
  const ServerCallPtr keep = call_;
  Output();
  auto handler = std::move(factory)(keep);
  if (call_ != nullptr) {
    handler_ = std::move(handler);
  } else if (handler != nullptr) {
    handler->OnEnd();  // it ended inside the factory
  }
}

void Http1Stream::Body(std::string_view bytes) {
  const auto keep = handler_;
  if (keep != nullptr && !finished_ && !bytes.empty()) keep->OnMessage(bytes);
}

void Http1Stream::BodyEnd() {
  if (!streams_body_ || std::exchange(body_ended_, true)) return;
  const auto keep = handler_;
  if (keep != nullptr && !finished_) keep->OnHalfClose();
}

const std::vector<boost::asio::const_buffer>& Http1Stream::Take() {
  buffers_.clear();
  texts_.clear();
  const auto text = [this](std::string bytes) {
    buffers_.push_back(boost::asio::buffer(texts_.emplace_back(std::move(bytes))));
  };
  if (!head_.empty()) text(std::exchange(head_, {}));
  size_t bytes = 0;
  while (!waiting_.empty() && bytes < kWriteBytes && writing_.size() < kWriteMessagesMax) {
    bytes += waiting_.front().size();
    writing_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  // Only now, as buffers_ refer to the messages.
  for (const Message& message : writing_) {
    if (chunked_) text(absl::StrFormat("%x\r\n", message.size()));
    if (!message.head.empty()) buffers_.push_back(boost::asio::buffer(message.head));
    for (const auto& part : message.shared) buffers_.push_back(boost::asio::buffer(*part));
    if (chunked_) text("\r\n");
  }
  if (finished_ && waiting_.empty() && !std::exchange(end_taken_, true) && chunked_ && !cut_) {
    text("0\r\n\r\n");
  }
  if (buffers_.empty()) told_ = false;
  return buffers_;
}

void Http1Stream::Written() {
  size_t bytes = 0;
  for (const Message& message : writing_) bytes += message.size();
  writing_.clear();
  const bool writable = call_ != nullptr && Taken(*call_, bytes);
  const auto keep = handler_;
  if (writable && keep != nullptr && !finished_) keep->OnWritable();
}

void Http1Stream::End(bool cancelled) {
  if (call_ == nullptr) return;
  const auto self = shared_from_this();
  const auto connection = std::exchange(connection_, nullptr);
  const ServerCallPtr call = std::exchange(call_, nullptr);
  if (cancelled) {
    SetCancelled(*call);
  } else {
    ClaimAnswer(*call);
  }
  waiting_.clear();
  auto on_cancel = std::move(on_cancel_);
  const auto handler = std::move(handler_);
  if (cancelled && on_cancel) on_cancel();
  if (handler != nullptr) handler->OnEnd();
}

void Http1Stream::Do(CallOp op) {
  if (!mailbox_->InLoop()) return Post(std::move(op));
  if (call_ == nullptr) return;
  switch (op.kind) {
    case CallOp::Kind::kReply:
    case CallOp::Kind::kSend:
      // An empty chunk would end the body.
      if (finished_ || op.message.size() == 0) return;
      waiting_.push_back(std::move(op.message));
      return Output();
    case CallOp::Kind::kFinish:
      if (std::exchange(finished_, true)) return;
      cut_ = !op.status.ok();
      return Output();
    case CallOp::Kind::kPauseReading:
      paused_ = true;
      return;
    case CallOp::Kind::kResumeReading:
      if (std::exchange(paused_, false)) connection_->OnReadingResumed();
      return;
    case CallOp::Kind::kAbandoned:
      return;  // of unary calls
  }
}

void Http1Stream::Post(CallOp op) { mailbox_->Post(op); }

void Http1Stream::OnCancel(absl::AnyInvocable<void()> callback) {
  if (call_ != nullptr) on_cancel_ = std::move(callback);
}

void Http1Stream::Output() {
  if (!std::exchange(told_, true)) connection_->OnOutput();
}

}  // namespace keel::rpc::internal
