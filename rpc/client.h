// A gRPC client: one HTTP/2 connection to one address, on an AsioLoop.
//
//   rpc::Channel channel(io_loop, "127.0.0.1:2379");
//   channel.Call("/etcdserverpb.KV/Range", request.SerializeAsString(),
//                {.deadline = io_loop.Now() + std::chrono::seconds(5)},
//                [](absl::StatusOr<std::string> response) { ... });
//
//   auto stream = channel.OpenStream("/etcdserverpb.Watch/Watch", {}, handler);
//   stream->Send(create.SerializeAsString());
//
// The connection is made by the first call, and made again, after a back-off,
// by the first call after it was lost. Calls and streams may be many at once;
// what is sent during one turn of the loop goes out in one write.
//
// Errors besides the server's own statuses: Unavailable when there is no
// connection ("connect 127.0.0.1:2379: Connection refused", "connect
// 127.0.0.1:2379: tls: certificate has expired (CN=a)") or it is lost
// mid-call; DeadlineExceeded "context deadline exceeded"; Cancelled after
// Cancel or when the Channel is closed. Nothing is retried here.
//
// Thread-safety: every method may be called from any thread (a call from
// another thread than the loop costs a hand-over; wake-ups are batched).
// Callbacks run on the loop, never inside the call that started them.
// Lifetime: the loop must outlive the Channel, streams may outlive it.
#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/asio_loop.h"
#include "base/tls/context.h"
#include "rpc/message.h"

namespace keel::rpc {

namespace internal {
class ChannelCore;
class ClientConnection;
struct ClientCall;
}  // namespace internal

struct ChannelOptions {
  base::Duration connect_timeout = std::chrono::seconds(5);
  // Pause before the second attempt in a row; doubles up to the maximum.
  base::Duration backoff_min = std::chrono::milliseconds(50);
  base::Duration backoff_max = std::chrono::seconds(2);

  // A larger response message ends its call with ResourceExhausted.
  size_t max_response_bytes = 2'147'483'647;

  // Receive windows of flow control, at least 16 KiB.
  uint32_t stream_window_bytes = 4 * 1024 * 1024;
  uint32_t connection_window_bytes = 64 * 1024 * 1024;

  // While calls are open, a connection that was silent this long is sent a
  // PING, and lost when nothing comes back within the timeout. Zero: never.
  base::Duration keepalive_interval = std::chrono::seconds(30);
  base::Duration keepalive_timeout = std::chrono::seconds(10);

  std::string user_agent = "keel";

  // Made for a client, with the protocol h2; null: plain text. The target's host must stand in the
  // server's certificate.
  std::shared_ptr<base::TlsContext> tls;
};

struct CallOptions {
  base::TimePoint deadline = base::TimePoint::max();  // on the loop's clock
  // Sent as headers; names in lower case.
  std::vector<std::pair<std::string, std::string>> metadata;
  // With no connection: wait for one until the deadline, instead of failing
  // with Unavailable as soon as an attempt has failed.
  bool wait_for_ready = false;
};

// The receiving side of one stream. The Channel keeps it alive until
// OnFinished has returned. Callbacks run on the loop.
class ClientStreamHandler {
 public:
  virtual ~ClientStreamHandler() = default;

  // One message of the server; the bytes are valid during the call only.
  virtual void OnMessage(std::string_view message) = 0;
  // queued_bytes() was above 64 KiB and has fallen to it.
  virtual void OnWritable() {}
  // Exactly once and last: the server's status, or what ended the stream.
  virtual void OnFinished(absl::Status status) = 0;
};

class ClientStream;
using ClientStreamPtr = boost::intrusive_ptr<ClientStream>;

// The sending side of one stream. Once the stream is finished every method is
// a harmless no-op.
class ClientStream {
 public:
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;

  // Queues one message; never blocks. See queued_bytes.
  void Send(Message message);
  // No more messages follow (half close).
  void CloseSend();
  // OnFinished follows, with Cancelled, unless the stream finished before.
  void Cancel();
  // Bytes given to Send that have not yet gone towards the socket.
  size_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }
  // Stop and go on delivering OnMessage. While paused the server can send no
  // more than the stream's flow-control window.
  void PauseReading();
  void ResumeReading();

 private:
  friend class Channel;
  friend class internal::ChannelCore;
  friend class internal::ClientConnection;
  friend struct internal::ClientCall;
  friend void intrusive_ptr_add_ref(ClientStream* stream) {
    stream->references_.fetch_add(1, std::memory_order_relaxed);
  }
  friend void intrusive_ptr_release(ClientStream* stream) {
    if (stream->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete stream;
  }

  explicit ClientStream(std::shared_ptr<internal::ChannelCore> core);
  ~ClientStream();

  std::atomic<uint32_t> references_{0};
  std::atomic<size_t> queued_bytes_{0};
  std::atomic<bool> past_mark_{false};  // above the mark since the last OnWritable
  std::atomic<bool> finished_{false};
  const std::shared_ptr<internal::ChannelCore> core_;
  internal::ClientCall* call_ = nullptr;  // loop only; null once finished
};

class Channel {
 public:
  using UnaryDone = absl::AnyInvocable<void(absl::StatusOr<std::string> response)>;

  // `target` is "host:port". Does not connect yet.
  Channel(base::AsioLoop& loop, std::string target, ChannelOptions options = {});
  ~Channel();  // Closes.

  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // One request, one response; `done` runs exactly once.
  // REQUIRES: `path` stays valid until then (it is a literal in practice).
  void Call(std::string_view path, std::string request, CallOptions options, UnaryDone done);

  // REQUIRES: as Call, until OnFinished.
  ClientStreamPtr OpenStream(std::string_view path, CallOptions options,
                             std::shared_ptr<ClientStreamHandler> handler);

  // Ends all calls and streams with Cancelled (their callbacks run before this
  // returns, unless it is called from one of them) and closes the connection.
  // Later calls fail alike. Blocks until the loop has let go, unless called on
  // it. Idempotent. REQUIRES: the loop is running or was stopped.
  void Close();

  const std::string& target() const;
  // Whether a connection is up at the moment.
  bool connected() const;

 private:
  std::shared_ptr<internal::ChannelCore> core_;
};

}  // namespace keel::rpc
