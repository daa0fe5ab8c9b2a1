#include "tests/sim/disk_state.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/status.h"
#include "base/strings.h"

namespace keel::sim {

using base::ErrnoStatus;
using base::StrCat;

namespace {

constexpr uint64_t kBlockBytes = 4096;

uint64_t Blocks(uint64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes; }

}  // namespace

absl::Status DeadStatus(const std::string& path) {
  return absl::UnavailableError(StrCat(path, ": the simulated disk has died"));
}

uint64_t Allocated(const DiskNode& node) { return Blocks(node.data.size()); }

absl::StatusOr<DiskState::Place> DiskState::Find(const std::string& path) const {
  Place place{nullptr, "", root};
  size_t at = 0;
  while (at < path.size()) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string part = path.substr(at, slash - at);
    at = slash + 1;
    if (part.empty() || part == ".") continue;
    if (place.node == nullptr) return ErrnoStatus(ENOENT, path);
    if (!place.node->is_dir) return ErrnoStatus(ENOTDIR, path);
    place.dir = std::move(place.node);
    place.name = part;
    const auto found = place.dir->names.find(part);
    place.node = found == place.dir->names.end() ? nullptr : found->second;
  }
  return place;
}

absl::StatusOr<DiskState::Place> DiskState::FindExisting(const std::string& path) const {
  KEEL_ASSIGN_OR_RETURN(Place place, Find(path));
  if (place.node == nullptr) return ErrnoStatus(ENOENT, path);
  return place;
}

absl::Status DiskState::Change(DiskOp op, const std::string& path, uint64_t bytes,
                               absl::FunctionRef<absl::Status()> effect,
                               absl::FunctionRef<void()> failed) {
  if (dead) return DeadStatus(path);
  ++changes;
  const bool is_sync = op == DiskOp::kSync || op == DiskOp::kSyncDir;
  const bool is_write = op == DiskOp::kWrite || op == DiskOp::kTruncate;
  Spend((is_sync ? latency.sync_ns : latency.write_ns) + bytes * latency.per_kib_ns / 1024);
  uint64_t& done = op == DiskOp::kSync ? counters.syncs
                   : is_write          ? counters.writes
                                       : counters.name_changes;
  ++done;
  counters.bytes_written += bytes;
  SimDisk::Verdict verdict = on_change ? on_change(op, path) : SimDisk::Verdict::kProceed;
  if (die_at != 0 && changes >= die_at) verdict = SimDisk::Verdict::kDie;
  const uint32_t ppm = op == DiskOp::kSync ? faults.sync_error_ppm
                       : is_write          ? faults.write_error_ppm
                                           : faults.name_error_ppm;
  if (verdict == SimDisk::Verdict::kProceed && random.Chance(ppm))
    verdict = SimDisk::Verdict::kFail;
  if (verdict == SimDisk::Verdict::kFail) {
    uint64_t& errors = op == DiskOp::kSync ? counters.sync_errors
                       : is_write          ? counters.write_errors
                                           : counters.name_errors;
    ++errors;
    failed();
    return ErrnoStatus(EIO, path);
  }
  if (verdict == SimDisk::Verdict::kDie) {
    dead = true;
    if (!is_sync) effect().IgnoreError();
    return DeadStatus(path);
  }
  return effect();
}

void DiskState::Spend(uint64_t ns) {
  cost_ns += static_cast<uint64_t>(static_cast<double>(ns) * latency.factor);
  if (random.Chance(faults.stall_ppm)) {
    ++counters.stalls;
    cost_ns += faults.stall_ns;
  }
}

absl::Status DiskState::Write(DiskNode& node, const std::string& path, uint64_t offset,
                              std::string_view data) {
  const auto put = [&]() {
    if (random.Chance(faults.lost_write_ppm)) {
      ++counters.lost_writes;
      return absl::OkStatus();
    }
    if (node.data.size() >= 2 * kSectorBytes && random.Chance(faults.misdirected_write_ppm)) {
      const uint64_t sector = random.Below(node.data.size() / kSectorBytes);
      const uint64_t other = sector * kSectorBytes + offset % kSectorBytes;
      ++counters.misdirected_writes;
      node.data.Write(other, data.substr(0, node.data.size() - other));
      return absl::OkStatus();
    }
    const uint64_t before = Allocated(node);
    const uint64_t free_bytes = capacity_bytes > used_bytes ? capacity_bytes - used_bytes : 0;
    const uint64_t most = before + free_bytes / kBlockBytes * kBlockBytes;
    const uint64_t room = most > offset ? most - offset : 0;
    node.data.Write(offset, data.substr(0, room));
    used_bytes += Allocated(node) - before;
    if (room >= data.size()) return absl::OkStatus();
    ++counters.no_space;
    return ErrnoStatus(ENOSPC, StrCat("write ", path));
  };
  const auto fail = [&]() {
    const uint64_t within = offset < node.data.size() ? node.data.size() - offset : 0;
    node.data.Write(offset, data.substr(0, random.Below(std::min(within, data.size()) + 1)));
  };
  return Change(DiskOp::kWrite, path, data.size(), put, fail);
}

absl::Status DiskState::Truncate(DiskNode& node, const std::string& path, uint64_t size) {
  const auto effect = [&]() {
    const uint64_t before = Allocated(node);
    const uint64_t after = Blocks(size);
    if (after > before && used_bytes + (after - before) > capacity_bytes) {
      ++counters.no_space;
      return ErrnoStatus(ENOSPC, StrCat("truncate ", path));
    }
    node.data.Truncate(size);
    used_bytes += after;
    used_bytes -= before;
    return absl::OkStatus();
  };
  return Change(DiskOp::kTruncate, path, 0, effect);
}

