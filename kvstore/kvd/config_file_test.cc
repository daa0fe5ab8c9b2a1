#include "kvstore/kvd/config_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/strings.h"
#include "kvstore/kvd/flags.h"

namespace keel::kvstore {
namespace {

std::string Refusal(const std::string& text) {
  const auto entries = ParseConfigFile("kvd.yml", text);
  EXPECT_FALSE(entries.ok()) << text;
  return std::string(base::ToStd(entries.status().message()));
}

class TempFile {
 public:
  explicit TempFile(const std::string& text) {
    path_ =
        (std::filesystem::temp_directory_path() / base::StrCat("keel-config-", getpid())).string();
    std::ofstream(path_) << text;
  }
  ~TempFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(ConfigFileTest, KeysAreFlags) {
  const auto entries = ParseConfigFile("kvd.yml",
                                       "# a member\n"
                                       "name: 'a'\n"
                                       "\n"
                                       "snapshot-count: 5000\n"
                                       "strict-reconfig-check: false\n"
                                       "log-outputs: [stderr, /tmp/x]\n"
                                       "discovery:\n"
                                       "watch-progress-notify-interval: 5000000\n"
                                       "peer-transport-security:\n"
                                       "  cert-file: /c\n"
                                       "client-transport-security:\n"
                                       "  trusted-ca-file: /ca\n");
  ASSERT_TRUE(entries.ok()) << entries.status();
  std::string all;
  for (const ConfigEntry& entry : *entries) {
    all += base::StrCat(entry.line, " ", entry.flag, "=", entry.value, "\n");
  }
  EXPECT_EQ(all,
            "2 name=a\n4 snapshot-count=5000\n5 strict-reconfig-check=false\n"
            "6 log-outputs=stderr,/tmp/x\n8 watch-progress-notify-interval=5000000ns\n"
            "10 peer-cert-file=/c\n12 trusted-ca-file=/ca\n");
}

TEST(ConfigFileTest, EveryKeyOfEtcdStandsForAFlag) {
  std::ifstream keys("testdata/etcd_yaml_keys.txt");  // ctest runs in the source folder
  int count = 0;
  for (std::string line; std::getline(keys, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t dot = line.find('.'), space = line.find(' ');
    const std::string text =
        base::StrCat(line.substr(0, dot), ":\n  ", line.substr(dot + 1, space - dot - 1), ": x\n");
    const auto entries = ParseConfigFile("kvd.yml", text);
    ASSERT_TRUE(entries.ok()) << line << entries.status();
    ASSERT_EQ(entries->size(), 1u) << line;
    EXPECT_EQ(entries->front().flag, line.substr(space + 1));
    ++count;
  }
  EXPECT_GE(count, 30);
  // All others are names of flags.
  for (const FlagSpec& flag : AllFlags()) {
    if (flag.name == "config-file") continue;
    const auto entries = ParseConfigFile("kvd.yml", base::StrCat(flag.name, ": x\n"));
    ASSERT_TRUE(entries.ok()) << flag.name << entries.status();
    EXPECT_EQ(entries->front().flag, flag.name);
  }
}

TEST(ConfigFileTest, AMistakeIsNamedWithFileAndLine) {
  EXPECT_EQ(Refusal("name: a\nsnapshot-cuont: 5\n"),
            "config file kvd.yml:2: unknown key \"snapshot-cuont\"; did you mean "
            "\"snapshot-count\"?");
  EXPECT_EQ(Refusal("peer-transport-security:\n  cert-fil: x\n"),
            "config file kvd.yml:2: unknown key \"cert-fil\"; did you mean \"cert-file\"?");
  EXPECT_EQ(Refusal("name: a\nname: b\n"), "config file kvd.yml:2: key \"name\" is given twice");
  EXPECT_EQ(Refusal("config-file: x\n"), "config file kvd.yml:1: unknown key \"config-file\"");
  EXPECT_EQ(Refusal("name: {a: b}\n"), "config file kvd.yml:1: name must have one value");
  EXPECT_EQ(Refusal("just words\n"), "config file kvd.yml:1: keys with values are expected");
  EXPECT_EQ(Refusal("name: a\n  x: [\n").rfind("config file kvd.yml:2: ", 0), 0u);
}

TEST(ConfigFileTest, StandsForAllFlagsAndVariables) {
  const TempFile file("name: from-file\nmax-txn-ops: 7\nfeature-gates: InitialCorruptCheck=true\n");
  const auto parsed =
      ParseFlags({"--config-file", file.path(), "--name", "flag"}, {{"ETCD_MAX_TXN_OPS", "9"}});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->config.name, "from-file");
  EXPECT_EQ(parsed->config.max_txn_ops, 7u);
  EXPECT_TRUE(parsed->config.initial_corrupt_check);
  EXPECT_EQ(parsed->warnings.size(), 2u);
  EXPECT_TRUE(ParseFlags({}, {{"ETCD_CONFIG_FILE", file.path()}})->config.max_txn_ops == 7u);
}

TEST(ConfigFileTest, BadValuesAndMissingFilesAreNamed) {
  const TempFile file("name: a\nsnapshot-count: many\n");
  EXPECT_EQ(base::ToStd(ParseFlags({"--config-file", file.path()}, {}).status().message()),
            base::StrCat("invalid value \"many\" for snapshot-count (", file.path(),
                         ":2): not a whole number"));
  const auto missing = ParseFlags({"--config-file", "/nowhere/kvd.yml"}, {});
  EXPECT_NE(missing.status().ToString().find("/nowhere/kvd.yml"), std::string::npos);
}

TEST(FeatureGatesTest, AreReadAsEtcdReadsThem) {
  EXPECT_TRUE(ParseFeatureGates("")->Enabled("TxnModeWriteWithSharedBuffer"));
  EXPECT_FALSE(ParseFeatureGates("")->Enabled("InitialCorruptCheck"));
  const auto gates = ParseFeatureGates("LeaseCheckpoint=false,AllAlpha=true");
  EXPECT_TRUE(gates->Enabled("CompactHashCheck"));
  EXPECT_FALSE(gates->Enabled("LeaseCheckpoint"));
  EXPECT_NE(gates->Exposition().find(
                "etcd_server_feature_enabled{name=\"CompactHashCheck\",stage=\"ALPHA\"} 1\n"),
            std::string::npos);
  EXPECT_EQ(ParseFeatureGates("Nonsense=true").status().message(),
            "unrecognized feature gate: Nonsense");
  EXPECT_EQ(ParseFeatureGates("CompactHashCheck").status().message(),
            "missing bool value for CompactHashCheck");
  EXPECT_FALSE(ParseFeatureGates("CompactHashCheck=perhaps").ok());
}

}  // namespace
}  // namespace keel::kvstore
