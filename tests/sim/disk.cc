#include "tests/sim/disk.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "tests/sim/disk_state.h"

namespace keel::sim {

using base::ErrnoStatus;
using base::StrCat;

namespace {

uint64_t Hash(uint64_t hash, std::string_view bytes) {  // FNV-1a
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return (hash ^ bytes.size()) * 0x100000001b3;
}

}  // namespace

class SimDisk::OpenFile final : public base::File {
 public:
  OpenFile(std::shared_ptr<DiskState> state, DiskNodePtr node, std::string path, bool writable,
           uint64_t life)
      : state_(std::move(state)),
        node_(std::move(node)),
        path_(std::move(path)),
        writable_(writable),
        life_(life) {}

  ~OpenFile() override {
    base::MutexLock lock(&state_->mutex);
    if (life_ != state_->life) return;
    --node_->opens;
    state_->FreeIfUnused(*node_);
  }

  absl::Status Write(uint64_t offset, std::string_view data) override {
    base::MutexLock lock(&state_->mutex);
    KEEL_RETURN_IF_ERROR(CheckWritable());
    return state_->Write(*node_, path_, offset, data);
  }

  absl::Status WriteV(uint64_t offset, std::span<const std::string_view> parts) override {
    std::string data;
    for (const std::string_view part : parts) data.append(part);
    return Write(offset, data);
  }

  absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const override {
    base::MutexLock lock(&state_->mutex);
    KEEL_RETURN_IF_ERROR(CheckAlive());
    DiskState& s = *state_;
    ++s.counters.reads;
    const std::string& bytes = node_->data.bytes();
    const size_t got = offset < bytes.size() ? std::min<size_t>(size, bytes.size() - offset) : 0;
    s.Spend(s.latency.read_ns + got * s.latency.per_kib_ns / 1024);
    if (s.random.Chance(s.faults.read_error_ppm)) {
      ++s.counters.read_errors;
      return ErrnoStatus(EIO, StrCat("read ", path_));
    }
    return bytes.substr(std::min<size_t>(offset, bytes.size()), got);
  }

  absl::Status Sync() override {
    base::MutexLock lock(&state_->mutex);
    KEEL_RETURN_IF_ERROR(CheckAlive());
    return state_->Change(
        DiskOp::kSync, path_, 0,
        [this] {
          node_->data.Sync();
          return absl::OkStatus();
        },
        [this] { node_->data.SyncFailed(); });
  }

  absl::Status Truncate(uint64_t size) override {
    base::MutexLock lock(&state_->mutex);
    KEEL_RETURN_IF_ERROR(CheckWritable());
    return state_->Truncate(*node_, path_, size);
  }

  absl::StatusOr<uint64_t> Size() const override {
    base::MutexLock lock(&state_->mutex);
    KEEL_RETURN_IF_ERROR(CheckAlive());
    return node_->data.size();
  }

  const std::string& path() const override { return path_; }

 private:
  absl::Status CheckAlive() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex) {
    return state_->dead || life_ != state_->life ? DeadStatus(path_) : absl::OkStatus();
  }
  absl::Status CheckWritable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex) {
    KEEL_RETURN_IF_ERROR(CheckAlive());
    return writable_ ? absl::OkStatus() : ErrnoStatus(EBADF, StrCat("write ", path_));
  }

  const std::shared_ptr<DiskState> state_;
  const DiskNodePtr node_;
  const std::string path_;
  const bool writable_;
  const uint64_t life_;
};

class SimDisk::HeldLock final : public base::FileLock {
 public:
  HeldLock(std::shared_ptr<DiskState> state, DiskNodePtr node, uint64_t life)
      : state_(std::move(state)), node_(std::move(node)), life_(life) {}
  ~HeldLock() override {
    base::MutexLock lock(&state_->mutex);
    if (life_ == state_->life) state_->locked.erase(node_);
  }

 private:
  const std::shared_ptr<DiskState> state_;
  const DiskNodePtr node_;
  const uint64_t life_;
};

SimDisk::SimDisk(SimDiskOptions options) : state_(std::make_shared<DiskState>(options)) {}
SimDisk::~SimDisk() = default;

// ---- base::FileSystem

