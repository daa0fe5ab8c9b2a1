#include "rpc/server_connection.h"

#include "base/check.h"
#include "base/strings.h"
#include "rpc/header_list.h"
#include "rpc/timeout_codec.h"

namespace keel::rpc::internal {

namespace {

// Each header costs this beside its bytes (RFC 9113, section 6.5.2).
constexpr size_t kHeaderOverheadBytes = 32;

std::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

ServerConnection* Self(void* user_data) {
  return static_cast<ServerConnection*>(static_cast<Http2Connection*>(user_data));
}

absl::Status UnknownMethod(const ServerRegistry& registry, std::string_view path) {
  // As grpc-go words it.
  const size_t slash = path.rfind('/');
  if (path.empty() || path[0] != '/' || slash == 0 || slash == std::string_view::npos) {
    return absl::UnimplementedError(base::StrCat("malformed method name: \"", path, "\""));
  }
  const std::string_view service = path.substr(1, slash - 1);
  if (!registry.services.contains(base::ToAbsl(service))) {
    return absl::UnimplementedError(base::StrCat("unknown service ", service));
  }
  return absl::UnimplementedError(
      base::StrCat("unknown method ", path.substr(slash + 1), " for service ", service));
}

}  // namespace

void ServerStream::OnDeadline() { connection->OnStreamDeadline(*this); }

ServerConnection::ServerConnection(std::shared_ptr<ServerLoop> loop, Socket socket)
    : Http2Connection(
          loop->io, std::move(socket),
          {loop->registry->options.keepalive_interval, loop->registry->options.keepalive_timeout,
           /*only_with_streams=*/false}),
      loop_(std::move(loop)),
      options_(loop_->registry->options),
      peer_(std::make_shared<ServerPeer>(
          ServerPeer{peer_name(), &io().loop(), loop_->mailbox, loop_->registry,
                     tls() != nullptr ? tls()->peer_common_name() : std::nullopt,
                     tls() != nullptr ? tls()->peer_subject() : nullptr})),
      control_frames_(options_.control_frame_burst, options_.control_frames_per_second,
                      DeadlineWheel::Now()),
      resets_(options_.reset_burst, options_.resets_per_second, DeadlineWheel::Now()) {}

ServerConnection::~ServerConnection() {
  // Only when the loop died with the connection on it; OnClosed empties it else.
  streams_.clear_and_dispose([](Http2Stream* stream) { delete stream; });
}

void ServerConnection::Start(std::string_view first) {
  static nghttp2_session_callbacks* const callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    KEEL_CHECK(nghttp2_session_callbacks_new(&made) == 0);
    SetCommonCallbacks(made);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, &OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(made, &OnHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, &OnFrameReceived);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, &OnData);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, &OnStreamClosed);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, &OnFrameSent);
    return made;
  }();
  static nghttp2_option* const options = [] {
    nghttp2_option* made = NewCommonOptions();
    // nghttp2 would reset a stream whose :authority is no authority; Go's gRPC
    // clients send "http://host:port" there when given an endpoint like that
    // (etcdctl endpoint status --cluster). What a request needs is checked here.
    nghttp2_option_set_no_http_messaging(made, 1);
    return made;
  }();

  nghttp2_session* session = nullptr;
  KEEL_CHECK(nghttp2_session_server_new2(&session, callbacks, static_cast<Http2Connection*>(this),
                                         options) == 0);
  Adopt(session);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options_.max_concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options_.stream_window_bytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options_.max_header_list_bytes},
      // Priorities cost a tree per connection and gRPC has no use for them.
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(options_.connection_window_bytes));
  loop_->counters.connections_open.Add(1);
  loop_->Join(*this);
  FlushLater();
  Receive(first);
  if (!closed()) StartReading();
}

// --- callbacks of the session ------------------------------------------------

ServerStream* ServerConnection::Find(int32_t stream_id) {
  return static_cast<ServerStream*>(FindStream(stream_id));
}

int ServerConnection::OnBeginHeaders(nghttp2_session*, const nghttp2_frame* frame,
                                     void* user_data) {
  ServerConnection* self = Self(user_data);
  if (self->closed()) return NGHTTP2_ERR_CALLBACK_FAILURE;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  auto* stream = new ServerStream;
  stream->id = frame->hd.stream_id;
  stream->connection = self;
  stream->in.set_max_message_bytes(self->options_.max_request_bytes);
  self->streams_.push_back(*stream);
  nghttp2_session_set_stream_user_data(self->session(), stream->id, stream);
  return 0;
}

