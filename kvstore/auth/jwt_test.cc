#include "kvstore/auth/jwt.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <fstream>

#include "absl/strings/escaping.h"
#include "base/strings.h"
#include "kvstore/auth/errors.h"

namespace keel::kvstore {
namespace {

std::string Pem(EVP_PKEY* key, bool is_private) {
  BIO* bio = BIO_new(BIO_s_mem());
  if (is_private) {
    PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  } else {
    PEM_write_bio_PUBKEY(bio, key);
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  return pem;
}

JwtOptions NewKey(const std::string& method) {
  JwtOptions options;
  options.sign_method = method;
  if (method.starts_with("HS")) {
    options.private_key = "a secret that nobody knows";
    return options;
  }
  EVP_PKEY* key = nullptr;
  if (method == "EdDSA") {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  } else if (method.starts_with("ES")) {
    const char* curve = method == "ES256" ? "P-256" : method == "ES384" ? "P-384" : "P-521";
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve);
  } else {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048});
  }
  options.private_key = Pem(key, true);
  options.public_key = Pem(key, false);
  EVP_PKEY_free(key);
  return options;
}

std::string Base64(std::string_view text) {
  std::string out;
  absl::WebSafeBase64Escape(base::ToAbsl(text), &out);
  while (out.ends_with('=')) out.pop_back();
  return out;
}

class JwtMethodTest : public testing::TestWithParam<const char*> {};

TEST_P(JwtMethodTest, WhatIsSignedIsReadAndWhatIsAlteredIsNot) {
  const JwtOptions options = NewKey(GetParam());
  const auto jwt = Jwt::Create(options);
  ASSERT_TRUE(jwt.ok()) << jwt.status();
  const auto token = (*jwt)->Sign({.user = "jane \"x\" é", .revision = 7}, 1000);
  ASSERT_TRUE(token.ok()) << token.status();
  const auto claims = (*jwt)->Verify(*token, 1000);
  ASSERT_TRUE(claims.ok()) << *token;
  EXPECT_EQ(claims->caller.user, "jane \"x\" é");
  EXPECT_EQ(claims->caller.revision, 7u);
  EXPECT_EQ(claims->expires, 1300);

  EXPECT_TRUE((*jwt)->Verify(*token, 1299).ok());
  EXPECT_EQ((*jwt)->Verify(*token, 1300).status(), ErrInvalidAuthToken());
  for (const size_t at : {size_t{3}, token->find('.') + 3, token->rfind('.') + 3}) {
    std::string altered = *token;
    altered[at] = altered[at] == 'A' ? 'B' : 'A';
    EXPECT_FALSE((*jwt)->Verify(altered, 1000).ok()) << at;
  }
  EXPECT_FALSE((*jwt)->Verify(token->substr(0, token->rfind('.') + 1), 1000).ok());
  const auto other = Jwt::Create(std::string(GetParam()).starts_with("HS")
                                     ? JwtOptions{.sign_method = GetParam(), .private_key = "guess"}
                                     : NewKey(GetParam()));
  EXPECT_FALSE((*other)->Verify(*token, 1000).ok());
}

INSTANTIATE_TEST_SUITE_P(All, JwtMethodTest,
                         testing::Values("HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
                                         "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
                                         "EdDSA"));

TEST(JwtTest, AlgorithmsAreNotTheTokensChoice) {
  const JwtOptions rsa = NewKey("RS256");
  const auto jwt = *Jwt::Create(rsa);
  const std::string claims = Base64(R"({"exp":9000,"revision":1,"username":"root"})");
  const std::string none = Base64(R"({"alg":"none","typ":"JWT"})") + "." + claims;
  EXPECT_FALSE(jwt->Verify(none + ".", 1000).ok());
  // The public key, which everybody has, as HMAC's secret.
  const auto hmac = *Jwt::Create({.sign_method = "HS256", .private_key = rsa.public_key});
  EXPECT_FALSE(jwt->Verify(*hmac->Sign({.user = "root", .revision = 1}, 1000), 1000).ok());
}

TEST(JwtTest, ClaimsMustBeThere) {
  const JwtOptions secret{.sign_method = "HS256", .private_key = "s"};
  const auto jwt = *Jwt::Create(secret);
  EXPECT_FALSE(jwt->Verify("", 1000).ok());
  EXPECT_FALSE(jwt->Verify("..", 1000).ok());
  EXPECT_FALSE(jwt->Verify("a.b", 1000).ok());
  EXPECT_FALSE(jwt->Verify(std::string(100'000, '.'), 1000).ok());
  EXPECT_FALSE(jwt->Verify(*jwt->Sign({.user = "", .revision = 1}, 1000), 1000).ok());
  EXPECT_FALSE(jwt->Verify(*jwt->Sign({.user = "x", .revision = 0}, 1000), 1000).ok());
}

TEST(JwtTest, AKeyThatOnlyReadsDoesNotSign) {
  JwtOptions options = NewKey("ES256");
  const auto signer = *Jwt::Create(options);
  options.private_key.clear();
  const auto reader = *Jwt::Create(options);
  EXPECT_TRUE(reader->Verify(*signer->Sign({.user = "x", .revision = 1}, 1000), 1000).ok());
  EXPECT_EQ(reader->Sign({.user = "x", .revision = 1}, 1000).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(JwtTest, RefusesKeysThatDoNotFit) {
  JwtOptions options = NewKey("RS256");
  options.sign_method = "ES256";
  EXPECT_FALSE(Jwt::Create(options).ok());
  options.sign_method = "XX1";
  EXPECT_FALSE(Jwt::Create(options).ok());
  options.sign_method = "RS256";
  options.public_key = NewKey("RS256").public_key;
  EXPECT_FALSE(Jwt::Create(options).ok());
  options.public_key = "no key";
  EXPECT_FALSE(Jwt::Create(options).ok());
  EXPECT_FALSE(Jwt::Create({.sign_method = "RS256"}).ok());
  EXPECT_FALSE(Jwt::Create({.sign_method = "HS256"}).ok());
}

TEST(JwtTest, OptionsAreThoseOfEtcd) {
  const std::string path = testing::TempDir() + "/jwt_key";
  std::ofstream(path) << "secret";
  const auto options = ParseJwtOptions("jwt,priv-key=" + path + ",sign-method=HS384,ttl=10m");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->private_key, "secret");
  EXPECT_EQ(options->sign_method, "HS384");
  EXPECT_EQ(options->ttl, std::chrono::minutes(10));
  EXPECT_FALSE(ParseJwtOptions("jwt,priv-key=/nowhere/at/all").ok());
  EXPECT_FALSE(ParseJwtOptions("jwt,ttl=never").ok());
  EXPECT_FALSE(ParseJwtOptions("jwt,color=red").ok());
  EXPECT_FALSE(ParseJwtOptions("jwtx").ok());
}

}  // namespace
}  // namespace keel::kvstore
