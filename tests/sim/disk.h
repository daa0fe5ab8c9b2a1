// One simulated member's disk: a base::FileSystem in memory that knows what is
// written from what is durable, and that fails in the ways disks fail.
//
//   SimDisk disk({.seed = 7});
//   LogOptions log;  log.fs = &disk;  log.dir = "/raft";      // run the member on it …
//   disk.set_faults({.sync_error_ppm = 1000});
//   disk.DieAfter(20);            // the 20th change from now is the member's last
//   if (disk.dead()) {            // … everything answers Unavailable by now
//     /* destroy the member */
//     disk.Crash();               // loses, tears and reorders what was not synced
//     /* start the member anew on the same disk */
//   }
//
// What is durable
//  * Contents, once File::Sync returned OK. Of writes that were not synced any
//    subset survives a crash; one that survives may do so in whole, up to some
//    sector of 512 bytes, or in some of its sectors only. A sector is atomic.
//  * Names (creation, rename, link, removal), once SyncDir of their folder
//    returned OK; a rename, once the folder it went to was synced. Of other
//    changes of names any subset survives; each is atomic. What CreateDirs makes
//    is durable when it returns.
//  * Of a journaled disk the first changes of names survive, and of a file that
//    was only appended to, a first part of what was appended: so file systems
//    with a journal and ordered data keep them, and RocksDB needs it (a gap in a
//    MANIFEST is damage to it, a short one is not).
//  * After a failed Sync no later Sync of that file makes anything durable,
//    though it returns OK: whoever retries loses data.
//
// Thread-safety: any thread; on_change is called under the disk's lock.
// Determinism: the same calls in the same order give the same results, bit by
// bit; all chance comes from the seed. Nothing is read from the machine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"

namespace keel::sim {

inline constexpr uint64_t kSectorBytes = 512;

// Operations of the disk. Those from kCreate on change it.
enum class DiskOp : uint8_t {
  kRead,
  kCreate,
  kWrite,
  kTruncate,
  kSync,
  kRename,
  kLink,
  kRemove,
  kSyncDir,
};

// What goes wrong by itself. Chances are in parts per million of operations.
struct DiskFaults {
  uint32_t read_error_ppm = 0;
  uint32_t write_error_ppm = 0;  // writes and truncations; a part may have been written
  uint32_t sync_error_ppm = 0;
  uint32_t name_error_ppm = 0;  // creations, renames, links, removals, SyncDir
  // An operation takes stall_ns longer.
  uint32_t stall_ppm = 0;
  uint64_t stall_ns = 0;
  // Against these no protocol holds on one disk: what was acknowledged is not there. A lost
  // write never happens; a misdirected one goes to another sector of the same file.
  uint32_t lost_write_ppm = 0;
  uint32_t misdirected_write_ppm = 0;
};

// Virtual nanoseconds that operations cost; see TakeCost.
struct DiskLatency {
  uint64_t read_ns = 20'000;
  uint64_t write_ns = 10'000;  // any change but a sync
  uint64_t sync_ns = 150'000;
  uint64_t per_kib_ns = 1'000;  // of bytes read and written
  double factor = 1;            // of all of them: a slow disk
};

struct SimDiskOptions {
  uint64_t seed = 0;
  uint64_t capacity_bytes = 1ull << 40;
  bool journaled = false;  // a RocksDbHost switches it on
  DiskFaults faults;
  DiskLatency latency;
};

// How often what went wrong.
struct DiskCounters {
  uint64_t reads = 0;
  uint64_t writes = 0;
  uint64_t syncs = 0;
  uint64_t name_changes = 0;
  uint64_t bytes_written = 0;
  uint64_t read_errors = 0;
  uint64_t write_errors = 0;
  uint64_t sync_errors = 0;
  uint64_t name_errors = 0;
  uint64_t no_space = 0;
  uint64_t stalls = 0;
  uint64_t crashes = 0;
  uint64_t dropped_writes = 0;  // in crashes: of unsynced writes, not one sector survived
  uint64_t torn_writes = 0;     // some did
  uint64_t dropped_names = 0;   // unsynced changes of names
  uint64_t corrupted_sectors = 0;
  uint64_t lost_writes = 0;
  uint64_t misdirected_writes = 0;
};

struct DiskState;

class SimDisk final : public base::FileSystem {
 public:
  explicit SimDisk(SimDiskOptions options);
  ~SimDisk() override;

  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  // ---- base::FileSystem. Paths are absolute; "/" exists.

