#include <gtest/gtest.h>
#include <unistd.h>

#include "base/temp_dir.h"
#include "orchestrator/keel/cluster_state.h"
#include "orchestrator/keel/process.h"

namespace keel::orchestrator {
namespace {

TEST(ClusterStateTest, ReadsWhatWasWritten) {
  const base::TempDir dir;
  const std::string path = dir.path() + "/state.json";
  ClusterState state{.keel_pid = 7, .ready = true};
  state.options = {.members = 5, .schedulers = 2, .nodes = 9, .port = 7000};
  state.daemons.push_back({.name = "store-1",
                           .pid = 8,
                           .restarts = 3,
                           .ports = {1, 2},
                           .last_end = "signal 9 (Killed)",
                           .log = "/l",
                           .program = "/p"});
  ASSERT_TRUE(WriteState(path, state).ok());
  const absl::StatusOr<ClusterState> read = ReadState(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->keel_pid, 7);
  EXPECT_TRUE(read->ready);
  EXPECT_EQ(read->options.members, 5u);
  EXPECT_EQ(read->options.schedulers, 2u);
  EXPECT_EQ(read->options.nodes, 9u);
  EXPECT_EQ(read->options.port, 7000);
  ASSERT_EQ(read->daemons.size(), 1u);
  EXPECT_EQ(read->daemons[0].ports, (std::vector<uint16_t>{1, 2}));
  EXPECT_EQ(read->daemons[0].last_end, "signal 9 (Killed)");
  const std::string table = StatusTable(*read);
  EXPECT_NE(table.find("store-1"), std::string::npos);
  EXPECT_NE(table.find("stopped"), std::string::npos);
}

TEST(ClusterStateTest, OfNoClusterIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(ReadState("/nowhere/state.json").status()));
}

TEST(ClusterStateTest, AnotherProgramsProcessIsNoCluster) {
  EXPECT_FALSE(IsUp({.keel_pid = 1}));
  EXPECT_FALSE(IsUp({}));
}

TEST(ProcessTest, KnowsItself) {
  EXPECT_NE(ProgramOf(getpid()).find("orchestrator_keel_test"), std::string::npos);
  EXPECT_GT(ProportionalMemoryKib(getpid()).value_or(0), 100u);
}

}  // namespace
}  // namespace keel::orchestrator
