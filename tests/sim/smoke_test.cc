// The simulator in a few seconds: some seeds, those that once failed, and that
// a seed is all that decides a run.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/check.h"
#include "base/log.h"
#include "tests/sim/campaign.h"

namespace keel::sim {
namespace {

std::string Report(const RunOptions& options, const RunResult& result) {
  return result.failure.rule + ": " + result.failure.text + "\n  " +
         ReplayCommand(options, options.seed, std::nullopt);
}

class SimSmoke : public ::testing::Test {
 protected:
  SimSmoke() { KEEL_CHECK(base::SetLogLevel("fatal").ok()); }
};

TEST_F(SimSmoke, SeedsPass) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const RunOptions options{.seed = seed};
    const RunResult result = sim::Run(options);
    EXPECT_FALSE(result.failed) << Report(options, result);
    EXPECT_GT(result.counters.at("operations acknowledged"), 0u) << seed;
  }
}

TEST_F(SimSmoke, SeedsOfHostsOfManyGroupsPass) {
  uint64_t asleep = 0, stops = 0, swaps = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const RunOptions options{.seed = seed, .stack = Stack::kHosts};
    RunResult result = sim::Run(options);
    EXPECT_FALSE(result.failed) << Report(options, result);
    EXPECT_GT(result.counters["operations acknowledged"], 0u) << seed;
    asleep += result.counters["groups fallen asleep"];
    stops += result.counters["orderly stops"];
    swaps += result.counters["swap"];
  }
  EXPECT_GT(asleep, 0u);
  EXPECT_GT(stops, 0u);
  EXPECT_GT(swaps, 0u);
}

TEST_F(SimSmoke, SeedsOfTheWholeStorePass) {
  uint64_t watched = 0, leases = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const RunOptions options{.seed = seed, .stack = Stack::kKv};
    const RunResult result = sim::Run(options);
    EXPECT_FALSE(result.failed) << Report(options, result);
    EXPECT_GT(result.counters.at("operations acknowledged"), 0u) << seed;
    watched += result.counters.at("watch events");
    leases += result.counters.at("leases granted");
  }
  EXPECT_GT(watched, 0u);
  EXPECT_GT(leases, 0u);
}

void ExpectDeterministic(Stack stack, uint64_t seeds) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    const RunOptions options{.seed = seed, .stack = stack};
    const RunResult first = sim::Run(options);
    const RunResult second = sim::Run(options);
    EXPECT_EQ(first.hash, second.hash) << seed;
    EXPECT_EQ(first.events, second.events) << seed;
    EXPECT_EQ(first.counters, second.counters) << seed;
    // In a process of its own, too: nothing depends on what ran before, or on addresses.
    EXPECT_EQ(RunInChild(options).hash, first.hash) << seed;
  }
}

TEST_F(SimSmoke, ASeedDecidesEverything) {
  ExpectDeterministic(Stack::kList, 10);
  ExpectDeterministic(Stack::kHosts, 5);
  ExpectDeterministic(Stack::kKv, 40);
  EXPECT_NE(sim::Run({.seed = 1}).hash, sim::Run({.seed = 2}).hash);
}

TEST_F(SimSmoke, TracingChangesNothing) {
  FILE* out = std::tmpfile();
  const RunResult traced = sim::Run({.seed = 3, .trace = out});
  EXPECT_GT(std::ftell(out), 1000);
  std::fclose(out);
  EXPECT_EQ(traced.hash, sim::Run({.seed = 3}).hash);
}

TEST_F(SimSmoke, SeedsThatOnceFailedPass) {
  std::ifstream in("seeds.txt");
  ASSERT_TRUE(in.good());
  int run = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string stack;
    RunOptions options;
    double seconds = 0;
    words >> stack >> options.seed >> seconds;
    ASSERT_TRUE(words && (stack == "list" || stack == "kv" || stack == "hosts")) << line;
    options.stack = stack == "kv" ? Stack::kKv : stack == "hosts" ? Stack::kHosts : Stack::kList;
    options.length = static_cast<Nanos>(seconds * kSecond);
    const RunResult result = sim::Run(options);
    EXPECT_FALSE(result.failed) << Report(options, result);
    ++run;
  }
  EXPECT_GT(run, 0);
}

TEST_F(SimSmoke, PlansCanBeCutDown) {
  const RunOptions options{.seed = 9};
  const FaultPlan plan = PlanOf(options);
  ASSERT_GT(plan.size(), 3u);
  const FaultPlan some = Only(plan, {1, 3});
  ASSERT_EQ(some.size(), 2u);
  EXPECT_EQ(some[1].number, 3u);
  EXPECT_EQ(Describe(some[1]), Describe(plan[2]));
  EXPECT_EQ(ReplayCommand(options, 9, std::set<uint32_t>{1, 3}),
            "keel-sim --seed 9 --only 1,3 --trace");
}

}  // namespace
}  // namespace keel::sim