  absl::StatusOr<std::unique_ptr<base::File>> Open(const std::string& path, Mode mode) override;
  absl::Status CreateDirs(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& dir) override;
  bool Exists(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status RemoveAll(const std::string& path) override;
  absl::Status SyncDir(const std::string& dir) override;
  absl::StatusOr<std::unique_ptr<base::FileLock>> Lock(const std::string& path) override;
  absl::StatusOr<Space> GetSpace(const std::string& path) override;

  // ---- what RocksDB needs besides (rocksdb_env.h)

  // Another name for a file. AlreadyExists when `to` is there.
  absl::Status Link(const std::string& from, const std::string& to);
  bool IsDir(const std::string& path);
  absl::StatusOr<uint64_t> FileSize(const std::string& path);
  absl::StatusOr<uint64_t> LinkCount(const std::string& path);

  // ---- crashes

  // The n-th change from now (1: the next) starts, is as durable as anything
  // not synced, and gets Unavailable, as does all that follows until Crash. 0: never.
  void DieAfter(uint64_t changes);
  void Die();
  bool dead() const;
  // Changes and syncs so far: what DieAfter counts.
  uint64_t changes() const;

  // Called before each operation but reads; what it returns happens. Must not call the disk.
  enum class Verdict : uint8_t {
    kProceed,
    kFail,  // an I/O error
    kDie,   // as DieAfter(1)
  };
  void set_on_change(std::function<Verdict(DiskOp op, const std::string& path)> hook);

  enum class CrashKind : uint8_t {
    kPower,    // unsynced data and names are lost, torn, reordered
    kProcess,  // the operating system lives on: nothing is lost
  };
  // Ends the life of all that is open and held, and takes orders again. Files and locks of
  // before answer Unavailable for ever; destroying them is harmless.
  void Crash(CrashKind kind = CrashKind::kPower);

  // ---- faults

  void set_faults(const DiskFaults& faults);
  void set_latency(const DiskLatency& latency);
  // May be less than what is used already: then nothing can be written.
  void set_capacity(uint64_t bytes);
  void set_journaled(bool journaled);
  uint64_t used_bytes() const;

  enum class Damage : uint8_t { kBitFlip, kZeros, kGarbage };
  // Damages the sector that holds `offset`, as it lies on disk and as it is read from now on.
  // False when there is no such file or offset, or when its bytes are what they were.
  bool CorruptSector(const std::string& path, uint64_t offset, Damage damage);
  struct Sector {
    std::string path;
    uint64_t offset = 0;
  };
  // The same to a random sector of the files whose path `choose` takes; nullopt when there
  // is none. Sectors of zeros only (what preallocation leaves) are not chosen.
  std::optional<Sector> CorruptRandomSector(
      const std::function<bool(const std::string& path)>& choose, Damage damage);

  // ---- what happened

  // Virtual nanoseconds that operations took since the last call.
  uint64_t TakeCost();
  DiskCounters counters() const;
  // Hash of what would survive a crash that loses all that may be lost: names and contents.
  uint64_t Fingerprint() const;
  // Paths of all files (no folders), sorted; as they are now.
  std::vector<std::string> Files() const;

 private:
  class OpenFile;
  class HeldLock;

  const std::shared_ptr<DiskState> state_;  // shared with what is open
};

}  // namespace keel::sim
