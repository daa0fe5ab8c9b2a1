#include "rpc/client_connection.h"

#include <charconv>

#include "base/check.h"
#include "base/strings.h"
#include "rpc/channel_core.h"
#include "rpc/header_list.h"
#include "rpc/status_codec.h"
#include "rpc/timeout_codec.h"

namespace keel::rpc::internal {

namespace {

constexpr size_t kWritableMarkBytes = 64 * 1024;

std::string_view View(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// The server's deadline is a safeguard behind the client's own, which is exact. What it may be late
// by anyway (a tick of the deadline wheel) makes the timeouts of calls alike.
base::Duration RoundTimeout(base::Duration timeout) {
  constexpr base::Duration kTick = std::chrono::milliseconds(10);
  if (timeout < std::chrono::seconds(1) || timeout > std::chrono::hours(24)) return timeout;
  return (timeout + kTick - base::Duration(1)) / kTick * kTick;
}

ClientCall& Cast(Http2Stream& stream) { return static_cast<ClientCall&>(stream); }

ClientConnection* Self(void* user_data) {
  return static_cast<ClientConnection*>(static_cast<Http2Connection*>(user_data));
}

}  // namespace

ClientConnection::ClientConnection(std::shared_ptr<ChannelCore> core, std::shared_ptr<IoLoop> io,
                                   Socket socket)
    : Http2Connection(std::move(io), std::move(socket),
                      {core->options().keepalive_interval, core->options().keepalive_timeout,
                       /*only_with_streams=*/true}),
      core_(std::move(core)) {}

ClientConnection::~ClientConnection() {
  // Only when the loop died with the connection on it; OnClosed empties it else.
  streams_.clear_and_dispose([](Http2Stream* stream) { delete stream; });
}

void ClientConnection::Start() {
  static nghttp2_session_callbacks* const callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    KEEL_CHECK(nghttp2_session_callbacks_new(&made) == 0);
    SetCommonCallbacks(made);
    nghttp2_session_callbacks_set_on_header_callback(made, &OnHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, &OnFrameReceived);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, &OnData);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, &OnStreamClosed);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(made, &OnFrameNotSent);
    return made;
  }();
  static nghttp2_option* const options = NewCommonOptions();
  nghttp2_session* session = nullptr;
  KEEL_CHECK(nghttp2_session_client_new2(&session, callbacks, static_cast<Http2Connection*>(this),
                                         options) == 0);
  Adopt(session);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, core_->options().stream_window_bytes},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(
      session, NGHTTP2_FLAG_NONE, 0,
      static_cast<int32_t>(core_->options().connection_window_bytes));
  FlushLater();
  StartReading();
}

bool ClientConnection::CanSubmit() {
  return !closed() && !retired_ && nghttp2_session_check_request_allowed(session()) != 0;
}

void ClientConnection::Submit(std::unique_ptr<ClientCall> owned, base::TimePoint now) {
  ClientCall& call = *owned;
  call.connection = this;
  call.in.set_max_message_bytes(core_->options().max_response_bytes);

  std::string timeout;
  std::vector<nghttp2_nv>& headers = core_->header_scratch();
  headers.clear();
  headers.push_back(StaticHeader(":method", "POST"));
  headers.push_back(tls() == nullptr ? StaticHeader(":scheme", "http")
                                     : StaticHeader(":scheme", "https"));
  headers.push_back(CopiedHeader(":path", call.path));
  headers.push_back(CopiedHeader(":authority", core_->target()));
  headers.push_back(StaticHeader("te", "trailers"));
  headers.push_back(StaticHeader("content-type", "application/grpc"));
  headers.push_back(CopiedHeader("user-agent", core_->options().user_agent));
  if (call.options.deadline != base::TimePoint::max()) {
    timeout = FormatTimeout(RoundTimeout(call.options.deadline - now));
    // Calls of one kind mostly have one timeout: then it is in the table, and one byte long.
    headers.push_back(timeout == last_timeout_ ? CopiedHeader("grpc-timeout", timeout)
                                               : OneTimeHeader("grpc-timeout", timeout));
    last_timeout_ = timeout;
  }
  for (const auto& [name, value] : call.options.metadata) {
    headers.push_back(CopiedHeader(name, value));
  }
  const nghttp2_data_provider data = DataOf(call);
  const int32_t id =
      nghttp2_submit_request(session(), nullptr, headers.data(), headers.size(), &data, &call);
  if (id < 0) {
    return call.End(absl::InternalError(base::StrCat("HTTP/2: ", nghttp2_strerror(id))));
  }
  call.id = id;
  streams_.push_back(*owned.release());
  FlushLater();
}

