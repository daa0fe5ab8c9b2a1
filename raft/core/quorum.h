// Majorities, alone and joint (Raft paper, section 6; thesis, section 4.3).
//
//   Quorum quorum{conf.voters, conf.voters_outgoing};
//   Index commit = quorum.Committed([&](NodeId id) { return match.at(id); });
//   VoteResult vote = quorum.Vote([&](NodeId id) { return votes.at(id); });
//
// A Quorum is a view of two sorted lists of voters, which must outlive it. With
// an empty `outgoing` it is a plain majority of `incoming`; otherwise a
// majority of each is needed. An empty list decides nothing: it commits
// everything and has won every vote.
#pragma once

#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "raft/core/types.h"

namespace keel::raft {

enum class VoteResult : uint8_t { kPending, kLost, kWon };

// What an empty list of voters commits.
inline constexpr Index kUnboundedIndex = ~Index{0};

struct Quorum {
  const std::vector<NodeId>& incoming;
  const std::vector<NodeId>& outgoing;

  // The highest index that a quorum has reached; `acked` tells how far a voter is.
  Index Committed(absl::FunctionRef<Index(NodeId)> acked) const;

  // The state of an election; `vote` is empty for a voter that has not answered.
  VoteResult Vote(absl::FunctionRef<std::optional<bool>(NodeId)> vote) const;
};

// The same for one list of voters.
Index MajorityCommitted(const std::vector<NodeId>& voters, absl::FunctionRef<Index(NodeId)> acked);
VoteResult MajorityVote(const std::vector<NodeId>& voters,
                        absl::FunctionRef<std::optional<bool>(NodeId)> vote);

}  // namespace keel::raft
