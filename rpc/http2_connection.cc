#include "rpc/http2_connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "rpc/linger.h"

namespace keel::rpc::internal {

namespace {

// As much is taken out of the session before it is written.
constexpr size_t kWriteBytes = 256 * 1024;
// Credit for a stream is given in steps of so many bytes: each goes through the session's table
// of streams. REQUIRES: less than half of every receive window.
constexpr size_t kCreditStepBytes = 4 * 1024;
// Reads of one connection before others get their turn.
constexpr int kReadsPerTurn = 4;

}  // namespace

Http2Connection::Http2Connection(std::shared_ptr<IoLoop> io, Socket socket, Keepalive keepalive)
    : io_(std::move(io)),
      socket_(std::move(socket)),
      keepalive_(keepalive),
      heard_at_(DeadlineWheel::Now()) {
  PrepareSocket(socket_);
}

Http2Connection::~Http2Connection() {
  if (session_ != nullptr) nghttp2_session_del(session_);
}

void Http2Connection::SetCommonCallbacks(nghttp2_session_callbacks* callbacks) {
  nghttp2_session_callbacks_set_send_data_callback(callbacks, &SendData);
}

nghttp2_option* Http2Connection::NewCommonOptions() {
  nghttp2_option* options = nullptr;
  KEEL_CHECK(nghttp2_option_new(&options) == 0);
  nghttp2_option_set_no_auto_window_update(options, 1);
  nghttp2_option_set_no_closed_streams(options, 1);
  // Floods are counted in ServerConnection, by what they cost; nghttp2's own
  // limit would take a burst of cancelled calls for an attack.
  nghttp2_option_set_stream_reset_rate_limit(options, 1'000'000'000, 1'000'000'000);
  return options;
}

// --- reading ---------------------------------------------------------------

void Http2Connection::StartReading() {
  if (keepalive_.interval.count() > 0) {
    io_->wheel().Arm(keepalive_entry_, heard_at_ + keepalive_.interval);
  }
  WaitReadable();
}

void Http2Connection::WaitReadable() {
  if (socket_.tls() != nullptr && socket_.tls()->HasPending()) {
    // Read from the socket already: it need not become readable for them.
    boost::asio::post(io_->context(), [self = shared_from_this()] {
      if (!self->closed_) self->OnReadable();
    });
    return;
  }
  socket_.async_wait(Socket::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (error || self->closed_) return;
                       self->OnReadable();
                     });
}

ssize_t Http2Connection::Read(char* out, size_t size) {
  if (socket_.tls() == nullptr) return ::recv(socket_.native_handle(), out, size, 0);
  return socket_.tls()->Read(out, size);
}

std::string Http2Connection::ReadError(int error) const {
  if (error == EPROTO && tls() != nullptr) return tls()->error();
  return strerror(error);
}

OutBuffer::Result Http2Connection::Write(OutBuffer& out, size_t* written) {
  base::TlsSession* const tls = socket_.tls();
  if (tls == nullptr) return out.WriteTo(socket_.native_handle(), written);
  // What does not go out now stays with `tls`, encrypted.
  out.MoveTo(*tls);
  switch (tls->Flush(written)) {
    case base::TlsSession::Result::kDone:
      return OutBuffer::Result::kDone;
    case base::TlsSession::Result::kFailed:
      return OutBuffer::Result::kError;
    default:
      return OutBuffer::Result::kBlocked;
  }
}

void Http2Connection::OnReadable() {
  std::vector<char>& buffer = io_->read_buffer();
  heard_at_ = DeadlineWheel::Now();
  for (int i = 0; i < kReadsPerTurn && !closed_; ++i) {
    const ssize_t n = Read(buffer.data(), buffer.size());
    if (n > 0) {
      CountReceived(static_cast<size_t>(n));
      Receive({buffer.data(), static_cast<size_t>(n)});
      if (static_cast<size_t>(n) == buffer.size()) continue;
      break;
    }
    if (n == 0) {
      Close(absl::UnavailableError("connection closed by the peer"));
    } else if (errno == EINTR) {
      continue;
    } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
      Close(absl::UnavailableError(base::StrCat("read: ", ReadError(errno))));
    }
    break;
  }
  io_->FlushNow();
  if (!closed_) WaitReadable();
}

