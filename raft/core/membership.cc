// Changes of membership: paper 6, thesis 4; as in etcd-io/raft a change takes
// effect when its entry is applied, and one at a time may be in the log unapplied.
// A leader that is no voter any more leads on, without taking proposals, until
// a quorum of those that stay knows that the change is committed.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutation.h"
#include "raft/core/confchange.h"
#include "raft/core/raft_impl.h"

namespace keel::raft {

absl::Status Raft::Impl::ProposeConfChange(const ConfChange& change) {
  Entry entry;
  entry.type = EntryType::kConfChange;
  entry.data = std::make_shared<const std::string>(EncodeConfChange(change));
  // Refuse here what can be told here; the leader has the last word.
  const absl::Status fits = CheckConfEntry(entry);
  if (!fits.ok()) return fits;
  std::vector<Entry> one;
  one.push_back(std::move(entry));
  return ProposeEntries(one);
}

ConfState Raft::Impl::ApplyConfChange(const ConfChange& change) {
  absl::StatusOr<ConfState> next = ChangeConf(conf_, change);
  // One that does not fit is void, on every member alike.
  if (next.ok()) SwitchConf(*std::move(next));
  return conf_;
}

void Raft::Impl::SwitchConf(ConfState conf) {
  conf_ = std::move(conf);
  std::vector<Progress> peers;
  for (NodeId member : Members(conf_)) {
    const bool learner = IsLearner(conf_, member);
    if (Progress* known = Peer(member)) {
      known->learner = learner;
      peers.push_back(std::move(*known));
    } else {
      Progress& fresh = peers.emplace_back(member, learner, log_.last_index() + 1, config_);
      // It gets until the next check of the quorum to be heard of.
      fresh.recently_active = true;
    }
  }
  peers_ = std::move(peers);
  if (role_ != Role::kLeader) {
    if (role_ != Role::kFollower && !Promotable()) BecomeFollower(term_, kNoNode);
    return;
  }
  if (!IsVoter(conf_, id()) && retire_index_ == 0 && !KEEL_MUTATION(kIgnoreOwnRemoval)) {
    // Its last duty: those that stay have to know that the change is committed,
    // or they could not elect anybody without those that go (thesis, 4.2.2).
    retire_index_ = commit_;
    BroadcastHeartbeat(/*voters_only=*/false);
  }
  if (transferee_ != kNoNode && !IsVoter(conf_, transferee_)) AbortTransfer();
  MaybeCommit();  // the quorum may be smaller now
  ConfirmReads();
}

void Raft::Impl::MaybeAutoLeave() {
  if (role_ != Role::kLeader || !IsJoint(conf_) || !conf_.auto_leave) return;
  if (!conf_entries_.empty() || transferee_ != kNoNode) return;
  AppendOwn(EntryType::kConfChange, std::make_shared<const std::string>(EncodeConfChange({})));
}

void Raft::Impl::MaybeRetire() {
  if (role_ != Role::kLeader || retire_index_ == 0) return;
  const Index told = VotersQuorum().Committed([this](NodeId voter) -> Index {
    const Progress* peer = Peer(voter);
    return peer->told_round > 0 && peer->acked_round >= peer->told_round ? 1 : 0;
  });
  if (told > 0) LeaveOffice();
}

void Raft::Impl::LeaveOffice() {
  const NodeId successor = BestVoter();
  // Saves the others an election timeout, if one of them can win at once.
  if (successor != kNoNode && Peer(successor)->match >= commit_) SendTimeoutNow(successor);
  BecomeFollower(term_, kNoNode);
}

}  // namespace keel::raft
