#include "base/pki/authority.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/file.h"
#include "base/strings.h"
#include "base/temp_dir.h"

namespace keel::base {
namespace {

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

std::string Contents(const std::string& path) {
  return ReadFile(PosixFileSystem(), path).value_or("");
}

const CertificateSpec kServer{.common_name = "kube-apiserver",
                              .hosts = {"localhost", "127.0.0.1", "::1", "kubernetes.default.svc"},
                              .server = true};

TEST(AuthorityTest, MakesFilesOnceAndKeepsThem) {
  const TempDir dir;
  const auto ca = Authority::Ensure(dir / "pki/ca", "kubernetes");
  ASSERT_TRUE(ca.ok()) << ca.status();
  EXPECT_EQ(ModeOf(dir / "pki"), 0700u);
  EXPECT_EQ(ModeOf(dir / "pki/ca.key"), 0600u);
  EXPECT_EQ(ModeOf(dir / "pki/ca.crt"), 0644u);
  EXPECT_EQ(Contents(dir / "pki/ca.crt"), ca->certificate());

  const auto again = Authority::Ensure(dir / "pki/ca", "kubernetes");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->certificate(), ca->certificate());

  ASSERT_TRUE(ca->EnsureFiles(dir / "pki/apiserver", kServer).ok());
  const std::string first = Contents(dir / "pki/apiserver.crt");
  ASSERT_TRUE(again->EnsureFiles(dir / "pki/apiserver", kServer).ok());
  EXPECT_EQ(Contents(dir / "pki/apiserver.crt"), first);
  EXPECT_EQ(ModeOf(dir / "pki/apiserver.key"), 0600u);
}

TEST(AuthorityTest, RenewsWhatNoLongerFits) {
  const TempDir dir;
  const auto ca = Authority::Ensure(dir / "ca", "kubernetes");
  ASSERT_TRUE(ca.ok());
  const auto issue = [&](const CertificateSpec& spec) {
    EXPECT_TRUE(ca->EnsureFiles(dir / "x", spec).ok());
    return Contents(dir / "x.crt");
  };
  const std::string first = issue(kServer);
  CertificateSpec other = kServer;
  other.hosts.push_back("10.0.0.1");
  const std::string second = issue(other);
  EXPECT_NE(second, first) << "a new host";
  EXPECT_EQ(issue(kServer), second) << "valid for more hosts than asked";
  other.organizations = {"system:masters"};
  const std::string third = issue(other);
  EXPECT_NE(third, second) << "another subject";
  other.validity_days = 20;
  EXPECT_EQ(issue(other), third);
  const auto stranger = Authority::Make("kubernetes");
  ASSERT_TRUE(stranger->EnsureFiles(dir / "x", other).ok());
  const std::string fourth = Contents(dir / "x.crt");
  EXPECT_NE(fourth, third) << "another authority";
  ASSERT_TRUE(stranger->EnsureFiles(dir / "x", other).ok());
  EXPECT_NE(Contents(dir / "x.crt"), fourth) << "20 days are too few to keep it";
}

TEST(AuthorityTest, OneFileAloneIsNotReplaced) {
  const TempDir dir;
  ASSERT_TRUE(Authority::Ensure(dir / "ca", "kubernetes").ok());
  ASSERT_TRUE(PosixFileSystem().Remove(dir / "ca.key").ok());
  EXPECT_EQ(Authority::Ensure(dir / "ca", "kubernetes").status().code(),
            absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteWithMode(dir / "ca.key", "no key", 0600).ok());
  const auto broken = Authority::Ensure(dir / "ca", "kubernetes").status();
  EXPECT_EQ(broken.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(broken.message().find("ca.key"), absl::string_view::npos) << broken;
}

TEST(AuthorityTest, HostsAreNames) {
  const auto ca = Authority::Make("kubernetes");
  ASSERT_TRUE(ca.ok());
  for (const char* bad : {"a,DNS:b", "a b", "", "a\nb"}) {
    EXPECT_EQ(ca->Issue({.hosts = {bad}, .server = true}).status().code(),
              absl::StatusCode::kInvalidArgument)
        << bad;
  }
}

// OpenSSL's own tool reads what was issued as it was meant.
TEST(AuthorityTest, ToolsVerifyWhatWasIssued) {
  const TempDir dir;
  const auto ca = Authority::Ensure(dir / "ca", "kubernetes");
  ASSERT_TRUE(ca.ok());
  ASSERT_TRUE(ca->EnsureFiles(dir / "server", kServer).ok());
  ASSERT_TRUE(ca->EnsureFiles(dir / "jane", {.common_name = "jane",
                                             .organizations = {"dev", "system:masters"},
                                             .client = true})
                  .ok());
  const auto run = [&](const std::string& command) {
    return std::system(StrCat("cd ", dir.path(), " && ", command, " >out.txt 2>&1").c_str());
  };
  if (run("openssl version") != 0) GTEST_SKIP() << "no openssl program";
  EXPECT_EQ(run("openssl verify -x509_strict -CAfile ca.crt -purpose sslserver -verify_hostname "
                "kubernetes.default.svc server.crt"),
            0)
      << Contents(dir / "out.txt");
  EXPECT_EQ(run("openssl verify -x509_strict -CAfile ca.crt -verify_ip 127.0.0.1 server.crt"), 0)
      << Contents(dir / "out.txt");
  EXPECT_NE(run("openssl verify -CAfile ca.crt -verify_hostname example.com server.crt"), 0);
  EXPECT_NE(run("openssl verify -CAfile ca.crt -purpose sslserver jane.crt"), 0);
  EXPECT_EQ(run("openssl verify -x509_strict -CAfile ca.crt -purpose sslclient jane.crt"), 0)
      << Contents(dir / "out.txt");
  EXPECT_EQ(run("openssl x509 -in jane.crt -noout -subject"), 0);
  EXPECT_EQ(Contents(dir / "out.txt"), "subject=O = dev, O = system:masters, CN = jane\n");
}

}  // namespace
}  // namespace keel::base
