// How a ServerConnection answers: the half of it that writes.
#include <algorithm>

#include "base/strings.h"
#include "rpc/header_list.h"
#include "rpc/local_end.h"
#include "rpc/server_connection.h"
#include "rpc/status_codec.h"

namespace keel::rpc::internal {

namespace {

// "0" to "16", for StaticHeader.
constexpr std::string_view kCodes[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                       "9", "10", "11", "12", "13", "14", "15", "16"};

size_t CodeOf(const absl::Status& status) {
  const int code = static_cast<int>(status.code());
  return code >= 0 && code <= 16 ? static_cast<size_t>(code)
                                 : static_cast<size_t>(absl::StatusCode::kUnknown);
}

ServerStream& Cast(Http2Stream& stream) { return static_cast<ServerStream&>(stream); }

}  // namespace

void ServerConnection::Handle(CallOp& op) {
  // Keeps the call while it is worked on.
  const ServerCallPtr call = std::move(op.call);
  ServerStream* stream = call->stream_;
  if (stream == nullptr) {
    if (call->local_ != nullptr) {  // HTTP/1
      op.call = call;
      call->local_->Do(std::move(op));
    }
    return;
  }
  ServerConnection& self = *stream->connection;
  switch (op.kind) {
    case CallOp::Kind::kReply:
      return self.ReplyTo(*stream, std::move(op.message));
    case CallOp::Kind::kFinish:
      return self.FinishStream(*stream, std::move(op.status));
    case CallOp::Kind::kSend:
      return self.SendTo(*stream, std::move(op.message));
    case CallOp::Kind::kPauseReading:
      stream->paused = true;
      return;
    case CallOp::Kind::kResumeReading:
      return self.ResumeReading(*stream);
    case CallOp::Kind::kAbandoned:
      if (call->answered_.exchange(true)) return;
      return self.FinishStream(*stream,
                               absl::InternalError("the call was dropped without an answer"));
  }
}

void ServerConnection::OnCancel(ServerCall& call, absl::AnyInvocable<void()> callback) {
  if (call.stream_ != nullptr) call.stream_->on_cancel = std::move(callback);
}

void ServerConnection::SubmitHeaders(ServerStream& stream) {
  stream.headers_sent = true;
  const nghttp2_nv headers[] = {StaticHeader(":status", "200"),
                                StaticHeader("content-type", "application/grpc")};
  const nghttp2_data_provider data = DataOf(stream);
  nghttp2_submit_response(session(), stream.id, headers, std::size(headers), &data);
  FlushLater();
}

void ServerConnection::SubmitTrailersOnly(ServerStream& stream, const absl::Status& status) {
  stream.headers_sent = true;
  stream.out_finished = true;
  const std::string message = PercentEncode(base::ToStd(status.message()));
  nghttp2_nv headers[5] = {StaticHeader(":status", "200"),
                           StaticHeader("content-type", "application/grpc"),
                           StaticHeader("grpc-status", kCodes[CodeOf(status)])};
  size_t count = 3;
  if (!message.empty()) headers[count++] = OneTimeHeader("grpc-message", message);
  if (!stream.encoding.empty()) {
    headers[count++] = StaticHeader("grpc-accept-encoding", "identity");
  }
  nghttp2_submit_response(session(), stream.id, headers, count, nullptr);
  FlushLater();
}

void ServerConnection::Reject(ServerStream& stream, absl::Status status) {
  stream.kind = ServerStream::Kind::kRejected;
  SubmitTrailersOnly(stream, status);
}

void ServerConnection::Fail(ServerStream& stream, absl::Status status) {
  if (stream.call->answered_.exchange(true)) return;
  FinishStream(stream, std::move(status));
}

void ServerConnection::ReplyTo(ServerStream& stream, Message message) {
  if (stream.out_finished) return;
  stream.queued_bytes = message.size();
  queued_bytes_ += stream.queued_bytes;
  stream.out.Push(std::move(message));
  stream.out_finished = true;
  loop_->counters.methods[stream.method->index].messages_sent.Add(1);
  SubmitHeaders(stream);
}

void ServerConnection::SendTo(ServerStream& stream, Message message) {
  if (stream.out_finished) return;
  if (stream.kind == ServerStream::Kind::kHttpStream) {
    stream.out.Push(std::move(message), /*framed=*/false);
    return DataReady(stream);
  }
  stream.out.Push(std::move(message));
  loop_->counters.methods[stream.method->index].messages_sent.Add(1);
  if (!stream.headers_sent) {
    SubmitHeaders(stream);
  } else {
    DataReady(stream);
  }
}

void ServerConnection::FinishStream(ServerStream& stream, absl::Status status) {
  if (stream.out_finished) return;
  stream.status = std::move(status);
  if (!stream.headers_sent) return SubmitTrailersOnly(stream, stream.status);
  stream.out_finished = true;
  DataReady(stream);
}

bool ServerConnection::OnOutEnd(Http2Stream& base_stream) {
  ServerStream& stream = Cast(base_stream);
  if (stream.kind == ServerStream::Kind::kHttp) return false;
  if (stream.kind == ServerStream::Kind::kHttpStream) {
    if (stream.status.ok()) return false;
    // The body is not whole: its end is a reset.
    ResetStream(stream.id, NGHTTP2_INTERNAL_ERROR);
    return true;
  }
  const std::string message = PercentEncode(base::ToStd(stream.status.message()));
  nghttp2_nv trailers[2] = {StaticHeader("grpc-status", kCodes[CodeOf(stream.status)])};
  size_t count = 1;
  if (!message.empty()) trailers[count++] = OneTimeHeader("grpc-message", message);
  nghttp2_submit_trailer(session(), stream.id, trailers, count);
  return true;
}

bool ServerConnection::OnTaken(Http2Stream& base_stream, size_t message_bytes) {
  ServerStream& stream = Cast(base_stream);
  if (stream.queued_bytes > 0) {
    stream.queued_bytes -= message_bytes;
    queued_bytes_ -= message_bytes;
  }
  ServerCall* call = stream.call.get();
  if (call == nullptr || stream.kind == ServerStream::Kind::kHttp) return false;
  const size_t queued =
      call->queued_bytes_.fetch_sub(message_bytes, std::memory_order_relaxed) - message_bytes;
  return stream.handler != nullptr &&
         queued <= call->writable_mark_bytes_.load(std::memory_order_relaxed) &&
         call->past_mark_.exchange(false, std::memory_order_relaxed);
}

void ServerConnection::OnWritable(Http2Stream& stream) {
  const auto keep = Cast(stream).handler;
  if (keep != nullptr) keep->OnWritable();
}

void ServerConnection::OnFlushed() { DispatchParked(); }

// --- the end of calls and of the connection ------------------------------------

void ServerConnection::EndCall(ServerStream& stream, bool cancelled) {
  if (stream.call == nullptr) return;
  const ServerCallPtr call = std::move(stream.call);
  call->stream_ = nullptr;
  call->answered_.store(true, std::memory_order_release);
  if (cancelled) call->cancelled_.store(true, std::memory_order_release);
  stream.Disarm();
  if (stream.parked) {
    stream.parked = false;
    parked_bytes_ -= call->request_.size();
    parked_.erase(std::find(parked_.begin(), parked_.end(), &stream));
  }
  const bool rpc =
      stream.kind == ServerStream::Kind::kUnary || stream.kind == ServerStream::Kind::kStream;
  if (rpc) {
    loop_->counters.calls_open.Sub(1);
    const absl::Status& status =
        stream.out_finished ? stream.status : absl::CancelledError("context canceled");
    loop_->counters.methods[stream.method->index].handled[CodeOf(status)].Add(1);
    if (absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status)) {
      loop_->Refused(*stream.method, *peer_, status);
    }
  }
  auto on_cancel = std::move(stream.on_cancel);
  const auto handler = std::move(stream.handler);
  if (cancelled && on_cancel) on_cancel();
  if (handler != nullptr) handler->OnEnd();
}

