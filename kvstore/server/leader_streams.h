// The open streams whose clients asked for a leader ("hasleader: true" in the metadata): they end
// when this member has been without one for long.
//
// Thread-safe.
#pragma once

#include <mutex>

#include "absl/container/flat_hash_set.h"
#include "rpc/server_call.h"

namespace keel::kvstore {

struct ServerContext;

class LeaderStreams {
 public:
  // Notes the stream; false when it is to be refused for want of a leader. REQUIRES: Remove follows
  // before the call goes.
  bool Add(rpc::ServerCall* call, const ServerContext& context);
  void Remove(rpc::ServerCall* call);
  // Ends all of them with Unavailable "etcdserver: no leader".
  void EndAll();

 private:
  std::mutex mutex_;
  absl::flat_hash_set<rpc::ServerCall*> calls_;  // guarded by mutex_
};

}  // namespace keel::kvstore