int ServerConnection::OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                               size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                               void* user_data) {
  ServerConnection* self = Self(user_data);
  // What follows a request's body (its trailers) carries nothing for gRPC.
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  if (ServerStream* stream = self->Find(frame->hd.stream_id)) {
    self->TakeHeader(*stream, View(name, name_size), View(value, value_size));
  }
  return 0;
}

int ServerConnection::OnFrameReceived(nghttp2_session*, const nghttp2_frame* frame,
                                      void* user_data) {
  ServerConnection* self = Self(user_data);
  if (self->closed()) return NGHTTP2_ERR_CALLBACK_FAILURE;
  const bool ends_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA: {
      ServerStream* stream = self->Find(frame->hd.stream_id);
      if (frame->hd.type == NGHTTP2_DATA) {
        if (frame->hd.length == 0 && !ends_stream) self->CountControlFrame();
      } else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST && stream != nullptr) {
        self->StartRequest(*stream);
        if (self->closed()) break;
      }
      if (ends_stream && stream != nullptr) self->InputEnded(*stream);
      break;
    }
    case NGHTTP2_RST_STREAM:
      if (!self->resets_.Take(&DeadlineWheel::Now)) {
        self->loop_->counters.floods.Add(1);
        self->Terminate(NGHTTP2_ENHANCE_YOUR_CALM);
      }
      break;
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) {
        self->CountControlFrame();
      } else if (frame->hd.type == NGHTTP2_PING) {
        self->PingAcked();
      }
      break;
    default:
      break;
  }
  return self->CallbackResult();
}

void ServerConnection::CountControlFrame() {
  if (control_frames_.Take(&DeadlineWheel::Now)) return;
  loop_->counters.floods.Add(1);
  Terminate(NGHTTP2_ENHANCE_YOUR_CALM);
}

int ServerConnection::OnData(nghttp2_session*, uint8_t, int32_t stream_id, const uint8_t* data,
                             size_t size, void* user_data) {
  ServerConnection* self = Self(user_data);
  if (self->closed()) return NGHTTP2_ERR_CALLBACK_FAILURE;
  self->ConsumeConnection(size);
  if (ServerStream* stream = self->Find(stream_id)) self->TakeData(*stream, View(data, size));
  return self->CallbackResult();
}

int ServerConnection::OnStreamClosed(nghttp2_session*, int32_t stream_id, uint32_t,
                                     void* user_data) {
  ServerConnection* self = Self(user_data);
  ServerStream* stream = self->Find(stream_id);
  if (stream == nullptr || self->closed()) return self->CallbackResult();
  self->Detach(stream_id);
  self->EndCall(*stream, /*cancelled=*/!stream->out_finished);
  if (!self->closed()) {
    self->Remove(*stream);
    self->CheckDrained();
  }
  return self->CallbackResult();
}

int ServerConnection::OnFrameSent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
  ServerConnection* self = Self(user_data);
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  self->control_frames_.Give(1);
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
  const ServerStream* stream = self->Find(frame->hd.stream_id);
  if (stream != nullptr && !stream->in_finished) {
    // Answered before the client was done: it need not go on (RFC 9113, 8.1).
    nghttp2_submit_rst_stream(self->session(), NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                              NGHTTP2_NO_ERROR);
  }
  return 0;
}

// --- requests ----------------------------------------------------------------

