#include "orchestrator/client/leader_elector.h"

#include <gtest/gtest.h>

#include "base/manual_loop.h"
#include "base/strings.h"
#include "orchestrator/client/testing/fake_api.h"

namespace keel::orchestrator {
namespace {

using std::chrono::seconds;

const Resource kLeases{"coordination.k8s.io", "v1", "leases"};

// An instance with its own way to the server, which may break.
struct Instance {
  Instance(FakeApi& api, const std::string& name)
      : elector(api, {.name = "it", .identity = name}, [&api] { return api.now(); },
                {.on_started = [this] { ++started; },
                 .on_stopped = [this] { ++stopped; },
                 .on_leader = [this](const std::string& who) { leader = who; }}) {}
  int started = 0, stopped = 0;
  std::string leader;
  LeaderElector elector;
};

class LeaderElectorTest : public testing::Test {
 protected:
  std::string Holder() {
    const json::object* lease = api.Stored(kLeases, "kube-system", "it");
    return lease == nullptr ? "" : std::string(StringAt(*lease, {"spec", "holderIdentity"}));
  }
  base::ManualLoop loop;
  FakeApi api{loop};
};

TEST_F(LeaderElectorTest, OneOfTwoLeadsAndRenews) {
  Instance a(api, "a"), b(api, "b");
  a.elector.Start();
  b.elector.Start();
  loop.Advance(seconds(60));
  EXPECT_EQ(a.started + b.started, 1);
  EXPECT_EQ(Holder(), "a");
  EXPECT_EQ(b.leader, "a");
  EXPECT_EQ(a.stopped + b.stopped, 0);
  const json::object& lease = *api.Stored(kLeases, "kube-system", "it");
  EXPECT_EQ(IntAt(lease, {"spec", "leaseTransitions"}, -1), 0);
  EXPECT_EQ(IntAt(lease, {"spec", "leaseDurationSeconds"}), 15);
}

TEST_F(LeaderElectorTest, WhoDiesIsFollowedWhenTheLeaseRanOut) {
  auto a = std::make_unique<Instance>(api, "a");
  Instance b(api, "b");
  a->elector.Start();
  loop.RunUntilIdle();
  b.elector.Start();
  loop.Advance(seconds(5));
  a.reset();
  loop.Advance(seconds(10));
  EXPECT_FALSE(b.elector.leading());
  loop.Advance(seconds(10));
  EXPECT_TRUE(b.elector.leading());
  EXPECT_EQ(IntAt(*api.Stored(kLeases, "kube-system", "it"), {"spec", "leaseTransitions"}), 1);
}

TEST_F(LeaderElectorTest, WhoLeavesInOrderIsFollowedAtOnce) {
  Instance a(api, "a"), b(api, "b");
  a.elector.Start();
  loop.RunUntilIdle();
  b.elector.Start();
  loop.Advance(seconds(5));
  bool released = false;
  a.elector.Release([&] { released = true; });
  loop.RunUntilIdle();
  EXPECT_TRUE(released);
  loop.Advance(seconds(3));
  EXPECT_TRUE(b.elector.leading());
  EXPECT_FALSE(a.elector.leading());
}

TEST_F(LeaderElectorTest, ALeaderThatCannotRenewStopsBeforeAnotherMayStart) {
  Instance a(api, "a"), b(api, "b");
  a.elector.Start();
  loop.RunUntilIdle();
  b.elector.Start();
  loop.Advance(seconds(1));
  // Only what "a" writes fails.
  api.fail = [](const FakeApi::Request& request) {
    return StringAt(request.body, {"spec", "holderIdentity"}) == "a" ? Unavailable("cut off")
                                                                     : absl::OkStatus();
  };
  for (int i = 0; i < 400; ++i) {
    loop.Advance(std::chrono::milliseconds(100));
    EXPECT_FALSE(a.elector.leading() && b.elector.leading());
  }
  EXPECT_EQ(a.stopped, 1);
  EXPECT_TRUE(b.elector.leading());
}

TEST_F(LeaderElectorTest, ALostAnswerDoesNotEndTheTerm) {
  Instance a(api, "a");
  a.elector.Start();
  loop.Advance(seconds(3));
  int losses = 2;
  api.fail_after = [&](const FakeApi::Request& request) {
    return request.verb == "update" && losses-- > 0 ? Unavailable("lost") : absl::OkStatus();
  };
  loop.Advance(seconds(30));
  EXPECT_TRUE(a.elector.leading());
  EXPECT_EQ(a.started, 1);
}

TEST_F(LeaderElectorTest, RefusesDurationsThatCannotWork) {
  EXPECT_TRUE(LeaderElectionOptions{.name = "x"}.Validate().ok());
  const LeaderElectionOptions short_lease{.name = "x", .lease_duration = seconds(10)};
  EXPECT_FALSE(short_lease.Validate().ok());
  const LeaderElectionOptions slow_retry{.name = "x", .retry_period = seconds(9)};
  EXPECT_FALSE(slow_retry.Validate().ok());
}

}  // namespace
}  // namespace keel::orchestrator
