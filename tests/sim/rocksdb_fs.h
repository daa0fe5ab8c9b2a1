// RocksDB's view of a SimDisk: a rocksdb::FileSystem.
//
// ENOSPC arrives as IOStatus::NoSpace, every other failure as an IOError that
// RocksDB must not retry by itself; what a dead disk answers is one of these.
//
// Thread-safety: as the disk's.
#pragma once

#include <memory>

#include "rocksdb/file_system.h"
#include "tests/sim/disk.h"

namespace keel::sim {

// `disk` outlives it.
std::shared_ptr<rocksdb::FileSystem> NewRocksDbFiles(SimDisk& disk);

}  // namespace keel::sim
