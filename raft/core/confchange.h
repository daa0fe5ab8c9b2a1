// The rules by which a ConfState changes (Raft paper, section 6; thesis,
// chapter 4; etcd-io/raft, confchange). Pure functions of values.
//
//   absl::StatusOr<ConfState> next = ChangeConf(conf, change);
//
// One change with kAuto takes effect at once when it moves at most one voter.
// All others enter a joint configuration, in which majorities of both the old
// and the new voters are needed, and which an empty change leaves again. With
// kAuto and kJointImplicit the leader proposes that empty change by itself.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "raft/core/types.h"

namespace keel::raft {

// The configuration after `change`. InvalidArgument when the change names no
// node or an unknown kind or would leave no voter; FailedPrecondition when it
// does not fit `conf`: a change while a joint configuration is in force, or
// leaving one when there is none.
absl::StatusOr<ConfState> ChangeConf(const ConfState& conf, const ConfChange& change);

// InvalidArgument unless `conf` is one that ChangeConf can produce: lists
// sorted and without duplicates, voters apart from learners, at least one voter.
absl::Status CheckConf(const ConfState& conf);

bool IsJoint(const ConfState& conf);
// Whether `id` votes, in either half of a joint configuration.
bool IsVoter(const ConfState& conf, NodeId id);
bool IsLearner(const ConfState& conf, NodeId id);

// Every member once, sorted.
std::vector<NodeId> Members(const ConfState& conf);

}  // namespace keel::raft
