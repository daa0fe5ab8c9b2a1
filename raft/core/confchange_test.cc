#include "raft/core/confchange.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "raft/core/raft.h"

namespace keel::raft {
namespace {

using Type = ConfChangeSingle::Type;
using Transition = ConfChange::Transition;
using Nodes = std::vector<NodeId>;

ConfState Voters(Nodes voters) { return ConfState{.voters = std::move(voters)}; }
ConfChange One(Type type, NodeId node) { return {.changes = {{type, node}}}; }

TEST(ConfChangeTest, OneChangeTakesEffectAtOnce) {
  ConfState conf = *ChangeConf(Voters({1, 2}), One(Type::kAddVoter, 3));
  EXPECT_EQ(conf, Voters({1, 2, 3}));
  conf = *ChangeConf(conf, One(Type::kAddLearner, 4));
  EXPECT_EQ(conf.learners, Nodes{4});
  conf = *ChangeConf(conf, One(Type::kAddVoter, 4));
  EXPECT_EQ(conf, Voters({1, 2, 3, 4}));
  conf = *ChangeConf(conf, One(Type::kRemove, 1));
  EXPECT_EQ(conf, Voters({2, 3, 4}));
}

TEST(ConfChangeTest, AVoterCanBecomeALearner) {
  const ConfState conf = *ChangeConf(Voters({1, 2}), One(Type::kAddLearner, 2));
  EXPECT_EQ(conf, (ConfState{.voters = {1}, .learners = {2}}));
}

TEST(ConfChangeTest, SeveralChangesGoThroughAJointConfiguration) {
  const ConfState conf =
      *ChangeConf(Voters({1, 2, 3}),
                  {.changes = {{Type::kAddVoter, 4}, {Type::kRemove, 1}, {Type::kAddLearner, 2}}});
  EXPECT_EQ(conf, (ConfState{.voters = {3, 4},
                             .voters_outgoing = {1, 2, 3},
                             .learners_next = {2},
                             .auto_leave = true}));
  EXPECT_TRUE(IsVoter(conf, 1));
  EXPECT_FALSE(IsLearner(conf, 2)) << "it votes until the joint configuration is left";
  EXPECT_EQ(Members(conf), (Nodes{1, 2, 3, 4}));
  EXPECT_EQ(*ChangeConf(conf, {}), (ConfState{.voters = {3, 4}, .learners = {2}}));
}

TEST(ConfChangeTest, ExplicitJointConfigurationsAreNotLeftByThemselves) {
  ConfChange change = One(Type::kAddVoter, 2);
  change.transition = Transition::kJointExplicit;
  EXPECT_FALSE(ChangeConf(Voters({1}), change)->auto_leave);
  change.transition = Transition::kJointImplicit;
  EXPECT_TRUE(ChangeConf(Voters({1}), change)->auto_leave);
}

TEST(ConfChangeTest, RefusesWhatDoesNotFit) {
  const ConfState plain = Voters({1});
  EXPECT_TRUE(absl::IsFailedPrecondition(ChangeConf(plain, {}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ChangeConf(plain, One(Type::kRemove, 1)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ChangeConf(plain, One(Type::kAddVoter, kNoNode)).status()));
  ConfChange joint = One(Type::kAddVoter, 2);
  joint.transition = Transition::kJointExplicit;
  const ConfState in_joint = *ChangeConf(plain, joint);
  EXPECT_TRUE(absl::IsFailedPrecondition(ChangeConf(in_joint, joint).status()));
}

TEST(ConfChangeTest, CheckConfRefusesWhatCannotBe) {
  EXPECT_TRUE(CheckConf(Voters({1, 2})).ok());
  EXPECT_FALSE(CheckConf(Voters({})).ok());
  EXPECT_FALSE(CheckConf(Voters({2, 1})).ok());
  EXPECT_FALSE(CheckConf(Voters({1, 1})).ok());
  EXPECT_FALSE(CheckConf(Voters({0, 1})).ok());
  EXPECT_FALSE(CheckConf({.voters = {1}, .learners = {1}}).ok());
  EXPECT_FALSE(CheckConf({.voters = {1}, .learners_next = {2}}).ok());
  EXPECT_FALSE(CheckConf({.voters = {1}, .auto_leave = true}).ok());
}

ConfChange GenChange() {
  ConfChange change;
  change.transition = static_cast<Transition>(*rc::gen::inRange(0, 3));
  const int count = *rc::gen::inRange(0, 4);
  for (int i = 0; i < count; ++i) {
    change.changes.push_back(
        {static_cast<Type>(*rc::gen::inRange(0, 3)), *rc::gen::inRange<NodeId>(1, 7)});
  }
  return change;
}

// The reason for joint consensus: two configurations that follow each other
// have no disjoint majorities.
bool QuorumsMeet(const ConfState& a, const ConfState& b) {
  auto wins = [](const ConfState& conf, uint32_t set) {
    for (const Nodes* half : {&conf.voters, &conf.voters_outgoing}) {
      size_t votes = 0;
      for (NodeId id : *half) votes += (set >> id) & 1;
      if (!half->empty() && votes <= half->size() / 2) return false;
    }
    return true;
  };
  for (uint32_t set = 0; set < 128; ++set) {
    if (wins(a, set) && wins(b, ~set)) return false;
  }
  return true;
}

RC_GTEST_PROP(ConfChangeProperty, EveryStepIsValidAndItsQuorumsMeetTheOnesBefore, ()) {
  ConfState conf = Voters({1, 2, 3});
  for (int i = 0; i < 20; ++i) {
    const absl::StatusOr<ConfState> next = ChangeConf(conf, GenChange());
    if (!next.ok()) continue;
    RC_ASSERT(CheckConf(*next).ok());
    RC_ASSERT(QuorumsMeet(conf, *next));
    conf = *next;
  }
}

RC_GTEST_PROP(ConfChangeProperty, AJointChangeEndsWhereSingleOnesWould, ()) {
  const ConfState start = Voters({1, 2, 3});
  ConfChange change = GenChange();
  if (change.changes.empty()) return;
  change.transition = Transition::kJointExplicit;
  const absl::StatusOr<ConfState> joint = ChangeConf(start, change);
  if (!joint.ok()) return;
  ConfState one_by_one = start;
  for (const ConfChangeSingle& single : change.changes) {
    absl::StatusOr<ConfState> next = ChangeConf(one_by_one, One(single.type, single.node));
    if (!next.ok()) return;  // on its own it would have left no voter
    one_by_one = *std::move(next);
  }
  RC_ASSERT(*ChangeConf(*joint, {}) == one_by_one);
}

TEST(ConfChangeCodecTest, BytesAreAsDocumented) {
  const ConfChange change{.transition = Transition::kJointImplicit,
                          .changes = {{Type::kAddVoter, 4}, {Type::kRemove, 1}},
                          .context = "ab"};
  const std::string bytes(
      "\x01\x01\x02\0\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\0\0\0\x02\0\0\0ab", 30);
  EXPECT_EQ(EncodeConfChange(change), bytes);
  EXPECT_EQ(EncodeConfChange({}), std::string("\x01\0\0\0\0\0\0\0\0\0", 10));
}

RC_GTEST_PROP(ConfChangeCodecProperty, ReadsBackWhatItWrote, (const std::string& context)) {
  ConfChange change = GenChange();
  change.context = context;
  const absl::StatusOr<ConfChange> back = DecodeConfChange(EncodeConfChange(change));
  RC_ASSERT(back.ok());
  RC_ASSERT(back->transition == change.transition);
  RC_ASSERT(back->context == change.context);
  RC_ASSERT(back->changes.size() == change.changes.size());
  for (size_t i = 0; i < change.changes.size(); ++i) {
    RC_ASSERT(back->changes[i].type == change.changes[i].type);
    RC_ASSERT(back->changes[i].node == change.changes[i].node);
  }
}

RC_GTEST_PROP(ConfChangeCodecProperty, AnyBytesAreRefusedOrWrittenBackTheSame, ()) {
  std::string bytes = EncodeConfChange(GenChange());
  const int edits = *rc::gen::inRange(1, 4);
  for (int i = 0; i < edits; ++i) {
    const size_t at = *rc::gen::inRange<size_t>(0, bytes.size());
    switch (*rc::gen::inRange(0, 3)) {
      case 0:
        bytes[at] = *rc::gen::arbitrary<char>();
        break;
      case 1:
        bytes.resize(at + 1);
        break;
      default:
        bytes.push_back(*rc::gen::arbitrary<char>());
    }
  }
  const absl::StatusOr<ConfChange> change = DecodeConfChange(bytes);
  if (change.ok()) RC_ASSERT(EncodeConfChange(*change) == bytes);
}

}  // namespace
}  // namespace keel::raft
