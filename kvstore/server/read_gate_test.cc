#include "kvstore/server/read_gate.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/manual_loop.h"
#include "kvstore/apply/testing.h"

namespace keel::kvstore {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Keeps what is asked; the test answers.
class AskedNode final : public raft::Node {
 public:
  using Answer = absl::AnyInvocable<void(absl::StatusOr<raft::Index>)>;

  void ReadIndex(Answer done) override { asked.push_back(std::move(done)); }

  void Propose(raft::Payload, absl::AnyInvocable<void(absl::Status)>) override {}
  void ProposeConfChange(raft::ConfChange, absl::AnyInvocable<void(absl::Status)>) override {}
  void TransferLeadership(raft::NodeId, absl::AnyInvocable<void(absl::Status)>) override {}
  raft::NodeId leader() const override { return leader_id; }
  raft::Term term() const override { return 1; }
  raft::Role role() const override { return raft::Role::kFollower; }
  raft::Index commit_index() const override { return 0; }
  raft::Index applied_index() const override { return 0; }
  void GetStatus(absl::AnyInvocable<void(raft::Status)>) override {}
  void Stop(base::Duration) override {}

  std::vector<Answer> asked;
  raft::NodeId leader_id = 1;
};

class ReadGateTest : public ::testing::Test {
 protected:
  ReadGateTest() {
    context_.node = &node_;
    context_.machine = machine_.operator->();
  }

  // The revision that it was served, or its error.
  using Served = std::shared_ptr<std::optional<absl::StatusOr<int64_t>>>;

  Served Read() {
    auto served = std::make_shared<std::optional<absl::StatusOr<int64_t>>>();
    gate_.Read([served](absl::StatusOr<ReadGate::ViewPtr> view) {
      ASSERT_FALSE(served->has_value()) << "answered twice";
      if (view.ok()) {
        served->emplace((*view)->revision());
      } else {
        served->emplace(view.status());
      }
    });
    loop_.RunUntilIdle();
    return served;
  }
  void Answer(size_t round, absl::StatusOr<raft::Index> index = 1) {
    ASSERT_LT(round, node_.asked.size());
    node_.asked[round](std::move(index));
    loop_.RunUntilIdle();
  }
  static bool IsAt(const Served& served, int64_t revision) {
    return served->has_value() && (*served)->ok() && ***served == revision;
  }

  TempDir dir_;
  TestMachine machine_{dir_ / "db"};
  base::ManualLoop loop_;
  AskedNode node_;
  ServerContext context_{ServerConfig(), 1, 1};
  ReadGate gate_{&context_, &loop_};
};

TEST_F(ReadGateTest, ReadsOfOneTurnShareARound) {
  auto first = std::make_shared<int>(0);
  for (int i = 0; i < 3; ++i) {
    gate_.Read([first](absl::StatusOr<ReadGate::ViewPtr> view) { *first += view.ok() ? 1 : 0; });
  }
  loop_.RunUntilIdle();
  ASSERT_EQ(node_.asked.size(), 1u);
  Answer(0);
  EXPECT_EQ(*first, 3);
}

// Its index may have been fixed before what the read must see was committed.
TEST_F(ReadGateTest, AReadDoesNotJoinARoundThatHasBeenAsked) {
  const Served early = Read();
  ASSERT_EQ(node_.asked.size(), 1u);
  const Served late = Read();
  EXPECT_EQ(node_.asked.size(), 1u) << "one round at a time";
  Answer(0);
  EXPECT_TRUE(IsAt(early, 1));
  EXPECT_FALSE(late->has_value());
  ASSERT_EQ(node_.asked.size(), 2u);
  machine_.Run({PutCommand("k", "v")});
  Answer(1);
  EXPECT_TRUE(IsAt(late, 2));
}

TEST_F(ReadGateTest, AReadSeesWhatWasAppliedWhileItWaited) {
  const Served served = Read();
  machine_.Run({PutCommand("k", "v")});
  Answer(0);
  EXPECT_TRUE(IsAt(served, 2));
}

TEST_F(ReadGateTest, ARoundThatFailsIsAskedAgainOnceThereIsALeader) {
  const Served served = Read();
  node_.leader_id = raft::kNoNode;
  Answer(0, absl::UnavailableError("the leader was lost"));
  gate_.Tick();
  EXPECT_EQ(node_.asked.size(), 1u);
  node_.leader_id = 2;
  gate_.Tick();
  ASSERT_EQ(node_.asked.size(), 2u);
  Answer(1);
  EXPECT_TRUE(IsAt(served, 1));
}

TEST_F(ReadGateTest, ARoundWithoutAnAnswerIsAskedAgain) {
  const Served served = Read();
  loop_.Advance(milliseconds(400));
  gate_.Tick();
  EXPECT_EQ(node_.asked.size(), 1u);
  loop_.Advance(milliseconds(200));
  gate_.Tick();
  ASSERT_EQ(node_.asked.size(), 2u);
  Answer(1);
  EXPECT_TRUE(IsAt(served, 1));
  Answer(0);  // late, and of no consequence
}

TEST_F(ReadGateTest, AReadFailsOnceItsTimeIsUp) {
  const Served served = Read();
  loop_.Advance(context_.config.request_timeout() - milliseconds(1));
  gate_.Tick();
  EXPECT_FALSE(served->has_value());
  loop_.Advance(milliseconds(1));
  gate_.Tick();
  ASSERT_TRUE(served->has_value());
  EXPECT_FALSE((*served)->ok());
  EXPECT_EQ(gate_.slow_total(), 1u);
}

TEST_F(ReadGateTest, StopFailsWhatWaitsAndWhatComes) {
  const Served running = Read();
  const Served queued = Read();
  gate_.Stop();
  const Served later = Read();
  for (const Served& each : {running, queued, later}) {
    ASSERT_TRUE(each->has_value());
    EXPECT_FALSE((*each)->ok());
  }
  Answer(0);  // nobody is there any more
}

}  // namespace
}  // namespace keel::kvstore
