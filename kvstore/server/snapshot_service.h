// etcdserverpb.Maintenance/Snapshot: the store as one file, taken while the
// member goes on serving (docs/formats/snapshot.md).
//
// Each stream has a thread of its own, which waits for the disk and for the
// client, one that reads the whole store for the summary at the end, and a checkpoint: hard links
// to the store's files, so that it takes disk only for what the store has replaced meanwhile. Both
// go with the stream.
//
// Thread-safety: as service.h. Lifetime: Stop before the state machine goes.
#pragma once

#include <memory>

#include "base/file.h"
#include "kvstore/server/context.h"
#include "rpc/server.h"

namespace keel::kvstore {

class SnapshotService {
 public:
  SnapshotService(ServerContext* context, base::FileSystem* fs);
  ~SnapshotService();

  // Removes what a crash left behind.
  void Start();
  void RegisterOn(rpc::Server* server);
  // Ends all streams, and returns when their checkpoints are gone. Idempotent.
  void Stop();

 private:
  struct Shared;
  class Stream;

  std::shared_ptr<Shared> shared_;
};

}  // namespace keel::kvstore
