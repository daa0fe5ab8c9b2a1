#include "raft/core/quorum.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "base/mutation.h"

namespace keel::raft {

Index MajorityCommitted(const std::vector<NodeId>& voters, absl::FunctionRef<Index(NodeId)> acked) {
  if (voters.empty()) return kUnboundedIndex;
  // Inline up to the sizes that occur: commit is on the path of every acknowledgement.
  absl::InlinedVector<Index, 9> reached;
  for (NodeId id : voters) reached.push_back(acked(id));
  // With n voters in ascending order, n/2+1 of them are at or above position n-(n/2+1).
  const size_t position = reached.size() - (reached.size() / 2 + 1);
  std::nth_element(reached.begin(), reached.begin() + position, reached.end());
  return reached[position];
}

VoteResult MajorityVote(const std::vector<NodeId>& voters,
                        absl::FunctionRef<std::optional<bool>(NodeId)> vote) {
  if (voters.empty()) return VoteResult::kWon;
  size_t granted = 0;
  size_t missing = 0;
  for (NodeId id : voters) {
    const std::optional<bool> answer = vote(id);
    if (!answer.has_value()) {
      ++missing;
    } else if (*answer) {
      ++granted;
    }
  }
  const size_t needed = voters.size() / 2 + 1;
  if (granted >= needed) return VoteResult::kWon;
  return granted + missing >= needed ? VoteResult::kPending : VoteResult::kLost;
}

Index Quorum::Committed(absl::FunctionRef<Index(NodeId)> acked) const {
  if (KEEL_MUTATION(kJointOneMajority)) return MajorityCommitted(incoming, acked);
  return std::min(MajorityCommitted(incoming, acked), MajorityCommitted(outgoing, acked));
}

VoteResult Quorum::Vote(absl::FunctionRef<std::optional<bool>(NodeId)> vote) const {
  const VoteResult in = MajorityVote(incoming, vote);
  const VoteResult out = KEEL_MUTATION(kJointOneMajority) ? in : MajorityVote(outgoing, vote);
  if (in == out) return in;
  if (in == VoteResult::kLost || out == VoteResult::kLost) return VoteResult::kLost;
  return VoteResult::kPending;
}

}  // namespace keel::raft
