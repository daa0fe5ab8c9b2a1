#include "orchestrator/keel/supervisor.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <map>

#include "base/manual_loop.h"

namespace keel::orchestrator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kSignalled9 = SIGKILL;  // as waitpid gives it

class FakeLauncher final : public Launcher {
 public:
  absl::StatusOr<pid_t> Launch(const DaemonPlan& plan) override {
    if (broken.contains(plan.name)) return absl::NotFoundError("no program");
    launched.push_back(plan.name);
    running[next] = plan.name;
    return next++;
  }
  void Signal(pid_t pid, int number) override { signals.emplace_back(running[pid], number); }
  pid_t PidOf(const std::string& name) const {
    for (const auto& [pid, known] : running) {
      if (known == name) return pid;
    }
    return 0;
  }

  pid_t next = 100;
  std::map<std::string, bool> broken;
  std::map<pid_t, std::string> running;
  std::vector<std::string> launched;
  std::vector<std::pair<std::string, int>> signals;
};

class SupervisorTest : public testing::Test {
 protected:
  SupervisorTest() {
    for (int stage : {0, 1, 2}) supervisor_.StartStage(stage);
  }
  static std::vector<DaemonPlan> Plans() {
    return {{.name = "store", .stage = 0},
            {.name = "apiserver", .stage = 1},
            {.name = "scheduler", .stage = 2},
            {.name = "node", .stage = 2}};
  }
  void End(const std::string& name, int status = kSignalled9) {
    const pid_t pid = launcher_.PidOf(name);
    launcher_.running.erase(pid);
    supervisor_.Exited(pid, status);
    loop_.Advance({});
  }
  size_t Launches(const std::string& name) {
    return static_cast<size_t>(
        std::count(launcher_.launched.begin(), launcher_.launched.end(), name));
  }

  base::ManualLoop loop_;
  FakeLauncher launcher_;
  std::vector<std::string> said_;
  Supervisor supervisor_{loop_, launcher_, Plans(), {.on_event = [this](const std::string& line) {
                           said_.push_back(line);
                         }}};
};

TEST_F(SupervisorTest, StartsEachDaemonOnce) {
  EXPECT_EQ(launcher_.launched,
            (std::vector<std::string>{"store", "apiserver", "scheduler", "node"}));
  supervisor_.StartStage(0);
  EXPECT_EQ(launcher_.launched.size(), 4u);
}

TEST_F(SupervisorTest, StartsWhatDiesAtOnceAndSaysSo) {
  loop_.Advance(seconds(100));
  End("scheduler");
  EXPECT_EQ(Launches("scheduler"), 2u);
  ASSERT_EQ(said_.size(), 2u);
  EXPECT_NE(said_[0].find("died: signal 9 (Killed)"), std::string::npos) << said_[0];
  EXPECT_NE(said_[1].find("scheduler started again as process"), std::string::npos) << said_[1];
  EXPECT_EQ(supervisor_.daemons()[2].restarts, 1);
}

TEST_F(SupervisorTest, WhatKeepsDyingWaitsLongerEachTime) {
  End("apiserver", 1 << 8);
  EXPECT_EQ(Launches("apiserver"), 2u);
  End("apiserver", 1 << 8);
  EXPECT_EQ(Launches("apiserver"), 2u);
  loop_.Advance(milliseconds(500));
  EXPECT_EQ(Launches("apiserver"), 3u);
  End("apiserver", 1 << 8);
  loop_.Advance(milliseconds(999));
  EXPECT_EQ(Launches("apiserver"), 3u);
  loop_.Advance(milliseconds(1));
  EXPECT_EQ(Launches("apiserver"), 4u);
  for (int i = 0; i < 10; ++i) {
    End("apiserver", 1 << 8);
    loop_.Advance(seconds(30));
  }
  EXPECT_EQ(Launches("apiserver"), 14u);  // Never longer than half a minute.
  loop_.Advance(seconds(60));             // It stays up: all is forgiven.
  End("apiserver", 1 << 8);
  EXPECT_EQ(Launches("apiserver"), 15u);
}

TEST_F(SupervisorTest, AProgramThatCannotBeStartedIsTriedAgain) {
  launcher_.broken["node"] = true;
  End("node");
  launcher_.broken.clear();
  loop_.Advance(seconds(1));
  EXPECT_EQ(Launches("node"), 2u);
}

TEST_F(SupervisorTest, StopsTheLastStageFirstAndWaitsForEach) {
  bool stopped = false;
  supervisor_.Stop([&] { stopped = true; });
  EXPECT_EQ(launcher_.signals,
            (std::vector<std::pair<std::string, int>>{{"scheduler", SIGTERM}, {"node", SIGTERM}}));
  End("node", 0);
  EXPECT_EQ(launcher_.signals.size(), 2u);
  End("scheduler", 0);
  ASSERT_EQ(launcher_.signals.size(), 3u);
  EXPECT_EQ(launcher_.signals[2].first, "apiserver");
  End("apiserver", 0);
  EXPECT_FALSE(stopped);
  End("store", 0);
  EXPECT_TRUE(stopped);
  loop_.Advance(seconds(100));
  EXPECT_EQ(launcher_.launched.size(), 4u);
}

TEST_F(SupervisorTest, KillsWhatDoesNotStop) {
  supervisor_.Stop([] {});
  End("node", 0);
  loop_.Advance(seconds(15));
  EXPECT_EQ(launcher_.signals.back(), (std::pair<std::string, int>{"scheduler", SIGKILL}));
}

TEST_F(SupervisorTest, AStopWhileADaemonWaitsForItsRestartEnds) {
  End("node");
  End("node");
  bool stopped = false;
  supervisor_.Stop([&] { stopped = true; });
  for (const char* name : {"scheduler", "apiserver", "store"}) End(name, 0);
  EXPECT_TRUE(stopped);
  loop_.Advance(seconds(100));
  EXPECT_EQ(Launches("node"), 2u);
}

}  // namespace
}  // namespace keel::orchestrator
