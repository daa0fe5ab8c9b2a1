#include "kvstore/server/join.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace keel::kvstore {
namespace {

ServerConfig ConfigOf(const std::string& name, const std::string& cluster) {
  ServerConfig config;
  config.name = name;
  config.initial_cluster = *ParseInitialCluster(cluster);
  config.initial_advertise_peer_urls = config.initial_cluster.at(name);
  return config;
}

TEST(JoinTest, AsksOnUntilOneKnowsUs) {
  const std::string line = "m1=http://a:1,m2=http://b:1,m3=http://c:1,m4=http://d:1";
  const auto first = IdentityFromConfig(ConfigOf("m2", "m2=http://b:1"));
  ASSERT_TRUE(first.ok());
  const Member m2{first->member_id, "m2", {"http://b:1"}, {}, false};
  const std::string behind = EncodeClusterInfo(*first, {m2});
  const std::string knows = EncodeClusterInfo(*first, {m2, {4, "", {"http://d:1"}, {}, true}});
  std::vector<std::string> asked;
  const auto ask = [&](const std::string& address) -> absl::StatusOr<std::string> {
    asked.push_back(address);
    if (asked.size() == 1) return absl::UnavailableError("it is down");
    return asked.size() == 2 ? behind : knows;
  };
  const auto joined = IdentityFromCluster(ConfigOf("m4", line), ask);
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(joined->member_id, 4u);
  EXPECT_EQ(asked.size(), 3u);

  // Nobody does.
  const auto stranger = IdentityFromCluster(
      ConfigOf("m4", line),
      [&](const std::string&) -> absl::StatusOr<std::string> { return behind; });
  EXPECT_TRUE(absl::IsFailedPrecondition(stranger.status())) << stranger.status();
}

}  // namespace
}  // namespace keel::kvstore