ClientCall* ClientConnection::Find(int32_t stream_id) {
  return static_cast<ClientCall*>(FindStream(stream_id));
}

// --- sending -------------------------------------------------------------------

void ClientConnection::Send(ClientCall& call, Message message) {
  if (call.out_finished) return;
  call.out.Push(std::move(message));
  DataReady(call);
}

void ClientConnection::CloseSend(ClientCall& call) {
  if (call.out_finished) return;
  call.out_finished = true;
  DataReady(call);
}

void ClientConnection::Cancel(ClientCall& call, absl::Status status) {
  if (call.ended) return;
  ResetStream(call.id, NGHTTP2_CANCEL);
  call.End(std::move(status));
}

bool ClientConnection::OnTaken(Http2Stream& base_stream, size_t message_bytes) {
  ClientCall& call = Cast(base_stream);
  if (call.unary()) return false;
  ClientStream& stream = *call.stream;
  const size_t queued =
      stream.queued_bytes_.fetch_sub(message_bytes, std::memory_order_relaxed) - message_bytes;
  return !call.ended && queued <= kWritableMarkBytes &&
         stream.past_mark_.exchange(false, std::memory_order_relaxed);
}

void ClientConnection::OnWritable(Http2Stream& base_stream) {
  const auto keep = Cast(base_stream).handler;
  if (keep != nullptr) keep->OnWritable();
}

// --- receiving -----------------------------------------------------------------

int ClientConnection::OnHeader(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                               size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                               void* user_data) {
  ClientConnection* self = Self(user_data);
  if (self->closed()) return NGHTTP2_ERR_CALLBACK_FAILURE;
  if (ClientCall* call = self->Find(frame->hd.stream_id)) {
    self->TakeHeader(*call, View(name, name_size), View(value, value_size));
  }
  return 0;
}

void ClientConnection::TakeHeader(ClientCall& call, std::string_view name, std::string_view value) {
  if (name == ":status") {
    std::from_chars(value.data(), value.data() + value.size(), call.http_status);
  } else if (name == "grpc-status") {
    call.got_status = true;
    call.status_code = value;
  } else if (name == "grpc-message") {
    call.status_message = value;
  }
}

int ClientConnection::OnFrameReceived(nghttp2_session*, const nghttp2_frame* frame,
                                      void* user_data) {
  ClientConnection* self = Self(user_data);
  if (self->closed()) return NGHTTP2_ERR_CALLBACK_FAILURE;
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA: {
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) break;
      ClientCall* call = self->Find(frame->hd.stream_id);
      if (call == nullptr) break;
      call->in_finished = true;
      if (!call->paused) self->Conclude(*call);
      break;
    }
    case NGHTTP2_GOAWAY:
      self->core_->ConnectionLeaves(*self);
      self->Retire();
      break;
    default:
      break;
  }
  return self->CallbackResult();
}

int ClientConnection::OnData(nghttp2_session*, uint8_t, int32_t stream_id, const uint8_t* data,
                             size_t size, void* user_data) {
  ClientConnection* self = Self(user_data);
  if (self->closed()) return NGHTTP2_ERR_CALLBACK_FAILURE;
  self->ConsumeConnection(size);
  if (ClientCall* call = self->Find(stream_id)) self->TakeData(*call, View(data, size));
  return self->CallbackResult();
}

void ClientConnection::TakeData(ClientCall& call, std::string_view data) {
  if (call.paused) {
    call.held.append(data);
    return;
  }
  Consume(call, data.size());
  DeliverMessages(call, data);
}