void ServerConnection::TakeHeader(ServerStream& stream, std::string_view name,
                                  std::string_view value) {
  stream.header_bytes += name.size() + value.size() + kHeaderOverheadBytes;
  if (stream.header_bytes > options_.max_header_list_bytes) return;
  switch (ClassifyRequestHeader(name)) {
    case RequestHeader::kPath: {
      const auto& methods = loop_->registry->methods;
      if (const auto found = methods.find(base::ToAbsl(value)); found != methods.end()) {
        stream.method = found->second.get();
      } else {
        stream.path = value;
      }
      break;
    }
    case RequestHeader::kMethod:
      stream.post = value == "POST";
      if (!stream.post) stream.http_method = value;
      break;
    case RequestHeader::kContentType:
      stream.grpc = IsGrpcContentType(value);
      if (!stream.grpc) stream.content_type = value;
      break;
    case RequestHeader::kTimeout:
      stream.has_timeout = true;
      stream.timeout = value;
      break;
    case RequestHeader::kEncoding:
      if (value != "identity") stream.encoding = value;
      break;
    case RequestHeader::kOther:
      stream.metadata.emplace_back(name, value);
      break;
    case RequestHeader::kIgnored:
      break;
  }
}

void ServerConnection::StartRequest(ServerStream& stream) {
  if (stream.header_bytes > options_.max_header_list_bytes) {
    return Reject(stream, absl::ResourceExhaustedError(base::StrCat(
                              "received headers larger than max (", stream.header_bytes, " vs. ",
                              options_.max_header_list_bytes, ")")));
  }
  if (stream.grpc && stream.post) return StartCall(stream);
  StartHttp(stream);
}

void ServerConnection::StartCall(ServerStream& stream) {
  if (stream.method == nullptr) {
    return Reject(stream, UnknownMethod(*loop_->registry, stream.path));
  }
  base::TimePoint deadline = base::TimePoint::max();
  if (stream.has_timeout) {
    const absl::StatusOr<base::Duration> timeout = ParseTimeout(stream.timeout);
    if (!timeout.ok()) return Reject(stream, timeout.status());
    // From when it was read, for which the clock has been asked already.
    if (*timeout < base::TimePoint::max() - heard_at()) deadline = heard_at() + *timeout;
  }
  stream.kind = stream.method->unary ? ServerStream::Kind::kUnary : ServerStream::Kind::kStream;
  stream.call = new ServerCall(peer_, stream.method);
  ServerCall& call = *stream.call;
  call.stream_ = &stream;
  call.deadline_ = deadline;
  call.metadata_ = std::move(stream.metadata);
  loop_->counters.calls_open.Add(1);
  loop_->counters.methods[stream.method->index].started.Add(1);
  if (deadline != base::TimePoint::max()) io().wheel().Arm(stream, deadline);
  if (stream.kind == ServerStream::Kind::kStream) {
    const ServerCallPtr keep = stream.call;
    auto handler = stream.method->stream(keep);
    if (keep->stream_ != nullptr) {
      stream.handler = std::move(handler);
    } else if (handler != nullptr) {
      handler->OnEnd();  // it ended inside the factory; `stream` may be gone
    }
  }
}

void ServerConnection::TakeData(ServerStream& stream, std::string_view data) {
  switch (stream.kind) {
    case ServerStream::Kind::kRejected:
      // No more credit: the answer, and a reset, are on their way.
      return;
    case ServerStream::Kind::kHttp:
      if (stream.paused) {  // a streamed body, until the answer's stream is there
        stream.held.append(data);
        return;
      }
      Consume(stream, data.size());
      if (stream.call == nullptr || stream.out_finished) return;
      if (stream.http->body.size() + data.size() > options_.max_http_body_bytes) {
        return RespondHttp(*stream.call, {.status = 413,
                                          .content_type = options_.http_too_large_type,
                                          .body = options_.http_too_large});
      }
      stream.http->body.append(data);
      return;
    case ServerStream::Kind::kUnary:
    case ServerStream::Kind::kStream:
    case ServerStream::Kind::kHttpStream:
      if (stream.paused) {
        stream.held.append(data);
        return;
      }
      Consume(stream, data.size());
      return DeliverMessages(stream, data);
  }
}

