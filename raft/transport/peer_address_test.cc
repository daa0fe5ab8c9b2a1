#include "raft/transport/peer_address.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <string>

namespace keel::raft {
namespace {

absl::Status Check(base::TlsNames names, const std::string& caller) {
  boost::asio::io_context context;
  absl::Status out = absl::UnknownError("no answer");
  boost::asio::co_spawn(context,
                        CheckCallerAddress(std::move(names), boost::asio::ip::make_address(caller)),
                        [&](std::exception_ptr error, absl::Status status) {
                          ASSERT_FALSE(error);
                          out = std::move(status);
                        });
  context.run();
  return out;
}

TEST(PeerAddressTest, ACertificateWithoutNamesFitsAll) { EXPECT_TRUE(Check({}, "10.1.2.3").ok()); }

TEST(PeerAddressTest, OneOfItsAddressesMustBeTheCallers) {
  EXPECT_TRUE(Check({.addresses = {"10.0.0.1", "10.1.2.3"}}, "10.1.2.3").ok());
  EXPECT_TRUE(Check({.addresses = {"10.1.2.3"}}, "::ffff:10.1.2.3").ok());
  EXPECT_TRUE(Check({.addresses = {"fd00::1"}}, "fd00::1").ok());
  EXPECT_EQ(Check({.addresses = {"10.138.0.27", "10.0.0.1"}}, "10.138.0.2").message(),
            "x509: certificate is valid for 10.138.0.27, 10.0.0.1, not 10.138.0.2");
}

TEST(PeerAddressTest, OrOneOfItsNamesLeadsThere) {
  EXPECT_TRUE(Check({.names = {"localhost"}}, "127.0.0.1").ok());
  EXPECT_TRUE(Check({.names = {"localhost"}, .addresses = {"10.0.0.1"}}, "127.0.0.1").ok());
  const absl::Status other = Check({.names = {"localhost", "*.a.example"}}, "127.9.9.9");
  EXPECT_EQ(other.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(
      other.message().find(
          "tls: \"127.9.9.9\" does not match any of DNSNames [\"localhost\" \"*.a.example\"]"),
      0u)
      << other;
}

}  // namespace
}  // namespace keel::raft