void Http2Connection::Receive(std::string_view bytes) {
  receiving_ = true;
  const ssize_t used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  receiving_ = false;
  if (closed_) return;
  // The session answers what it can by itself (window updates, acks, errors).
  FlushLater();
  if (used < 0) {
    // What it had to say (a GOAWAY) goes out first.
    lingering_ = true;
    Flush();
    Close(
        absl::UnavailableError(base::StrCat("HTTP/2: ", nghttp2_strerror(static_cast<int>(used)))));
  }
}

void Http2Connection::Consume(Http2Stream& stream, size_t bytes) {
  stream.uncredited += bytes;
  if (stream.uncredited < kCreditStepBytes) return;
  nghttp2_session_consume_stream(session_, stream.id, std::exchange(stream.uncredited, 0));
  if (!receiving_) FlushLater();
}

void Http2Connection::ConsumeConnection(size_t bytes) {
  nghttp2_session_consume_connection(session_, bytes);
}

// --- writing ---------------------------------------------------------------

void Http2Connection::FlushLater() {
  if (dirty_ || closed_) return;
  dirty_ = true;
  io_->FlushLater(shared_from_this());
}

nghttp2_data_provider Http2Connection::DataOf(Http2Stream& stream) {
  nghttp2_data_provider provider;
  provider.source.ptr = &stream;
  provider.read_callback = &ReadData;
  return provider;
}

void Http2Connection::DataReady(Http2Stream& stream) {
  if (stream.deferred) {
    stream.deferred = false;
    nghttp2_session_resume_data(session_, stream.id);
  }
  FlushLater();
}

ssize_t Http2Connection::ReadData(nghttp2_session*, int32_t, uint8_t*, size_t length,
                                  uint32_t* flags, nghttp2_data_source* source, void* user_data) {
  auto* self = static_cast<Http2Connection*>(user_data);
  auto* stream = static_cast<Http2Stream*>(source->ptr);
  self->last_found_ = stream;  // the callbacks that follow ask for it
  const size_t bytes = std::min(length, stream->out.bytes());
  if (bytes == 0 && !stream->out_finished) {
    stream->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (bytes == stream->out.bytes() && stream->out_finished) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (self->OnOutEnd(*stream)) *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  }
  return static_cast<ssize_t>(bytes);
}

int Http2Connection::SendData(nghttp2_session*, nghttp2_frame*, const uint8_t* header,
                              size_t length, nghttp2_data_source* source, void* user_data) {
  constexpr size_t kHttp2FrameHeaderBytes = 9;
  auto* self = static_cast<Http2Connection*>(user_data);
  auto* stream = static_cast<Http2Stream*>(source->ptr);
  OutBuffer& out = self->io_->scratch();
  out.Append({reinterpret_cast<const char*>(header), kHttp2FrameHeaderBytes});
  const size_t message_bytes = stream->out.Take(length, out);
  if (self->OnTaken(*stream, message_bytes) && !stream->notify) {
    stream->notify = true;
    self->notify_.push_back(stream);
  }
  return 0;
}

bool Http2Connection::Fill(OutBuffer& out) {
  while (out.size() < kWriteBytes && !closed_) {
    const uint8_t* data = nullptr;
    const ssize_t n = nghttp2_session_mem_send(session_, &data);
    if (n < 0) {
      Close(
          absl::UnavailableError(base::StrCat("HTTP/2: ", nghttp2_strerror(static_cast<int>(n)))));
      return false;
    }
    if (n == 0) break;
    out.Append({reinterpret_cast<const char*>(data), static_cast<size_t>(n)});
  }
  return !closed_;
}