void ServerConnection::DeliverMessages(ServerStream& stream, std::string_view data) {
  if (stream.kind == ServerStream::Kind::kHttpStream) {
    const auto keep = stream.handler;
    if (keep != nullptr && stream.streams_body && !stream.out_finished && !data.empty()) {
      keep->OnMessage(data);
    }
    return;
  }
  while (stream.call != nullptr && !stream.out_finished && !data.empty()) {
    if (stream.paused) {
      // Paused by the message before this one. The credit for the rest has been
      // given already; it is at most one chunk.
      stream.held.append(data);
      stream.held_credited = stream.held.size();
      return;
    }
    std::string_view message;
    switch (stream.in.Next(&data, &message)) {
      case FrameDecoder::Result::kNeedMore:
        return;
      case FrameDecoder::Result::kTooLarge:
        return Fail(stream,
                    absl::ResourceExhaustedError(base::StrCat(
                        "grpc: received message larger than max (", stream.in.message_bytes(),
                        " vs. ", options_.max_request_bytes, ")")));
      case FrameDecoder::Result::kCompressed:
        return Fail(stream, stream.encoding.empty()
                                ? absl::InternalError(
                                      "grpc: compressed flag set with identity or empty encoding")
                                : absl::UnimplementedError(base::StrCat(
                                      "grpc: Decompressor is not installed for grpc-encoding \"",
                                      stream.encoding, "\"")));
      case FrameDecoder::Result::kMessage:
        break;
    }
    loop_->counters.methods[stream.method->index].messages_received.Add(1);
    if (stream.kind == ServerStream::Kind::kUnary) {
      if (stream.got_message) {
        return Fail(stream,
                    absl::InternalError("grpc: a unary call carries exactly one request message"));
      }
      stream.got_message = true;
      stream.call->request_ = stream.in.TakeMessage(message);
    } else if (stream.handler != nullptr) {
      const auto keep = stream.handler;
      keep->OnMessage(message);
      if (closed()) return;
    }
  }
}

void ServerConnection::InputEnded(ServerStream& stream) {
  stream.in_finished = true;
  if (stream.call == nullptr || stream.out_finished) return;
  switch (stream.kind) {
    case ServerStream::Kind::kRejected:
      return;
    case ServerStream::Kind::kHttp:
      if (stream.streams_body) return;  // the answer's stream will be told
      return DispatchHttp(stream);
    case ServerStream::Kind::kHttpStream:
      if (stream.paused || !stream.streams_body) return;
      if (const auto keep = stream.handler) keep->OnHalfClose();
      return;
    case ServerStream::Kind::kUnary:
      if (!stream.got_message || stream.in.InMessage()) {
        return Fail(stream, absl::InternalError("grpc: the request message is incomplete"));
      }
      return Dispatch(stream);
    case ServerStream::Kind::kStream:
      if (stream.paused) return;  // ResumeReading tells, after what is held
      if (stream.in.InMessage()) {
        return Fail(stream, absl::InternalError("grpc: the request message is incomplete"));
      }
      if (const auto keep = stream.handler) keep->OnHalfClose();
      return;
  }
}

void ServerConnection::Dispatch(ServerStream& stream) {
  if (queued_bytes_ > options_.max_queued_bytes) {
    const size_t bytes = stream.call->request_.size();
    if (parked_bytes_ + bytes > options_.max_queued_bytes) {
      return Fail(stream, absl::ResourceExhaustedError(
                              "too many answers of this connection wait to be read"));
    }
    stream.parked = true;
    parked_bytes_ += bytes;
    parked_.push_back(&stream);
    return;
  }
  stream.method->unary(stream.call);
}

void ServerConnection::DispatchParked() {
  while (!parked_.empty() && queued_bytes_ <= options_.max_queued_bytes && !closed()) {
    ServerStream& stream = *parked_.front();
    parked_.pop_front();
    stream.parked = false;
    parked_bytes_ -= stream.call->request_.size();
    stream.method->unary(stream.call);
  }
}

void ServerConnection::ResumeReading(ServerStream& stream) {
  if (!stream.paused) return;
  stream.paused = false;
  std::string held = std::move(stream.held);
  stream.held.clear();
  Consume(stream, held.size() - stream.held_credited);
  stream.held_credited = 0;
  DeliverMessages(stream, held);
  if (!closed() && stream.in_finished && !stream.paused) InputEnded(stream);
}

void ServerConnection::OnStreamDeadline(ServerStream& stream) {
  // An answer that only waits to be read may go on waiting.
  if (stream.call == nullptr || stream.out_finished) return;
  stream.call->answered_.store(true, std::memory_order_release);
  stream.out.DropUntaken();
  FinishStream(stream, absl::DeadlineExceededError("context deadline exceeded"));
  EndCall(stream, /*cancelled=*/true);
}

}  // namespace keel::rpc::internal
