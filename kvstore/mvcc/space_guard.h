// Keeps RocksDB from running into a full disk in the middle of a file: a
// table file is refused, as a full disk refuses it, when less room is left than
// it may need. RocksDB takes such a refusal in its stride (writes wait until
// Resume), while an ENOSPC between two blocks of a file has taken Debian's build,
// which keeps its assertions, down with it.
//
//   SpaceGuard guard(rocksdb::Env::Default(), 36 << 20);
//   options.env = guard.env();     // outlives the database
//
// Thread-safety: any number of threads.
#pragma once

#include <cstdint>
#include <memory>

#include "rocksdb/env.h"

namespace keel::kvstore {

class SpaceGuard {
 public:
  // A new table file wants `bytes` free; on a small disk, a sixteenth of it if that is less.
  SpaceGuard(rocksdb::Env* base, uint64_t bytes);

  rocksdb::Env* env() const { return env_.get(); }

 private:
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace keel::kvstore
