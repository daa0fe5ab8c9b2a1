#include "orchestrator/keel/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/pki/authority.h"
#include "base/temp_dir.h"
#include "orchestrator/client/api_client.h"
#include "orchestrator/keel/cluster_files.h"

namespace keel::orchestrator {
namespace {

const DaemonPlan* Find(const std::vector<DaemonPlan>& plans, const std::string& name) {
  const auto found =
      std::find_if(plans.begin(), plans.end(), [&](const DaemonPlan& p) { return p.name == name; });
  return found == plans.end() ? nullptr : &*found;
}

bool Has(const DaemonPlan& plan, const std::string& word) {
  return std::find(plan.command.begin(), plan.command.end(), word) != plan.command.end();
}

TEST(PlanTest, ASmallClusterHasOneOfEach) {
  const auto plans = PlanCluster({.data_dir = "/d", .members = 1}, "/bin");
  ASSERT_EQ(plans.size(), 5u);
  for (const char* name : {"store", "apiserver", "controller-manager", "scheduler", "node"}) {
    EXPECT_NE(Find(plans, name), nullptr) << name;
  }
  EXPECT_TRUE(Has(*Find(plans, "apiserver"), "--etcd-servers=https://127.0.0.1:6543"));
  EXPECT_TRUE(Has(*Find(plans, "scheduler"), "--master=https://127.0.0.1:6443"));
  EXPECT_TRUE(Has(*Find(plans, "node"), "--nodes=3"));
}

TEST(PlanTest, SeveralInstancesAreNumberedAndKnowAllApiServers) {
  const auto plans = PlanCluster(
      {.data_dir = "/d", .apiservers = 2, .controller_managers = 2, .schedulers = 2}, "/bin");
  ASSERT_EQ(plans.size(), 3u + 2 + 2 + 2 + 1);
  const DaemonPlan* second = Find(plans, "scheduler-2");
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(Has(*second, "--master=https://127.0.0.1:6443,https://127.0.0.1:6444"));
  EXPECT_EQ(Find(plans, "node")->stage, 2);
}

TEST(PlanTest, NoPortIsUsedTwiceEvenByTheLargestCluster) {
  const auto plans = PlanCluster(
      {.data_dir = "/d", .members = 5, .apiservers = 9, .controller_managers = 9, .schedulers = 9},
      "/bin");
  std::set<uint16_t> ports;
  size_t count = 0;
  for (const DaemonPlan& plan : plans) {
    for (const uint16_t port : plan.ports) {
      ports.insert(port);
      ++count;
    }
  }
  EXPECT_EQ(ports.size(), count);
}

TEST(PlanTest, RefusesWhatMakesNoSense) {
  EXPECT_TRUE((ClusterOptions{}.Validate().ok()));
  EXPECT_FALSE((ClusterOptions{.members = 2}.Validate().ok()));
  EXPECT_FALSE((ClusterOptions{.apiservers = 0}.Validate().ok()));
  EXPECT_FALSE((ClusterOptions{.port = 80}.Validate().ok()));
  EXPECT_FALSE((ClusterOptions{.nodes = 100000}.Validate().ok()));
}

TEST(ClusterFilesTest, AreWrittenOnceAndGoodForAClient) {
  const base::TempDir dir;
  const ClusterOptions options{.data_dir = dir.path() + "/c"};
  ASSERT_TRUE(WriteClusterFiles(options).ok());
  const ClusterFiles files(options.data_dir);
  for (const std::string& path : {files.kubeconfig, files.Kubeconfig("node"), files.account_key,
                                  files.encryption_config, files.pki + "/store.key"}) {
    ASSERT_TRUE(std::filesystem::exists(path)) << path;
    EXPECT_EQ(std::filesystem::status(path).permissions() & std::filesystem::perms::all,
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write)
        << path;
  }
  const auto config = ClientConfig::FromKubeconfig(files.kubeconfig);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->servers, std::vector<std::string>{"https://127.0.0.1:6443"});

  const auto before = base::ReadKeyPair(files.pki + "/apiserver");
  ASSERT_TRUE(WriteClusterFiles(options).ok());
  const auto after = base::ReadKeyPair(files.pki + "/apiserver");
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_EQ(before->key, after->key);
}

}  // namespace
}  // namespace keel::orchestrator
