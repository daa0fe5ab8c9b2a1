// All of a SimDisk behind one lock: the tree of names, what of it is not durable
// yet, and what is to go wrong. disk.cc puts base::FileSystem on it.
//
// Thread-safety: the caller holds `mutex` for everything.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "tests/sim/disk.h"
#include "tests/sim/disk_node.h"

namespace keel::sim {

absl::Status DeadStatus(const std::string& path);
// Bytes of the disk that a file takes: whole blocks.
uint64_t Allocated(const DiskNode& node);

struct DiskState {
  explicit DiskState(const SimDiskOptions& options)
      : capacity_bytes(options.capacity_bytes),
        journaled(options.journaled),
        faults(options.faults),
        latency(options.latency),
        random(options.seed) {}

  struct Place {
    DiskNodePtr dir;  // null: of the root
    std::string name;
    DiskNodePtr node;  // null: not there
  };
  // Where `path` is or could be. NotFound when its folder is missing.
  absl::StatusOr<Place> Find(const std::string& path) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // As Find, of something that is there.
  absl::StatusOr<Place> FindExisting(const std::string& path) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Runs a change. `effect` changes what is read from now on; `failed` is called
  // instead when it fails. A change during which the disk dies has its effect.
  absl::Status Change(
      DiskOp op, const std::string& path, uint64_t bytes, absl::FunctionRef<absl::Status()> effect,
      absl::FunctionRef<void()> failed = [] {}) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Spend(uint64_t ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  absl::Status Write(DiskNode& node, const std::string& path, uint64_t offset,
                     std::string_view data) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  absl::Status Truncate(DiskNode& node, const std::string& path, uint64_t size)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Makes an empty file; place->node is it.
  absl::Status CreateFile(Place* place, const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // With all that is in it, children first.
  absl::Status RemoveTree(const Place& place, const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // These change what is there now, and remember that it is not durable.
  void AddName(const DiskNodePtr& dir, const std::string& name, DiskNodePtr node)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void RemoveName(const DiskNodePtr& dir, const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Unlinked(DiskNode& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void FreeIfUnused(const DiskNode& node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void MakeNamesDurable(const DiskNode* dir) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  void Crash(SimDisk::CrashKind kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // False when nothing has changed.
  bool Corrupt(DiskNode& node, uint64_t offset, SimDisk::Damage damage)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Files and folders below `dir`, in the order of their paths, by segment.
  static void Visit(const DiskNode& dir, const std::string& path, bool durable,
                    absl::FunctionRef<void(const std::string&, DiskNode&)> visit);

  mutable base::Mutex mutex;
  uint64_t capacity_bytes ABSL_GUARDED_BY(mutex);
  bool journaled ABSL_GUARDED_BY(mutex);
  DiskFaults faults ABSL_GUARDED_BY(mutex);
  DiskLatency latency ABSL_GUARDED_BY(mutex);
  DiskRandom random ABSL_GUARDED_BY(mutex);
  const DiskNodePtr root = std::make_shared<DiskNode>(/*dir=*/true);
  std::vector<NameChange> pending ABSL_GUARDED_BY(mutex);
  uint64_t used_bytes ABSL_GUARDED_BY(mutex) = 0;
  uint64_t life ABSL_GUARDED_BY(mutex) = 1;  // counts crashes
  bool dead ABSL_GUARDED_BY(mutex) = false;
  uint64_t die_at ABSL_GUARDED_BY(mutex) = 0;  // a value of `changes`; 0: never
  uint64_t changes ABSL_GUARDED_BY(mutex) = 0;
  uint64_t cost_ns ABSL_GUARDED_BY(mutex) = 0;
  DiskCounters counters ABSL_GUARDED_BY(mutex);
  std::function<SimDisk::Verdict(DiskOp, const std::string&)> on_change ABSL_GUARDED_BY(mutex);
  std::set<DiskNodePtr> locked ABSL_GUARDED_BY(mutex);

 private:
  void LoseUnsynced() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Revert(DiskNode& dir, std::set<const DiskNode*>* seen) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
};

}  // namespace keel::sim
