// One call in progress on a rpc::Server: what the client sent, and the means
// to answer it.
//
//   server.RegisterUnary("/etcdserverpb.KV/Range", [](rpc::ServerCallPtr call) {
//     RangeRequest request;
//     if (!request.ParseFromArray(call->request().data(), call->request().size())) {
//       return call->Finish(absl::InternalError("grpc: error unmarshalling request"));
//     }
//     call->Reply(Range(request).SerializeAsString());   // or later, from any thread
//   });
//
// Thread-safety: every method may be called from any thread unless it says
// "loop only". Sends from another thread than the connection's loop travel
// through that loop's mailbox, with one wake-up for however many queue up;
// those of one thread keep their order.
// Lifetime: counted references; keep the ServerCallPtr as long as the call may
// still be answered. Once the call has ended (finished, cancelled, deadline
// passed, disconnected, server stopped) every method is a harmless no-op. A
// call whose last reference is dropped unanswered ends with Internal.
#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/loop.h"
#include "rpc/message.h"

namespace keel::rpc {

namespace internal {
class ServerConnection;
struct CallOp;
class LocalEnd;
struct ServerPeer;
struct ServerStream;
struct ServerMethod;
}  // namespace internal

class ServerCall;
using ServerCallPtr = boost::intrusive_ptr<ServerCall>;

// The receiving side of one streaming call. The server keeps it alive until
// OnEnd has returned. Every callback runs on the connection's loop and must
// not block.
class ServerStreamHandler {
 public:
  virtual ~ServerStreamHandler() = default;

  // One message of the client; the bytes are valid during the call only.
  virtual void OnMessage(std::string_view message) = 0;
  // The client will send no more. Finish(OK) is the usual answer at some time.
  virtual void OnHalfClose() {}
  // queued_bytes() was above the mark of SetWritableMark and has fallen to it.
  virtual void OnWritable() {}
  // Exactly once and last: the call has ended, by Finish (after its status was
  // written) or without (call->cancelled() is then true).
  virtual void OnEnd() {}
};

class ServerCall {
 public:
  ServerCall(const ServerCall&) = delete;
  ServerCall& operator=(const ServerCall&) = delete;

  // "/package.Service/Method".
  std::string_view path() const;
  // Unary calls: the request's bytes, valid as long as the call is referenced.
  std::string_view request() const { return request_; }
  // The first value of a request header by its lower-case name, as sent (a
  // "-bin" value stays base64); empty when absent. Headers that gRPC and HTTP/2
  // use for themselves (":path", "te", "content-type", "grpc-timeout", ...) are
  // not kept.
  std::string_view Metadata(std::string_view name) const;
  // TimePoint::max() when the client set none. At the deadline the call ends by
  // itself with DeadlineExceeded.
  base::TimePoint deadline() const { return deadline_; }
  // "127.0.0.1:40112".
  const std::string& peer() const;
  // The common name (CN) of the client's certificate, which was verified; it may be empty. nullopt
  // when there is none: a plain connection, a client that showed none, a call of this process.
  std::optional<std::string_view> certificate_name() const;
  // The loop that the call's callbacks run on.
  base::Loop& loop() const;
  // Whether the call ended before it was finished: work for it is wasted.
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

  // Answers a unary call with OK and this message. Of several Reply or Finish
  // calls the first counts.
  void Reply(Message response);
  // Ends the call with `status`; its code goes out as gRPC's code, its message
  // as grpc-message. On a stream, messages sent before go out first.
  void Finish(absl::Status status);

  // Unary calls, loop only: runs `callback` on the loop if the call ends
  // before it was answered. REQUIRES: set at most once. Streams have OnEnd.
  void OnCancel(absl::AnyInvocable<void()> callback);

  // Streams: queues one message. Never blocks and never drops: see
  // queued_bytes for how to stay bounded when the client reads slowly.
  void Send(Message message);
  // Bytes of messages given to Send or Reply that have not yet gone towards
  // the socket (the connection itself buffers a bounded amount more).
  size_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }
  // OnWritable runs each time queued_bytes falls from above `bytes` to it or
  // below. Default 64 KiB.
  void SetWritableMark(size_t bytes) {
    writable_mark_bytes_.store(bytes, std::memory_order_relaxed);
  }

  // Streams: stop and go on delivering OnMessage. While paused the client can
  // send no more than the stream's flow-control window.
  void PauseReading();
  void ResumeReading();

 private:
  friend class internal::ServerConnection;
  friend class internal::LocalEnd;
  friend void intrusive_ptr_add_ref(ServerCall* call) {
    call->references_.fetch_add(1, std::memory_order_relaxed);
  }
  friend void intrusive_ptr_release(ServerCall* call) {
    const uint32_t before = call->references_.fetch_sub(1, std::memory_order_acq_rel);
    if (before == 1) {
      delete call;
    } else if (before == 2 && call->unary_ && !call->answered_.load(std::memory_order_relaxed)) {
      call->Abandoned();
    }
  }

  // Only the connection refers to the call any more, and nobody has answered.
  void Abandoned();

  void Do(internal::CallOp op);
  void Queued(size_t bytes);

  ServerCall(std::shared_ptr<const internal::ServerPeer> peer,
             const internal::ServerMethod* method);
  ~ServerCall();

  std::atomic<uint32_t> references_{0};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> answered_{false};  // or ended
  std::atomic<bool> abandoned_{false};
  std::atomic<size_t> queued_bytes_{0};
  std::atomic<size_t> writable_mark_bytes_{64 * 1024};
  std::atomic<bool> past_mark_{false};  // above the mark since the last OnWritable

  const std::shared_ptr<const internal::ServerPeer> peer_;
  const internal::ServerMethod* const method_;  // of peer_'s registry; null: plain HTTP
  const bool unary_;
  internal::ServerStream* stream_ = nullptr;   // loop only; null once ended
  std::shared_ptr<internal::LocalEnd> local_;  // of a call without a connection (local_channel.h)
  std::string request_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  base::TimePoint deadline_ = base::TimePoint::max();
};

}  // namespace keel::rpc
