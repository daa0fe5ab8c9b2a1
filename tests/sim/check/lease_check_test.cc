#include "tests/sim/check/lease_check.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace keel::sim {
namespace {

constexpr Nanos kSecond = 1'000'000'000;

class LeaseCheckTest : public ::testing::Test {
 protected:
  LeaseCheckTest() {
    lease_.id = 7;
    Renew(1, 1, 5);
    options_.end = 100 * kSecond;
  }
  void Renew(Nanos invoked, Nanos returned, Nanos ttl, Outcome outcome = Outcome::kOk) {
    lease_.renewals.push_back({invoked * kSecond,
                               outcome == Outcome::kUnknown ? kNever : returned * kSecond, outcome,
                               ttl * kSecond});
  }
  void Put(const std::string& key, Nanos at, int64_t lease = 7) {
    const int64_t revision = log_.last() + 1;
    Add({{Write::Type::kPut, {key, "v", revision, revision, 1, lease}}}, at);
  }
  void Delete(const std::vector<std::string>& keys, Nanos at) {
    std::vector<Write> writes;
    for (const std::string& key : keys) {
      writes.push_back({Write::Type::kDelete, {key, "", 0, log_.last() + 1, 0, 0}});
    }
    Add(std::move(writes), at);
  }
  void Add(std::vector<Write> writes, Nanos at) {
    EXPECT_TRUE(log_.Add({log_.last() + 1, std::move(writes), at * kSecond}).ok());
  }
  std::string Rule() const { return CheckLease(lease_, log_, options_).rule; }

  LeaseRecord lease_;
  WriteLog log_;
  LeaseCheckOptions options_;
};

TEST_F(LeaseCheckTest, AfterItsTimeAllItsKeysGoAtOnce) {
  Put("a", 2);
  Put("b", 3);
  Delete({"a", "b"}, 7);
  EXPECT_EQ(Rule(), "");
}

TEST_F(LeaseCheckTest, BeforeItsTimeNoKeyMayGo) {
  Put("a", 2);
  Delete({"a"}, 5);
  EXPECT_EQ(Rule(), "never early");
}

TEST_F(LeaseCheckTest, AnAcknowledgedKeepaliveMovesTheTime) {
  Renew(4, 4, 5);
  Put("a", 2);
  Delete({"a"}, 8);
  EXPECT_EQ(Rule(), "never early");
  lease_.renewals[1].outcome = Outcome::kUnknown;
  EXPECT_EQ(Rule(), "");
  // One that came back only after the end promised nothing in time.
  lease_.renewals[1] = {4 * kSecond, 9 * kSecond, Outcome::kOk, 5 * kSecond};
  EXPECT_EQ(Rule(), "");
}

TEST_F(LeaseCheckTest, TheClockMayRunFastWithinTheBound) {
  Put("a", 2);
  Delete({"a"}, 5);  // 4 s of 5
  options_.drift = 0.25;
  EXPECT_EQ(Rule(), "");
  options_.drift = 0.1;
  EXPECT_EQ(Rule(), "never early");
}

TEST_F(LeaseCheckTest, ARevokeOrAClientMayDeleteEarlier) {
  Put("a", 2);
  Delete({"a"}, 4);
  lease_.revoke_invoked = 3 * kSecond;
  EXPECT_EQ(Rule(), "");
  lease_.revoke_outcome = Outcome::kFail;
  EXPECT_EQ(Rule(), "never early");
  options_.client_revisions = {3};
  EXPECT_EQ(Rule(), "");
}

TEST_F(LeaseCheckTest, AllKeysGoInOneRevision) {
  Put("a", 2);
  Put("b", 3);
  Delete({"a"}, 7);
  Delete({"b"}, 7);
  EXPECT_EQ(Rule(), "all at once");
}

TEST_F(LeaseCheckTest, AKeyPutUnderAnotherLeaseIsNotItsOwnAnyMore) {
  Put("a", 2);
  Put("b", 3);
  Put("b", 4, /*lease=*/8);
  Delete({"a"}, 7);
  EXPECT_EQ(Rule(), "");
}

TEST_F(LeaseCheckTest, NothingIsAttachedAfterTheEnd) {
  Put("a", 2);
  Delete({"a"}, 7);
  Put("b", 8);
  EXPECT_EQ(Rule(), "nothing is attached after the end");
}

TEST_F(LeaseCheckTest, OnceStableItExpiresWithinTheBound) {
  Put("a", 2);
  EXPECT_EQ(Rule(), "");  // never stable: nothing is promised
  options_.stable_from = 50 * kSecond;
  EXPECT_EQ(Rule(), "expires in time");
  options_.end = 59 * kSecond;  // 50 + 5 + 5 not over yet
  EXPECT_EQ(Rule(), "");
}

TEST_F(LeaseCheckTest, AnAcknowledgedRevokeLeavesNoKey) {
  Put("a", 2);
  lease_.revoke_invoked = 3 * kSecond;
  lease_.revoke_returned = 4 * kSecond;
  lease_.revoke_outcome = Outcome::kOk;
  EXPECT_EQ(Rule(), "revoked");
}

// Keepalives at random times: the end comes a TTL after the last one or later, or is caught.
RC_GTEST_PROP(LeaseCheckProperty, TheLastAcknowledgedRenewalDecides, ()) {
  const auto times = *rc::gen::container<std::vector<int64_t>>(rc::gen::inRange<int64_t>(1, 30));
  const int64_t ttl = *rc::gen::inRange<int64_t>(1, 10);
  LeaseRecord lease{.id = 7};
  lease.renewals.push_back({0, 0, Outcome::kOk, ttl});
  int64_t last = 0;
  for (int64_t at : times) {
    lease.renewals.push_back({at, at, Outcome::kOk, ttl});
    last = std::max(last, at);
  }
  const int64_t end = *rc::gen::inRange<int64_t>(31, 60);
  WriteLog log;
  RC_ASSERT(log.Add({2, {{Write::Type::kPut, {"a", "v", 2, 2, 1, 7}}}, 1}).ok());
  RC_ASSERT(log.Add({3, {{Write::Type::kDelete, {"a", "", 0, 3, 0, 0}}}, end}).ok());
  RC_ASSERT(CheckLease(lease, log, {.end = 100}).violated() == (end < last + ttl));
}

}  // namespace
}  // namespace keel::sim
