// Random operations on random groups, closed and crashed at random, against a
// model in memory.
#include <gtest/gtest.h>

#include <random>

#include "raft/log/shared_test_util.h"

namespace keel::raft {
namespace {

struct ModelGroup {
  LogPoint base;
  std::vector<Entry> entries;
  HardState hard_state;
};

class Model {
 public:
  Model(uint64_t seed, const std::string& dir) : random_(seed), dir_(dir) {}

  void Run(int steps) {
    Reopen();
    for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) {
      Step();
      if (Below(8) == 0) t_.loop.RunUntilIdle();
      if (Below(40) == 0) Reopen();
    }
    Reopen();
  }
  uint64_t moved_bytes() const { return moved_bytes_; }
  uint64_t freed() const { return freed_; }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }

  void Step() {
    // Groups with low numbers are busy; the others mostly sleep.
    const GroupId id = 1 + std::min(Below(12), Below(12));
    ModelGroup& group = model_[id];
    GroupLog& log = t_.Group(id);
    const Index last = group.base.index + group.entries.size();
    const uint64_t what = Below(20);
    LogWrite write;
    if (what < 13) {
      // Append, replacing the end now and then.
      Index first = last + 1;
      if (Below(6) == 0) first -= Below(std::min<uint64_t>(group.entries.size(), 5) + 1);
      const Term term = ++term_;
      write.entries = MakeEntries(first, first + Below(4), term, Below(900));
      group.entries.resize(first - group.base.index - 1);
      for (const Entry& e : write.entries) group.entries.push_back(e);
      group.hard_state = {term, 0xa1, group.base.index};
      write.hard_state = group.hard_state;
      log.Append(std::move(write), nullptr);
    } else if (what < 18) {
      if (id > 6 || group.entries.empty()) return;
      const Index at = group.base.index + 1 + Below(group.entries.size());
      const size_t count = at - group.base.index;
      group.base = {at, group.entries[count - 1].term};
      group.entries.erase(group.entries.begin(), group.entries.begin() + static_cast<long>(count));
      log.Truncate(at);
    } else if (what == 18) {
      group.base = {last + 1 + Below(20), ++term_};
      group.entries.clear();
      group.hard_state = {term_, 0xa1, group.base.index};
      write.reset = group.base;
      write.hard_state = group.hard_state;
      log.Append(std::move(write), nullptr);
    } else if (Below(4) == 0) {
      t_.groups.erase(id);
      ASSERT_TRUE(t_.log->RemoveGroup(id, nullptr).ok());
      model_.erase(id);
    }
  }

  void Reopen() {
    t_.loop.RunUntilIdle();
    if (t_.log) {
      moved_bytes_ += t_.log->stats().moved_bytes;
      freed_ += t_.log->stats().freed_segments;
    }
    SharedLogOptions options = TestSharedLog::Options(dir_);
    options.memory_bytes = 8 << 10;
    const absl::Status status = t_.Open(options);
    ASSERT_TRUE(status.ok()) << status;
    std::vector<GroupId> ids;
    for (const auto& [id, group] : model_) ids.push_back(id);
    ASSERT_EQ(t_.log->Groups(), ids);
    for (const auto& [id, group] : model_) {
      GroupLog& log = t_.Group(id);
      ASSERT_EQ(log.FirstIndex(), group.base.index + 1) << id;
      ASSERT_EQ(*log.TermAt(group.base.index), group.base.term) << id;
      ExpectSame(t_.All(id), group.entries);
      HardState want = group.hard_state;
      want.commit = std::max(want.commit, group.base.index);
      ASSERT_EQ(log.hard_state().term, want.term) << id;
      ASSERT_EQ(log.hard_state().vote, want.vote) << id;
      ASSERT_EQ(log.hard_state().commit, want.commit) << id;
    }
  }

  std::mt19937_64 random_;
  const std::string dir_;
  TestSharedLog t_;
  std::map<GroupId, ModelGroup> model_;
  Term term_ = 1;
  uint64_t moved_bytes_ = 0;
  uint64_t freed_ = 0;
};

TEST(SharedLogModelTest, ReadsBackWhatTheModelHolds) {
  uint64_t moved = 0, freed = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    TempDir dir("shared_model_test");
    Model model(seed, dir.path() + "/log");
    model.Run(600);
    if (HasFatalFailure()) return;
    moved += model.moved_bytes();
    freed += model.freed();
  }
  // The hard part did happen.
  EXPECT_GT(moved, 100'000u);
  EXPECT_GT(freed, 100u);
}

}  // namespace
}  // namespace keel::raft
