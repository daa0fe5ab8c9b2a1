// The properties of the paper's figure 3, linearizable reads and durability
// under faults, for many seeds. A violation stops the process; the seed is in
// the last line before it.
#include "raft/core/testing/cluster.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace keel::raft::testing {
namespace {

struct Totals {
  uint64_t committed = 0, elections = 0, reads = 0, snapshots = 0, conf_changes = 0, crashes = 0;
};

// KEEL_SEEDS=n runs n seeds instead.
Totals RunSeeds(ClusterOptions options, uint64_t seeds, int steps) {
  Totals totals;
  if (const char* more = std::getenv("KEEL_SEEDS")) seeds = std::stoull(more);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    options.seed = seed;
    std::fprintf(stderr, "seed %lu\r", static_cast<unsigned long>(seed));
    Cluster cluster(options);
    cluster.Run(steps);
    cluster.Heal();
    cluster.AwaitAgreement();
    totals.committed += cluster.committed();
    totals.elections += cluster.elections();
    totals.reads += cluster.reads_answered();
    totals.snapshots += cluster.snapshots_installed();
    totals.conf_changes += cluster.conf_changes();
    totals.crashes += cluster.crashes();
  }
  std::fprintf(stderr,
               "committed %lu, elections %lu, reads %lu, snapshots %lu, membership changes %lu, "
               "crashes %lu\n",
               totals.committed, totals.elections, totals.reads, totals.snapshots,
               totals.conf_changes, totals.crashes);
  return totals;
}

// Short timeouts: many elections in few steps.
Config Restless() {
  Config config;
  config.election_ticks = 3;
  return config;
}

TEST(ClusterTest, ThreeMembersStaySafeAndRecover) {
  const Totals totals = RunSeeds({}, 40, 20000);
  EXPECT_GT(totals.committed, 1000);
  EXPECT_GT(totals.reads, 1000);
}

TEST(ClusterTest, ThreeMembersWithManyElectionsStaySafeAndRecover) {
  const Totals totals = RunSeeds({.config = Restless()}, 60, 20000);
  EXPECT_GT(totals.committed, 1000);
  EXPECT_GT(totals.elections, 100);
  EXPECT_GT(totals.reads, 1000);
  EXPECT_GT(totals.snapshots, 20);
}

TEST(ClusterTest, FiveMembersWithoutPreVoteStaySafe) {
  ClusterOptions options{.voters = {1, 2, 3, 4, 5}, .transfer = true, .config = Restless()};
  options.config.pre_vote = false;
  options.config.check_quorum = false;
  RunSeeds(options, 40, 30000);
}

TEST(ClusterTest, MembershipChangesUnderFaultsStaySafe) {
  ClusterOptions options{.voters = {1, 2, 3},
                         .learners = {4},
                         .spares = {5, 6},
                         .change_membership = true,
                         .transfer = true,
                         .config = Restless()};
  const Totals totals = RunSeeds(options, 60, 30000);
  EXPECT_GT(totals.conf_changes, 200);
}

TEST(ClusterTest, LeaseReadsAreLinearizableWhileClocksAgree) {
  ClusterOptions options{.transfer = true, .lockstep = true};
  options.config.lease_reads = true;
  options.config.election_ticks = 6;
  const Totals totals = RunSeeds(options, 60, 20000);
  EXPECT_GT(totals.reads, 1000);
}

TEST(ClusterTest, SmallWindowsAndMessagesStillMakeProgress) {
  ClusterOptions options;
  options.config.max_message_bytes = 4;
  options.config.max_inflight_messages = 2;
  options.config.max_inflight_bytes = 8;
  options.config.max_committed_bytes = 4;
  RunSeeds(options, 20, 20000);
}

TEST(ClusterTest, WithoutFaultsOneLeaderLasts) {
  ClusterOptions options;
  options.chaos = false;
  const Totals totals = RunSeeds(options, 10, 20000);
  EXPECT_GT(totals.committed, 1000);
  EXPECT_EQ(totals.crashes, 0);
}

TEST(ClusterTest, SingleMemberCommitsAcrossCrashes) {
  ClusterOptions options{.voters = {1}};
  const Totals totals = RunSeeds(options, 10, 10000);
  EXPECT_GT(totals.committed, 1000);
}

}  // namespace
}  // namespace keel::raft::testing
