// Transport over TCP (docs/formats/raft-transport.md).
//
//   TcpTransportOptions options;
//   options.self = 1;
//   options.cluster_id = 7;
//   options.listen = {"127.0.0.1:2380"};
//   options.snapshot_dir = "/var/lib/x/snapshot";
//   KEEL_ASSIGN_OR_RETURN(auto transport, TcpTransport::Create(options));
//   transport->AddPeer(2, "http://127.0.0.1:2480");
//   transport->Start(&loop, &handler);   // Node does this
//
// One connection a peer and direction: this side's messages go out on the one
// it opened. Whatever queues up while a write runs goes into the next one.
// Snapshots have a connection and a thread of their own, so that neither
// their bytes nor their disk delay a heartbeat.
//
// Each side says on the connection that it opens where it listens
// (options.advertise): a peer that nobody told of yet is answered there, as long
// as that connection lasts. AddPeer goes before; see peer_table.h for why.
//
// Bytes that are not this protocol, and peers of another cluster or for
// another member, are refused: counted, logged (at most once a second) and
// closed, without any effect.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/asio_loop.h"
#include "base/file.h"
#include "base/tls/context.h"
#include "raft/transport/transport.h"

namespace keel::raft {

struct TcpTransportOptions {
  NodeId self = kNoNode;
  uint64_t cluster_id = 0;
  // "host:port", "http://host:port" or, with TLS, "https://host:port"; port 0 picks one.
  std::vector<std::string> listen;
  // Where others reach this member, in the same form; empty: they must be told by AddPeer.
  std::string advertise;
  size_t learned_peers_max = 64;  // peers that said so, and were not told of
  // For https:// addresses of `listen`, respectively of peers. An https:// address takes and makes
  // no connection without TLS.
  std::shared_ptr<base::TlsContext> tls_server;
  std::shared_ptr<base::TlsContext> tls_client;
  // Whether the names and addresses in a caller's certificate are compared with where it calls
  // from, as etcd does; takes look-ups of names. See peer_address.h.
  bool check_caller_address = true;
  // Runs the connections; null: a thread of the transport's own. The loop of
  // the handler saves a hand-over. Must run until after Stop.
  base::AsioLoop* io = nullptr;
  base::FileSystem* fs = nullptr;  // null: PosixFileSystem()
  std::string snapshot_dir;        // snapshots on their way in
  // What AskIntroduction gets from this member. Thread-safe; must not block.
  std::function<std::string()> introduction;
  // The index of the log at or below which the peer was removed for good; 0: it was not. Who was is
  // told when it calls, and has no say any more. Null: nobody was. Thread-safe; must not block.
  std::function<Index(NodeId)> removed_at;
  // What a removed peer sends on a connection that it has is listened to for so long: others may
  // still have to learn from it that it goes.
  base::Duration removal_grace = std::chrono::milliseconds(500);

  size_t max_frame_bytes = 64ull << 20;
  uint64_t max_queue_bytes = 64ull << 20;  // waiting for one peer; what is beyond is dropped
  base::Duration reconnect_min = std::chrono::milliseconds(10);
  base::Duration reconnect_max = std::chrono::seconds(1);
  base::Duration handshake_limit = std::chrono::seconds(5);
  base::Duration snapshot_stall_limit = std::chrono::seconds(30);  // without progress
};

struct TransportCounters {
  std::atomic<uint64_t> refused_connections{0};
  std::atomic<uint64_t> broken_connections{0};
  std::atomic<uint64_t> dropped_messages{0};
  std::atomic<uint64_t> learned_addresses{0};
  std::atomic<uint64_t> sent_bytes{0};
  std::atomic<uint64_t> received_bytes{0};
};

class TransportShared;

// Asks the member at `address` to introduce its cluster: for one that wants to
// join and knows no ids. Blocks, for `limit` at most. Unavailable when there is
// no answer, FailedPrecondition when it is no member that answers.
// `tls`: for an https:// address.
absl::StatusOr<std::string> AskIntroduction(const std::string& address, base::Duration limit,
                                            std::shared_ptr<base::TlsContext> tls = nullptr);

class TcpTransport final : public Transport {
 public:
  // Listens. Errors: InvalidArgument (an address), AlreadyExists (in use), naming it.
  static absl::StatusOr<std::unique_ptr<TcpTransport>> Create(TcpTransportOptions options);
  ~TcpTransport() override;  // Stops.

  void Start(base::Loop* loop, TransportHandler* handler) override;
  void Stop() override;
  void AddPeer(NodeId peer, const std::string& address) override;
  void RemovePeer(NodeId peer) override;
  void Send(std::span<Message> messages) override;
  void SendUser(NodeId to, std::string payload) override;
  void SendSnapshot(Message message, std::string dir,
                    absl::AnyInvocable<void(absl::Status)> done) override;
  std::vector<PeerFigures> Peers() const override;
  base::Duration SinceHeard(NodeId peer) const override;

  // Of the first listen address.
  uint16_t port() const { return port_; }
  const TransportCounters& counters() const;

 private:
  struct Impl;
  TcpTransport();

  std::unique_ptr<Impl> impl_;
  uint16_t port_ = 0;
};

}  // namespace keel::raft
