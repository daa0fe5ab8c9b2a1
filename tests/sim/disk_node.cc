#include "tests/sim/disk_node.h"

#include <algorithm>

#include "tests/sim/disk.h"

namespace keel::sim {
namespace {

void Put(std::string* bytes, uint64_t offset, std::string_view data) {
  if (data.empty()) return;
  const uint64_t end = offset + data.size();
  if (end > bytes->size()) bytes->resize(end);
  std::copy(data.begin(), data.end(), bytes->begin() + static_cast<int64_t>(offset));
}

// Calls put(offset, part) for each sector of the write that `survives` takes.
template <typename Survives, typename PutPart>
void ForSectors(uint64_t offset, std::string_view data, Survives survives, PutPart put) {
  while (!data.empty()) {
    const uint64_t bytes = std::min<uint64_t>(kSectorBytes - offset % kSectorBytes, data.size());
    if (survives()) put(offset, data.substr(0, bytes));
    data.remove_prefix(bytes);
    offset += bytes;
  }
}

}  // namespace

void FileData::Write(uint64_t offset, std::string_view data) {
  if (data.empty()) return;
  Change& change = unsynced_.emplace_back();
  change.offset = offset;
  change.bytes = data.size();
  change.size_before = bytes_.size();
  if (offset < bytes_.size()) change.replaced = bytes_.substr(offset, data.size());
  Put(&bytes_, offset, data);
}

void FileData::Truncate(uint64_t size) {
  if (size == bytes_.size()) return;
  Change& change = unsynced_.emplace_back();
  change.truncates = true;
  change.bytes = size;
  change.size_before = bytes_.size();
  if (size < bytes_.size()) change.replaced = bytes_.substr(size);
  bytes_.resize(size);
}

void FileData::Sync() {
  if (!sync_failed_) unsynced_.clear();
}

void FileData::Undo(const Change& change, std::string* bytes) {
  bytes->resize(change.size_before);
  Put(bytes, change.truncates ? change.bytes : change.offset, change.replaced);
}

FileData::Loss FileData::Crash(DiskRandom& random, bool journaled) {
  Loss loss;
  sync_failed_ = false;
  if (unsynced_.empty()) return loss;
  const std::vector<Change> changes = std::move(unsynced_);
  unsynced_.clear();
  std::vector<std::string> written(changes.size());
  for (size_t i = changes.size(); i-- > 0;) {
    if (!changes[i].truncates) written[i] = bytes_.substr(changes[i].offset, changes[i].bytes);
    Undo(changes[i], &bytes_);
  }

  enum class Mode { kNone, kAll, kPrefix, kSubset };
  auto mode = static_cast<Mode>(random.Below(4));
  const bool in_order =
      journaled && std::all_of(changes.begin(), changes.end(), [](const Change& change) {
        return !change.truncates && change.offset == change.size_before;
      });
  if (in_order && mode == Mode::kSubset) mode = Mode::kPrefix;
  const size_t whole = mode == Mode::kPrefix ? random.Below(changes.size()) : 0;
  for (size_t i = 0; i < changes.size(); ++i) {
    bool drop = mode == Mode::kNone, tear = false;
    if (mode == Mode::kPrefix) {
      drop = i > whole;
      tear = i == whole;
    } else if (mode == Mode::kSubset) {
      const uint64_t draw = random.Below(4);
      drop = draw == 0;
      tear = draw == 1;
    }
    const Change& change = changes[i];
    if (change.truncates) {  // only the size: in whole or not at all
      if (drop || tear) {
        ++loss.dropped;
      } else {
        bytes_.resize(change.bytes);
      }
      continue;
    }
    if (drop) {
      ++loss.dropped;
      continue;
    }
    if (!tear) {
      Put(&bytes_, change.offset, written[i]);
      continue;
    }
    const uint64_t sectors =
        (change.offset + change.bytes - 1) / kSectorBytes - change.offset / kSectorBytes + 1;
    // In order up to some sector, or some in no order.
    uint64_t left = random.Coin() || in_order ? random.Below(sectors) : UINT64_MAX;
    uint64_t survivors = 0;
    ForSectors(
        change.offset, written[i],
        [&] {
          const bool survives = left == UINT64_MAX ? random.Coin() : left > 0;
          if (left != UINT64_MAX && left > 0) --left;
          survivors += survives ? 1 : 0;
          return survives;
        },
        [&](uint64_t offset, std::string_view part) { Put(&bytes_, offset, part); });
    if (survivors == 0) {
      ++loss.dropped;
    } else if (survivors < sectors) {
      ++loss.torn;
    }
  }
  return loss;
}

std::string FileData::Durable() const {
  std::string bytes = bytes_;
  for (auto change = unsynced_.rbegin(); change != unsynced_.rend(); ++change) {
    Undo(*change, &bytes);
  }
  return bytes;
}

bool FileData::IsDurable(uint64_t offset, uint64_t size) const {
  return std::none_of(unsynced_.begin(), unsynced_.end(), [&](const Change& change) {
    return change.truncates
               ? offset + size > change.bytes
               : change.offset < offset + size && offset < change.offset + change.bytes;
  });
}

void FileData::Damage(uint64_t offset, std::string_view bytes) { Put(&bytes_, offset, bytes); }

void NameChange::MakeDurable() const {
  switch (kind) {
    case Kind::kAdd:
      dir->durable_names[name] = node;
      break;
    case Kind::kRemove:
      dir->durable_names.erase(name);
      break;
    case Kind::kRename:
      if (const auto found = dir->durable_names.find(name);
          found != dir->durable_names.end() && found->second == node) {
        dir->durable_names.erase(found);
      }
      to_dir->durable_names[to_name] = node;
      break;
  }
}

}  // namespace keel::sim
