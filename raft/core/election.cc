// Ticks, roles, campaigns and votes: paper 5.2 and 5.4.1; PreVote and
// CheckQuorum: thesis 9.6 and 6.2.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutation.h"
#include "raft/core/confchange.h"
#include "raft/core/raft_impl.h"

namespace keel::raft {

void Raft::Impl::Tick() {
  ++ticks_;
  if (role_ == Role::kLeader) {
    TickLeader();
  } else {
    TickElection();
  }
}

void Raft::Impl::TickElection() {
  if (ticks_ > config_.election_ticks) {
    DropReads(follower_reads_.TakeOld(ticks_ - config_.election_ticks));
  }
  if (++election_elapsed_ < election_timeout_ || !Promotable()) return;
  election_elapsed_ = 0;
  Hup(/*transfer=*/false);
}

void Raft::Impl::TickLeader() {
  ++heartbeat_elapsed_;
  if (++election_elapsed_ >= config_.election_ticks) {
    election_elapsed_ = 0;
    if (config_.check_quorum) {
      if (!QuorumActive()) {
        BecomeFollower(term_, kNoNode);
        return;
      }
      for (Progress& peer : peers_) peer.recently_active = peer.id == id();
    }
    if (transferee_ != kNoNode) AbortTransfer();
  }
  if (DiskStalled()) {
    LeaveOffice();
    return;
  }
  if (heartbeat_elapsed_ >= config_.heartbeat_ticks) {
    heartbeat_elapsed_ = 0;
    BroadcastHeartbeat(/*voters_only=*/false);
  }
}

bool Raft::Impl::QuorumActive() const {
  return VotersQuorum().Vote([this](NodeId voter) -> std::optional<bool> {
    return voter == id() || Peer(voter)->recently_active;
  }) == VoteResult::kWon;
}

bool Raft::Impl::DiskStalled() const {
  if (config_.disk_stall_ticks == 0) return false;
  for (const HandedOut& ready : handed_out_) {
    if (ready.must_sync) return ticks_ - ready.tick >= config_.disk_stall_ticks;
  }
  return false;
}

void Raft::Impl::Reset(Term term) {
  if (term_ != term) {
    KEEL_CHECK(term > term_, "term=", term, " current=", term_);
    term_ = term;
    vote_ = kNoNode;
  }
  SetLeader(kNoNode);
  election_elapsed_ = 0;
  heartbeat_elapsed_ = 0;
  election_timeout_ = config_.election_ticks + config_.random(config_.election_ticks);
  votes_.clear();
  transferee_ = kNoNode;
  transfer_sent_ = false;
  lease_void_ = false;
  retire_index_ = 0;
  uncommitted_bytes_ = 0;
  round_ = 0;
  rounds_.Clear();
  for (Progress& peer : peers_) peer.Reset(log_.last_index() + 1);
}

void Raft::Impl::SetLeader(NodeId leader) {
  if (leader_ == leader) return;
  acknowledged_ = 0;
  DropReads();
  forward_.clear();
  leader_ = leader;
}

void Raft::Impl::BecomeFollower(Term term, NodeId leader) {
  Reset(term);
  role_ = Role::kFollower;
  SetLeader(leader);
}

void Raft::Impl::BecomePreCandidate() {
  KEEL_CHECK(role_ != Role::kLeader);
  // Neither term nor vote change: a pre-vote binds nobody.
  Reset(term_);
  role_ = Role::kPreCandidate;
}

void Raft::Impl::BecomeCandidate() {
  KEEL_CHECK(role_ != Role::kLeader);
  Reset(term_ + 1);
  vote_ = id();
  role_ = Role::kCandidate;
}

void Raft::Impl::BecomeLeader() {
  KEEL_CHECK(role_ == Role::kCandidate && vote_ == id());
  Reset(term_);
  role_ = Role::kLeader;
  SetLeader(id());
  Progress* self = Peer(id());
  self->BecomeReplicate();
  self->match = log_.durable();
  self->recently_active = true;
  term_start_ = log_.last_index() + 1;
  // An entry of its own term is what lets a leader commit those before it (paper, 5.4.2 and 8).
  AppendOwn(EntryType::kNormal, std::make_shared<const std::string>());
  MaybeAutoLeave();
}

bool Raft::Impl::Promotable() const { return IsVoter(conf_, id()) && !log_.restoring(); }

bool Raft::Impl::InLease() const {
  if (ticks_ < no_votes_until_) return true;
  return config_.check_quorum && leader_ != kNoNode && election_elapsed_ < config_.election_ticks;
}

void Raft::Impl::Campaign() { Hup(/*transfer=*/false); }

void Raft::Impl::Hup(bool transfer) {
  if (role_ == Role::kLeader || !Promotable()) return;
  // A committed change of membership decides whose votes count: apply it first.
  if (HasUnappliedConf() && !KEEL_MUTATION(kCampaignBeforeApply)) return;
  StartElection(config_.pre_vote && !transfer, transfer);
}

void Raft::Impl::StartElection(bool pre, bool transfer) {
  if (pre) {
    BecomePreCandidate();
  } else {
    BecomeCandidate();
  }
  for (NodeId voter : Members(conf_)) {
    if (voter == id() || !IsVoter(conf_, voter)) continue;
    Message m = NewMessage(pre ? MessageType::kPreVote : MessageType::kVote, voter);
    m.index = log_.last_index();
    m.log_term = log_.last_term();
    m.context = transfer ? 1 : 0;
    if (pre) {
      m.term = term_ + 1;
      Send(std::move(m));
    } else {
      SendWhenPersisted(std::move(m));
    }
  }
  // A candidate's own vote counts once it is durable: see Persisted.
  if (pre) RecordVote(id(), true);
}

void Raft::Impl::RecordVote(NodeId from, bool granted) {
  if (!IsVoter(conf_, from)) return;
  for (const Vote& vote : votes_) {
    if (vote.from == from) return;  // the first answer stands
  }
  votes_.push_back({from, granted});
  CountVotes();
}

void Raft::Impl::CountVotes() {
  const VoteResult result = VotersQuorum().Vote([this](NodeId voter) -> std::optional<bool> {
    for (const Vote& vote : votes_) {
      if (vote.from == voter) return vote.granted;
    }
    return std::nullopt;
  });
  if (result == VoteResult::kPending) return;
  if (result == VoteResult::kLost) {
    BecomeFollower(term_, kNoNode);
  } else if (role_ == Role::kPreCandidate) {
    StartElection(/*pre=*/false, /*transfer=*/false);
  } else {
    BecomeLeader();
  }
}

void Raft::Impl::HandleVoteRequest(const Message& m) {
  const bool pre = m.type == MessageType::kPreVote;
  const bool free =
      vote_ == m.from || (vote_ == kNoNode && leader_ == kNoNode) || (pre && m.term > term_);
  const bool granted = (free || KEEL_MUTATION(kVoteTwice)) &&
                       (log_.UpToDate(m.index, m.log_term) || KEEL_MUTATION(kVoteForStaleLog));
  Message answer =
      NewMessage(pre ? MessageType::kPreVoteResponse : MessageType::kVoteResponse, m.from);
  // A granted pre-vote names the term it is for; a refusal brings the candidate up to ours.
  if (granted) {
    answer.term = m.term;
  } else {
    Refuse(&answer);
  }
  if (pre) {
    Send(std::move(answer));
    return;
  }
  if (granted) {
    vote_ = m.from;
    election_elapsed_ = 0;
  }
  if (KEEL_MUTATION(kVoteBeforeDurable)) return Send(std::move(answer));
  SendWhenPersisted(std::move(answer));
}

void Raft::Impl::Refuse(Message* answer) const {
  answer->reject = true;
  // With its commit index (as in TiKV's raft-rs). Members that a change removed
  // may have the longer log, and so refuse their vote to those that stay and do
  // not know yet that they need it no more: this tells them.
  const absl::StatusOr<Term> commit_term = log_.TermAt(commit_);
  if (!commit_term.ok()) return;
  answer->commit = commit_;
  answer->log_term = *commit_term;
}

void Raft::Impl::LearnCommit(const Message& refusal) {
  if (role_ == Role::kLeader || refusal.commit <= commit_) return;
  // The same entry: what is committed there is committed.
  if (!log_.Matches(refusal.commit, refusal.log_term)) return;
  SetCommit(refusal.commit);
  // A change of membership among it decides whose votes count: apply it first.
  if (role_ != Role::kFollower && HasUnappliedConf()) BecomeFollower(term_, kNoNode);
}

void Raft::Impl::HandleVoteResponse(const Message& m) {
  if (m.reject) LearnCommit(m);
  const bool pre = m.type == MessageType::kPreVoteResponse;
  if (role_ != (pre ? Role::kPreCandidate : Role::kCandidate)) return;
  if (pre && m.term != (m.reject ? term_ : term_ + 1)) return;
  RecordVote(m.from, !m.reject);
}

}  // namespace keel::raft
