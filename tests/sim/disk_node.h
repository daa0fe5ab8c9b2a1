// What lies on a SimDisk: files that know which of their writes are durable,
// and the disk's own source of chance. Not for users of the disk.
//
// Thread-safety: none; the disk's lock guards all of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace keel::sim {

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
class DiskRandom {
 public:
  explicit DiskRandom(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  // Draws nothing when the chance is nil: a fault switched off changes no other.
  bool Chance(uint32_t ppm) { return ppm > 0 && Below(1'000'000) < ppm; }
  bool Coin() { return (Next() & 1) != 0; }

 private:
  uint64_t state_;
};

// The contents of a file: the newest bytes, and how to undo what is not durable.
class FileData {
 public:
  const std::string& bytes() const { return bytes_; }
  uint64_t size() const { return bytes_.size(); }

  void Write(uint64_t offset, std::string_view data);
  void Truncate(uint64_t size);
  // Everything so far is durable, unless a sync has failed before.
  void Sync();
  void SyncFailed() { sync_failed_ = true; }

  struct Loss {
    uint64_t dropped = 0;  // writes
    uint64_t torn = 0;
  };
  // Some of what was not durable survives; what does is durable.
  Loss Crash(DiskRandom& random, bool journaled);

  // What a crash leaves when it takes all it may.
  std::string Durable() const;
  // No unsynced write touches the bytes.
  bool IsDurable(uint64_t offset, uint64_t size) const;
  // Changes bytes behind everybody's back.
  void Damage(uint64_t offset, std::string_view bytes);

 private:
  struct Change {
    bool truncates = false;
    uint64_t offset = 0;       // of a write
    uint64_t bytes = 0;        // written; of a truncation, the new size
    uint64_t size_before = 0;  // of the file
    std::string replaced;      // what lay at `offset`, or beyond the new size
  };
  static void Undo(const Change& change, std::string* bytes);

  std::string bytes_;
  std::vector<Change> unsynced_;
  bool sync_failed_ = false;
};

struct DiskNode;
using DiskNodePtr = std::shared_ptr<DiskNode>;
using DiskNames = std::map<std::string, DiskNodePtr>;

// A file or a folder.
struct DiskNode {
  explicit DiskNode(bool dir) : is_dir(dir) {}

  const bool is_dir;
  // Of a file.
  FileData data;
  uint32_t links = 0;  // names, as they are now
  uint32_t opens = 0;
  // Of a folder: as they are now, and as they survive any crash.
  DiskNames names;
  DiskNames durable_names;
};

// A change of names that is not durable yet.
struct NameChange {
  enum class Kind : uint8_t { kAdd, kRemove, kRename };
  Kind kind = Kind::kAdd;
  DiskNodePtr dir;
  std::string name;
  DiskNodePtr node;
  DiskNodePtr to_dir;  // of a rename
  std::string to_name;

  bool DurableWith(const DiskNode* synced) const {
    return (kind == Kind::kRename ? to_dir : dir).get() == synced;
  }
  void MakeDurable() const;
};

}  // namespace keel::sim
