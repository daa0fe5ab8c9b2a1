#include "raft/core/quorum.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace keel::raft {
namespace {

using Nodes = std::vector<NodeId>;
using Acked = std::map<NodeId, Index>;

Index Get(const Acked& acked, NodeId id) {
  const auto at = acked.find(id);
  return at == acked.end() ? 0 : at->second;
}

Index Committed(const Nodes& in, const Nodes& out, const Acked& acked) {
  return Quorum{in, out}.Committed([&](NodeId id) { return Get(acked, id); });
}

TEST(QuorumTest, CommitsWhatAMajorityHas) {
  EXPECT_EQ(Committed({1}, {}, {{1, 7}}), 7);
  EXPECT_EQ(Committed({1, 2}, {}, {{1, 7}, {2, 3}}), 3);
  EXPECT_EQ(Committed({1, 2, 3}, {}, {{1, 7}, {2, 3}, {3, 5}}), 5);
  EXPECT_EQ(Committed({1, 2, 3, 4}, {}, {{1, 7}, {2, 6}, {3, 5}, {4, 1}}), 5);
  EXPECT_EQ(Committed({1, 2, 3, 4, 5}, {}, {{1, 9}, {2, 8}}), 0);
}

TEST(QuorumTest, JointCommitNeedsBothMajorities) {
  const Acked acked{{1, 9}, {2, 9}, {3, 1}, {4, 4}, {5, 5}};
  EXPECT_EQ(Committed({1, 2, 3}, {}, acked), 9);
  EXPECT_EQ(Committed({3, 4, 5}, {}, acked), 4);
  EXPECT_EQ(Committed({1, 2, 3}, {3, 4, 5}, acked), 4);
}

TEST(QuorumTest, AnEmptyHalfDecidesNothing) {
  EXPECT_EQ(Committed({}, {}, {}), kUnboundedIndex);
  EXPECT_EQ(Committed({}, {1}, {{1, 3}}), 3);
  EXPECT_EQ(MajorityVote({}, [](NodeId) { return std::nullopt; }), VoteResult::kWon);
}

VoteResult Vote(const Nodes& in, const Nodes& out, const std::map<NodeId, bool>& votes) {
  return Quorum{in, out}.Vote([&](NodeId id) -> std::optional<bool> {
    const auto at = votes.find(id);
    if (at == votes.end()) return std::nullopt;
    return at->second;
  });
}

TEST(QuorumTest, AnElectionIsOpenUntilAMajorityDecidesIt) {
  EXPECT_EQ(Vote({1, 2, 3}, {}, {{1, true}}), VoteResult::kPending);
  EXPECT_EQ(Vote({1, 2, 3}, {}, {{1, true}, {2, false}}), VoteResult::kPending);
  EXPECT_EQ(Vote({1, 2, 3}, {}, {{1, true}, {3, true}}), VoteResult::kWon);
  EXPECT_EQ(Vote({1, 2, 3}, {}, {{2, false}, {3, false}}), VoteResult::kLost);
  EXPECT_EQ(Vote({1, 2}, {}, {{1, true}, {2, false}}), VoteResult::kLost);
}

TEST(QuorumTest, AJointElectionIsLostInEitherHalf) {
  EXPECT_EQ(Vote({1, 2, 3}, {3, 4, 5}, {{1, true}, {2, true}}), VoteResult::kPending);
  EXPECT_EQ(Vote({1, 2, 3}, {3, 4, 5}, {{1, true}, {2, true}, {3, true}, {4, true}}),
            VoteResult::kWon);
  EXPECT_EQ(Vote({1, 2, 3}, {3, 4, 5}, {{1, true}, {2, true}, {4, false}, {5, false}}),
            VoteResult::kLost);
}

Nodes GenVoters() {
  const auto ids = *rc::gen::container<Nodes>(rc::gen::inRange<NodeId>(1, 10));
  const std::set<NodeId> set(ids.begin(), ids.end());
  return {set.begin(), set.end()};
}

// By definition: the greatest index that more than half of the voters have reached.
Index ByDefinition(const Nodes& voters, const Acked& acked) {
  if (voters.empty()) return kUnboundedIndex;
  Index best = 0;
  for (NodeId candidate : voters) {
    const Index index = Get(acked, candidate);
    const auto reached = std::count_if(voters.begin(), voters.end(),
                                       [&](NodeId id) { return Get(acked, id) >= index; });
    if (static_cast<size_t>(reached) > voters.size() / 2) best = std::max(best, index);
  }
  return best;
}

RC_GTEST_PROP(QuorumProperty, CommittedIsWhatTheDefinitionSays, ()) {
  const Nodes in = GenVoters();
  const Nodes out = GenVoters();
  Acked acked;
  for (NodeId id = 1; id < 10; ++id) acked[id] = *rc::gen::inRange<Index>(0, 20);
  RC_ASSERT(Committed(in, out, acked) ==
            std::min(ByDefinition(in, acked), ByDefinition(out, acked)));
}

RC_GTEST_PROP(QuorumProperty, ADecidedElectionStaysDecided, ()) {
  const Nodes in = GenVoters();
  const Nodes out = GenVoters();
  std::map<NodeId, bool> votes;
  VoteResult result = Vote(in, out, votes);
  for (NodeId id = 1; id < 10; ++id) {
    votes[id] = *rc::gen::arbitrary<bool>();
    const VoteResult next = Vote(in, out, votes);
    if (result != VoteResult::kPending) RC_ASSERT(next == result);
    result = next;
  }
}

}  // namespace
}  // namespace keel::raft
