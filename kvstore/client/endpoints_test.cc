#include "kvstore/client/endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "kvstore/client/requests.h"
#include "kvstore/client/retry.h"

namespace keel::kvstore {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TEST(ParseEndpoint, TakesEtcdsForms) {
  EXPECT_EQ(*ParseEndpoint("127.0.0.1:2379"), "127.0.0.1:2379");
  EXPECT_EQ(*ParseEndpoint("http://10.0.0.1:22379"), "10.0.0.1:22379");
  EXPECT_EQ(*ParseEndpoint("http://db-1:22379/"), "db-1:22379");
  EXPECT_EQ(*ParseEndpoint("localhost"), "localhost:2379");
  EXPECT_EQ(*ParseEndpoint("https://db-1:22379/"), "db-1:22379");
  EXPECT_TRUE(WantsTls("https://db-1:22379", false));
  EXPECT_FALSE(WantsTls("http://db-1:22379", true));
  EXPECT_TRUE(WantsTls("db-1:22379", true));
  EXPECT_EQ(*ParseEndpoint("[::1]:5"), "[::1]:5");
  EXPECT_EQ(*ParseEndpoint("[::1]"), "[::1]:2379");
}

TEST(ParseEndpoint, RejectsWhatIsNoAddressAndNamesIt) {
  for (const char* bad :
       {"", "http://", ":1", "a:0", "a:65536", "a:99999999999999999999", "a:b", "a:", "foo://a:1",
        "ftp://a:1", "http://a:1/path", "::1", "[::1", "[::1]x:1", "a b:1"}) {
    const auto parsed = ParseEndpoint(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(base::ToStd(parsed.status().message())),
                HasSubstr(base::StrCat("\"", bad, "\"")));
  }
}

TEST(Endpoints, GoesRoundAndLeavesOutWhatWasTried) {
  Endpoints endpoints(3);
  const base::TimePoint now{};
  EXPECT_EQ(endpoints.Pick(now, false, {}), 0u);
  EXPECT_EQ(endpoints.Pick(now, false, {}), 1u);
  EXPECT_EQ(endpoints.Pick(now, false, {}), 2u);
  EXPECT_EQ(endpoints.Pick(now, false, {}), 0u);
  EXPECT_EQ(endpoints.Pick(now, false, {false, true, false}), 2u);
  EXPECT_EQ(endpoints.Pick(now, false, {true, true, true}), std::nullopt);
}

TEST(Endpoints, PassesOverAFailedServerForATimeThatDoubles) {
  Endpoints endpoints(2);
  base::TimePoint now{};
  endpoints.Failed(0, now);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(endpoints.Pick(now, false, {}), 1u);
  now += Endpoints::kPauseMin;
  EXPECT_EQ(endpoints.Pick(now, false, {}), 0u);
  endpoints.Failed(0, now);
  now += Endpoints::kPauseMin;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(endpoints.Pick(now, false, {}), 1u);
  now += Endpoints::kPauseMin;
  EXPECT_EQ(endpoints.Pick(now, false, {}), 0u);
}

TEST(Endpoints, AsksTheOneDueFirstWhenAllHaveFailed) {
  Endpoints endpoints(2);
  const base::TimePoint now{};
  endpoints.Failed(1, now);
  endpoints.Failed(0, now + milliseconds(1));
  EXPECT_EQ(endpoints.Pick(now, false, {}), 1u);
  endpoints.Succeeded(0);
  EXPECT_EQ(endpoints.Pick(now, false, {}), 0u);
  EXPECT_EQ(endpoints.Pick(now, false, {}), 0u);
}

TEST(Endpoints, PrefersTheLeaderWhileItIsKnownAndThere) {
  Endpoints endpoints(3);
  const base::TimePoint now{};
  EXPECT_EQ(endpoints.Pick(now, true, {}), 0u);
  endpoints.Learned(0, 100, 102, 5);
  EXPECT_EQ(endpoints.leader(), std::nullopt);  // its address is not known yet
  endpoints.Learned(2, 102, 102, 5);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(endpoints.Pick(now, true, {}), 2u);
  EXPECT_EQ(endpoints.Pick(now, true, {false, false, true}), 1u);
  endpoints.Failed(2, now);
  EXPECT_EQ(endpoints.leader(), std::nullopt);
  EXPECT_NE(endpoints.Pick(now, true, {}), 2u);
}

TEST(Endpoints, BelievesTheHighestTermWhenServersDisagreeOnTheLeader) {
  Endpoints endpoints(2);
  endpoints.Learned(1, 101, 101, 7);
  endpoints.Learned(0, 100, 100, 6);  // deposed, and not aware of it
  EXPECT_EQ(endpoints.leader(), 1u);
  endpoints.Learned(0, 100, 0, 8);  // an election is on
  EXPECT_EQ(endpoints.leader(), std::nullopt);
  endpoints.Learned(1, 101, 100, 8);
  EXPECT_EQ(endpoints.leader(), 0u);
}

TEST(Retry, RepeatsWritesOnlyWhenCertainlyNotApplied) {
  const absl::Status refused = absl::UnavailableError("connect 127.0.0.1:1: Connection refused");
  const absl::Status no_leader = absl::UnavailableError("etcdserver: no leader");
  const absl::Status lost = absl::UnavailableError("connection lost");
  const absl::Status timed_out = absl::UnavailableError("etcdserver: request timed out");
  const absl::Status leader_changed = absl::UnavailableError("etcdserver: leader changed");
  for (const absl::Status& status : {refused, no_leader}) {
    EXPECT_TRUE(MayRepeat(Classify(status), Repeat::kNever)) << status;
    EXPECT_TRUE(MayRepeat(Classify(status), Repeat::kAlways)) << status;
  }
  for (const absl::Status& status : {lost, timed_out, leader_changed}) {
    EXPECT_FALSE(MayRepeat(Classify(status), Repeat::kNever)) << status;
    EXPECT_TRUE(MayRepeat(Classify(status), Repeat::kAlways)) << status;
  }
}

TEST(Retry, TakesAnAnswerAsFinal) {
  for (const absl::Status& status :
       {absl::InvalidArgumentError("etcdserver: key is not provided"), absl::CancelledError("x"),
        absl::OutOfRangeError("etcdserver: mvcc: required revision has been compacted"),
        absl::DeadlineExceededError("context deadline exceeded"),
        absl::ResourceExhaustedError("etcdserver: too many requests")}) {
    EXPECT_FALSE(MayRepeat(Classify(status), Repeat::kAlways)) << status;
  }
}

TEST(PrefixEnd, IncrementsTheLastByteThatCanBe) {
  EXPECT_EQ(PrefixEnd("a"), "b");
  EXPECT_EQ(PrefixEnd("a\xff"), "b");
  EXPECT_EQ(PrefixEnd("a/\xff\xff"), "a0");
  EXPECT_EQ(PrefixEnd("\xff\xff"), kAllEnd);
  EXPECT_EQ(PrefixEnd(""), kAllEnd);
}

TEST(TxnBuilder, KeepsTheOrderGiven) {
  const auto request = TxnBuilder()
                           .If(ModRevisionIs("a", '>', 5))
                           .If(ValueIs("b", '!', "x"))
                           .Then(MakePut("a", "1"))
                           .Then(MakeDelete("b"))
                           .Else(MakeGet("a", {.range_end = "c", .limit = 7}))
                           .request();
  ASSERT_EQ(request.compare_size(), 2);
  EXPECT_EQ(request.compare(0).mod_revision(), 5);
  EXPECT_EQ(request.compare(0).result(), etcdserverpb::Compare::GREATER);
  EXPECT_EQ(request.compare(1).result(), etcdserverpb::Compare::NOT_EQUAL);
  ASSERT_EQ(request.success_size(), 2);
  EXPECT_EQ(request.success(0).request_put().key(), "a");
  EXPECT_EQ(request.success(1).request_delete_range().key(), "b");
  ASSERT_EQ(request.failure_size(), 1);
  EXPECT_EQ(request.failure(0).request_range().limit(), 7);
}

}  // namespace
}  // namespace keel::kvstore
