// The replicate path allocates nothing in a steady state: a leader and two
// followers, the network and the disks all in this thread, with operator new
// counting. One round is what a driver does: propose, send, make durable,
// acknowledge, commit, apply, and give the memory back (Raft::Recycle).
#include <gtest/gtest.h>

#include <vector>

#include "base/allocations.h"
#include "raft/core/memory_log.h"
#include "raft/core/raft.h"

namespace keel::raft {
namespace {

class Trio {
 public:
  explicit Trio(bool recycle) : recycle_(recycle) {
    for (NodeId id = 1; id <= 3; ++id) {
      Config config;
      config.id = id;
      config.random = [id](uint64_t n) { return id % n; };
      rafts_.push_back(std::make_unique<Raft>(std::move(config), &logs_[id - 1], HardState{},
                                              ConfState{.voters = {1, 2, 3}}, 0));
    }
    rafts_[0]->Campaign();
    Settle();
  }

  void Round(const Payload& data, int proposals) {
    for (int i = 0; i < proposals; ++i) ASSERT_TRUE(rafts_[0]->Propose(data).ok());
    Settle();
  }

  // Drops all entries applied so far from the logs, which keep their memory.
  void Compact() {
    for (size_t i = 0; i < 3; ++i) {
      const Index last = rafts_[i]->applied();
      logs_[i].SetSnapshot({last, *logs_[i].TermAt(last), {.voters = {1, 2, 3}}});
      logs_[i].Compact(last);
    }
  }

  Index applied(NodeId id) const { return rafts_[id - 1]->applied(); }

 private:
  void Settle() {
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t i = 0; i < 3; ++i) {
        while (rafts_[i]->HasReady()) {
          moved = true;
          Ready ready = rafts_[i]->TakeReady();
          logs_[i].Append(ready.entries);
          Deliver(ready.messages);
          Deliver(ready.persisted_messages);
          rafts_[i]->Persisted(ready.id);
          if (!ready.committed.empty()) rafts_[i]->Applied(ready.committed.back().index);
          if (recycle_) rafts_[i]->Recycle(std::move(ready));
        }
      }
    }
  }

  // As a network does: the sender's message is encoded and stays whole, the
  // receiver's is decoded into memory of the receiver's.
  void Deliver(const std::vector<Message>& messages) {
    for (const Message& m : messages) {
      Raft& to = *rafts_[m.to - 1];
      Message copy = to.SpareMessage();
      std::vector<Entry> entries = std::move(copy.entries);
      entries.assign(m.entries.begin(), m.entries.end());
      copy.type = m.type;
      copy.from = m.from;
      copy.to = m.to;
      copy.term = m.term;
      copy.index = m.index;
      copy.log_term = m.log_term;
      copy.commit = m.commit;
      copy.reject = m.reject;
      copy.context = m.context;
      copy.entries = std::move(entries);
      EXPECT_TRUE(to.Step(std::move(copy)).ok());
    }
  }

  const bool recycle_;
  MemoryLog logs_[3];
  std::vector<std::unique_ptr<Raft>> rafts_;
};

// In a steady state, by kRounds rounds of so many proposals.
constexpr int kRounds = 2000;
uint64_t Allocations(int proposals, bool recycle) {
  Trio trio(recycle);
  const Payload data = std::make_shared<const std::string>("sixteen bytes...");
  for (int i = 0; i < kRounds; ++i) trio.Round(data, proposals);
  trio.Compact();
  const uint64_t before = base::Allocations();
  for (int i = 0; i < kRounds - 1; ++i) trio.Round(data, proposals);
  const uint64_t during = base::Allocations() - before;
  EXPECT_EQ(trio.applied(1), 1u + static_cast<Index>((2 * kRounds - 1) * proposals));
  EXPECT_EQ(trio.applied(3), trio.applied(1));
  return during;
}

TEST(AllocationTest, OneProposalARoundAllocatesNothing) { EXPECT_EQ(Allocations(1, true), 0u); }

TEST(AllocationTest, ManyProposalsARoundAllocateNothing) { EXPECT_EQ(Allocations(64, true), 0u); }

// That the counter counts, and what Recycle is for.
TEST(AllocationTest, WithoutRecycleEveryRoundAllocates) {
  EXPECT_GE(Allocations(1, false), static_cast<uint64_t>(kRounds));
}

}  // namespace
}  // namespace keel::raft