absl::StatusOr<std::unique_ptr<base::File>> SimDisk::Open(const std::string& path, Mode mode) {
  base::MutexLock lock(&state_->mutex);
  DiskState& s = *state_;
  if (s.dead) return DeadStatus(path);
  KEEL_ASSIGN_OR_RETURN(DiskState::Place place, s.Find(path));
  const bool creates = mode == Mode::kCreate || mode == Mode::kCreateEmpty;
  if (place.node == nullptr) {
    if (!creates) return ErrnoStatus(ENOENT, StrCat("open ", path));
    KEEL_RETURN_IF_ERROR(s.CreateFile(&place, path));
  } else if (place.node->is_dir) {
    return ErrnoStatus(EISDIR, StrCat("open ", path));
  } else if (mode == Mode::kCreateEmpty && place.node->data.size() > 0) {
    KEEL_RETURN_IF_ERROR(s.Truncate(*place.node, path, 0));
  }
  ++place.node->opens;
  return std::make_unique<OpenFile>(state_, place.node, path, mode != Mode::kRead, s.life);
}

absl::Status SimDisk::CreateDirs(const std::string& path) {
  base::MutexLock lock(&state_->mutex);
  DiskState& s = *state_;
  if (s.dead) return DeadStatus(path);
  for (size_t at = 1; at <= path.size(); ++at) {
    if (at < path.size() && path[at] != '/') continue;
    const std::string prefix = path.substr(0, at);
    KEEL_ASSIGN_OR_RETURN(const DiskState::Place place, s.Find(prefix));
    if (place.node != nullptr) {
      if (!place.node->is_dir) return ErrnoStatus(ENOTDIR, prefix);
      continue;
    }
    KEEL_RETURN_IF_ERROR(s.Change(DiskOp::kCreate, prefix, 0, [&]() {
      const auto node = std::make_shared<DiskNode>(/*dir=*/true);
      s.AddName(place.dir, place.name, node);
      if (!s.dead) s.MakeNamesDurable(place.dir.get());
      return absl::OkStatus();
    }));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> SimDisk::List(const std::string& dir) {
  base::MutexLock lock(&state_->mutex);
  if (state_->dead) return DeadStatus(dir);
  KEEL_ASSIGN_OR_RETURN(const DiskState::Place place, state_->FindExisting(dir));
  if (!place.node->is_dir) return ErrnoStatus(ENOTDIR, StrCat("list ", dir));
  std::vector<std::string> names;
  names.reserve(place.node->names.size());
  for (const auto& [name, node] : place.node->names) names.push_back(name);
  return names;
}

bool SimDisk::Exists(const std::string& path) {
  base::MutexLock lock(&state_->mutex);
  return !state_->dead && state_->FindExisting(path).ok();
}

absl::Status SimDisk::Rename(const std::string& from, const std::string& to) {
  base::MutexLock lock(&state_->mutex);
  DiskState& s = *state_;
  if (s.dead) return DeadStatus(from);
  const std::string what = StrCat("rename ", from, " to ", to);
  KEEL_ASSIGN_OR_RETURN(const DiskState::Place source, s.FindExisting(from));
  KEEL_ASSIGN_OR_RETURN(const DiskState::Place target, s.Find(to));
  if (source.dir == nullptr || target.dir == nullptr) return ErrnoStatus(EBUSY, what);
  if (source.node == target.node) return absl::OkStatus();
  if (source.node->is_dir && StrCat(to, "/").rfind(StrCat(from, "/"), 0) == 0) {
    return ErrnoStatus(EINVAL, what);
  }
  if (target.node != nullptr) {
    if (target.node->is_dir != source.node->is_dir) {
      return ErrnoStatus(target.node->is_dir ? EISDIR : ENOTDIR, what);
    }
    if (!target.node->names.empty()) return ErrnoStatus(ENOTEMPTY, what);
  }
  return s.Change(DiskOp::kRename, from, 0, [&]() {
    if (target.node != nullptr) s.Unlinked(*target.node);
    source.dir->names.erase(source.name);
    target.dir->names[target.name] = source.node;
    s.pending.push_back(
        {NameChange::Kind::kRename, source.dir, source.name, source.node, target.dir, target.name});
    return absl::OkStatus();
  });
}

absl::Status SimDisk::Remove(const std::string& path) {
  base::MutexLock lock(&state_->mutex);
  DiskState& s = *state_;
  if (s.dead) return DeadStatus(path);
  KEEL_ASSIGN_OR_RETURN(const DiskState::Place place, s.FindExisting(path));
  if (place.dir == nullptr || !place.node->names.empty()) {
    return ErrnoStatus(ENOTEMPTY, StrCat("remove ", path));
  }
  return s.RemoveTree(place, path);
}

absl::Status SimDisk::RemoveAll(const std::string& path) {
  base::MutexLock lock(&state_->mutex);
  DiskState& s = *state_;
  if (s.dead) return DeadStatus(path);
  const auto place = s.FindExisting(path);
  if (!place.ok()) return absl::OkStatus();
  if (place->dir == nullptr) return ErrnoStatus(EBUSY, StrCat("remove ", path));
  return s.RemoveTree(*place, path);
}

absl::Status SimDisk::SyncDir(const std::string& dir) {
  base::MutexLock lock(&state_->mutex);
  DiskState& s = *state_;
  if (s.dead) return DeadStatus(dir);
  KEEL_ASSIGN_OR_RETURN(const DiskState::Place place, s.FindExisting(dir));
  return s.Change(DiskOp::kSyncDir, dir, 0, [&]() {
    s.MakeNamesDurable(place.node.get());
    return absl::OkStatus();
  });
}

absl::StatusOr<std::unique_ptr<base::FileLock>> SimDisk::Lock(const std::string& path) {
  base::MutexLock lock(&state_->mutex);
  DiskState& s = *state_;
  if (s.dead) return DeadStatus(path);
  KEEL_ASSIGN_OR_RETURN(DiskState::Place place, s.Find(path));
  if (place.node == nullptr) {
    KEEL_RETURN_IF_ERROR(s.CreateFile(&place, path));
  }
  if (!s.locked.insert(place.node).second) {
    return absl::UnavailableError(StrCat(path, " is held by another process"));
  }
  return std::make_unique<HeldLock>(state_, place.node, s.life);
}

absl::StatusOr<base::FileSystem::Space> SimDisk::GetSpace(const std::string& path) {
  base::MutexLock lock(&state_->mutex);
  const DiskState& s = *state_;
  if (s.dead) return DeadStatus(path);
  return Space{s.capacity_bytes > s.used_bytes ? s.capacity_bytes - s.used_bytes : 0,
               s.capacity_bytes};
}

absl::Status SimDisk::Link(const std::string& from, const std::string& to) {
  base::MutexLock lock(&state_->mutex);
  DiskState& s = *state_;
  if (s.dead) return DeadStatus(from);
  const std::string what = StrCat("link ", from, " to ", to);
  KEEL_ASSIGN_OR_RETURN(const DiskState::Place source, s.FindExisting(from));
  KEEL_ASSIGN_OR_RETURN(const DiskState::Place target, s.Find(to));
  if (source.node->is_dir) return ErrnoStatus(EPERM, what);
  if (target.node != nullptr) return ErrnoStatus(EEXIST, what);
  return s.Change(DiskOp::kLink, to, 0, [&]() {
    s.AddName(target.dir, target.name, source.node);
    return absl::OkStatus();
  });
}

bool SimDisk::IsDir(const std::string& path) {
  base::MutexLock lock(&state_->mutex);
  if (state_->dead) return false;
  const auto place = state_->FindExisting(path);
  return place.ok() && place->node->is_dir;
}

absl::StatusOr<uint64_t> SimDisk::FileSize(const std::string& path) {
  base::MutexLock lock(&state_->mutex);
  if (state_->dead) return DeadStatus(path);
  KEEL_ASSIGN_OR_RETURN(const DiskState::Place place, state_->FindExisting(path));
  return place.node->data.size();
}

absl::StatusOr<uint64_t> SimDisk::LinkCount(const std::string& path) {
  base::MutexLock lock(&state_->mutex);
  if (state_->dead) return DeadStatus(path);
  KEEL_ASSIGN_OR_RETURN(const DiskState::Place place, state_->FindExisting(path));
  return place.node->links;
}

// ---- crashes

void SimDisk::DieAfter(uint64_t changes) {
  base::MutexLock lock(&state_->mutex);
  state_->die_at = changes == 0 ? 0 : state_->changes + changes;
}

void SimDisk::Die() {
  base::MutexLock lock(&state_->mutex);
  state_->dead = true;
}

bool SimDisk::dead() const {
  base::MutexLock lock(&state_->mutex);
  return state_->dead;
}

uint64_t SimDisk::changes() const {
  base::MutexLock lock(&state_->mutex);
  return state_->changes;
}

void SimDisk::set_on_change(std::function<Verdict(DiskOp, const std::string&)> hook) {
  base::MutexLock lock(&state_->mutex);
  state_->on_change = std::move(hook);
}

void SimDisk::Crash(CrashKind kind) {
  base::MutexLock lock(&state_->mutex);
  state_->Crash(kind);
}

// ---- faults

void SimDisk::set_faults(const DiskFaults& faults) {
  base::MutexLock lock(&state_->mutex);
  state_->faults = faults;
}

void SimDisk::set_latency(const DiskLatency& latency) {
  base::MutexLock lock(&state_->mutex);
  state_->latency = latency;
}

void SimDisk::set_capacity(uint64_t bytes) {
  base::MutexLock lock(&state_->mutex);
  state_->capacity_bytes = bytes;
}

void SimDisk::set_journaled(bool journaled) {
  base::MutexLock lock(&state_->mutex);
  state_->journaled = journaled;
}

uint64_t SimDisk::used_bytes() const {
  base::MutexLock lock(&state_->mutex);
  return state_->used_bytes;
}

bool SimDisk::CorruptSector(const std::string& path, uint64_t offset, Damage damage) {
  base::MutexLock lock(&state_->mutex);
  const auto place = state_->FindExisting(path);
  return place.ok() && !place->node->is_dir && state_->Corrupt(*place->node, offset, damage);
}

std::optional<SimDisk::Sector> SimDisk::CorruptRandomSector(
    const std::function<bool(const std::string& path)>& choose, Damage damage) {
  base::MutexLock lock(&state_->mutex);
  DiskState& s = *state_;
  std::optional<Sector> chosen;
  DiskNode* chosen_node = nullptr;
  uint64_t candidates = 0;
  s.Visit(*s.root, "", /*durable=*/false, [&](const std::string& path, DiskNode& node) {
    if (node.is_dir || !choose(path)) return;
    const std::string_view bytes = node.data.bytes();
    for (uint64_t at = 0; at < bytes.size(); at += kSectorBytes) {
      const std::string_view sector = bytes.substr(at, kSectorBytes);
      if (sector.find_first_not_of('\0') == std::string_view::npos ||
          !node.data.IsDurable(at, sector.size())) {
        continue;
      }
      if (s.random.Below(++candidates) != 0) continue;
      chosen = Sector{path, at};
      chosen_node = &node;
    }
  });
  if (!chosen || !s.Corrupt(*chosen_node, chosen->offset, damage)) return std::nullopt;
  return chosen;
}

// ---- what happened

uint64_t SimDisk::TakeCost() {
  base::MutexLock lock(&state_->mutex);
  return std::exchange(state_->cost_ns, 0);
}

DiskCounters SimDisk::counters() const {
  base::MutexLock lock(&state_->mutex);
  return state_->counters;
}

uint64_t SimDisk::Fingerprint() const {
  base::MutexLock lock(&state_->mutex);
  uint64_t hash = 0xcbf29ce484222325;
  state_->Visit(*state_->root, "", /*durable=*/true, [&](const std::string& path, DiskNode& node) {
    hash = Hash(hash, path);
    if (!node.is_dir) hash = Hash(hash, node.data.Durable());
  });
  return hash;
}

std::vector<std::string> SimDisk::Files() const {
  base::MutexLock lock(&state_->mutex);
  std::vector<std::string> files;
  state_->Visit(*state_->root, "", /*durable=*/false, [&](const std::string& path, DiskNode& node) {
    if (!node.is_dir) files.push_back(path);
  });
  return files;
}

}  // namespace keel::sim
