// The whole replicate path allocates nothing in a steady state: three Nodes with
// their drivers, the real log's code on files in memory, a network in memory and
// a state machine that counts, all on one loop, with operator new counting. From
// Propose to Apply on all members: hand-overs, log, messages, acknowledgements.
#include <gtest/gtest.h>

#include <memory>

#include "base/allocations.h"
#include "raft/driver/node_trio.h"

namespace keel::raft {
namespace {

// The log's index of entries doubles its memory now and then; between these
// numbers of entries it does not, and no segment is full.
constexpr int kWarmUpEntries = 4200;
constexpr int kEntriesMax = 8000;

void ExpectNoAllocations(int batch) {
  NodeTrio trio;
  ASSERT_TRUE(trio.led());
  const uint64_t start = base::Allocations();
  const Payload data = std::make_shared<const std::string>("sixteen bytes..!");
  ASSERT_GT(base::Allocations(), start) << "the counter does not count";
  int proposed = 0;
  for (; proposed < kWarmUpEntries; proposed += batch) trio.Round(data, batch);
  const uint64_t before = base::Allocations();
  int rounds = 0;
  for (; proposed + batch <= kEntriesMax; proposed += batch, ++rounds) trio.Round(data, batch);
  const uint64_t during = base::Allocations() - before;
  EXPECT_EQ(during, 0u) << "in " << rounds << " rounds of " << batch;
  // And the empty entry of the leader's term.
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(trio.applied(i), static_cast<uint64_t>(proposed) + 1);
}

TEST(NodeAllocationTest, OneProposalARoundAllocatesNothing) { ExpectNoAllocations(1); }
TEST(NodeAllocationTest, SixteenProposalsARoundAllocateNothing) { ExpectNoAllocations(16); }
TEST(NodeAllocationTest, ManyProposalsARoundAllocateNothing) { ExpectNoAllocations(64); }

}  // namespace
}  // namespace keel::raft