void Http2Connection::Flush() {
  dirty_ = false;
  OutBuffer& out = io_->scratch();
  while (!closed_ && !write_blocked_) {
    if (!Fill(out) || out.empty()) break;
    size_t written = 0;
    const OutBuffer::Result result = Write(out, &written);
    CountSent(written);
    if (result == OutBuffer::Result::kError) {
      const int error = errno;
      out.Clear();
      Close(absl::UnavailableError(base::StrCat("write: ", strerror(error))));
      return;
    }
    if (result == OutBuffer::Result::kBlocked) {
      unwritten_.swap(out);
      WaitWritable();
    }
    NotifyWritable();
  }
  out.Clear();
  if (closed_) return;
  const bool done = !write_blocked_ && nghttp2_session_want_read(session_) == 0 &&
                    nghttp2_session_want_write(session_) == 0;
  if (done || terminating_) return Close(absl::UnavailableError("connection closed"));
  OnFlushed();
}

void Http2Connection::WaitWritable() {
  write_blocked_ = true;
  socket_.async_wait(
      Socket::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
        if (error || self->closed_) return;
        size_t written = 0;
        const OutBuffer::Result result = self->Write(self->unwritten_, &written);
        self->CountSent(written);
        switch (result) {
          case OutBuffer::Result::kBlocked:
            return self->WaitWritable();
          case OutBuffer::Result::kError:
            return self->Close(absl::UnavailableError(base::StrCat("write: ", strerror(errno))));
          case OutBuffer::Result::kDone:
            break;
        }
        self->write_blocked_ = false;
        self->Flush();
      });
}

void Http2Connection::NotifyWritable() {
  // OnWritable may push, finish, or close: take one at a time.
  while (!notify_.empty() && !closed_) {
    Http2Stream* stream = notify_.back();
    notify_.pop_back();
    stream->notify = false;
    OnWritable(*stream);
  }
}

void Http2Connection::Detach(int32_t stream_id) {
  last_found_ = nullptr;
  nghttp2_session_set_stream_user_data(session_, stream_id, nullptr);
}

void Http2Connection::Forget(Http2Stream& stream) {
  if (last_found_ == &stream) last_found_ = nullptr;
  if (stream.notify) notify_.erase(std::find(notify_.begin(), notify_.end(), &stream));
}

void Http2Connection::ResetStream(int32_t stream_id, uint32_t error_code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream_id, error_code);
  FlushLater();
}

// --- the end ---------------------------------------------------------------

void Http2Connection::Terminate(uint32_t error_code) {
  if (closed_ || lingering_) return;
  lingering_ = true;
  terminating_ = error_code != NGHTTP2_NO_ERROR;
  nghttp2_session_terminate_session(session_, error_code);
  FlushLater();
}

void Http2Connection::OnKeepalive() {
  const base::TimePoint now = DeadlineWheel::Now();
  if (ping_sent_ && heard_at_ < ping_sent_at_) {
    return Close(absl::UnavailableError("keepalive ping not answered within the timeout"));
  }
  ping_sent_ = false;
  base::TimePoint next = heard_at_ + keepalive_.interval;
  if (next <= now) {
    if (keepalive_.only_with_streams && !HasStreams()) {
      next = now + keepalive_.interval;
    } else {
      ping_sent_ = true;
      ping_sent_at_ = now;
      nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
      FlushLater();
      next = now + keepalive_.timeout;
    }
  }
  io_->wheel().Arm(keepalive_entry_, next);
}

void Http2Connection::Close(absl::Status why) {
  if (closed_) return;
  closed_ = true;
  const auto self = shared_from_this();
  keepalive_entry_.Disarm();
  if (socket_.tls() != nullptr && socket_.is_open()) socket_.tls()->SayGoodbye();
  if (lingering_) {
    CloseLingering(std::move(socket_));
  } else {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  notify_.clear();
  unwritten_.Clear();
  last_found_ = nullptr;
  OnClosed(why);
}

}  // namespace keel::rpc::internal
