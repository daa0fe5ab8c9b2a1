// One HTTP/2 connection of either side: moves bytes between a socket and an
// nghttp2 session, gathers what a turn of the loop produced into one write,
// and carries gRPC messages out of each stream's SendQueue.
//
// ServerConnection and ClientConnection derive from it and answer the
// session's callbacks.
//
// Thread-safety: the loop only. Lifetime: held by its pending socket
// operations; after Close() those end and the last one destroys it. The
// session lives until then, as Close may be called from inside its callbacks.
#pragma once

#include <nghttp2/nghttp2.h>

#include <boost/intrusive/list.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "rpc/deadline_wheel.h"
#include "rpc/frame.h"
#include "rpc/io_loop.h"
#include "rpc/send_queue.h"
#include "rpc/socket.h"

namespace keel::rpc::internal {

// What both sides keep for a stream. It is the session's user data for the
// stream and stays until the session has closed the stream.
using StreamHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

struct Http2Stream : StreamHook, DeadlineWheel::Entry {
  int32_t id = 0;
  bool out_finished = false;  // nothing follows what is in `out`
  bool deferred = false;      // the session waits for data to be pushed to `out`
  bool in_finished = false;   // the peer has ended its side
  bool paused = false;        // deliver no messages for now
  bool notify = false;        // is in the list of streams to tell
  SendQueue out;
  FrameDecoder in;
  std::string held;          // received while paused
  size_t held_credited = 0;  // of `held`: the peer has its credit back already
  size_t uncredited = 0;     // consumed, and the session does not know yet
};

using StreamList = boost::intrusive::list<Http2Stream, boost::intrusive::base_hook<StreamHook>,
                                          boost::intrusive::constant_time_size<false>>;

class Http2Connection : public std::enable_shared_from_this<Http2Connection> {
 public:
  virtual ~Http2Connection();

  Http2Connection(const Http2Connection&) = delete;
  Http2Connection& operator=(const Http2Connection&) = delete;

  // Writes out what the session has to say, as far as the socket takes it.
  void Flush();
  // Ends the connection at once. OnClosed runs (once), inside this call.
  void Close(absl::Status why);
  bool closed() const { return closed_; }

 protected:
  struct Keepalive {
    base::Duration interval;  // zero: never
    base::Duration timeout;
    bool only_with_streams;
  };

  Http2Connection(std::shared_ptr<IoLoop> io, Socket socket, Keepalive keepalive);

  // Takes the session over. `server` decides how streams end: with trailers.
  void Adopt(nghttp2_session* session) { session_ = session; }
  // Starts the keepalive and reads from the socket from now on.
  void StartReading();
  // Hands bytes to the session, as if read from the socket.
  void Receive(std::string_view bytes);
  // Flush at the end of this turn.
  void FlushLater();
  // Sets the callbacks that move data, and the options both sides use.
  static void SetCommonCallbacks(nghttp2_session_callbacks* callbacks);
  static nghttp2_option* NewCommonOptions();

  // The body of a stream comes out of its SendQueue.
  nghttp2_data_provider DataOf(Http2Stream& stream);
  // After a push to `stream.out` or a change of out_finished.
  void DataReady(Http2Stream& stream);
  // Gives the peer credit for received bytes; in steps, as most streams end before they need any.
  void Consume(Http2Stream& stream, size_t bytes);
  void ConsumeConnection(size_t bytes);
  void ResetStream(int32_t stream_id, uint32_t error_code);
  // GOAWAY with that error, and the connection closes once it is written; after
  // an error, without waiting for a peer that does not read. Nothing that still
  // arrives is looked at.
  void Terminate(uint32_t error_code);

  std::string peer_name() const { return PeerName(socket_); }
  const base::TlsSession* tls() const { return socket_.tls(); }
  nghttp2_session* session() { return session_; }
  IoLoop& io() { return *io_; }
  // When bytes were last read.
  base::TimePoint heard_at() const { return heard_at_; }
  // From inside a session callback: stop feeding it, the connection is closed.
  int CallbackResult() const { return closed_ ? NGHTTP2_ERR_CALLBACK_FAILURE : 0; }

  virtual void OnClosed(const absl::Status& why) = 0;
  // `out` of the stream is about to be drained to its end, out_finished is set:
  // may submit trailers, and returns whether it did.
  virtual bool OnOutEnd(Http2Stream& stream) = 0;
  // Message bytes of the stream went to the socket's buffer. Returns whether
  // OnWritable shall follow once the flush is over.
  virtual bool OnTaken(Http2Stream& stream, size_t message_bytes) = 0;
  virtual void OnWritable(Http2Stream& stream) = 0;
  // Once after each flush, unless the connection is closed.
  virtual void OnFlushed() {}
  virtual bool HasStreams() const = 0;
  virtual void CountReceived(size_t bytes) = 0;
  virtual void CountSent(size_t bytes) = 0;

  // The session's user data of a stream; null when it is gone. Callbacks come in rows of the
  // same stream, and each lookup goes through the session's hash table.
  Http2Stream* FindStream(int32_t stream_id) {
    if (last_found_ != nullptr && last_found_->id == stream_id) return last_found_;
    auto* found =
        static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session_, stream_id));
    if (found != nullptr) last_found_ = found;
    return found;
  }
  // The session is to know nothing of it any more.
  void Detach(int32_t stream_id);
  // To be called before a stream is destroyed.
  void Forget(Http2Stream& stream);

 private:
  struct KeepaliveEntry : DeadlineWheel::Entry {
    explicit KeepaliveEntry(Http2Connection* owner) : connection(owner) {}
    void OnDeadline() override { connection->OnKeepalive(); }
    Http2Connection* connection;
  };

  static ssize_t ReadData(nghttp2_session* session, int32_t stream_id, uint8_t* buffer,
                          size_t length, uint32_t* flags, nghttp2_data_source* source,
                          void* user_data);
  static int SendData(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* header,
                      size_t length, nghttp2_data_source* source, void* user_data);

  void WaitReadable();
  ssize_t Read(char* out, size_t size);
  std::string ReadError(int error) const;
  // To the socket, by way of TLS where it has that.
  OutBuffer::Result Write(OutBuffer& out, size_t* written);
  void OnReadable();
  void WaitWritable();
  void OnKeepalive();
  bool Fill(OutBuffer& out);
  void NotifyWritable();

  const std::shared_ptr<IoLoop> io_;
  Socket socket_;
  const Keepalive keepalive_;
  nghttp2_session* session_ = nullptr;
  OutBuffer unwritten_;  // what the socket did not take
  bool write_blocked_ = false;
  bool closed_ = false;
  bool dirty_ = false;
  bool receiving_ = false;
  bool terminating_ = false;  // after an error
  bool lingering_ = false;    // the last bytes matter to the peer
  bool ping_sent_ = false;
  base::TimePoint ping_sent_at_;
  base::TimePoint heard_at_;
  KeepaliveEntry keepalive_entry_{this};
  std::vector<Http2Stream*> notify_;
  Http2Stream* last_found_ = nullptr;
};

}  // namespace keel::rpc::internal
