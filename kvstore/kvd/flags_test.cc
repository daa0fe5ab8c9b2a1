#include "kvstore/kvd/flags.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "base/strings.h"

namespace keel::kvstore {
namespace {

using Environment = std::map<std::string, std::string>;

ServerConfig Parse(const std::vector<std::string>& args, const Environment& environment = {}) {
  auto parsed = ParseFlags(args, environment);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? parsed->config : ServerConfig();
}

std::string Refusal(const std::vector<std::string>& args, const Environment& environment = {}) {
  auto parsed = ParseFlags(args, environment);
  EXPECT_FALSE(parsed.ok());
  return std::string(base::ToStd(parsed.status().message()));
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(FlagsTest, DefaultsAreEtcds) {
  const ServerConfig config = Parse({});
  EXPECT_EQ(config.name, "default");
  EXPECT_EQ(config.data_dir, "default.etcd");
  EXPECT_EQ(JoinUrls(config.listen_client_urls), "http://localhost:2379");
  EXPECT_EQ(JoinUrls(config.listen_peer_urls), "http://localhost:2380");
  EXPECT_EQ(JoinUrls(config.initial_cluster.at("default")), "http://localhost:2380");
  EXPECT_EQ(config.max_txn_ops, 128u);
  EXPECT_EQ(config.max_request_bytes, 1572864u);
  EXPECT_EQ(config.election_ticks(), 10u);
  EXPECT_EQ(Parse({"--name", "x"}).data_dir, "x.etcd");
}

TEST(FlagsTest, TakesEveryFormThatGoTakes) {
  EXPECT_EQ(Parse({"-name", "a"}).name, "a");
  EXPECT_EQ(Parse({"--name", "a"}).name, "a");
  EXPECT_EQ(Parse({"-name=a"}).name, "a");
  EXPECT_EQ(Parse({"--name=a=b"}).name, "a=b");
  EXPECT_FALSE(Parse({"--strict-reconfig-check=false", "--name=a"}).strict_reconfig_check);
  EXPECT_TRUE(Parse({"--strict-reconfig-check", "--name=a"}).strict_reconfig_check);
  EXPECT_TRUE(Has(Refusal({"--strict-reconfig-check", "false"}), "'false' is not a valid flag"));
  EXPECT_TRUE(Has(Refusal({"--name"}), "needs a value"));
  EXPECT_TRUE(Has(Refusal({"name"}), "not a valid flag"));
}

TEST(FlagsTest, FlagWinsOverEnvironment) {
  const Environment environment = {{"ETCD_NAME", "env"}, {"ETCD_MAX_TXN_OPS", "7"}};
  const ServerConfig config = Parse({"--name=flag"}, environment);
  EXPECT_EQ(config.name, "flag");
  EXPECT_EQ(config.max_txn_ops, 7u);
}

TEST(FlagsTest, WarnsOfUnknownVariablesAndOfFlagsWithoutEffect) {
  const auto parsed = ParseFlags({"--logger=zap"}, {{"ETCD_NO_SUCH", "1"}, {"ETCDCTL_API", "3"}});
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->warnings.size(), 2u);
  EXPECT_TRUE(Has(parsed->warnings[0], "ETCD_NO_SUCH"));
  EXPECT_TRUE(Has(parsed->warnings[1], "--logger has no effect"));
}

TEST(FlagsTest, UnknownFlagSuggestsTheNearest) {
  EXPECT_TRUE(
      Has(Refusal({"--listen-client-url=http://x:1"}), "did you mean --listen-client-urls?"));
  EXPECT_TRUE(Has(Refusal({"--no-such-thing-at-all"}), "unknown flag --no-such-thing-at-all"));
}

TEST(FlagsTest, RefusesWhatWouldBeUnsafeToIgnore) {
  for (const char* arg : {"--discovery=http://x", "--proxy=on", "--unsafe-no-fsync=true"}) {
    EXPECT_TRUE(Has(Refusal({arg}), "is refused")) << arg;
  }
  Parse({"--auth-token=simple", "--force-new-cluster=false", "--proxy=off"});
}

TEST(FlagsTest, TlsNeedsCertificates) {
  EXPECT_TRUE(Has(Refusal({"--listen-peer-urls=https://127.0.0.1:1"}),
                  "cannot listen on TLS for 127.0.0.1:1: KeyFile and CertFile are not presented"));
  const std::string urls = "--listen-client-urls=https://127.0.0.1:1,http://127.0.0.1:2";
  const std::string advertise = "--advertise-client-urls=https://127.0.0.1:1";
  EXPECT_TRUE(Has(Refusal({urls, advertise}),
                  "must be provided for client url https://127.0.0.1:1 with HTTPS scheme"));
  EXPECT_TRUE(Has(Refusal({urls, advertise, "--cert-file=/c"}),
                  "KeyFile and CertFile must both be present[key: , cert: /c]"));
  EXPECT_TRUE(Has(Refusal({"--tls-min-version=TLS1.0"}), "unexpected TLS version"));
  EXPECT_TRUE(Parse({urls, advertise, "--auto-tls"}).auto_tls);

  const ServerConfig config =
      Parse({urls, advertise, "--cert-file=/c", "--key-file=/k", "--client-crl-file=/r",
             "--client-cert-allowed-hostname=a.example,b.example", "--tls-max-version=TLS1.2",
             "--peer-trusted-ca-file=/p", "--peer-cert-allowed-cn=x"},
            {{"ETCD_TRUSTED_CA_FILE", "/t"}});
  EXPECT_EQ(config.client_tls.cert_file, "/c");
  EXPECT_EQ(config.client_tls.key_file, "/k");
  EXPECT_EQ(config.client_tls.trusted_ca_file, "/t");
  EXPECT_TRUE(config.client_tls.require_client_cert);  // for a CA was named
  EXPECT_EQ(config.client_tls.crl_file, "/r");
  EXPECT_EQ(config.client_tls.allowed_hostnames.size(), 2u);
  EXPECT_EQ(config.peer_tls.max_version, base::TlsVersion::kTls12);
  EXPECT_TRUE(config.peer_tls.require_client_cert);
  EXPECT_EQ(config.peer_tls.allowed_cns, std::vector<std::string>{"x"});
}

TEST(FlagsTest, ValidatesAsEtcdDoes) {
  EXPECT_TRUE(Has(Refusal({"--heartbeat-interval=300"}), "should be at least as 5 times"));
  EXPECT_TRUE(Has(Refusal({"--election-timeout=50001"}), "too long"));
  EXPECT_TRUE(Has(Refusal({"--heartbeat-interval=0"}), "must be >0"));
  EXPECT_TRUE(Has(Refusal({"--heartbeat-interval=x"}), "not a whole number"));
  EXPECT_TRUE(Has(Refusal({"--snapshot-count=-1"}), "must not be negative"));
  EXPECT_TRUE(Has(Refusal({"--listen-client-urls=http://127.0.0.1:1"}),
                  "--advertise-client-urls is required"));
  EXPECT_TRUE(Has(Refusal({"--listen-peer-urls=http://example.com:1"}), "expected IP"));
  EXPECT_TRUE(Has(Refusal({"--initial-cluster-state=old"}), "use new or existing"));
  EXPECT_TRUE(Has(Refusal({"--grpc-keepalive-min-time=5"}), "not a duration"));
}

TEST(FlagsTest, AutoCompactionReadsHoursDurationsAndRevisions) {
  EXPECT_EQ(Parse({"--auto-compaction-retention=2"}).auto_compaction_period, std::chrono::hours(2));
  EXPECT_EQ(Parse({"--auto-compaction-retention=90m"}).auto_compaction_period,
            std::chrono::minutes(90));
  const ServerConfig config =
      Parse({"--auto-compaction-mode=revision", "--auto-compaction-retention=1000"});
  EXPECT_EQ(config.auto_compaction_mode, AutoCompactionMode::kRevision);
  EXPECT_EQ(config.auto_compaction_revisions, 1000);
  EXPECT_TRUE(Has(Refusal({"--auto-compaction-mode=revision", "--auto-compaction-retention=1h"}),
                  "number of revisions"));
}

TEST(FlagsTest, DurationsAreGos) {
  EXPECT_EQ(*ParseDuration("1h15m30s"), std::chrono::seconds(4530));
  EXPECT_EQ(*ParseDuration("1.5s"), std::chrono::milliseconds(1500));
  EXPECT_EQ(*ParseDuration("-2ms"), std::chrono::milliseconds(-2));
  EXPECT_EQ(*ParseDuration("0"), base::Duration(0));
  for (const char* bad : {"", "5", "s", "1x", "1h5", "--1s", "1e400h"})
    EXPECT_FALSE(ParseDuration(bad).ok()) << bad;
}

TEST(FlagsTest, TheDocumentNamesThemAll) {
  std::ifstream file("../../docs/flags.md");  // ctest runs in the source folder
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  ASSERT_FALSE(text.empty());
  for (const FlagSpec& flag : AllFlags()) {
    EXPECT_TRUE(Has(text, "| `--" + std::string(flag.name) + "` |")) << flag.name;
  }
}

// The lines of a file beside this test that are no comments, as words.
std::vector<std::vector<std::string>> WordsOf(const std::string& file_name) {
  std::ifstream file(file_name);  // ctest runs in the source folder
  std::vector<std::vector<std::string>> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    lines.emplace_back(std::istream_iterator<std::string>(words),
                       std::istream_iterator<std::string>());
  }
  EXPECT_GT(lines.size(), 20u) << file_name;
  return lines;
}

TEST(FlagsTest, TakesEveryFlagOfEtcdWithItsDefault) {
  std::set<std::string> names;
  for (const auto& words : WordsOf("testdata/etcd_flags.txt")) {
    const FlagSpec* flag = FindFlag(words[0]);
    ASSERT_NE(flag, nullptr) << words[0];
    EXPECT_TRUE(names.insert(words[0]).second) << words[0];
    const std::string value = words.size() > 1 ? words[1] : "";
    if (value == "?") continue;
    EXPECT_EQ(flag->default_value, value) << words[0];
    // To say the default is never an error (but that a file must be there), nor is the variable.
    if (value.empty()) continue;
    Parse({base::StrCat("--", words[0], "=", value),
           "--advertise-client-urls=http://localhost:2379"});
  }
  // And the others are ours.
  std::vector<std::string> own;
  for (const FlagSpec& flag : AllFlags()) {
    if (!names.contains(std::string(flag.name))) own.emplace_back(flag.name);
  }
  EXPECT_EQ(own,
            (std::vector<std::string>{"experimental-io-threads", "experimental-disk-reserve-bytes",
                                      "initial-corrupt-check"}));
}

TEST(FlagsTest, EveryFlagOfEtcdIsAVariable) {
  Environment environment;
  for (const auto& words : WordsOf("testdata/etcd_flags.txt")) {
    if (words.size() < 2 || words[1] == "?") continue;
    std::string name = "ETCD_";
    for (const char c : words[0]) {
      name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    environment[name] = words[1];
  }
  const auto parsed = ParseFlags({}, environment);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  for (const std::string& warning : parsed->warnings) {
    EXPECT_FALSE(Has(warning, "unrecognized")) << warning;
  }
}

TEST(FlagsTest, SendsThoseWhoWantAProxyElsewhere) {
  EXPECT_TRUE(Has(Refusal({"gateway"}), "kvd has no 'gateway'"));
  EXPECT_TRUE(Has(Refusal({"grpc-proxy", "start"}), "kvd has no 'grpc-proxy'"));
}

TEST(FlagsTest, TheTableHasEachFlagOnceAndHelpNamesThemAll) {
  std::set<std::string_view> names;
  const std::string help = HelpText();
  for (const FlagSpec& flag : AllFlags()) {
    EXPECT_TRUE(names.insert(flag.name).second) << flag.name;
    EXPECT_FALSE(flag.help.empty()) << flag.name;
    EXPECT_TRUE(Has(help, std::string("--") + std::string(flag.name))) << flag.name;
  }
}

}  // namespace
}  // namespace keel::kvstore
