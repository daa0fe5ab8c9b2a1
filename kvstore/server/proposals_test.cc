#include "kvstore/server/proposals.h"

#include <gtest/gtest.h>

#include "base/manual_loop.h"
#include "base/strings.h"
#include "kvstore/apply/command.h"
#include "kvstore/server/errors.h"

namespace keel::kvstore {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Takes everything and applies nothing; reads wait until a test answers them.
class SilentNode final : public raft::Node {
 public:
  void Propose(raft::Payload payload, absl::AnyInvocable<void(absl::Status)>) override {
    ++proposed;
    last = std::move(payload);
  }
  void ProposeConfChange(raft::ConfChange, absl::AnyInvocable<void(absl::Status)>) override {}
  void ReadIndex(absl::AnyInvocable<void(absl::StatusOr<raft::Index>)> done) override {
    reads.push_back(std::move(done));
  }
  void TransferLeadership(raft::NodeId, absl::AnyInvocable<void(absl::Status)>) override {}
  raft::NodeId leader() const override { return leader_id; }
  raft::Term term() const override { return 1; }
  raft::Role role() const override { return raft::Role::kFollower; }
  raft::Index commit_index() const override { return 0; }
  raft::Index applied_index() const override { return 0; }
  void GetStatus(absl::AnyInvocable<void(raft::Status)>) override {}
  void Stop(base::Duration) override {}

  raft::NodeId leader_id = 2;
  int proposed = 0;
  raft::Payload last;
  std::vector<absl::AnyInvocable<void(absl::StatusOr<raft::Index>)>> reads;
};

class ProposalsTest : public ::testing::Test {
 protected:
  ProposalsTest() {
    context_.loop = &loop_;
    context_.node = &node_;
    Elect(2);
    node_.reads.back()(0);
    loop_.Advance(milliseconds(1));
  }
  void Elect(raft::NodeId leader) {
    node_.leader_id = leader;
    proposals_.OnLeaderChange(leader != raft::kNoNode);
  }
  void Pass(base::Duration by) {
    for (base::Duration done{}; done < by; done += milliseconds(100)) {
      loop_.Advance(milliseconds(100));
      proposals_.Tick();
    }
  }
  void Propose() {
    proposals_.Propose(CommandField::kLeaseRevoke, "", [this](absl::Status status, ApplyResult*) {
      answer_ = std::move(status);
      answered_ = true;
    });
  }

  base::ManualLoop loop_;
  SilentNode node_;
  ServerContext context_{ServerConfig(), 1, 1, [] { return uint64_t{1}; }};
  Proposals proposals_{&context_};
  bool answered_ = false;
  absl::Status answer_;
};

TEST_F(ProposalsTest, WhatWasLostWithALeaderIsToldOnceTheStateHasCaughtUpWithTheNextOne) {
  Propose();
  Elect(raft::kNoNode);
  Pass(seconds(1));
  Elect(3);
  Pass(milliseconds(100));
  EXPECT_FALSE(answered_);
  node_.reads.back()(7);
  Pass(milliseconds(100));
  ASSERT_TRUE(answered_);
  EXPECT_EQ(answer_, ErrTimeoutDueToLeaderFail());
}

// The read that tells so may be lost as any message, or refused: nobody waits for the time limit.
TEST_F(ProposalsTest, AsksAgainWhenTheReadThatTellsWhatWasLostIsLostItself) {
  Propose();
  Elect(raft::kNoNode);
  Elect(3);
  const size_t asked = node_.reads.size();
  node_.reads.back()(absl::UnavailableError("the leader was lost"));
  Pass(context_.config.election());
  ASSERT_EQ(node_.reads.size(), asked + 1);  // And this one gets no answer at all.
  Pass(context_.config.election());
  ASSERT_EQ(node_.reads.size(), asked + 2);
  EXPECT_FALSE(answered_);
  node_.reads.back()(7);
  Pass(context_.config.election() * 2);
  EXPECT_TRUE(answered_);
  EXPECT_EQ(answer_, ErrTimeoutDueToLeaderFail());
  EXPECT_EQ(node_.reads.size(), asked + 2) << "nothing is left to ask for";
}

TEST_F(ProposalsTest, EncodesWhatTheApplierDecodes) {
  for (const CommandField field :
       {CommandField::kPut, CommandField::kMemberUpdate, CommandField::kMemberSpace}) {
    for (const uint64_t term : {0, 300}) {
      proposals_.Propose(
          field, "bytes", [](absl::Status, ApplyResult*) {}, term);
      CommandView command;
      ASSERT_TRUE(DecodeCommand(*node_.last, &command).ok()) << static_cast<int>(field);
      EXPECT_EQ(command.field, static_cast<int>(field));
      EXPECT_EQ(command.request, "bytes");
      EXPECT_EQ(command.proposer, context_.member_id);
      EXPECT_EQ(command.only_in_term, term);
    }
  }
}

}  // namespace
}  // namespace keel::kvstore
