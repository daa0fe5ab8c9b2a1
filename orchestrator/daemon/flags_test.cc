#include "orchestrator/daemon/flags.h"

#include <CLI/CLI.hpp>
#include <chrono>

#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keel::orchestrator {
namespace {

using ::testing::HasSubstr;

class DaemonCommandLineTest : public ::testing::Test {
 protected:
  std::string Refusal(std::vector<std::string> arguments) {
    const absl::Status status = line_.Parse(std::move(arguments));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(base::ToStd(status.message()));
  }

  DaemonFlags flags_{"kube-something", 12345};
  DaemonCommandLine line_{flags_, "keel-something", "Something of Keel.", "Examples: none"};
};

TEST_F(DaemonCommandLineTest, WithoutArgumentsIsElectedByItsOwnLease) {
  ASSERT_TRUE(line_.Parse({}).ok());
  EXPECT_TRUE(flags_.leader_election.enabled);
  EXPECT_EQ(flags_.leader_election.name, "kube-something");
  EXPECT_EQ(flags_.leader_election.lease_duration, std::chrono::seconds(15));
  EXPECT_EQ(flags_.bind_address, "127.0.0.1");
  EXPECT_EQ(flags_.port, 12345);
}

TEST_F(DaemonCommandLineTest, TakesOptionsOfItsOwnBesideTheCommonOnes) {
  int own = 0;
  line_.app().add_option("--own", own);
  ASSERT_TRUE(line_
                  .Parse({"--own=7", "--secure-port=0", "--leader-elect-lease-duration", "1m",
                          "--leader-elect-renew-deadline=30s"})
                  .ok());
  EXPECT_EQ(own, 7);
  EXPECT_EQ(flags_.port, 0);
  EXPECT_EQ(flags_.leader_election.lease_duration, std::chrono::minutes(1));
  EXPECT_EQ(flags_.leader_election.renew_deadline, std::chrono::seconds(30));
}

TEST_F(DaemonCommandLineTest, NamesTheFlagThatMakesNoSense) {
  EXPECT_THAT(Refusal({"--unknown"}), HasSubstr("--unknown"));
  EXPECT_EQ(Refusal({"--leader-elect-retry-period=soon"}),
            "--leader-elect-retry-period: no duration: soon");
  EXPECT_THAT(Refusal({"--tls-cert-file=a"}), HasSubstr("--tls-private-key-file"));
}

TEST_F(DaemonCommandLineTest, RefusesALeaseThatEndsBeforeItIsRenewed) {
  Refusal({"--leader-elect-lease-duration=5s", "--leader-elect-renew-deadline=10s"});
}

TEST_F(DaemonCommandLineTest, DoesNotJudgeALeaseThatNobodyHolds) {
  EXPECT_TRUE(line_
                  .Parse({"--leader-elect=false", "--leader-elect-lease-duration=5s",
                          "--leader-elect-renew-deadline=10s"})
                  .ok());
}

TEST_F(DaemonCommandLineTest, HelpEndsWithExamples) {
  ASSERT_TRUE(line_.Parse({"-h", "--leader-elect-retry-period=soon"}).ok());
  EXPECT_TRUE(flags_.help);
  EXPECT_THAT(line_.Help(), HasSubstr("Examples: none"));
}

}  // namespace
}  // namespace keel::orchestrator
