// The leader's side of the log: paper 5.3 and 5.4.2; pipelining: thesis 10.2.1.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutation.h"
#include "base/status.h"
#include "raft/core/confchange.h"
#include "raft/core/raft_impl.h"

namespace keel::raft {

absl::Status Raft::Impl::Propose(std::span<Payload> data) {
  for (const Payload& each : data) {
    if (each == nullptr) return absl::InvalidArgumentError("a proposal without data");
  }
  proposals_.resize(data.size());
  for (size_t i = 0; i < data.size(); ++i) proposals_[i].data = std::move(data[i]);
  const absl::Status status = ProposeEntries(proposals_);
  if (!status.ok()) {
    for (size_t i = 0; i < data.size(); ++i) data[i] = std::move(proposals_[i].data);
  }
  proposals_.clear();
  return status;
}

absl::Status Raft::Impl::ProposeEntries(std::vector<Entry>& entries) {
  if (entries.empty()) return absl::OkStatus();
  if (role_ == Role::kLeader) return AppendProposals(entries);
  if (leader_ == kNoNode) return absl::UnavailableError("no leader");
  std::move(entries.begin(), entries.end(), std::back_inserter(forward_));
  return absl::OkStatus();
}

absl::Status Raft::Impl::CheckConfEntry(const Entry& entry) const {
  if (!conf_entries_.empty() && !KEEL_MUTATION(kTwoConfChanges)) {
    return absl::FailedPreconditionError("another membership change is not yet applied");
  }
  const absl::StatusOr<ConfChange> change = DecodeConfChange(*entry.data);
  if (!change.ok()) return change.status();
  return ChangeConf(conf_, *change).status();
}

absl::Status Raft::Impl::AppendProposals(std::vector<Entry>& entries) {
  if (transferee_ != kNoNode) {
    return absl::UnavailableError("leadership is being transferred");
  }
  if (retire_index_ > 0) return absl::UnavailableError("the leader is being removed");
  uint64_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.data->size();
  // A single proposal of any size passes when nothing else is on the way.
  if (uncommitted_bytes_ > 0 && uncommitted_bytes_ + bytes > config_.max_uncommitted_bytes) {
    return absl::ResourceExhaustedError("too many bytes proposed and not yet committed");
  }
  absl::Status refused;
  bool appended = false;
  for (Entry& entry : entries) {
    if (entry.type == EntryType::kConfChange) {
      refused = CheckConfEntry(entry);
      if (!refused.ok()) continue;
    }
    AppendOwn(entry.type, std::move(entry.data));
    appended = true;
  }
  return appended ? absl::OkStatus() : refused;
}

void Raft::Impl::AppendOwn(EntryType type, Payload data) {
  const Index index = log_.last_index() + 1;
  uncommitted_bytes_ += data->size();
  if (type == EntryType::kConfChange) conf_entries_.push_back(index);
  if (KEEL_MUTATION(kConfAtAppend) && type == EntryType::kConfChange) {
    if (const auto change = DecodeConfChange(*data); change.ok()) ApplyConfChange(*change);
  }
  log_.Append(Entry{.term = term_, .index = index, .type = type, .data = std::move(data)});
}

void Raft::Impl::FlushForwards() {
  if (forward_.empty()) return;
  Message m = NewMessage(MessageType::kPropose, leader_);
  m.term = 0;
  m.entries = spares_.Entries();
  uint64_t bytes = 0;
  for (Entry& entry : forward_) {
    if (!m.entries.empty() && bytes + entry.data->size() > config_.max_message_bytes) {
      Message full = NewMessage(MessageType::kPropose, leader_);
      full.term = 0;
      full.entries = std::exchange(m.entries, spares_.Entries());
      Send(std::move(full));
      bytes = 0;
    }
    bytes += entry.data->size();
    m.entries.push_back(std::move(entry));
  }
  forward_.clear();
  Send(std::move(m));
}

bool Raft::Impl::MaybeCommit() {
  Index index = VotersQuorum().Committed([this](NodeId voter) {
    if (voter != id()) return Peer(voter)->match;
    return KEEL_MUTATION(kCountUnsyncedSelf) ? log_.last_index() : log_.durable();
  });
  if (KEEL_MUTATION(kCommitWithoutQuorum)) index = log_.durable();
  if (KEEL_MUTATION(kCountLearners) && !IsJoint(conf_)) {
    std::vector<Index> reached;
    for (const Progress& p : peers_) reached.push_back(p.id == id() ? log_.durable() : p.match);
    std::sort(reached.begin(), reached.end(), std::greater<Index>());
    const size_t majority = conf_.voters.size() / 2 + 1;
    if (majority <= reached.size()) index = std::max(index, reached[majority - 1]);
  }
  // Only entries of its own term are committed by counting; those before come
  // along with them (paper, 5.4.2 and figure 8).
  if (index <= commit_) return false;
  if (index < term_start_ && !KEEL_MUTATION(kCommitOldTerm)) return false;
  SetCommit(index);
  return true;
}

void Raft::Impl::SetCommit(Index index) {
  if (index <= commit_) return;
  KEEL_CHECK(index <= log_.last_index(), "commit=", index, " last=", log_.last_index());
  commit_ = index;
}

void Raft::Impl::SendAppends() {
  for (Progress& peer : peers_) {
    if (peer.id != id()) SendAppendsTo(peer);
  }
}

void Raft::Impl::SendAppendsTo(Progress& peer) {
  switch (peer.state) {
    case Progress::State::kSnapshot:
      return;
    case Progress::State::kProbe:
      if (!peer.probe_sent) SendAppend(peer, /*with_entries=*/true);
      return;
    case Progress::State::kReplicate:
      while (peer.next <= log_.last_index() && !peer.window.Full()) {
        if (!SendAppend(peer, /*with_entries=*/true)) return;
      }
      // Nothing to carry the news along: tell how far commit got, or look for a lost message.
      if (peer.ping || peer.sent_commit < commit_) SendAppend(peer, /*with_entries=*/false);
      return;
  }
}

bool Raft::Impl::SendAppend(Progress& peer, bool with_entries) {
  const Index previous = peer.next - 1;
  const absl::StatusOr<Term> previous_term = log_.TermAt(previous);
  if (!previous_term.ok() || peer.needs_snapshot) {
    SendSnapshot(peer);
    return false;
  }
  Message m = NewMessage(MessageType::kAppend, peer.id);
  m.index = previous;
  m.log_term = *previous_term;
  m.commit = commit_;
  uint64_t bytes = 0;
  if (with_entries && peer.next <= log_.last_index()) {
    m.entries = spares_.Entries();
    const absl::Status read =
        log_.Slice(peer.next, log_.last_index() + 1, config_.max_message_bytes, &m.entries);
    if (!read.ok()) {
      if (absl::IsOutOfRange(read)) {
        SendSnapshot(peer);
      } else {
        // Unreadable for now: again when the next heartbeat is answered.
        peer.BecomeProbe();
        peer.probe_sent = true;
      }
      return false;
    }
    for (const Entry& entry : m.entries) bytes += entry.data->size();
  }
  peer.Sent(previous + m.entries.size(), bytes);
  peer.sent_commit = commit_;
  Send(std::move(m));
  return true;
}

void Raft::Impl::SendSnapshot(Progress& peer) {
  absl::StatusOr<SnapshotMeta> meta = absl::UnavailableError("not heard of lately");
  if (peer.recently_active) meta = view_->Snapshot();
  if (!meta.ok() || meta->index <= peer.match || meta->index + 1 < log_.first_index()) {
    // Again when the next heartbeat is answered.
    peer.BecomeProbe();
    peer.probe_sent = true;
    return;
  }
  KEEL_CHECK(meta->index <= commit_, "snapshot=", meta->index, " commit=", commit_);
  Message m = NewMessage(MessageType::kSnapshot, peer.id);
  peer.BecomeSnapshot(meta->index);
  m.snapshot = *std::move(meta);
  Send(std::move(m));
}

void Raft::Impl::HandleAppendResponse(const Message& m, Progress& peer) {
  if (m.reject) {
    // Skip whole terms on the way back (paper, end of 5.3): the logs cannot
    // meet at an entry whose term here is above the one the follower named.
    const Index hint =
        m.log_term > 0 ? log_.ConflictByTerm(m.reject_hint, m.log_term).first : m.reject_hint;
    peer.Retreat(m.index, hint);
    // Every log meets at index 0: only a member that joins refuses there. One that has acknowledged
    // anything has joined, and the answer was overtaken.
    if (m.index == 0 && peer.match == 0) peer.needs_snapshot = true;
    return;
  }
  const bool news = peer.Advance(m.index);
  if (!news && !(peer.state == Progress::State::kProbe && peer.match == m.index)) return;
  switch (peer.state) {
    case Progress::State::kProbe:
      peer.BecomeReplicate();
      break;
    case Progress::State::kSnapshot:
      // By the snapshot or without it: once the log here reaches back to the
      // peer's, entries take over.
      if (peer.match + 1 >= log_.first_index()) peer.BecomeReplicate();
      break;
    case Progress::State::kReplicate:
      peer.window.FreeTo(m.index);
      break;
  }
  if (news) {
    peer.match_round = round_;
    MaybeCommit();
  }
  if (peer.id == transferee_ && !transfer_sent_ && peer.match == log_.last_index()) {
    SendTimeoutNow(peer.id);
  }
}

void Raft::Impl::BroadcastHeartbeat(bool voters_only) {
  ++round_;
  rounds_.Mark(round_, ticks_, config_.election_ticks);
  for (Progress& peer : peers_) {
    if (peer.id == id() || (voters_only && peer.learner)) continue;
    Message m = NewMessage(MessageType::kHeartbeat, peer.id);
    // Only what the peer is known to hold: its log may differ beyond.
    m.commit = KEEL_MUTATION(kHeartbeatCommit) ? commit_ : std::min(peer.match, commit_);
    if (m.commit == commit_) peer.sent_commit = commit_;  // no need to tell it again
    m.context = round_;
    if (retire_index_ > 0 && peer.told_round == 0 && m.commit >= retire_index_) {
      peer.told_round = round_;
    }
    Send(std::move(m));
  }
}

void Raft::Impl::HandleHeartbeatResponse(const Message& m, Progress& peer) {
  peer.acked_round = KEEL_MUTATION(kReadOldRound) ? round_ : std::max(peer.acked_round, m.context);
  if (m.context > peer.match_round && m.index < peer.match) {
    // It answered, after it had acknowledged `match`, that its log is shorter:
    // its disk was wiped or set back. That breaks its promises, and nothing here
    // can undo that; but it can be brought up to date again.
    peer.match = 0;
    peer.BecomeProbe();
    peer.next = m.index + 1;
  }
  peer.probe_sent = false;
  // Once a tick is enough: rounds for reads come far more often.
  if (peer.state == Progress::State::kReplicate && peer.match < log_.last_index() &&
      peer.ping_tick != ticks_) {
    peer.ping = true;
    peer.ping_tick = ticks_;
  }
  ConfirmReads();
  MaybeRetire();
}

void Raft::Impl::ReportUnreachable(NodeId id) {
  Progress* peer = role_ == Role::kLeader ? Peer(id) : nullptr;
  // What was on its way is likely lost: find out where the logs meet.
  if (peer != nullptr && peer->id != this->id() && peer->state == Progress::State::kReplicate) {
    peer->BecomeProbe();
  }
}

void Raft::Impl::ReportSnapshot(NodeId id, SnapshotStatus status) {
  Progress* peer = role_ == Role::kLeader ? Peer(id) : nullptr;
  if (peer == nullptr || peer->state != Progress::State::kSnapshot) return;
  if (status == SnapshotStatus::kFailed) peer->pending_snapshot = 0;
  peer->BecomeProbe();
  // The peer answers when it has installed the snapshot; after a failure it
  // gets another with the next heartbeat answered.
  peer->probe_sent = true;
}

}  // namespace keel::raft
