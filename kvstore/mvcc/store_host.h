// What a store stands on: the files, and RocksDB's clock and threads. A store
// without a host has the system's; the simulator brings its own
// (tests/sim/rocksdb_env.h), under which everything happens in one order.
//
// Thread-safety: of all methods, the store's user's; see store.h. A host
// outlives the stores on it and their views.
#pragma once

#include "absl/functional/any_invocable.h"
#include "base/file.h"

namespace rocksdb {
class Env;
struct DBOptions;
}  // namespace rocksdb

namespace keel::kvstore {

class StoreHost {
 public:
  virtual ~StoreHost() = default;

  virtual base::FileSystem& fs() = 0;
  // Its files are those of fs().
  virtual rocksdb::Env* env() = 0;
  // The last word on RocksDB's settings; not on env.
  virtual void Tune(rocksdb::DBOptions* options) = 0;

  // Around each call of RocksDB that may wait for its background threads. They nest.
  virtual void BeginCall() = 0;
  virtual void EndCall() = 0;
  // Returns when RocksDB has nothing more to do, or cannot do it now. REQUIRES: not in a call.
  virtual void Settle() = 0;

  // Runs `work` later, on the user's thread: instead of on a thread of the store's own.
  virtual void RunLater(absl::AnyInvocable<void()> work) = 0;
};

// BeginCall and EndCall; nothing without a host.
class HostCall {
 public:
  explicit HostCall(StoreHost* host) : host_(host) {
    if (host_ != nullptr) host_->BeginCall();
  }
  ~HostCall() {
    if (host_ != nullptr) host_->EndCall();
  }
  HostCall(const HostCall&) = delete;
  HostCall& operator=(const HostCall&) = delete;

 private:
  StoreHost* const host_;
};

}  // namespace keel::kvstore