void ServerConnection::Remove(ServerStream& stream) {
  queued_bytes_ -= stream.queued_bytes;
  Forget(stream);
  delete &stream;  // unlinks itself
}

void ServerConnection::OnClosed(const absl::Status&) {
  ServerMember::unlink();
  loop_->counters.connections_open.Sub(1);
  while (!streams_.empty()) {
    ServerStream& stream = Cast(streams_.front());
    EndCall(stream, /*cancelled=*/!stream.out_finished);
    delete &stream;
  }
  queued_bytes_ = 0;
}

void ServerConnection::StartDrain() {
  if (draining_ || closed()) return;
  draining_ = true;
  // First a GOAWAY that turns nothing down, for requests already under way
  // (RFC 9113, section 6.8); the final one once the PING behind it has returned.
  nghttp2_submit_shutdown_notice(session());
  nghttp2_submit_ping(session(), NGHTTP2_FLAG_NONE, nullptr);
  FlushLater();
}

void ServerConnection::PingAcked() {
  if (!draining_ || drain_announced_) return;
  drain_announced_ = true;
  nghttp2_submit_goaway(session(), NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session()), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  FlushLater();
  CheckDrained();
}

void ServerConnection::CheckDrained() {
  if (drain_announced_ && streams_.empty()) Terminate(NGHTTP2_NO_ERROR);
}

void ServerConnection::CloseNow() { Close(absl::UnavailableError("server stopped")); }

}  // namespace keel::rpc::internal
