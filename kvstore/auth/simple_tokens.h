// Simple tokens: "random.index", known to every member from the log, where the
// command that made one stands at `index`. Each member times them for itself:
// one that was not shown to this member for its time to live is forgotten here.
//
// They are not stored: after a restart, those of entries that are replayed no
// more are unknown, and clients log in again, as with etcd.
//
// Thread-safety: everything from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "base/loop.h"
#include "base/mutex.h"

namespace keel::kvstore {

class SimpleTokens {
 public:
  explicit SimpleTokens(base::Duration ttl) : ttl_(ttl) {}

  // The first part of a new token.
  static std::string RandomPart();
  // The index in a token; nullopt for what is none.
  static std::optional<uint64_t> IndexOf(std::string_view token);

  void Assign(const std::string& user, const std::string& token, base::TimePoint now);
  // Whose it is, and its time begins anew; nullopt when unknown or expired.
  std::optional<std::string> Use(std::string_view token, base::TimePoint now);
  // Empty: everybody's.
  void Revoke(std::string_view user);
  // Forgets what has expired; called now and then.
  void Sweep(base::TimePoint now);

  size_t size() const;

 private:
  struct Token {
    std::string user;
    base::TimePoint expires;
  };

  const base::Duration ttl_;
  mutable base::Mutex mutex_;
  absl::flat_hash_map<std::string, Token> tokens_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keel::kvstore
