// A streamed answer over HTTP/1: the call behind it, the pieces that wait to be written, and the
// chunked coding (RFC 9112, section 7.1). The connection does the reading and writing:
//
//   stream->Start(peer, std::move(factory));
//   ... OnOutput() → for (buffers = stream->Take(); !buffers.empty(); buffers = stream->Take()) {
//         write them; stream->Written();
//       }
//   once stream->done(): stream->End(/*cancelled=*/false)
//
// Thread-safety: the connection's loop, but for what a ServerCall allows from any thread.
// Lifetime: it, its call and the connection keep each other alive until End: while the client is
// not read from and nothing is written, nothing else would.
#pragma once

#include <boost/asio/buffer.hpp>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/http.h"
#include "rpc/local_end.h"

namespace keel::rpc::internal {

class Http1Stream final : public LocalEnd, public std::enable_shared_from_this<Http1Stream> {
 public:
  class Connection {
   public:
    virtual ~Connection() = default;
    // There is something to Take, or the end has come. Not called again until Take returned empty.
    virtual void OnOutput() = 0;
    // wants_body() is true again.
    virtual void OnReadingResumed() = 0;
  };

  // Not `chunked` (HTTP/1.0): the end of the connection ends the body.
  Http1Stream(std::shared_ptr<Connection> connection, bool chunked, bool streams_body)
      : connection_(std::move(connection)), chunked_(chunked), streams_body_(streams_body) {}

  // `head` goes out first.
  void Start(std::shared_ptr<const ServerPeer> peer, std::string head, HttpStreamFactory factory);

  // The request's body, if it is streamed.
  bool wants_body() const { return call_ != nullptr && !paused_; }
  void Body(std::string_view bytes);
  void BodyEnd();

  // What is to be written next, valid until Written; empty when nothing waits.
  const std::vector<boost::asio::const_buffer>& Take();
  void Written();
  // All is written, to the end of the body.
  bool done() const { return finished_ && waiting_.empty() && writing_.empty() && end_taken_; }
  // The body was cut off: the connection has to close.
  bool cut() const { return cut_; }

  // Tells the handler, and lets go of it. Idempotent.
  void End(bool cancelled);

  // LocalEnd:
  void Do(CallOp op) override;
  void Post(CallOp op) override;
  void OnCancel(absl::AnyInvocable<void()> callback) override;

 private:
  void Output();

  std::shared_ptr<Connection> connection_;  // null once ended
  const bool chunked_;
  const bool streams_body_;
  std::shared_ptr<ServerMailbox> mailbox_;
  ServerCallPtr call_;  // null once ended
  std::shared_ptr<ServerStreamHandler> handler_;
  absl::AnyInvocable<void()> on_cancel_;
  std::string head_;
  std::deque<Message> waiting_;
  std::vector<Message> writing_;
  std::deque<std::string> texts_;  // what stands between the messages of writing_
  std::vector<boost::asio::const_buffer> buffers_;
  bool told_ = false;  // OnOutput was called, Take has not returned empty yet
  bool paused_ = false;
  bool body_ended_ = false;
  bool finished_ = false;
  bool cut_ = false;
  bool end_taken_ = false;
};

}  // namespace keel::rpc::internal