void DiskState::AddName(const DiskNodePtr& dir, const std::string& name, DiskNodePtr node) {
  ++node->links;
  dir->names[name] = node;
  pending.push_back({NameChange::Kind::kAdd, dir, name, std::move(node), nullptr, ""});
}

void DiskState::RemoveName(const DiskNodePtr& dir, const std::string& name) {
  const auto found = dir->names.find(name);
  DiskNodePtr node = std::move(found->second);
  dir->names.erase(found);
  Unlinked(*node);
  pending.push_back({NameChange::Kind::kRemove, dir, name, std::move(node), nullptr, ""});
}

void DiskState::Unlinked(DiskNode& node) {
  --node.links;
  FreeIfUnused(node);
}

void DiskState::FreeIfUnused(const DiskNode& node) {
  if (!node.is_dir && node.links == 0 && node.opens == 0) used_bytes -= Allocated(node);
}

absl::Status DiskState::RemoveTree(const Place& place, const std::string& path) {
  while (place.node->is_dir && !place.node->names.empty()) {
    const auto first = place.node->names.begin();
    KEEL_RETURN_IF_ERROR(
        RemoveTree({place.node, first->first, first->second}, StrCat(path, "/", first->first)));
  }
  return Change(DiskOp::kRemove, path, 0, [&]() {
    RemoveName(place.dir, place.name);
    return absl::OkStatus();
  });
}

void DiskState::MakeNamesDurable(const DiskNode* dir) {
  std::vector<NameChange> left;
  for (NameChange& change : pending) {
    if (!change.DurableWith(dir)) {
      left.push_back(std::move(change));
      continue;
    }
    change.MakeDurable();
    if (change.kind == NameChange::Kind::kRename) {  // it had that name before, and no more
      std::erase_if(left, [&](const NameChange& earlier) {
        return earlier.kind == NameChange::Kind::kAdd && earlier.node == change.node &&
               earlier.dir == change.dir && earlier.name == change.name;
      });
    }
  }
  pending = std::move(left);
}

void DiskState::LoseUnsynced() {
  if (!pending.empty()) {
    // A journal keeps the first ones; other file systems, any.
    const bool in_order = journaled || random.Coin();
    const uint64_t first_lost = random.Below(pending.size() + 1);
    for (size_t i = 0; i < pending.size(); ++i) {
      if (in_order ? i < first_lost : random.Coin()) {
        pending[i].MakeDurable();
      } else {
        ++counters.dropped_names;
      }
    }
    pending.clear();
  }
  std::set<const DiskNode*> seen;
  Revert(*root, &seen);
}

void DiskState::Revert(DiskNode& dir, std::set<const DiskNode*>* seen) {
  dir.names = dir.durable_names;
  for (const auto& [name, node] : dir.names) {
    if (!seen->insert(node.get()).second) {
      ++node->links;
      continue;
    }
    node->links = 1;
    if (node->is_dir) {
      Revert(*node, seen);
      continue;
    }
    const FileData::Loss loss = node->data.Crash(random, journaled);
    counters.dropped_writes += loss.dropped;
    counters.torn_writes += loss.torn;
  }
}

void DiskState::Visit(const DiskNode& dir, const std::string& path, bool durable,
                      absl::FunctionRef<void(const std::string&, DiskNode&)> visit) {
  for (const auto& [name, node] : durable ? dir.durable_names : dir.names) {
    const std::string full = StrCat(path, "/", name);
    visit(full, *node);
    if (node->is_dir) Visit(*node, full, durable, visit);
  }
}

bool DiskState::Corrupt(DiskNode& node, uint64_t offset, SimDisk::Damage damage) {
  const uint64_t start = offset / kSectorBytes * kSectorBytes;
  if (start >= node.data.size()) return false;
  const std::string before = node.data.bytes().substr(start, kSectorBytes);
  if (!node.data.IsDurable(start, before.size())) return false;
  std::string after = before;
  switch (damage) {
    case SimDisk::Damage::kBitFlip:
      after[random.Below(after.size())] ^= static_cast<char>(1 << random.Below(8));
      break;
    case SimDisk::Damage::kZeros:
      std::fill(after.begin(), after.end(), '\0');
      break;
    case SimDisk::Damage::kGarbage:
      for (char& c : after) c = static_cast<char>(random.Next());
      break;
  }
  if (after == before) return false;
  node.data.Damage(start, after);
  ++counters.corrupted_sectors;
  return true;
}

void DiskState::Crash(SimDisk::CrashKind kind) {
  ++counters.crashes;
  ++life;
  locked.clear();
  dead = false;
  die_at = 0;
  if (kind == SimDisk::CrashKind::kPower) LoseUnsynced();
  used_bytes = 0;
  std::set<const DiskNode*> seen;
  Visit(*root, "", /*durable=*/false, [&](const std::string&, DiskNode& node) {
    node.opens = 0;
    if (!node.is_dir && seen.insert(&node).second) used_bytes += Allocated(node);
  });
}

absl::Status DiskState::CreateFile(Place* place, const std::string& path) {
  return Change(DiskOp::kCreate, path, 0, [&] {
    place->node = std::make_shared<DiskNode>(/*dir=*/false);
    AddName(place->dir, place->name, place->node);
    return absl::OkStatus();
  });
}

}  // namespace keel::sim
