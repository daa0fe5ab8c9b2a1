#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "raft/core/raft_impl.h"

namespace keel::raft {

Message Raft::Impl::NewMessage(MessageType type, NodeId to) const {
  Message m;
  m.type = type;
  m.from = id();
  m.to = to;
  m.term = term_;
  return m;
}

void Raft::Impl::Send(Message m) {
  KEEL_CHECK(m.to != id() && m.to != kNoNode);
  messages_.push_back(std::move(m));
}

void Raft::Impl::SendWhenPersisted(Message m) {
  KEEL_CHECK(m.to != id() && m.to != kNoNode);
  persisted_messages_.push_back(std::move(m));
}

absl::Status Raft::Impl::Step(Message m) {
  absl::Status status = StepValid(m);
  if (absl::IsInvalidArgument(status)) ++refused_messages_;
  spares_.Give(std::move(m.entries));
  return status;
}

absl::Status Raft::Impl::StepValid(Message& m) {
  KEEL_RETURN_IF_ERROR(Validate(m));
  if (m.term != 0 && m.term < term_) return StepLowerTerm(m);
  const bool is_vote = m.type == MessageType::kVote || m.type == MessageType::kPreVote;
  if (m.term > term_) {
    // Leader stickiness: within an election timeout of a leader's word nobody
    // can depose it, except by its own wish (thesis, 4.2.3 and 9.6).
    if (is_vote && m.context == 0 && InLease()) return absl::OkStatus();
    StepHigherTerm(m);
  }
  switch (m.type) {
    case MessageType::kVote:
    case MessageType::kPreVote:
      HandleVoteRequest(m);
      return absl::OkStatus();
    case MessageType::kVoteResponse:
    case MessageType::kPreVoteResponse:
      HandleVoteResponse(m);
      return absl::OkStatus();
    case MessageType::kAppend:
    case MessageType::kHeartbeat:
    case MessageType::kSnapshot:
      return StepFromLeader(m);
    case MessageType::kReadIndexResponse:
      HandleReadIndexResponse(m);
      return absl::OkStatus();
    case MessageType::kTimeoutNow:
      // A vote for oneself is a promise: the term of the sender counts, and only a follower obeys.
      if (role_ == Role::kFollower && m.term == term_) Hup(/*transfer=*/true);
      return absl::OkStatus();
    case MessageType::kPropose:
    case MessageType::kAppendResponse:
    case MessageType::kHeartbeatResponse:
    case MessageType::kReadIndex:
    case MessageType::kTransferLeader:
      return StepLeader(m);
  }
  return absl::OkStatus();
}

void Raft::Impl::StepHigherTerm(const Message& m) {
  // A pre-vote asks about a term that nobody has entered yet; its granting
  // answer repeats that term.
  if (m.type == MessageType::kPreVote) return;
  if (m.type == MessageType::kPreVoteResponse && !m.reject) return;
  const bool from_leader = m.type == MessageType::kAppend || m.type == MessageType::kHeartbeat ||
                           m.type == MessageType::kSnapshot;
  BecomeFollower(m.term, from_leader ? m.from : kNoNode);
}

absl::Status Raft::Impl::StepLowerTerm(const Message& m) {
  switch (m.type) {
    case MessageType::kAppend:
    case MessageType::kHeartbeat:
    case MessageType::kSnapshot:
      // With PreVote or CheckQuorum a member of a higher term disturbs nobody by
      // campaigning, so it could stay cut off from a leader of a lower term. The
      // answer makes that leader step down, and the next election settles it.
      if (config_.check_quorum || config_.pre_vote) {
        Send(NewMessage(MessageType::kAppendResponse, m.from));
        return absl::OkStatus();
      }
      break;
    case MessageType::kPreVote: {
      // The sender may be stuck on a lower term after a partition.
      Message answer = NewMessage(MessageType::kPreVoteResponse, m.from);
      Refuse(&answer);
      Send(std::move(answer));
      return absl::OkStatus();
    }
    default:
      break;
  }
  return absl::InvalidArgumentError(
      base::StrCat("raft message refused: stale term ", m.term, ", now ", term_));
}

absl::Status Raft::Impl::StepFromLeader(Message& m) {
  if (role_ != Role::kFollower) BecomeFollower(m.term, m.from);
  election_elapsed_ = 0;
  SetLeader(m.from);
  if (m.type == MessageType::kAppend) {
    HandleAppend(m);
  } else if (m.type == MessageType::kHeartbeat) {
    HandleHeartbeat(m);
  } else {
    HandleSnapshot(m);
  }
  return absl::OkStatus();
}

absl::Status Raft::Impl::StepLeader(Message& m) {
  if (role_ != Role::kLeader) {
    if (m.type == MessageType::kReadIndex) {
      // Not the leader any more: let the sender know at once.
      Message answer = NewMessage(MessageType::kReadIndexResponse, m.from);
      answer.context = m.context;
      answer.reject = true;
      Send(std::move(answer));
      return absl::OkStatus();
    }
    if (m.term == 0) return absl::UnavailableError("not the leader");
    return absl::OkStatus();  // an answer to an office held no longer
  }
  switch (m.type) {
    case MessageType::kPropose:
      return AppendProposals(m.entries);
    case MessageType::kReadIndex:
      return AddLeaderRead({m.from, m.context});
    case MessageType::kTransferLeader:
      return StartTransfer(m.context);
    default:
      break;
  }
  Progress* peer = Peer(m.from);
  if (peer == nullptr) {
    return absl::InvalidArgumentError(
        base::StrCat("raft message refused: ", m.from, " is no member"));
  }
  peer->recently_active = true;
  if (m.type == MessageType::kAppendResponse) {
    HandleAppendResponse(m, *peer);
  } else {
    HandleHeartbeatResponse(m, *peer);
  }
  return absl::OkStatus();
}

}  // namespace keel::raft
