#include "kvstore/server/leader_streams.h"

#include <vector>

#include "kvstore/server/context.h"
#include "kvstore/server/errors.h"

namespace keel::kvstore {

bool LeaderStreams::Add(rpc::ServerCall* call, const ServerContext& context) {
  std::lock_guard lock(mutex_);
  // Under the lock: a leader lost from now on ends this stream with the others.
  if (context.LacksLeader()) return false;
  calls_.insert(call);
  return true;
}

void LeaderStreams::Remove(rpc::ServerCall* call) {
  std::lock_guard lock(mutex_);
  calls_.erase(call);
}

void LeaderStreams::EndAll() {
  std::vector<rpc::ServerCallPtr> calls;
  {
    std::lock_guard lock(mutex_);
    calls.assign(calls_.begin(), calls_.end());
  }
  for (const rpc::ServerCallPtr& call : calls) call->Finish(ErrNoLeader());
}

}  // namespace keel::kvstore
