// The seam between Keel and disks. Code that owns a format (the Raft log)
// reads and writes through FileSystem, and the simulator replaces it with a
// disk that loses, tears and corrupts.
//
// Durability: nothing is durable before File::Sync (contents) and
// FileSystem::SyncDir (names) returned OK. After a failed Sync the state of
// the file is unknown; callers must stop, never retry.
//
// Thread-safety: a File may be used by one thread at a time; a FileSystem by
// any number. All calls block.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keel::base {

class File {
 public:
  virtual ~File() = default;  // Closes.

  // Writes all of `data` at `offset` (bytes).
  virtual absl::Status Write(uint64_t offset, std::string_view data) = 0;
  // Writes the parts one after the other, as one write where the system can.
  virtual absl::Status WriteV(uint64_t offset, std::span<const std::string_view> parts) = 0;
  // Reads up to `size` bytes; fewer only at the end of the file.
  virtual absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const = 0;
  // The same into memory that the caller uses again; returns how many bytes it read.
  virtual absl::StatusOr<size_t> ReadInto(uint64_t offset, std::span<char> out) const;
  // Makes everything written so far durable (fdatasync).
  virtual absl::Status Sync() = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
  virtual absl::StatusOr<uint64_t> Size() const = 0;
  virtual const std::string& path() const = 0;
};

// An exclusive advisory lock on a file, held until destroyed.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  enum class Mode {
    kRead,         // must exist; Write fails
    kReadWrite,    // must exist
    kCreate,       // read and write; created when missing, kept when there
    kCreateEmpty,  // read and write; created, or emptied when there
  };
  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, Mode mode) = 0;
  // With all folders above it; durable once it returns.
  virtual absl::Status CreateDirs(const std::string& path) = 0;
  // Names (not paths) of what is in a folder, sorted.
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& dir) = 0;
  virtual bool Exists(const std::string& path) = 0;
  // Replaces `to` when it exists; atomic.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status Remove(const std::string& path) = 0;
  virtual absl::Status RemoveAll(const std::string& path) = 0;
  // Makes creations, renames and removals in `dir` durable.
  virtual absl::Status SyncDir(const std::string& dir) = 0;
  // Unavailable, naming the path, when another process (or this one) holds it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;

  // Free and total bytes of the file system that holds `path`.
  struct Space {
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
  };
  virtual absl::StatusOr<Space> GetSpace(const std::string& path) = 0;
};

// The operating system's files. Never destroyed.
FileSystem& PosixFileSystem();

// Reads and atomically replaces (write, sync, rename, sync folder) whole small files.
absl::StatusOr<std::string> ReadFile(FileSystem& fs, const std::string& path);
absl::Status WriteFileAtomic(FileSystem& fs, const std::string& path, std::string_view data);

}  // namespace keel::base
