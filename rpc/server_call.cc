#include "rpc/server_call.h"

#include "rpc/local_end.h"
#include "rpc/server_connection.h"
#include "rpc/server_loop.h"

namespace keel::rpc {

using internal::CallOp;
using internal::ServerConnection;

ServerCall::ServerCall(std::shared_ptr<const internal::ServerPeer> peer,
                       const internal::ServerMethod* method)
    : peer_(std::move(peer)), method_(method), unary_(method != nullptr && method->unary) {}

ServerCall::~ServerCall() = default;

std::string_view ServerCall::path() const {
  return method_ != nullptr ? std::string_view(method_->path) : std::string_view();
}

std::string_view ServerCall::Metadata(std::string_view name) const {
  for (const auto& [key, value] : metadata_) {
    if (key == name) return value;
  }
  return {};
}

const std::string& ServerCall::peer() const { return peer_->name; }

std::optional<std::string_view> ServerCall::certificate_name() const {
  return peer_->certificate_name;
}

base::Loop& ServerCall::loop() const { return *peer_->loop; }

void ServerCall::Do(CallOp op) {
  if (local_ != nullptr) return local_->Do(std::move(op));
  if (peer_->mailbox->InLoop()) {
    ServerConnection::Handle(op);
  } else {
    peer_->mailbox->Post(op);
  }
}

void ServerCall::Queued(size_t bytes) {
  const size_t queued = queued_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  // Before the message itself is handed over: whoever sees the bytes leave
  // also sees that OnWritable is owed.
  if (queued > writable_mark_bytes_.load(std::memory_order_relaxed)) {
    past_mark_.store(true, std::memory_order_relaxed);
  }
}

void ServerCall::Reply(Message response) {
  if (answered_.exchange(true, std::memory_order_acq_rel)) return;
  Queued(response.size());
  Do({CallOp::Kind::kReply, this, std::move(response), {}});
}

void ServerCall::Finish(absl::Status status) {
  if (answered_.exchange(true, std::memory_order_acq_rel)) return;
  Do({CallOp::Kind::kFinish, this, {}, std::move(status)});
}

void ServerCall::Send(Message message) {
  if (answered_.load(std::memory_order_acquire)) return;
  Queued(message.size());
  Do({CallOp::Kind::kSend, this, std::move(message), {}});
}

void ServerCall::PauseReading() { Do({CallOp::Kind::kPauseReading, this, {}, {}}); }

void ServerCall::ResumeReading() { Do({CallOp::Kind::kResumeReading, this, {}, {}}); }

void ServerCall::OnCancel(absl::AnyInvocable<void()> callback) {
  if (local_ != nullptr) return local_->OnCancel(std::move(callback));
  ServerConnection::OnCancel(*this, std::move(callback));
}

void ServerCall::Abandoned() {
  // Once: the op holds a reference, too, and a loop that is closing drops it at once.
  if (abandoned_.exchange(true, std::memory_order_acq_rel)) return;
  // Never at once: the reference may have been dropped deep inside anything.
  CallOp op{CallOp::Kind::kAbandoned, this, {}, {}};
  if (local_ != nullptr) return local_->Post(std::move(op));
  peer_->mailbox->Post(op);
}

}  // namespace keel::rpc
