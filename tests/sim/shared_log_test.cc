// The log of many groups on a disk that loses, tears and reorders what was not
// synced: after any crash it reads back as it stood after some operation that
// was given to it, and never after one before the last acknowledged.
#include "raft/log/shared_log.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>

#include "base/log.h"
#include "base/manual_loop.h"
#include "base/strings.h"
#include "tests/sim/disk.h"

namespace keel::sim {
namespace {

using namespace keel::raft;  // NOLINT: it is the log of that folder that is tested

struct GroupModel {
  LogPoint base;
  std::vector<Entry> entries;
  Term term = 0;

  Index last() const { return base.index + entries.size(); }
};

bool SameEntries(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].term != b[i].term || a[i].index != b[i].index || *a[i].data != *b[i].data) {
      return false;
    }
  }
  return true;
}

using Model = std::map<GroupId, GroupModel>;

class SharedLogLife {
 public:
  explicit SharedLogLife(uint64_t seed) : random_(seed), disk_({.seed = seed}) {
    states_.push_back({});
  }

  void Run(int lives) {
    for (int life = 0; life < lives && !::testing::Test::HasFatalFailure(); ++life) {
      DiskFaults faults;
      if (Below(3) == 0) faults.sync_error_ppm = 5000;
      disk_.set_faults(faults);
      disk_.DieAfter(1 + Below(Below(4) == 0 ? 2000 : 150));
      base::ManualLoop loop;
      loop_ = &loop;
      error_ = absl::OkStatus();
      if (Open()) {
        Check();
        for (int i = 0; i < 400 && error_.ok() && !::testing::Test::HasFatalFailure(); ++i) {
          Step();
          // Writes end while others are on their way.
          for (uint64_t n = Below(8); n > 0 && loop.RunOne();) --n;
          if (Below(20) == 0) loop.RunUntilIdle();
        }
        moved += log_->stats().moved_bytes;
        freed += log_->stats().freed_segments;
      }
      logs_.clear();
      log_.reset();
      disk_.Die();
      disk_.Crash(Below(4) == 0 ? SimDisk::CrashKind::kProcess : SimDisk::CrashKind::kPower);
    }
    // And once with nothing going wrong.
    disk_.set_faults({});
    base::ManualLoop loop;
    loop_ = &loop;
    ASSERT_TRUE(Open());
    Check();
    logs_.clear();
    log_.reset();
  }

