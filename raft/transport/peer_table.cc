#include "raft/transport/peer_table.h"

#include "base/log.h"

namespace keel::raft {

PeerSender* PeerTable::Find(NodeId peer) const {
  const auto it = peers_.find(peer);
  return it == peers_.end() ? nullptr : it->second.sender.get();
}

void PeerTable::Put(const std::shared_ptr<TransportShared>& shared, NodeId id,
                    const std::string& address, uint64_t learned) {
  Peer& peer = peers_[id];
  learned_ += learned != 0;
  learned_ -= peer.learned != 0;
  peer.learned = learned;
  if (peer.sender && peer.sender->address() == address) return;
  if (peer.sender) peer.sender->Close();
  peer.sender = std::make_shared<PeerSender>(shared, id, address);
  peer.sender->Start();
}

void PeerTable::Add(const std::shared_ptr<TransportShared>& shared, NodeId peer,
                    const std::string& address) {
  if (!closed_ && peer != shared->options.self) Put(shared, peer, address, 0);
}

void PeerTable::Remove(NodeId peer) {
  const auto it = peers_.find(peer);
  if (it == peers_.end()) return;
  it->second.sender->Close();
  learned_ -= it->second.learned != 0;
  peers_.erase(it);
}

uint64_t PeerTable::Learn(const std::shared_ptr<TransportShared>& shared, NodeId peer,
                          const std::string& address) {
  if (closed_ || peer == shared->options.self || peer == kNoNode) return 0;
  const auto it = peers_.find(peer);
  if (it != peers_.end() ? it->second.learned == 0
                         : learned_ >= shared->options.learned_peers_max) {
    return 0;
  }
  if (it == peers_.end() || it->second.sender->address() != address) {
    base::Log().info("peer={:x} says that it listens at address={}", peer, address);
  }
  const uint64_t learned = next_learned_++;
  Put(shared, peer, address, learned);
  ++shared->counters.learned_addresses;
  return learned;
}

void PeerTable::Forget(NodeId peer, uint64_t learned) {
  const auto it = peers_.find(peer);
  if (learned != 0 && it != peers_.end() && it->second.learned == learned) Remove(peer);
}

void PeerTable::Close() {
  closed_ = true;
  for (auto& [id, peer] : peers_) peer.sender->Close();
  peers_.clear();
  learned_ = 0;
}

}  // namespace keel::raft
