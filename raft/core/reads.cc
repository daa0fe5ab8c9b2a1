// Linearizable reads: thesis 6.4; leases: thesis 6.4.1.
#include <utility>

#include "base/check.h"
#include "base/mutation.h"
#include "raft/core/raft_impl.h"

namespace keel::raft {

absl::Status Raft::Impl::ReadIndex(uint64_t context) {
  if (context == 0) return absl::InvalidArgumentError("a read needs a context");
  if (role_ == Role::kLeader) return AddLeaderRead({id(), context});
  if (leader_ == kNoNode) return absl::UnavailableError("no leader");
  follower_reads_.Add(context);
  return absl::OkStatus();
}

absl::Status Raft::Impl::AddLeaderRead(ReadRequest request) {
  leader_reads_.Add(request);
  return absl::OkStatus();
}

void Raft::Impl::FlushReads() {
  if (role_ != Role::kLeader) {
    if (!follower_reads_.waiting() || leader_ == kNoNode) return;
    Message m = NewMessage(MessageType::kReadIndex, leader_);
    m.term = 0;
    m.context = follower_reads_.Send(ticks_);
    Send(std::move(m));
    return;
  }
  if (!leader_reads_.waiting()) return;
  // Until an entry of this term is committed a leader does not know how far the
  // terms before it had committed.
  if (commit_ < term_start_ && !KEEL_MUTATION(kReadBeforeOwnTerm)) return;
  if (IsSoleVoter() || LeaseValid() || KEEL_MUTATION(kReadWithoutQuorum)) {
    AnswerReads(leader_reads_.TakeWaiting(), commit_);
  } else if (!leader_reads_.running()) {
    leader_reads_.Start(round_ + 1, commit_);
    BroadcastHeartbeat(/*voters_only=*/true);
  }
}

void Raft::Impl::ConfirmReads() {
  if (!leader_reads_.running()) return;
  Index index = 0;
  const std::vector<ReadRequest> confirmed = leader_reads_.Confirm(QuorumRound(), &index);
  AnswerReads(confirmed, index);
}

void Raft::Impl::AnswerReads(const std::vector<ReadRequest>& requests, Index index) {
  for (const ReadRequest& request : requests) {
    if (request.from == id()) {
      reads_.push_back({request.context, index});
      continue;
    }
    Message m = NewMessage(MessageType::kReadIndexResponse, request.from);
    m.context = request.context;
    m.index = index;
    Send(std::move(m));
  }
}

void Raft::Impl::HandleReadIndexResponse(const Message& m) {
  const std::vector<uint64_t> contexts = follower_reads_.Take(m.context);
  if (m.reject) {
    DropReads(contexts);
    return;
  }
  for (uint64_t context : contexts) reads_.push_back({context, m.index});
}

void Raft::Impl::DropReads() {
  // Peers learn of the new leader by themselves and drop what they had asked here.
  for (const ReadRequest& request : leader_reads_.TakeAll()) {
    if (request.from == id()) dropped_reads_.push_back(request.context);
  }
  DropReads(follower_reads_.TakeAll());
}

void Raft::Impl::DropReads(const std::vector<uint64_t>& contexts) {
  dropped_reads_.insert(dropped_reads_.end(), contexts.begin(), contexts.end());
}

uint64_t Raft::Impl::QuorumRound() const {
  return VotersQuorum().Committed(
      [this](NodeId voter) { return voter == id() ? round_ : Peer(voter)->acked_round; });
}

bool Raft::Impl::LeaseValid() const {
  if (!config_.lease_reads) return false;
  if ((transferee_ != kNoNode || lease_void_) && !KEEL_MUTATION(kLeaseIgnoresTransfer))
    return false;
  const uint64_t sent = rounds_.SentAt(QuorumRound());
  // Those who answered vote for nobody for election_ticks of their clocks.
  // Ticks are coarse on both sides, which takes two off; one more is the
  // allowance for drift between the clocks.
  constexpr uint64_t kMarginTicks = 3;
  if (KEEL_MUTATION(kLeaseTooLong)) return sent > 0 && ticks_ - sent <= 4 * config_.election_ticks;
  return sent > 0 && ticks_ - sent + kMarginTicks <= config_.election_ticks;
}

}  // namespace keel::raft
