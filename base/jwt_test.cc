#include "base/jwt.h"

#include <gtest/gtest.h>

#include "base/pki/certificate.h"

namespace keel::base {
namespace {

// The store's tests (kvstore/auth/jwt_test.cc) try every method; here is what only this layer has.

// RFC 7515, appendix A.1: the key, the token and its parts as the RFC prints them.
TEST(JwtKeyTest, ReadsTheTokenOfTheRfc) {
  const std::string token =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
      ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnV"
      "lfQ"
      ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
  const unsigned char secret[] = {3,   35,  53,  75,  43,  15,  165, 188, 131, 126, 6,   101, 119,
                                  123, 166, 143, 90,  179, 40,  230, 240, 84,  201, 40,  169, 15,
                                  132, 178, 210, 80,  46,  191, 211, 251, 90,  146, 210, 6,   71,
                                  239, 150, 138, 180, 195, 119, 98,  61,  34,  61,  46,  33,  114,
                                  5,   46,  79,  8,   192, 205, 154, 245, 103, 208, 128, 163};
  const auto key = JwtKey::Create(
      {.method = "HS256",
       .private_key = std::string(reinterpret_cast<const char*>(secret), sizeof(secret))});
  ASSERT_TRUE(key.ok()) << key.status();
  const auto parts = SplitJwt(token);
  ASSERT_TRUE(parts.has_value());
  EXPECT_EQ(parts->header, "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}");
  EXPECT_TRUE((*key)->Signed(*parts));
  EXPECT_EQ((*key)->Sign(parts->header, parts->claims).value(), token);
  EXPECT_EQ((*key)->id(), "");
}

TEST(JwtKeyTest, KeysTellTheirMethodAndAreKnownByTheirId) {
  const std::string ec = NewEcKeyPem(), rsa = NewRsaKeyPem();
  EXPECT_EQ(JwtMethodOf(ec), "ES256");
  EXPECT_EQ(JwtMethodOf(rsa), "RS256");
  EXPECT_EQ(JwtMethodOf("-----BEGIN NOTHING-----"), "");
  const auto one = JwtKey::Create({.method = "ES256", .private_key = ec});
  const auto same = JwtKey::Create({.method = "ES256", .private_key = ec});
  const auto other = JwtKey::Create({.method = "ES256", .private_key = NewEcKeyPem()});
  ASSERT_TRUE(one.ok() && same.ok() && other.ok());
  EXPECT_EQ((*one)->id().size(), 43u);
  EXPECT_EQ((*one)->id(), (*same)->id());
  EXPECT_NE((*one)->id(), (*other)->id());
  const std::string token = (*one)->Sign("{}", "{}").value();
  EXPECT_TRUE((*same)->Signed(*SplitJwt(token)));
  EXPECT_FALSE((*other)->Signed(*SplitJwt(token)));
}

TEST(JwtKeyTest, WhatIsNoTokenDoesNotSplit) {
  for (const char* bad : {"", ".", "a.b", "a=.b.c", "a.b c.d", "a.b.c.d"}) {
    const auto parts = SplitJwt(bad);
    EXPECT_FALSE(parts.has_value()) << bad;
  }
}

}  // namespace
}  // namespace keel::base
