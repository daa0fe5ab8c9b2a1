// Settings of the store on disk.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"
#include "kvstore/mvcc/store_host.h"

namespace keel::kvstore {

// When counts of ranges use an index instead of a walk, and how fine it is; see count_index.h.
struct CountOptions {
  int64_t block_keys = 512;  // a count walks over so many at each end of its range
  int64_t walk_keys = 256;   // a count that ends sooner never looks for the index
  int64_t min_keys = 4096;   // of the store; with fewer the index is not built; 0: it always is
};

struct StoreOptions {
  std::string dir;  // created when missing; the store's alone
  // Memory bounds, bytes. Both fill with use; an idle store takes a few MB.
  uint64_t block_cache_bytes = 128ull << 20;
  uint64_t write_buffer_bytes = 64ull << 20;
  // Threads that flush and compact: one flushes. With one other, the newest values' long
  // compactions hold up the events'.
  int background_threads = 3;
  // How long a write waits for room on a full disk before it fails, milliseconds. Nothing is
  // lost meanwhile; reads go on.
  int64_t full_disk_wait_ms = 30'000;
  CountOptions counts;
  // Of a checkpoint: nothing is written, and nothing compacts. REQUIRES: Database only.
  bool read_only = false;
  // For tests: drops what was not flushed when the store closes, as a crash does.
  bool crash_on_close = false;
  // What the store stands on; null: the system. It outlives the store.
  StoreHost* host = nullptr;

  base::FileSystem& fs() const { return host != nullptr ? host->fs() : base::PosixFileSystem(); }
};

// Bytes on disk.
struct StoreSizes {
  int64_t db_bytes = 0;      // all files, and what waits in memory to be written
  int64_t in_use_bytes = 0;  // of them, an estimate of what is live
};

}  // namespace keel::kvstore
