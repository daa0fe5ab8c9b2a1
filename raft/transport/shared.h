// What the parts of TcpTransport have in common: options, the way back to the
// handler, counters, and the connections that Stop closes.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/asio_loop.h"
#include "base/file.h"
#include "base/tls/socket.h"
#include "raft/transport/codec.h"
#include "raft/transport/tcp_transport.h"

namespace keel::raft {

using Tcp = boost::asio::ip::tcp;
using Socket = base::TlsSocket<boost::asio::any_io_executor>;
using SocketPtr = std::shared_ptr<Socket>;

struct HostPort {
  std::string host;
  std::string port;
  bool tls = false;
};
// "host:port", "[::1]:port", "http://host:port" or "https://host:port". InvalidArgument naming it
// for anything else.
absl::StatusOr<HostPort> ParsePeerAddress(std::string_view address);
// Whether a peer may name this as its own: short, printable, with a port that there is.
bool IsPeerAddress(std::string_view address);

// Closes the socket when not cancelled (destroyed) in time.
class Deadline {
 public:
  Deadline(SocketPtr socket, base::Duration limit);
  ~Deadline() { timer_.cancel(); }

 private:
  boost::asio::steady_timer timer_;
};

// The coroutines and sockets of one loop. All calls on that loop, but the constructor.
class ConnectionGroup {
 public:
  explicit ConnectionGroup(base::AsioLoop* loop) : loop_(loop) {}

  base::AsioLoop* loop() { return loop_; }
  void Spawn(boost::asio::awaitable<void> coroutine);
  void Track(const SocketPtr& socket) { sockets_.insert(socket); }
  void Forget(const SocketPtr& socket) { sockets_.erase(socket); }
  bool closed() const { return closed_; }
  // Closes every socket, and calls `ended` when no coroutine is left.
  void Close(std::function<void()> ended);

 private:
  base::AsioLoop* const loop_;
  absl::flat_hash_set<SocketPtr> sockets_;
  int running_ = 0;
  bool closed_ = false;
  std::function<void()> ended_;
};

// Of one peer; written on the io loop, read by any thread.
struct PeerCounters {
  std::atomic<uint64_t> sent_bytes{0};
  std::atomic<uint64_t> received_bytes{0};
  std::atomic<uint64_t> dropped_messages{0};
  std::atomic<int64_t> round_trip_us{0};  // the newest sample
  std::atomic<uint64_t> round_trips{0};   // samples
};

class PeerTable;

class TransportShared {
 public:
  TransportShared(TcpTransportOptions given, base::AsioLoop* io, base::AsioLoop* snapshot);
  ~TransportShared();

  const TcpTransportOptions options;
  ConnectionGroup messages;
  ConnectionGroup snapshots;
  TransportCounters counters;
  const std::unique_ptr<PeerTable> peers;  // on the messages' loop

  // Where callbacks go; none runs after Disconnect returned.
  void Connect(base::Loop* loop, TransportHandler* handler);
  void Disconnect();
  void DeliverMessages(std::vector<Message> received);  // at once when on the handler's loop
  void DeliverUser(NodeId from, std::string payload);
  void DeliverUnreachable(NodeId peer);
  void DeliverSnapshot(NodeId from, Message message, std::string dir);
  void DeliverRemoved(NodeId from, Index index);
  void DeliverDone(absl::AnyInvocable<void(absl::Status)> done, absl::Status status);

  // The same for each peer's id, as long as this lives.
  PeerCounters& CountersOf(NodeId peer);
  std::vector<PeerFigures> Peers() const;

  // Connections that a peer has opened; on the messages' loop.
  void TrackInbound(NodeId peer, const SocketPtr& socket) { inbound_[peer].insert(socket); }
  void ForgetInbound(NodeId peer, const SocketPtr& socket);
  // Closes them if it was removed: it calls again, and is told.
  void CloseIfRemoved(NodeId peer);
  // 0: it was not.
  Index RemovedAt(NodeId peer) const { return options.removed_at ? options.removed_at(peer) : 0; }

  void Heard(NodeId peer);
  base::Duration SinceHeard(NodeId peer) const;

  // A connection was refused: counts it, and logs it unless one was just logged.
  void Refused(const std::string& remote, std::string_view why);

 private:
  friend class TcpTransport;
  void ToHandler(bool inline_ok, absl::AnyInvocable<void(TransportHandler*)> call);

  std::recursive_mutex gate_mu_;  // held while a handler runs, so that Disconnect waits for it
  TransportHandler* handler_ = nullptr;  // guarded by gate_mu_
  std::atomic<base::Loop*> loop_{nullptr};
  absl::flat_hash_map<NodeId, absl::flat_hash_set<SocketPtr>> inbound_;
  mutable std::mutex heard_mu_;
  absl::flat_hash_map<NodeId, base::TimePoint> heard_;  // guarded by heard_mu_
  mutable std::mutex counters_mu_;
  absl::flat_hash_map<NodeId, std::unique_ptr<PeerCounters>> of_peers_;  // guarded by counters_mu_
  std::atomic<int64_t> refused_logged_at_ns_{0};
  std::shared_ptr<TransportShared> self_;  // set by TcpTransport, for tasks
};

// TLS, from this side, on a connected socket. Unavailable naming `address` and the cause.
// REQUIRES: `context` is not null.
boost::asio::awaitable<absl::Status> SecureToPeer(SocketPtr socket,
                                                  std::shared_ptr<base::TlsContext> context,
                                                  std::string host, std::string address);

// Connects and says hello; OK once the peer agreed, with its HelloReply::features. The socket is
// tracked in `group`.
boost::asio::awaitable<absl::Status> ConnectToPeer(std::shared_ptr<TransportShared> shared,
                                                   ConnectionGroup* group, SocketPtr socket,
                                                   std::string address, Hello hello,
                                                   uint32_t* features = nullptr);

// Reads whole frames from a socket.
class FrameReader {
 public:
  explicit FrameReader(size_t max_frame_bytes) : max_frame_bytes_(max_frame_bytes) {}

  // Waits until at least one whole frame is buffered. OutOfRange at the end of the stream.
  boost::asio::awaitable<absl::Status> Fill(SocketPtr socket);
  // The next buffered frame, or one with bytes == 0. Valid until Fill.
  absl::StatusOr<FrameView> Next();

 private:
  const size_t max_frame_bytes_;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// Coroutines of the parts.
boost::asio::awaitable<void> RunAcceptor(std::shared_ptr<TransportShared> shared,
                                         std::shared_ptr<Tcp::acceptor> acceptor, bool tls);
boost::asio::awaitable<void> RunSession(std::shared_ptr<TransportShared> shared, SocketPtr socket,
                                        bool tls);
boost::asio::awaitable<void> ReceiveSnapshot(std::shared_ptr<TransportShared> shared,
                                             SocketPtr socket, Hello hello);
boost::asio::awaitable<void> StreamSnapshot(std::shared_ptr<TransportShared> shared,
                                            std::string address, Message message, std::string dir,
                                            absl::AnyInvocable<void(absl::Status)> done);

}  // namespace keel::raft
