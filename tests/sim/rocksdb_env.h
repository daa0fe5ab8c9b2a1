// RocksDB in the simulator: a kvstore::StoreHost whose files are a SimDisk's,
// whose clock is the simulator's and whose background work happens in one order.
//
//   SimDisk disk({.seed = 7});
//   RocksDbHost host(disk, {.now_ns = [&] { return clock.now_ns(); }, .seed = 7});
//   options.store = host.Configure("/store");   // KvStateMachine::Options::store
//   machine->Apply(entries);
//   host.Pump();                                // flushes, compactions, removal of history
//
// Determinism. RocksDB hands flushes and compactions to threads of its own.
// Here there is none: a job runs on the simulator's thread, from its beginning
// to its end,
//  * in Pump, which runs all that is queued, and what that queues;
//  * in a call that waits for background work (a flush with wait, a write that
//    stalls, a manual compaction, Close), where the wait is: RocksDB's waits on
//    condition variables are taken over by the linker (--wrap).
// What is queued when a call returns waits for the next such point. So each
// operation on the disk has its place in one order, which the seed and the calls
// decide, and a crash at the n-th is a crash at the same one.
// Ids that RocksDB draws at random (of databases and sessions) come from the seed.
//
// What is left to the store's options: memtables should not fill up by their
// size, which RocksDB takes from malloc and which may differ by a few bytes;
// Configure makes them larger than a run needs.
//
// Thread-safety: one thread at a time, the simulator's. Several hosts may be in
// use on several threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "kvstore/mvcc/store_host.h"
#include "kvstore/mvcc/store_options.h"
#include "tests/sim/disk.h"

namespace keel::sim {

class JobQueue;

struct RocksDbHostOptions {
  // The virtual clock; null: it stands still.
  std::function<uint64_t()> now_ns;
  uint64_t seed = 0;
};

class RocksDbHost final : public kvstore::StoreHost {
 public:
  RocksDbHost(SimDisk& disk, RocksDbHostOptions options);
  // After every store on it and all their views.
  ~RocksDbHost() override;

  // Settings of a store in folder `dir` on the disk: small, and not waiting for a full disk.
  kvstore::StoreOptions Configure(const std::string& dir);

  // Runs everything that waits to be done in the background, but for what has failed (as on a
  // full disk) and is to be tried again some time later: the next Pump does that.
  void Pump();
  // Whether Pump would do anything.
  bool busy() const;
  // Jobs of RocksDB run so far.
  uint64_t jobs_run() const;

  // kvstore::StoreHost
  base::FileSystem& fs() override;
  rocksdb::Env* env() override;
  void Tune(rocksdb::DBOptions* options) override;
  void BeginCall() override;
  void EndCall() override;
  void Settle() override;
  void RunLater(absl::AnyInvocable<void()> work) override;

 private:
  class Clock;
  class Env;

  SimDisk& disk_;
  std::unique_ptr<JobQueue> jobs_;
  std::shared_ptr<Clock> clock_;
  std::unique_ptr<Env> env_;
  std::vector<absl::AnyInvocable<void()>> work_;
  int calls_ = 0;  // nested
};

}  // namespace keel::sim