void ClientConnection::DeliverMessages(ClientCall& call, std::string_view data) {
  while (!call.ended && !data.empty()) {
    if (call.paused) {
      call.held.append(data);
      call.held_credited = call.held.size();
      return;
    }
    std::string_view message;
    switch (call.in.Next(&data, &message)) {
      case FrameDecoder::Result::kNeedMore:
        return;
      case FrameDecoder::Result::kTooLarge:
        return Cancel(call, absl::ResourceExhaustedError(base::StrCat(
                                "grpc: received message larger than max (", call.in.message_bytes(),
                                " vs. ", core_->options().max_response_bytes, ")")));
      case FrameDecoder::Result::kCompressed:
        return Cancel(call, absl::InternalError("grpc: received a compressed message unasked"));
      case FrameDecoder::Result::kMessage:
        break;
    }
    if (call.unary()) {
      if (call.got_response) {
        return Cancel(call, absl::InternalError("grpc: more than one message for a unary call"));
      }
      call.got_response = true;
      call.response = call.in.TakeMessage(message);
    } else {
      const auto keep = call.handler;
      keep->OnMessage(message);
      if (closed()) return;
    }
  }
}

void ClientConnection::ResumeReading(ClientCall& call) {
  if (!call.paused) return;
  call.paused = false;
  std::string held = std::move(call.held);
  call.held.clear();
  Consume(call, held.size() - call.held_credited);
  call.held_credited = 0;
  DeliverMessages(call, held);
  if (!closed() && !call.ended && !call.paused && call.in_finished) Conclude(call);
}

// The server has said all it will.
void ClientConnection::Conclude(ClientCall& call) {
  if (call.ended) return;
  if (!call.out_finished || !call.out.empty()) {
    // It did not wait for our end: neither do we.
    ResetStream(call.id, NGHTTP2_NO_ERROR);
  }
  absl::Status status;
  if (call.got_status) {
    status = StatusFromWire(call.status_code, call.status_message);
  } else if (call.http_status != 0 && call.http_status != 200) {
    status = StatusFromHttp(call.http_status);
  } else {
    status = absl::InternalError("server closed the stream without sending trailers");
  }
  if (status.ok() && call.unary() && !call.got_response) {
    status = absl::InternalError("grpc: no message in the answer to a unary call");
  }
  call.End(std::move(status));
}

int ClientConnection::OnStreamClosed(nghttp2_session*, int32_t stream_id, uint32_t error_code,
                                     void* user_data) {
  ClientConnection* self = Self(user_data);
  if (self->closed()) return NGHTTP2_ERR_CALLBACK_FAILURE;
  ClientCall* call = self->Find(stream_id);
  if (call == nullptr) return 0;
  self->Detach(stream_id);
  if (call->in_finished) {
    call->paused = false;
    if (!call->held.empty()) {
      const std::string held = std::move(call->held);
      self->DeliverMessages(*call, held);
    }
    if (!self->closed()) self->Conclude(*call);
  } else {
    call->End(StatusFromReset(error_code));
  }
  if (!self->closed()) self->Remove(*call);
  return self->CallbackResult();
}

int ClientConnection::OnFrameNotSent(nghttp2_session*, const nghttp2_frame* frame, int error,
                                     void* user_data) {
  ClientConnection* self = Self(user_data);
  if (self->closed()) return NGHTTP2_ERR_CALLBACK_FAILURE;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  // A request that never opened a stream: cancelled before its turn, or turned
  // down by a GOAWAY.
  for (Http2Stream& stream : self->streams_) {
    if (stream.id != frame->hd.stream_id) continue;
    ClientCall& call = Cast(stream);
    self->Detach(call.id);
    call.End(absl::UnavailableError(
        base::StrCat("the request was not sent: ", nghttp2_strerror(error))));
    if (!self->closed()) self->Remove(call);
    break;
  }
  return self->CallbackResult();
}

// --- the end -------------------------------------------------------------------

void ClientConnection::Remove(ClientCall& call) {
  Forget(call);
  delete &call;  // unlinks itself
  if (retired_ && streams_.empty()) Terminate(NGHTTP2_NO_ERROR);
}

void ClientConnection::Retire() {
  if (retired_ || closed()) return;
  retired_ = true;
  if (streams_.empty()) Terminate(NGHTTP2_NO_ERROR);
}

void ClientConnection::OnClosed(const absl::Status& why) {
  core_->ConnectionClosed(*this);
  const absl::Status status =
      why.code() == absl::StatusCode::kUnavailable
          ? absl::UnavailableError(base::StrCat("connection to ", core_->target(),
                                                " lost: ", base::ToStd(why.message())))
          : why;
  // A callback may start calls, on another connection.
  while (!streams_.empty()) {
    ClientCall& call = Cast(streams_.front());
    streams_.pop_front();
    call.End(status);
    delete &call;
  }
}

}  // namespace keel::rpc::internal
