#include "tests/sim/membership.h"

#include <algorithm>

#include "tests/sim/simulation.h"

namespace keel::sim {

using raft::ConfChange;
using raft::NodeId;
using Type = raft::ConfChangeSingle::Type;

namespace {

constexpr Nanos kRepairEvery = 1500 * kMilli;
constexpr Nanos kCallEvery = kSecond;  // TcpTransportOptions::reconnect_max

bool Has(const std::vector<NodeId>& ids, NodeId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

bool Membership::In(const raft::ConfState& conf, NodeId id) {
  return Has(conf.voters, id) || Has(conf.learners, id) || Has(conf.voters_outgoing, id) ||
         Has(conf.learners_next, id);
}

bool Membership::Settled() const {
  if (!conf_.voters_outgoing.empty()) return false;
  for (const auto& [lost, replacement] : replacements_) {
    if (Belongs(lost)) return false;
  }
  return true;
}

NodeId Membership::AddSpare() {
  const NodeId id = next_id_++;
  sim_.Join(id);
  return id;
}

void Membership::Propose(ConfChange change) {
  SimMember* const leader = sim_.Leader();
  if (leader == nullptr) return;
  change.context = sim_.ChangeContext(change);
  leader->loop().Post([this, leader, change = std::move(change)] {
    leader->node().ProposeConfChange(change, [this](absl::Status refused) {
      sim_.world().Note(0, "membership change refused: %s", refused.ToString());
    });
  });
}

void Membership::CarryOut(const Fault& fault) {
  ConfChange change;
  // Who leaves must not be missed: not while another one's disk is lost, or about to be.
  const bool leaves = fault.kind == FaultKind::kRemove || fault.kind == FaultKind::kSwap;
  for (const auto& member : sim_.members()) {
    if (leaves && member->damaged()) return;
  }
  someone_leaves_ |= leaves;
  switch (fault.kind) {
    case FaultKind::kAddMember: {
      if (sim_.Leader() == nullptr || conf_.voters.size() + conf_.learners.size() >= 6) return;
      const bool learner = fault.value % 2 == 1;
      change.changes.push_back({learner ? Type::kAddLearner : Type::kAddVoter, AddSpare()});
      break;
    }
    case FaultKind::kPromote:
      if (conf_.learners.empty()) return;
      change.changes.push_back(
          {Type::kAddVoter, conf_.learners[fault.value % conf_.learners.size()]});
      break;
    case FaultKind::kRemove:
      if (conf_.voters.size() < 3 || !Belongs(fault.member)) return;
      change.changes.push_back({Type::kRemove, fault.member});
      break;
    case FaultKind::kSwap:
      if (sim_.Leader() == nullptr || !Has(conf_.voters, fault.member)) return;
      change.changes.push_back({Type::kRemove, fault.member});
      change.changes.push_back({Type::kAddVoter, AddSpare()});
      break;
    default:
      return;
  }
  Propose(std::move(change));
}

void Membership::OnConf(SimMember& member, raft::Index index, const raft::ConfState& conf) {
  if (index > conf_index_) {
    conf_index_ = index;
    conf_ = conf;
  }
  raft::Index& known = known_[member.id()];
  known = std::max(known, index);
  // A member that was added later starts out of it.
  const bool was_in = member.was_in_conf();
  const bool is_in = In(conf, member.id());
  if (is_in) member.set_was_in_conf();
  for (const auto& other : sim_.members()) {
    if (other->was_in_conf() && !Belongs(other->id()) && calling_.insert(other->id()).second) {
      CallPeers(*other);
    }
  }
  if (!was_in || is_in || IsGone(member.id())) return;
  StopRemoved(member);
}

void Membership::StopRemoved(SimMember& member) {
  if (!stopping_.insert(member.id()).second) return;
  sim_.world().After(sim_.world().random().Between(kMilli, 3 * kSecond), [this, &member] {
    stopping_.erase(member.id());
    if (Belongs(member.id()) || IsGone(member.id())) return;
    const bool known = conf_.voters_outgoing.empty() &&
                       std::all_of(conf_.voters.begin(), conf_.voters.end(), [this](NodeId id) {
                         SimMember* const voter = sim_.Find(id);
                         return voter->up() && voter->node().applied_index() >= conf_index_;
                       });
    if (!known) return StopRemoved(member);
    gone_.insert(member.id());
    sim_.world().Note(member.id(), "was removed, and stops");
    member.Crash(SimDisk::CrashKind::kProcess);
  });
}

void Membership::CallPeers(SimMember& member) {
  sim_.world().After(kCallEvery, [this, &member] {
    if (Belongs(member.id()) || IsGone(member.id())) return;
    if (member.up()) {
      for (const NodeId peer : member.stack().Peers()) sim_.network().Greet(member.id(), peer);
    }
    CallPeers(member);
  });
}

void Membership::OnToldRemoved(SimMember& member) {
  if (Belongs(member.id())) {
    return sim_.oracle().Fail("a member was told that it was removed, and was not",
                              absl::StrFormat("member %x", member.id()));
  }
  sim_.world().Note(member.id(), "knows that it was removed");
  if (!IsGone(member.id())) StopRemoved(member);
}

bool Membership::AwaitsNotice(SimMember& member) const {
  if (!member.up() || !member.was_in_conf() || Belongs(member.id()) || IsGone(member.id())) {
    return false;
  }
  // Of those that it knows nobody may be left.
  const std::vector<NodeId> peers = member.stack().Peers();
  return std::any_of(peers.begin(), peers.end(), [this](NodeId id) { return Belongs(id); });
}

bool Membership::SomeoneAwaitsNotice() const {
  return std::any_of(sim_.members().begin(), sim_.members().end(),
                     [this](const auto& member) { return AwaitsNotice(*member); });
}

void Membership::OnHealed() {
  for (const auto& member : sim_.members()) {
    if (!Belongs(member->id()) && member->was_in_conf() && !IsGone(member->id()) &&
        !AwaitsNotice(*member)) {
      StopRemoved(*member);
    }
  }
}

bool Membership::CanSpare(const SimMember& member) const {
  return conf_.voters_outgoing.empty() &&
         std::all_of(conf_.voters.begin(), conf_.voters.end(), [&](NodeId id) {
           const auto known = known_.find(id);
           return id == member.id() || conf_index_ == 0 ||
                  (known != known_.end() && known->second >= conf_index_);
         });
}

void Membership::Replace(SimMember& member) {
  gone_.insert(member.id());
  replacements_.emplace(member.id(), raft::kNoNode);
  if (std::exchange(repairing_, true)) return;
  Repair();
}

// Asks until it has happened: the lost one out, a new one in.
void Membership::Repair() {
  bool busy = false;
  for (auto& [lost, replacement] : replacements_) {
    if (Belongs(lost)) {
      busy = true;
      ConfChange change;
      change.changes.push_back({Type::kRemove, lost});
      if (conf_.voters.size() > 1) Propose(std::move(change));
      break;
    }
    if (replacement == raft::kNoNode) replacement = AddSpare();
    if (!Belongs(replacement)) {
      busy = true;
      ConfChange change;
      change.changes.push_back({Type::kAddVoter, replacement});
      Propose(std::move(change));
      break;
    }
  }
  repairing_ = busy;
  if (busy) sim_.world().After(kRepairEvery, [this] { Repair(); });
}

}  // namespace keel::sim
