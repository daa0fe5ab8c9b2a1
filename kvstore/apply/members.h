// Who the cluster consists of, as the log has decided, with what only the
// members' users care for: names and URLs.
//
// Thread-safety: the const methods may be called from any thread, the others
// only on the apply loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "base/mutex.h"

namespace keel::kvstore {

struct Member {
  uint64_t id = 0;
  std::string name;  // empty until the member has started
  std::vector<std::string> peer_urls;
  std::vector<std::string> client_urls;
  bool is_learner = false;

  bool operator==(const Member&) const = default;
};

class MemberTable {
 public:
  std::vector<Member> List() const;  // by id
  std::optional<Member> Find(uint64_t id) const;
  // Whether it was a member once and has been removed: ids are never used again.
  bool WasRemoved(uint64_t id) const { return RemovedAt(id) != 0; }
  // The index of the log that removed it, or a later one; 0: it was not removed.
  uint64_t RemovedAt(uint64_t id) const;

  // Errors with etcd's texts: the member exists or was removed, another has
  // one of its peer URLs, or there are learners enough.
  absl::Status CheckAdd(const Member& member, size_t max_learners) const;
  absl::Status CheckRemove(uint64_t id) const;
  absl::Status CheckPromote(uint64_t id) const;
  // Peer URLs of a member that exists.
  absl::Status CheckUpdate(uint64_t id, const std::vector<std::string>& peer_urls) const;

  void Set(Member member);
  // And remembers it as removed, for ever: 16 bytes for each change of membership.
  // REQUIRES: index > 0.
  void Remove(uint64_t id, uint64_t index);
  using Removed = absl::btree_map<uint64_t, uint64_t>;  // id → index
  void Assign(std::vector<Member> members, Removed removed);

 private:
  mutable base::Mutex mutex_;
  absl::btree_map<uint64_t, Member> members_ ABSL_GUARDED_BY(mutex_);
  Removed removed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keel::kvstore
