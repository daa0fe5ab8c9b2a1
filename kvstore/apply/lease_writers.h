// Which leases have nothing but keys attached that their last checked user may
// write: such a user may attach further keys without another look at all of them.
//
// What is remembered holds for one state of users and roles, and as long as
// nobody else attaches a key. It says the same as looking would, so that members
// which remember differently (one was restarted) decide alike.
//
// Not thread-safe: on the apply loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"

namespace keel::kvstore {

class LeaseWriters {
 public:
  // All keys of the lease were found writable for `user`, at this epoch of the auth state.
  void Remember(int64_t lease, std::string_view user, uint64_t epoch) {
    if (writers_.size() >= kLeasesMax) writers_.clear();
    writers_.insert_or_assign(lease, LastWriter{std::string(user), epoch});
  }
  bool Knows(int64_t lease, std::string_view user, uint64_t epoch) const {
    const auto found = writers_.find(lease);
    return found != writers_.end() && found->second.epoch == epoch && found->second.user == user;
  }
  // `user` attaches a key that it may write.
  void OnAttach(int64_t lease, std::string_view user) {
    if (writers_.empty()) [[likely]] {
      return;
    }
    const auto found = writers_.find(lease);
    if (found != writers_.end() && found->second.user != user) writers_.erase(found);
  }

 private:
  static constexpr size_t kLeasesMax = 10'000;
  struct LastWriter {
    std::string user;
    uint64_t epoch = 0;
  };
  absl::flat_hash_map<int64_t, LastWriter> writers_;
};

}  // namespace keel::kvstore
