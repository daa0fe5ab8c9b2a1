#include "kvstore/server/lessor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/manual_loop.h"

namespace keel::kvstore {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LessorTest : public ::testing::Test {
 protected:
  Lessor::Options Options() {
    Lessor::Options options;
    options.loop = &loop_;
    options.election = seconds(1);
    options.revoke = [this](int64_t id, uint64_t term) {
      revoked_.push_back(id);
      terms_.push_back(term);
    };
    options.checkpoint = [this](const std::vector<Lease>& leases, uint64_t) {
      for (const Lease& lease : leases) checkpoints_.push_back(lease);
    };
    return options;
  }
  void Pass(base::Duration by) {
    loop_.Advance(by);
    lessor_.Tick();
  }
  static Lease Of(int64_t id, int64_t ttl, int64_t remaining = 0) { return {id, ttl, remaining}; }

  base::ManualLoop loop_;
  std::vector<int64_t> revoked_;
  std::vector<uint64_t> terms_;
  std::vector<Lease> checkpoints_;
  Lessor lessor_{Options()};
};

TEST_F(LessorTest, OnlyALeaderRevokesAndOnceTheTtlHasPassed) {
  lessor_.OnGranted(Of(1, 10));
  Pass(seconds(100));
  EXPECT_THAT(revoked_, IsEmpty());
  lessor_.Lead(1);
  // A new leader gives the TTL anew and one election timeout on top.
  Pass(seconds(10));
  EXPECT_THAT(revoked_, IsEmpty());
  Pass(seconds(1));
  EXPECT_THAT(revoked_, ElementsAre(1));
  lessor_.OnRevoked(1);
  Pass(seconds(100));
  EXPECT_THAT(revoked_, ElementsAre(1));
  EXPECT_EQ(lessor_.size(), 0u);
}

// It may have lost the lead and won it again before it was told.
TEST_F(LessorTest, ANewTermStartsTheTimesAnew) {
  lessor_.Lead(3);
  lessor_.OnGranted(Of(1, 10));
  Pass(seconds(9));
  lessor_.Lead(3);
  lessor_.Lead(5);
  Pass(seconds(10));
  EXPECT_THAT(revoked_, IsEmpty());
  Pass(seconds(1));
  EXPECT_THAT(revoked_, ElementsAre(1));
  EXPECT_THAT(terms_, ElementsAre(5));
}

TEST_F(LessorTest, WhoLostTheLeadRevokesNothing) {
  lessor_.Lead(1);
  lessor_.OnGranted(Of(1, 10));
  Pass(seconds(5));
  lessor_.Follow();
  Pass(seconds(100));
  EXPECT_THAT(revoked_, IsEmpty());
}

TEST_F(LessorTest, RenewingStartsTheTimeAnew) {
  lessor_.Lead(1);
  lessor_.OnGranted(Of(1, 10));
  for (int i = 0; i < 20; ++i) {
    Pass(seconds(6));
    EXPECT_EQ(lessor_.Remaining(1), 4);
    EXPECT_EQ(lessor_.Renew(1), 10);
  }
  EXPECT_THAT(revoked_, IsEmpty());
  Pass(seconds(10));
  EXPECT_THAT(revoked_, ElementsAre(1));
}

TEST_F(LessorTest, ALeaseThatRanOutOrIsUnknownCannotBeRenewed) {
  lessor_.Lead(1);
  lessor_.OnGranted(Of(1, 10));
  loop_.Advance(seconds(10));  // and no tick yet
  EXPECT_EQ(lessor_.Renew(1), std::nullopt);
  lessor_.Tick();
  EXPECT_EQ(lessor_.Renew(1), std::nullopt);
  EXPECT_EQ(lessor_.Remaining(1), 0);
  EXPECT_EQ(lessor_.Renew(2), std::nullopt);
  EXPECT_EQ(lessor_.Remaining(2), std::nullopt);
}

TEST_F(LessorTest, ARevocationWithoutEffectIsProposedAgain) {
  lessor_.Lead(1);
  lessor_.OnGranted(Of(1, 5));
  Pass(seconds(5));
  Pass(seconds(1));
  EXPECT_THAT(revoked_, ElementsAre(1));
  Pass(seconds(2));
  EXPECT_THAT(revoked_, ElementsAre(1, 1));
  EXPECT_EQ(lessor_.expired_total(), 1u);
}

TEST_F(LessorTest, RenewalAfterAnExtensionDoesNotKeepTheExtension) {
  lessor_.OnGranted(Of(1, 5));
  lessor_.Lead(1);  // until 6 s
  EXPECT_EQ(lessor_.Renew(1), 5);
  Pass(seconds(5));
  EXPECT_THAT(revoked_, ElementsAre(1));
}

TEST_F(LessorTest, WritesDownWhatIsLeftOfLongLeasesAndGoesOnFromThere) {
  lessor_.Lead(1);
  lessor_.OnGranted(Of(1, 3600));
  lessor_.OnGranted(Of(2, 60));
  Pass(minutes(5));
  ASSERT_THAT(checkpoints_, ElementsAre(Of(1, 3600, 3300)));
  lessor_.OnRevoked(2);
  lessor_.OnCheckpointed(checkpoints_[0]);

  // The next leader has only what the log says.
  Lessor next(Options());
  next.Assign({Of(1, 3600, 3300)});
  next.Lead(1);
  EXPECT_EQ(next.Remaining(1), 3301);
  // A renewal clears the checkpoint, in the log too.
  checkpoints_.clear();
  EXPECT_EQ(next.Renew(1), 3600);
  EXPECT_THAT(checkpoints_, ElementsAre(Of(1, 3600, 0)));
  EXPECT_EQ(next.Remaining(1), 3600);
}

TEST_F(LessorTest, ASnapshotReplacesEverything) {
  lessor_.Lead(1);
  lessor_.OnGranted(Of(1, 5));
  lessor_.Assign({Of(2, 5)});
  EXPECT_TRUE(lessor_.leads());
  Pass(seconds(6));
  EXPECT_THAT(revoked_, ElementsAre(2));
}

TEST_F(LessorTest, TheGreatestTtlDoesNotOverflow) {
  loop_.Advance(std::chrono::hours(24 * 365));
  lessor_.Lead(1);
  lessor_.OnGranted(Of(1, kMaxLeaseTtl));
  Pass(seconds(1));
  EXPECT_THAT(revoked_, IsEmpty());
  EXPECT_EQ(lessor_.Renew(1), kMaxLeaseTtl);
}

TEST_F(LessorTest, ManyLeasesThatRunOutAtOnceAreRevokedInPortions) {
  lessor_.Lead(1);
  for (int64_t id = 1; id <= 1200; ++id) lessor_.OnGranted(Of(id, 5));
  Pass(seconds(5));
  EXPECT_EQ(revoked_.size(), 500u);
  lessor_.Tick();
  lessor_.Tick();
  EXPECT_EQ(revoked_.size(), 1200u);
}

}  // namespace
}  // namespace keel::kvstore