  uint64_t moved = 0;
  uint64_t freed = 0;
  uint64_t opened = 0;
  uint64_t lost = 0;  // operations that a crash undid

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }

  bool Open() {
    SharedLogOptions options;
    options.dir = "/log";
    options.fs = &disk_;
    options.loop = options.write_loop = loop_;
    options.cluster_id = 1;
    options.member_id = 2;
    options.segment_bytes = 16 << 10;
    options.memory_bytes = 4 << 10;
    options.random = [this] { return random_(); };
    options.on_error = [this](absl::Status status) { error_ = std::move(status); };
    auto opened_log = SharedLog::Open(options);
    if (!opened_log.ok()) {
      // Only because the disk failed; never because of what lies on it.
      EXPECT_NE(opened_log.status().code(), absl::StatusCode::kDataLoss) << opened_log.status();
      return false;
    }
    ++opened;
    log_ = *std::move(opened_log);
    return true;
  }

  GroupLog& Log(GroupId id) {
    auto& log = logs_[id];
    if (log == nullptr) {
      auto opened_log = log_->OpenGroup(id, {});
      EXPECT_TRUE(opened_log.ok()) << opened_log.status();
      log = *std::move(opened_log);
    }
    return *log;
  }

  // Compares what was read back with every state it may be in.
  void Check() {
    Model found;
    for (const GroupId id : log_->Groups()) {
      GroupLog& log = Log(id);
      GroupModel& group = found[id];
      const auto term = log.TermAt(log.FirstIndex() - 1);
      ASSERT_TRUE(term.ok()) << term.status();
      group.base = {log.FirstIndex() - 1, *term};
      group.term = log.hard_state().term;
      ASSERT_LE(log.hard_state().commit, log.LastIndex());
      if (log.LastIndex() >= log.FirstIndex()) {
        auto entries = log.Entries(log.FirstIndex(), log.LastIndex() + 1, UINT64_MAX);
        if (disk_.dead()) return;  // It died in the middle of reading.
        ASSERT_TRUE(entries.ok()) << entries.status();
        group.entries = *std::move(entries);
      }
    }
    std::string why;
    for (size_t k = 0; k < states_.size(); ++k) {
      // The operation after it may be there in part.
      const Model& now = states_[k];
      const Model& next = states_[std::min(k + 1, states_.size() - 1)];
      if (!Fits(found, now, next, &why)) continue;
      lost += states_.size() - 1 - k;
      states_ = {found};
      return;
    }
    FAIL() << "none of " << states_.size() << " states fits; the last: " << why;
  }

  static bool Fits(const Model& found, const Model& now, const Model& next, std::string* why) {
    for (const Model* model : {&now, &next}) {
      for (const auto& [id, group] : *model) {
        const bool may_lack = now.count(id) == 0 || next.count(id) == 0;
        if (found.count(id) == 0 && !may_lack) {
          *why = base::StrCat("group ", id, " is missing");
          return false;
        }
      }
    }
    for (const auto& [id, group] : found) {
      bool fits = false;
      for (const Model* model : {&now, &next}) {
        const auto it = model->find(id);
        if (it == model->end()) continue;
        const GroupModel& want = it->second;
        bool term = false;
        for (const Model* other : {&now, &next}) {
          const auto at = other->find(id);
          term |= at != other->end() && at->second.term == group.term;
        }
        fits |= term && group.base == want.base && SameEntries(group.entries, want.entries);
      }
      if (!fits) {
        *why = base::StrCat("group ", id, " base ", group.base.index, " entries ",
                            group.entries.size(), " term ", group.term);
        return false;
      }
    }
    return true;
  }

  // The states before `state` are none of what may be read back any more.
  std::function<void()> Acknowledge(uint64_t number) {
    return [this, number] {
      while (first_state_ < number) {
        states_.pop_front();
        ++first_state_;
      }
    };
  }

  void Step() {
    if (states_.size() == 1) first_state_ = 0;
    // Groups with low numbers are busy; the others mostly sleep.
    const GroupId id = 1 + std::min(Below(8), Below(8));
    Model model = states_.back();
    if (model.count(id) == 0) {
      model[id] = {};
      states_.push_back(model);
      (void)Log(id);
    }
    GroupModel& group = model[id];
    const uint64_t number = first_state_ + states_.size();
    LogWrite write;
    const uint64_t what = Below(16);
    if (what < 11) {
      Index index = group.last() + 1;
      if (Below(6) == 0) index -= Below(std::min<uint64_t>(group.entries.size(), 4) + 1);
      group.term = ++term_;
      std::string data = base::StrCat(id, ":", index, "@", term_, ":");
      data.resize(data.size() + Below(600), 'x');
      const Entry entry{term_, index, EntryType::kNormal,
                        std::make_shared<const std::string>(std::move(data))};
      group.entries.resize(index - group.base.index - 1);
      group.entries.push_back(entry);
      write.entries.push_back(entry);
      write.hard_state = HardState{term_, 2, group.base.index};
      states_.push_back(model);
      Log(id).Append(std::move(write), Acknowledge(number));
    } else if (what < 14) {
      if (id > 4 || group.entries.empty()) return;
      const size_t count = 1 + Below(group.entries.size());
      group.base = {group.base.index + count, group.entries[count - 1].term};
      group.entries.erase(group.entries.begin(), group.entries.begin() + static_cast<long>(count));
      states_.push_back(model);
      Log(id).Truncate(group.base.index);
    } else if (what == 14) {
      group.term = ++term_;
      group.base = {group.last() + 1 + Below(5), term_};
      group.entries.clear();
      write.reset = group.base;
      write.hard_state = HardState{term_, 2, group.base.index};
      states_.push_back(model);
      Log(id).Append(std::move(write), Acknowledge(number));
    } else if (Below(4) == 0) {
      logs_.erase(id);
      model.erase(id);
      states_.push_back(model);
      ASSERT_TRUE(log_->RemoveGroup(id, Acknowledge(number)).ok());
    }
  }

  std::mt19937_64 random_;
  SimDisk disk_;
  base::ManualLoop* loop_ = nullptr;
  absl::Status error_;
  std::unique_ptr<SharedLog> log_;
  std::map<GroupId, std::unique_ptr<GroupLog>> logs_;
  // What may be read back: after the last acknowledged operation, after the next, …
  std::deque<Model> states_;
  uint64_t first_state_ = 0;  // number of states_.front()
  Term term_ = 1;
};

TEST(SharedLogSimTest, EveryCrashLeavesWhatWasAcknowledged) {
  (void)base::SetLogLevel("panic");
  uint64_t moved = 0, freed = 0, opened = 0, lost = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    SharedLogLife life(seed);
    life.Run(30);
    if (HasFatalFailure()) return;
    moved += life.moved;
    freed += life.freed;
    opened += life.opened;
    lost += life.lost;
  }
  // The hard parts did happen.
  EXPECT_GT(opened, 2000u);
  EXPECT_GT(moved, 100'000u);
  EXPECT_GT(freed, 200u);
  EXPECT_GT(lost, 1000u);
  std::printf("opened=%llu moved_bytes=%llu freed_segments=%llu undone=%llu\n",
              static_cast<unsigned long long>(opened), static_cast<unsigned long long>(moved),
              static_cast<unsigned long long>(freed), static_cast<unsigned long long>(lost));
}

// Killed between writing that segments are not needed and the sync: they must stay
// until that is durable.
TEST(SharedLogSimTest, SegmentsGoOnlyOnceItIsDurableThatTheyMay) {
  SharedLogLife life(2023);
  life.Run(30);
}

// Killed inside its first mkdir: the folder is there, but nobody had synced its name.
TEST(SharedLogSimTest, FolderOfARunThatWasKilledWhileMakingItIsMadeDurable) {
  SharedLogLife life(1032);
  life.Run(30);
}

}  // namespace
}  // namespace keel::sim
