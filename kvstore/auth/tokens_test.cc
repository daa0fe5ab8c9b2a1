#include <gtest/gtest.h>

#include <future>
#include <set>
#include <string>

#include "kvstore/auth/password.h"
#include "kvstore/auth/simple_tokens.h"

namespace keel::kvstore {
namespace {

using std::string_literals::operator""s;

TEST(PasswordTest, OnlyTheRightOneMatches) {
  const auto hash = HashPassword("secret", 4);
  ASSERT_TRUE(hash.ok());
  EXPECT_TRUE(hash->starts_with("$2b$04$")) << *hash;
  EXPECT_TRUE(PasswordMatches(*hash, "secret"));
  EXPECT_FALSE(PasswordMatches(*hash, "Secret"));
  EXPECT_FALSE(PasswordMatches(*hash, ""));
  EXPECT_FALSE(PasswordMatches(*hash, "secret\0"s));
  EXPECT_FALSE(PasswordMatches("", "secret"));
  EXPECT_FALSE(PasswordMatches("*0", "secret"));
  EXPECT_NE(*hash, *HashPassword("secret", 4));  // salted
}

TEST(PasswordTest, HashesOfEtcdAreUnderstood) {
  // By golang.org/x/crypto/bcrypt, of "allmine": the vector of its own test.
  EXPECT_TRUE(
      PasswordMatches("$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga", "allmine"));
}

TEST(PasswordTest, RefusesWhatBcryptWouldNotLookAt) {
  EXPECT_TRUE(HashPassword(std::string(72, 'x'), 4).ok());
  EXPECT_FALSE(HashPassword(std::string(73, 'x'), 4).ok());
  EXPECT_FALSE(HashPassword("a\0b"s, 4).ok());
}

TEST(PasswordTest, KnownOnesAreThoseOfTheirHash) {
  KnownPasswords known;
  EXPECT_FALSE(known.Contains("hash1", "pw"));
  known.Add("hash1", "pw");
  EXPECT_TRUE(known.Contains("hash1", "pw"));
  EXPECT_FALSE(known.Contains("hash2", "pw"));
  EXPECT_FALSE(known.Contains("hash1", "px"));
}

TEST(PasswordWorkersTest, RefusesWhatIsTooMuch) {
  PasswordWorkers workers({.threads = 1, .queued_max = 2});
  std::promise<void> go, running;
  std::shared_future<void> may_go = go.get_future().share();
  ASSERT_TRUE(workers.Post([&running, may_go] {
    running.set_value();
    may_go.wait();
  }));
  running.get_future().wait();
  std::promise<void> last;
  EXPECT_TRUE(workers.Post([] {}));
  EXPECT_TRUE(workers.Post([&last] { last.set_value(); }));
  EXPECT_FALSE(workers.Post([] {}));
  go.set_value();
  last.get_future().wait();
  workers.Stop();
  EXPECT_FALSE(workers.Post([] {}));
}

base::TimePoint At(int seconds) { return base::TimePoint() + std::chrono::seconds(seconds); }

TEST(SimpleTokensTest, LiveAsLongAsTheyAreUsed) {
  SimpleTokens tokens(std::chrono::seconds(10));
  tokens.Assign("jane", "abc.5", At(0));
  EXPECT_EQ(tokens.Use("abc.5", At(9)), "jane");
  EXPECT_EQ(tokens.Use("abc.5", At(18)), "jane");
  EXPECT_EQ(tokens.Use("abc.5", At(28)), std::nullopt);
  EXPECT_EQ(tokens.size(), 0u);
  EXPECT_EQ(tokens.Use("abd.5", At(0)), std::nullopt);
}

TEST(SimpleTokensTest, GoWithTheirUser) {
  SimpleTokens tokens(std::chrono::seconds(10));
  tokens.Assign("jane", "a.1", At(0));
  tokens.Assign("jane", "b.2", At(0));
  tokens.Assign("jim", "c.3", At(0));
  tokens.Revoke("jane");
  EXPECT_EQ(tokens.Use("a.1", At(1)), std::nullopt);
  EXPECT_EQ(tokens.Use("c.3", At(1)), "jim");
  tokens.Assign("jane", "d.4", At(100));
  tokens.Sweep(At(100));
  EXPECT_EQ(tokens.size(), 1u);
  tokens.Revoke("");
  EXPECT_EQ(tokens.size(), 0u);
}

TEST(SimpleTokensTest, NameTheEntryTheyStandIn) {
  EXPECT_EQ(SimpleTokens::IndexOf("abc.17"), 17u);
  for (const char* bad :
       {"", "abc", "abc.", "abc.x", "abc.-1", "abc.1x", "a.b.1", "abc.99999999999999999999999"}) {
    EXPECT_EQ(SimpleTokens::IndexOf(bad), std::nullopt) << bad;
  }
}

TEST(SimpleTokensTest, AreAllDifferent) {
  std::set<std::string> parts;
  for (int i = 0; i < 1000; ++i) parts.insert(SimpleTokens::RandomPart());
  EXPECT_EQ(parts.size(), 1000u);
  EXPECT_EQ(parts.begin()->size(), 16u);
}

}  // namespace
}  // namespace keel::kvstore
