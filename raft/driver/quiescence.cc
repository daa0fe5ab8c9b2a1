// How a group of a host falls asleep and wakes up (host.h says why).
//
// A leader with nothing to do tells the members, in a heartbeat with `quiesce`,
// the term and the commit index, and stops ticking. A member stops too if it
// stands exactly there; if not it treats the message as the heartbeat it is,
// and its answer wakes the leader. Whatever is lost on the way only wakes
// somebody too early: a member that was not told runs into its election timeout
// and asks for pre-votes, which wake the others; the leader's next heartbeat
// ends that, because those asked have heard of it within an election timeout of
// their own (stopped) clocks.
#include <algorithm>

#include "raft/driver/driver.h"

namespace keel::raft {

bool IsMember(const ConfState& conf, NodeId id) {
  for (const auto* ids : {&conf.voters, &conf.voters_outgoing, &conf.learners}) {
    if (std::find(ids->begin(), ids->end(), id) != ids->end()) return true;
  }
  return false;
}

ConfState Driver::members() const {
  return core_ != nullptr ? core_->GetStatus().conf : opened_at_.conf;
}

void Driver::Wake() {
  if (seat_.host == nullptr) return;
  idle_ticks_ = 0;
  if (!quiescent_) return;
  quiescent_ = false;
  seat_.host->Activate(shared_from_this());
}

void Driver::Receive(Message message) {
  if (!running()) return;
  // A snapshot comes with its files (OnSnapshotFiles) or not at all.
  if (message.type == MessageType::kSnapshot) return;
  if (message.quiesce && message.type == MessageType::kHeartbeat && Agrees(message)) {
    if (!quiescent_) {
      quiescent_ = true;
      seat_.host->OnQuiesced();
    }
    return;
  }
  // Somebody removed who does not know it. All is well here: the leader's host
  // would be suspected otherwise, or the leader have woken this member.
  if (quiescent_ && message.type == MessageType::kPreVote && core_->leader() != kNoNode &&
      !IsMember(core_->GetStatus().conf, message.from)) {
    return;
  }
  const bool heartbeat =
      message.type == MessageType::kHeartbeat || message.type == MessageType::kHeartbeatResponse;
  if (quiescent_ || !heartbeat) {
    // An answer to a heartbeat sent before falling asleep is no news; one to
    // the word to quiesce (of no round) says that the member could not.
    if (quiescent_ && message.type == MessageType::kHeartbeatResponse && message.context != 0 &&
        message.term == core_->term() && message.index == log_->LastIndex()) {
      return;
    }
    Wake();
  }
  Step(std::move(message));
  ScheduleTurn();
}

bool Driver::Agrees(const Message& quiesce) {
  return quiesce.to == options_.id && core_->role() == Role::kFollower &&
         core_->leader() == quiesce.from && core_->term() == quiesce.term &&
         core_->commit() == quiesce.commit && log_->LastIndex() == quiesce.commit &&
         !options_.lease_reads && proposals_.data.empty() && reads_.empty() && reads_out_.empty() &&
         held_.empty() && !core_->HasReady();
}

bool Driver::MayQuiesce(const Status& status) const {
  if (status.soft_state.role != Role::kLeader || status.transferee != kNoNode ||
      !status.conf.voters_outgoing.empty() || options_.lease_reads) {
    return false;
  }
  const Index last = log_->LastIndex();
  if (status.hard_state.commit != last || status.applied != last || applied_index.load() != last ||
      !persisting_.empty() || truncating_ || !held_.empty() || !proposals_.data.empty() ||
      !reads_.empty() || !reads_out_.empty() || !snapshots_->Idle() || core_->HasReady()) {
    return false;
  }
  size_t agreeing = 0;
  for (const PeerProgress& peer : status.progress) {
    const bool self = peer.id == options_.id;
    const bool suspected = !self && seat_.host->Suspected(peer.id);
    const bool caught_up =
        self || (peer.state == PeerProgress::State::kReplicate && peer.match == last);
    // Who is away cannot be brought up to date now; its return wakes the group.
    if (!caught_up && !suspected) return false;
    if (!suspected && !peer.learner) ++agreeing;
  }
  // Without a quorum in sight it must go on ticking, so that it steps down.
  return agreeing > status.conf.voters.size() / 2;
}

void Driver::TryQuiesce() {
  if (core_->role() == Role::kFollower && !core_->HasReady() && reads_out_.empty() &&
      !options_.lease_reads) {
    // Who joins, or was removed, waits for messages and has no timer to run.
    if (IsMember(core_->GetStatus().conf, options_.id)) return;
    quiescent_ = true;
    seat_.host->OnQuiesced();
  }
  if (core_->role() != Role::kLeader) return;
  const Status status = core_->GetStatus();
  if (!MayQuiesce(status)) return;
  std::vector<Message> messages;
  for (const PeerProgress& peer : status.progress) {
    if (peer.id == options_.id) continue;
    Message message;
    message.type = MessageType::kHeartbeat;
    message.from = options_.id;
    message.to = peer.id;
    message.term = status.hard_state.term;
    // Only what the peer is known to hold, as in any heartbeat.
    message.commit = std::min(peer.match, status.hard_state.commit);
    message.quiesce = true;
    messages.push_back(std::move(message));
  }
  if (!messages.empty()) transport_->Send(messages);
  quiescent_ = true;
  seat_.host->OnQuiesced();
}

// The leader sends nothing to who is no member any more, so a member may not
// learn that its removal is committed, and would ask for votes for ever.
void Driver::TellRemoved(const Status& before, const ConfState& conf) {
  if (seat_.host == nullptr || before.soft_state.role != Role::kLeader) return;
  std::vector<Message> messages;
  for (const PeerProgress& peer : before.progress) {
    if (peer.id == options_.id || IsMember(conf, peer.id)) continue;
    Message message;
    message.type = MessageType::kHeartbeat;
    message.from = options_.id;
    message.to = peer.id;
    message.term = before.hard_state.term;
    message.commit = std::min(peer.match, before.hard_state.commit);
    messages.push_back(std::move(message));
  }
  if (!messages.empty()) transport_->Send(messages);
}

void Driver::OnHostChanged(NodeId host) {
  if (!running() || !quiescent_) return;
  bool concerned = core_->leader() == host;
  if (!concerned && core_->role() == Role::kLeader) {
    for (const PeerProgress& peer : core_->GetStatus().progress) concerned |= peer.id == host;
  }
  if (concerned) Wake();
}

void Driver::ResignIfLeader() {
  if (seat_.host == nullptr || !running() || core_->role() != Role::kLeader) return;
  seat_.host->OnResigned(seat_.group, members());
}

}  // namespace keel::raft
