// Handing leadership over: thesis 3.10.
#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "raft/core/confchange.h"
#include "raft/core/raft_impl.h"

namespace keel::raft {

absl::Status Raft::Impl::TransferLeadership(NodeId to) {
  if (role_ == Role::kLeader) return StartTransfer(to);
  if (leader_ == kNoNode) return absl::UnavailableError("no leader");
  if (to == kNoNode) {
    return absl::InvalidArgumentError("only the leader can pick whom to transfer leadership to");
  }
  if (to == leader_) return absl::OkStatus();
  Message m = NewMessage(MessageType::kTransferLeader, leader_);
  m.term = 0;
  m.context = to;
  Send(std::move(m));
  return absl::OkStatus();
}

absl::Status Raft::Impl::StartTransfer(NodeId to) {
  if (to == kNoNode) to = BestVoter();
  if (to == kNoNode) return absl::UnavailableError("no other voter to transfer leadership to");
  if (to == id() || to == transferee_) return absl::OkStatus();
  Progress* peer = Peer(to);
  if (peer == nullptr || !IsVoter(conf_, to)) {
    return absl::FailedPreconditionError(base::StrCat("member ", to, " is no voter"));
  }
  transferee_ = to;
  transfer_sent_ = false;
  // It has one election timeout; see TickLeader.
  election_elapsed_ = 0;
  if (peer->match == log_.last_index()) {
    SendTimeoutNow(to);
  } else {
    peer->probe_sent = false;
  }
  return absl::OkStatus();
}

void Raft::Impl::AbortTransfer() {
  transferee_ = kNoNode;
  transfer_sent_ = false;
  MaybeAutoLeave();
}

void Raft::Impl::SendTimeoutNow(NodeId to) {
  // The message may arrive at any later time, and the election it starts does
  // not wait for anybody's lease: none is good for the rest of this term.
  lease_void_ = true;
  transfer_sent_ = true;
  Send(NewMessage(MessageType::kTimeoutNow, to));
}

NodeId Raft::Impl::BestVoter() const {
  const Progress* best = nullptr;
  for (const Progress& peer : peers_) {
    // A voter on its way out would hand the office on at once.
    if (peer.id == id() || !std::binary_search(conf_.voters.begin(), conf_.voters.end(), peer.id)) {
      continue;
    }
    if (best == nullptr || std::pair(peer.recently_active, peer.match) >
                               std::pair(best->recently_active, best->match)) {
      best = &peer;
    }
  }
  return best == nullptr ? kNoNode : best->id;
}

}  // namespace keel::raft
