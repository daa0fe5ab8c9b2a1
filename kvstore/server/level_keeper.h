// Raises the cluster's level (apply/level.h): the leader asks the members which
// level each of them knows, and when all have answered puts the lowest into the
// log. A member that is down or too old to answer holds the level where it is.
//
// Thread-safety: everything on the server's loop.
#pragma once

#include <cstdint>
#include <map>

#include "absl/status/statusor.h"
#include "kvstore/server/context.h"
#include "kvstore/server/leader_calls.h"
#include "kvstore/server/proposals.h"

namespace keel::kvstore {

class LevelKeeper {
 public:
  // Answers for this member from now on.
  LevelKeeper(ServerContext* context, Proposals* proposals, LeaderCalls* calls);

  // Called about once a second. Does nothing in a cluster that is at this program's level.
  void Tick();

 private:
  void OnAnswer(uint64_t member, absl::StatusOr<std::string> body);
  void Raise(uint32_t level);

  ServerContext* const context_;
  Proposals* const proposals_;
  LeaderCalls* const calls_;
  size_t waiting_ = 0;  // answers that will still come
  bool proposing_ = false;
  bool all_answered_ = false;
  uint32_t lowest_ = 0;
  base::TimePoint next_{};
};

}  // namespace keel::kvstore
