// The whole replicate path allocates nothing in a steady state: three Nodes with
// their drivers, the real log's code on files in memory, a network in memory and
// a state machine that counts, all on one loop, with operator new counting. From
// Propose to Apply on all members: hand-overs, log, messages, acknowledgements.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/allocations.h"
#include "base/log.h"
#include "base/manual_loop.h"
#include "base/memory_files.h"
#include "base/strings.h"
#include "raft/driver/node.h"
#include "raft/transport/memory_transport.h"

namespace keel::raft {
namespace {

class CountingMachine final : public StateMachine {
 public:
  absl::StatusOr<AppliedState> Open() override { return AppliedState{}; }
  absl::Status Apply(std::span<const CommittedEntry> entries) override {
    applied += entries.size();
    index = entries.back().entry.index;
    return absl::OkStatus();
  }
  Index DurableIndex() override { return index; }
  void Flush() override {}
  absl::StatusOr<AppliedState> WriteSnapshot(const std::string&) override {
    return absl::UnimplementedError("no snapshots here");
  }
  absl::Status RestoreSnapshot(const std::string&, const SnapshotMeta&) override {
    return absl::UnimplementedError("no snapshots here");
  }
  uint64_t applied = 0;
  Index index = 0;
};

class Trio {
 public:
  Trio() {
    base::Log().set_level(spdlog::level::err);
    for (NodeId id = 1; id <= 3; ++id) {
      transports_.push_back(std::make_unique<MemoryTransport>(&network_, id));
      NodeOptions options;
      options.id = id;
      options.loop = options.apply_loop = options.log_loop = &loop_;
      options.fs = &files_;
      options.log_dir = base::StrCat("/", id);
      options.initial_conf.voters = {1, 2, 3};
      options.random_seed = id;
      options.segment_bytes = 4 << 20;
      nodes_.push_back(*Node::Open(options, transports_.back().get(), &machines_[id - 1]));
    }
    for (int ticks = 0; leader_ == nullptr && ticks < 1000; ++ticks) {
      loop_.Advance(std::chrono::milliseconds(100));
      for (auto& node : nodes_) {
        if (node->role() == Role::kLeader) leader_ = node.get();
      }
    }
  }
  ~Trio() {
    nodes_.clear();
    loop_.RunUntilIdle();
  }

  bool led() const { return leader_ != nullptr; }

  // No time passes: what ticks do now and then is not counted.
  void Round(const Payload& data, int proposals) {
    for (int i = 0; i < proposals; ++i) leader_->Propose(data, nullptr);
    loop_.RunUntilIdle();
  }

  uint64_t applied(size_t member) const { return machines_[member].applied; }

 private:
  base::MemoryFiles files_;
  base::ManualLoop loop_;
  MemoryNetwork network_;
  CountingMachine machines_[3];
  std::vector<std::unique_ptr<MemoryTransport>> transports_;
  std::vector<std::unique_ptr<Node>> nodes_;
  Node* leader_ = nullptr;
};

// The log's index of entries doubles its memory now and then; between these
// numbers of entries it does not, and no segment is full.
constexpr int kWarmUpEntries = 4200;
constexpr int kEntriesMax = 8000;

void ExpectNoAllocations(int batch) {
  Trio trio;
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
