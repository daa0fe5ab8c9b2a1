#include "kvstore/server/identity.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/strings.h"

namespace keel::kvstore {
namespace {

ServerConfig ConfigOf(const std::string& name, const std::string& cluster,
                      const std::string& token) {
  ServerConfig config;
  config.name = name;
  config.initial_cluster = *ParseInitialCluster(cluster);
  config.initial_advertise_peer_urls = config.initial_cluster.at(name);
  config.initial_cluster_token = token;
  return config;
}

// The expected ids are those that Debian's etcd 3.4.23 gave itself when it was
// started with the same flags.
TEST(IdentityTest, IdsAreEtcds) {
  const auto one =
      IdentityFromConfig(ConfigOf("default", "default=http://localhost:2380", "etcd-cluster"));
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->member_id, 0x8e9e05c52164694dull);
  EXPECT_EQ(one->cluster_id, 0xcdf818194e3a8c32ull);

  const auto three = IdentityFromConfig(ConfigOf(
      "m2", "m1=http://127.0.0.1:21380,m2=http://127.0.0.1:22380,m3=http://127.0.0.1:23380",
      "tok"));
  ASSERT_TRUE(three.ok());
  EXPECT_EQ(three->cluster_id, 0xec9dd700b0959a79ull);
  EXPECT_EQ(three->member_id, 0x117b9266988c4966ull);
  ASSERT_EQ(three->initial_members.size(), 3u);
}

TEST(IdentityTest, RefusesAMemberThatInitialClusterDoesNotKnow) {
  ServerConfig config = ConfigOf("a", "a=http://h:1,b=http://h:2", "t");
  config.name = "c";
  EXPECT_NE(base::ToStd(IdentityFromConfig(config).status().message())
                .find("couldn't find local name \"c\""),
            std::string::npos);
  config.name = "b";  // whose URLs are not those advertised
  EXPECT_NE(base::ToStd(IdentityFromConfig(config).status().message())
                .find("--initial-advertise-peer-urls"),
            std::string::npos);
}

TEST(IdentityTest, DecodesWhatItEncodesAndRefusesAnyCut) {
  auto identity =
      IdentityFromConfig(ConfigOf("a b", "a b=http://h:1,b=http://h:2,b=http://h:3", "t k"));
  ASSERT_TRUE(identity.ok()) << identity.status();
  identity->contacts = {{0xc, "c d", {"http://h:4", "http://h:5"}}, {0xe, "", {"http://h:6"}}};
  const std::string text = EncodeIdentity(*identity);
  const auto back = DecodeIdentity(text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(EncodeIdentity(*back), text);
  EXPECT_EQ(back->name, "a b");
  EXPECT_EQ(back->cluster_token, "t k");
  ASSERT_EQ(back->initial_members.size(), 2u);
  ASSERT_EQ(back->contacts.size(), 2u);
  EXPECT_EQ(back->contacts[0].name, "c d");
  EXPECT_EQ(back->contacts[0].peer_urls, (std::vector<std::string>{"http://h:4", "http://h:5"}));
  EXPECT_EQ(back->contacts[1].id, 0xeu);
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(DecodeIdentity(text.substr(0, size)).ok()) << size;
  }
}

class DataDirTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/keel-datadir-XXXXXX";
    root_ = mkdtemp(pattern);
    config_ = ConfigOf("a", "a=http://h:1,b=http://h:2", "t");
    config_.data_dir = root_ + "/data";
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_;
  ServerConfig config_;
};

TEST_F(DataDirTest, RestartGoesByTheFileNotByTheFlags) {
  uint64_t id = 0;
  {
    const auto first = OpenDataDir(base::PosixFileSystem(), config_);
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_TRUE(first->first_start);
    id = first->identity.member_id;
  }
  config_.initial_cluster = *ParseInitialCluster("default=http://other:9");
  config_.name = "default";
  const auto second = OpenDataDir(base::PosixFileSystem(), config_);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_FALSE(second->first_start);
  EXPECT_EQ(second->identity.member_id, id);
  EXPECT_EQ(second->identity.name, "a");
}

TEST_F(DataDirTest, RefusesTheDirectoryOfAnother) {
  ASSERT_TRUE(OpenDataDir(base::PosixFileSystem(), config_).ok());
  config_.name_given = true;
  EXPECT_TRUE(OpenDataDir(base::PosixFileSystem(), config_).ok());
  config_.name = "b";
  auto other = OpenDataDir(base::PosixFileSystem(), config_);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(base::ToStd(other.status().message()).find(config_.data_dir), std::string::npos);
  config_.name = "a";
  config_.token_given = true;
  config_.initial_cluster_token = "u";
  other = OpenDataDir(base::PosixFileSystem(), config_);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DataDirTest, NamesTheDirectoryThatAnotherProcessHolds) {
  const auto held = OpenDataDir(base::PosixFileSystem(), config_);
  ASSERT_TRUE(held.ok());
  const auto second = OpenDataDir(base::PosixFileSystem(), config_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(base::ToStd(second.status().message()).find(config_.data_dir), std::string::npos);
}

TEST_F(DataDirTest, StopsAtADamagedIdentityAndAtEtcdsFiles) {
  ASSERT_TRUE(OpenDataDir(base::PosixFileSystem(), config_).ok());
  ASSERT_TRUE(
      base::WriteFileAtomic(base::PosixFileSystem(), config_.member_dir() + "/identity", "x").ok());
  EXPECT_EQ(OpenDataDir(base::PosixFileSystem(), config_).status().code(),
            absl::StatusCode::kDataLoss);
  std::filesystem::remove(config_.member_dir() + "/identity");
  std::filesystem::create_directories(config_.member_dir() + "/snap/db");
  EXPECT_EQ(OpenDataDir(base::PosixFileSystem(), config_).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace keel::kvstore
