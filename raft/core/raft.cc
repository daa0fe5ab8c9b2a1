#include "raft/core/raft.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutation.h"
#include "raft/core/confchange.h"
#include "raft/core/raft_impl.h"

namespace keel::raft {
namespace {

Config Checked(Config config) {
  KEEL_CHECK(config.id != kNoNode, "a member needs an id");
  KEEL_CHECK(config.random != nullptr, "a source of randomness is required");
  KEEL_CHECK(config.heartbeat_ticks > 0 && config.election_ticks > config.heartbeat_ticks,
             "election_ticks=", config.election_ticks, " heartbeat_ticks=", config.heartbeat_ticks);
  KEEL_CHECK(config.max_inflight_messages > 0 && config.max_inflight_bytes > 0);
  KEEL_CHECK(config.check_quorum || !config.lease_reads,
             "lease_reads need check_quorum: without it nobody honours a lease");
  return config;
}

// Differs between the lives of a process with all but certainty.
uint64_t FirstReadId(const Config& config) {
  const uint64_t high = config.random(uint64_t{1} << 31);
  const uint64_t low = config.random(uint64_t{1} << 31);
  return (high << 32 | low << 1) + 1;
}

}  // namespace

Raft::Impl::Impl(Config config, LogView* log, HardState hard_state, ConfState conf, Index applied)
    : config_(Checked(std::move(config))),
      view_(log),
      log_(log),
      term_(hard_state.term),
      vote_(hard_state.vote),
      follower_reads_(FirstReadId(config_)) {
  KEEL_CHECK(applied + 1 >= log->FirstIndex(), "entries between applied=", applied,
             " and the first one in the log, ", log->FirstIndex(), ", are missing");
  // The commit index is written lazily; the state machine may be ahead of it.
  commit_ = std::max(hard_state.commit, applied);
  KEEL_CHECK(commit_ <= log_.last_index(), "commit=", commit_, " last=", log_.last_index());
  if (term_ < log_.last_term()) {
    // A crash between the entries and the hard state of one Ready. Nothing was
    // promised in that term yet, so no vote was cast in it either.
    term_ = log_.last_term();
    vote_ = kNoNode;
  }
  if (KEEL_MUTATION(kForgetVote)) vote_ = kNoNode;
  applied_ = applied;
  handed_committed_ = applied;
  last_hard_state_ = hard_state;
  if (config_.lease_reads && term_ > 0 && !KEEL_MUTATION(kLeaseForgottenOnRestart))
    no_votes_until_ = ticks_ + config_.election_ticks;
  if (!conf.voters.empty() || !conf.learners.empty()) {
    const absl::Status valid = CheckConf(conf);
    KEEL_CHECK(valid.ok(), valid.message());
  }
  FindConfEntries();
  SwitchConf(std::move(conf));
  BecomeFollower(term_, kNoNode);
}

void Raft::Impl::FindConfEntries() {
  constexpr uint64_t kChunkBytes = 1 << 20;
  for (Index next = applied_ + 1; next <= log_.last_index();) {
    std::vector<Entry> entries;
    const absl::Status read = log_.Slice(next, log_.last_index() + 1, kChunkBytes, &entries);
    KEEL_CHECK(read.ok(), "reading the log from ", next, ": ", read.message());
    NoteConfEntries(entries);
    next = entries.back().index + 1;
  }
}

Progress* Raft::Impl::Peer(NodeId id) {
  for (Progress& peer : peers_) {
    if (peer.id == id) return &peer;
  }
  return nullptr;
}

const Progress* Raft::Impl::Peer(NodeId id) const { return const_cast<Impl*>(this)->Peer(id); }

bool Raft::Impl::IsSoleVoter() const {
  return !IsJoint(conf_) && conf_.voters.size() == 1 && conf_.voters[0] == id();
}

Status Raft::Impl::GetStatus() const {
  Status status;
  status.id = id();
  status.hard_state = CurrentHardState();
  status.soft_state = CurrentSoftState();
  status.applied = applied_;
  status.conf = conf_;
  status.transferee = transferee_;
  status.refused_messages = refused_messages_;
  if (role_ == Role::kLeader) {
    for (const Progress& peer : peers_) status.progress.push_back(peer.View());
  }
  return status;
}

Raft::Raft(Config config, LogView* log, HardState hard_state, ConfState conf, Index applied)
    : impl_(std::make_unique<Impl>(std::move(config), log, hard_state, std::move(conf), applied)) {}
Raft::~Raft() = default;

void Raft::Tick() { impl_->Tick(); }
absl::Status Raft::Step(Message message) { return impl_->Step(std::move(message)); }
absl::Status Raft::Propose(Payload data) { return impl_->Propose({&data, 1}); }
absl::Status Raft::Propose(std::vector<Payload> data) { return impl_->Propose(data); }
absl::Status Raft::Propose(std::span<Payload> data) { return impl_->Propose(data); }
absl::Status Raft::ProposeConfChange(const ConfChange& change) {
  return impl_->ProposeConfChange(change);
}
ConfState Raft::ApplyConfChange(const ConfChange& change) { return impl_->ApplyConfChange(change); }
absl::Status Raft::ReadIndex(uint64_t context) { return impl_->ReadIndex(context); }
void Raft::Campaign() { impl_->Campaign(); }
absl::Status Raft::TransferLeadership(NodeId to) { return impl_->TransferLeadership(to); }
bool Raft::HasReady() const { return impl_->HasReady(); }
Ready Raft::TakeReady() { return impl_->TakeReady(); }
void Raft::Persisted(uint64_t ready_id) { impl_->Persisted(ready_id); }
void Raft::Applied(Index index) { impl_->Applied(index); }
void Raft::Recycle(Ready ready) { impl_->Recycle(std::move(ready)); }
Message Raft::SpareMessage() { return impl_->SpareMessage(); }
void Raft::ReportUnreachable(NodeId peer) { impl_->ReportUnreachable(peer); }
void Raft::ReportSnapshot(NodeId peer, SnapshotStatus status) {
  impl_->ReportSnapshot(peer, status);
}
NodeId Raft::id() const { return impl_->id(); }
Term Raft::term() const { return impl_->term(); }
Role Raft::role() const { return impl_->role(); }
NodeId Raft::leader() const { return impl_->leader(); }
Index Raft::commit() const { return impl_->commit(); }
Index Raft::applied() const { return impl_->applied(); }
Status Raft::GetStatus() const { return impl_->GetStatus(); }

}  // namespace keel::raft
