// Whom this member can send to: peers it was told of (AddPeer), and those that
// told it themselves how to be answered.
//
// A member may be the last to hear of another that came: until it applies the
// addition nobody names the newcomer's address to it, and yet it must be able to
// answer the newcomer's request for a vote. So each side says on its connection
// where it listens (docs/formats/raft-transport.md), and that holds as long as
// the connection does. What AddPeer says always goes before.
//
// Everything on the io loop.
#pragma once

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "raft/transport/peer_sender.h"

namespace keel::raft {

class PeerTable {
 public:
  // Told of, or learned; null: neither.
  PeerSender* Find(NodeId peer) const;

  void Add(const std::shared_ptr<TransportShared>& shared, NodeId peer, const std::string& address);
  void Remove(NodeId peer);

  // The peer says on a connection of its own that it listens at `address`, which
  // was checked to be one. Returns what Forget takes when that connection ends.
  // Without effect (0) for a peer that was told of, or while as many as
  // options.learned_peers_max are known in this way.
  uint64_t Learn(const std::shared_ptr<TransportShared>& shared, NodeId peer,
                 const std::string& address);
  // The connection ended: without effect if the peer was since told of, or said so on another one.
  void Forget(NodeId peer, uint64_t learned);

  // Closes all of them; nothing is added afterwards.
  void Close();

 private:
  struct Peer {
    std::shared_ptr<PeerSender> sender;
    uint64_t learned = 0;  // 0: told of
  };
  void Put(const std::shared_ptr<TransportShared>& shared, NodeId peer, const std::string& address,
           uint64_t learned);

  absl::flat_hash_map<NodeId, Peer> peers_;
  uint64_t next_learned_ = 1;
  size_t learned_ = 0;  // of peers_
  bool closed_ = false;
};

}  // namespace keel::raft
