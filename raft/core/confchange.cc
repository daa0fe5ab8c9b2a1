#include "raft/core/confchange.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"

namespace keel::raft {
namespace {

using Nodes = std::vector<NodeId>;

bool Contains(const Nodes& nodes, NodeId id) {
  return std::binary_search(nodes.begin(), nodes.end(), id);
}

void Insert(Nodes& nodes, NodeId id) {
  auto at = std::lower_bound(nodes.begin(), nodes.end(), id);
  if (at == nodes.end() || *at != id) nodes.insert(at, id);
}

void Erase(Nodes& nodes, NodeId id) {
  auto at = std::lower_bound(nodes.begin(), nodes.end(), id);
  if (at != nodes.end() && *at == id) nodes.erase(at);
}

bool StrictlySorted(const Nodes& nodes) {
  return std::adjacent_find(nodes.begin(), nodes.end(), std::greater_equal<NodeId>()) ==
         nodes.end();
}

bool Disjoint(const Nodes& a, const Nodes& b) {
  Nodes common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
  return common.empty();
}

void Apply(ConfState& conf, const ConfChangeSingle& change) {
  const NodeId id = change.node;
  switch (change.type) {
    case ConfChangeSingle::Type::kAddVoter:
      Erase(conf.learners, id);
      Erase(conf.learners_next, id);
      Insert(conf.voters, id);
      break;
    case ConfChangeSingle::Type::kAddLearner:
      Erase(conf.voters, id);
      // A voter of the outgoing half keeps its vote until the joint
      // configuration is left; it cannot be a learner at the same time.
      if (Contains(conf.voters_outgoing, id)) {
        Insert(conf.learners_next, id);
      } else {
        Insert(conf.learners, id);
      }
      break;
    case ConfChangeSingle::Type::kRemove:
      Erase(conf.voters, id);
      Erase(conf.learners, id);
      Erase(conf.learners_next, id);
      break;
  }
}

absl::StatusOr<ConfState> LeaveJoint(const ConfState& conf) {
  if (!IsJoint(conf)) {
    return absl::FailedPreconditionError("no joint configuration to leave");
  }
  ConfState next;
  next.voters = conf.voters;
  next.learners = conf.learners;
  for (NodeId id : conf.learners_next) Insert(next.learners, id);
  return next;
}

size_t VotersMoved(const Nodes& before, const Nodes& after) {
  Nodes moved;
  std::set_symmetric_difference(before.begin(), before.end(), after.begin(), after.end(),
                                std::back_inserter(moved));
  return moved.size();
}

}  // namespace

absl::StatusOr<ConfState> ChangeConf(const ConfState& conf, const ConfChange& change) {
  if (change.changes.empty()) return LeaveJoint(conf);
  if (IsJoint(conf)) {
    return absl::FailedPreconditionError("a joint configuration is in force: leave it first");
  }
  for (const ConfChangeSingle& single : change.changes) {
    if (single.node == kNoNode) return absl::InvalidArgumentError("a change names no node");
    if (single.type > ConfChangeSingle::Type::kAddLearner) {
      return absl::InvalidArgumentError("unknown kind of membership change");
    }
  }
  const bool joint =
      change.transition != ConfChange::Transition::kAuto || change.changes.size() > 1;
  ConfState next = conf;
  if (joint) {
    next.voters_outgoing = conf.voters;
    next.auto_leave = change.transition != ConfChange::Transition::kJointExplicit;
  }
  for (const ConfChangeSingle& single : change.changes) Apply(next, single);
  if (next.voters.empty()) return absl::InvalidArgumentError("the change would leave no voter");
  KEEL_CHECK(joint || VotersMoved(conf.voters, next.voters) <= 1,
             "a single change moves one voter at most");
  return next;
}

absl::Status CheckConf(const ConfState& conf) {
  for (const Nodes* nodes :
       {&conf.voters, &conf.learners, &conf.voters_outgoing, &conf.learners_next}) {
    if (!StrictlySorted(*nodes)) return absl::InvalidArgumentError("members are not sorted");
    if (Contains(*nodes, kNoNode)) return absl::InvalidArgumentError("a member has no id");
  }
  if (conf.voters.empty()) return absl::InvalidArgumentError("no voters");
  if (!Disjoint(conf.voters, conf.learners) || !Disjoint(conf.voters_outgoing, conf.learners) ||
      !Disjoint(conf.voters, conf.learners_next)) {
    return absl::InvalidArgumentError("a member is voter and learner at once");
  }
  if (!std::includes(conf.voters_outgoing.begin(), conf.voters_outgoing.end(),
                     conf.learners_next.begin(), conf.learners_next.end())) {
    return absl::InvalidArgumentError("a future learner is no outgoing voter");
  }
  if (!IsJoint(conf) && conf.auto_leave) {
    return absl::InvalidArgumentError("auto_leave without a joint configuration");
  }
  return absl::OkStatus();
}

bool IsJoint(const ConfState& conf) { return !conf.voters_outgoing.empty(); }

bool IsVoter(const ConfState& conf, NodeId id) {
  return Contains(conf.voters, id) || Contains(conf.voters_outgoing, id);
}

bool IsLearner(const ConfState& conf, NodeId id) { return Contains(conf.learners, id); }

std::vector<NodeId> Members(const ConfState& conf) {
  Nodes all = conf.voters;
  for (NodeId id : conf.voters_outgoing) Insert(all, id);
  for (NodeId id : conf.learners) Insert(all, id);
  return all;
}

}  // namespace keel::raft
