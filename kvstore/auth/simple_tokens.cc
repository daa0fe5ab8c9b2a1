#include "kvstore/auth/simple_tokens.h"

#include <openssl/rand.h>

#include <charconv>
#include <utility>

#include "base/check.h"
#include "base/strings.h"

namespace keel::kvstore {

namespace {
constexpr size_t kRandomLetters = 16;  // etcd's; 91 bits
constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
}  // namespace

std::string SimpleTokens::RandomPart() {
  std::string part;
  while (part.size() < kRandomLetters) {
    unsigned char random[32];
    KEEL_CHECK(RAND_bytes(random, sizeof random) == 1);
    for (const unsigned char byte : random) {
      // Bytes beyond the last whole multiple would favour the first letters.
      if (byte < 256 / kLetters.size() * kLetters.size() && part.size() < kRandomLetters) {
        part.push_back(kLetters[byte % kLetters.size()]);
      }
    }
  }
  return part;
}

std::optional<uint64_t> SimpleTokens::IndexOf(std::string_view token) {
  const size_t dot = token.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view digits = token.substr(dot + 1);
  uint64_t index = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return index;
}

void SimpleTokens::Assign(const std::string& user, const std::string& token, base::TimePoint now) {
  base::MutexLock lock(&mutex_);
  tokens_[token] = {user, now + ttl_};
}

std::optional<std::string> SimpleTokens::Use(std::string_view token, base::TimePoint now) {
  base::MutexLock lock(&mutex_);
  const auto found = tokens_.find(base::ToAbsl(token));
  if (found == tokens_.end()) return std::nullopt;
  if (found->second.expires <= now) {
    tokens_.erase(found);
    return std::nullopt;
  }
  found->second.expires = now + ttl_;
  return found->second.user;
}

void SimpleTokens::Revoke(std::string_view user) {
  base::MutexLock lock(&mutex_);
  if (user.empty()) return tokens_.clear();
  for (auto it = tokens_.begin(); it != tokens_.end();) {
    if (it->second.user == user) {
      tokens_.erase(it++);
    } else {
      ++it;
    }
  }
}

void SimpleTokens::Sweep(base::TimePoint now) {
  base::MutexLock lock(&mutex_);
  for (auto it = tokens_.begin(); it != tokens_.end();) {
    if (it->second.expires <= now) {
      tokens_.erase(it++);
    } else {
      ++it;
    }
  }
}

size_t SimpleTokens::size() const {
  base::MutexLock lock(&mutex_);
  return tokens_.size();
}

}  // namespace keel::kvstore
