// Transports within one process, for tests: several members on a network that
// loses, delays and partitions when told.
//
//   MemoryNetwork network(seed);
//   MemoryTransport a(&network, 1), b(&network, 2);   // give them to Nodes
//   network.Isolate(1);
//   network.set_loss(0.1);
//
// Delays run on the receiver's loop. Thread-safe; the network must outlive the
// transports.
#pragma once

#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/file.h"
#include "raft/transport/transport.h"

namespace keel::raft {

class MemoryTransport;

class MemoryNetwork {
 public:
  explicit MemoryNetwork(uint64_t seed = 1, base::FileSystem* fs = nullptr);

  // Nothing passes between the two, in either direction.
  void Cut(NodeId a, NodeId b);
  // Nothing passes to or from the member.
  void Isolate(NodeId node);
  // Undoes every Cut and Isolate.
  void Heal();
  void set_loss(double probability);                       // of each message
  void set_delay(base::Duration min, base::Duration max);  // of each message; reorders

 private:
  friend class MemoryTransport;
  struct Member {
    std::mutex mu;  // held while its handler runs
    TransportHandler* handler = nullptr;
    base::Loop* loop = nullptr;

    // What arrived since the last delivery goes together. Messages are exchanged with
    // those delivered before, so that their lists' memory goes round.
    struct Inbox {
      std::vector<Message> messages;
      size_t count = 0;  // of those, to be delivered
    };
    std::mutex inbox_mu;
    Inbox inbox;             // guarded by inbox_mu
    bool scheduled = false;  // guarded by inbox_mu
    Inbox delivering;        // on `loop`
  };
  // Whether every message that passes arrives, and at once. REQUIRES: mu_ is held.
  bool Faultless() const { return loss_ <= 0 && delay_max_ <= base::Duration::zero(); }
  // REQUIRES: mu_ is held.
  bool Passes(NodeId from, NodeId to) const;
  static void Arrive(const std::shared_ptr<Member>& member, Message* message);
  static void DeliverInbox(Member* member);
  std::shared_ptr<Member> Reach(NodeId from, NodeId to, base::Duration* delay);

  base::FileSystem& fs_;
  std::mutex mu_;
  std::mt19937_64 random_;
  double loss_ = 0;
  base::Duration delay_min_{}, delay_max_{};
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::set<NodeId> isolated_;
  uint64_t snapshots_ = 0;
  absl::flat_hash_map<NodeId, std::shared_ptr<Member>> members_;
};

class MemoryTransport final : public Transport {
 public:
  // Snapshots on their way in are copied to folders under `snapshot_dir`.
  MemoryTransport(MemoryNetwork* network, NodeId self, std::string snapshot_dir = "");
  ~MemoryTransport() override { Stop(); }

  void Start(base::Loop* loop, TransportHandler* handler) override;
  void Stop() override;
  void AddPeer(NodeId, const std::string&) override {}
  void RemovePeer(NodeId) override {}
  void Send(std::span<Message> messages) override;
  void SendUser(NodeId to, std::string payload) override;
  void SendSnapshot(Message message, std::string dir,
                    absl::AnyInvocable<void(absl::Status)> done) override;
  base::Duration SinceHeard(NodeId) const override { return base::Duration::max(); }

 private:
  void Deliver(NodeId to, absl::AnyInvocable<void(TransportHandler*)> call);

  MemoryNetwork* const network_;
  const NodeId self_;
  const std::string snapshot_dir_;
  std::shared_ptr<MemoryNetwork::Member> member_;
};

}  // namespace keel::raft
