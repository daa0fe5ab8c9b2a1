#include "kvstore/recovery/backup_folder.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/recovery/backup_segment.h"

namespace keel::kvstore {

using base::StrCat;

absl::StatusOr<BackupCatalogue> ReadCatalogue(base::FileSystem& fs, const std::string& dir) {
  const std::string path = StrCat(dir, "/", kCatalogueName);
  if (!fs.Exists(path)) return absl::NotFoundError(StrCat(dir, " holds no backup"));
  KEEL_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(fs, path));
  auto catalogue = DecodeCatalogue(text);
  if (!catalogue.ok()) {
    return absl::Status(
        catalogue.status().code(),
        StrCat("backup catalogue ", path, ": ", base::ToStd(catalogue.status().message())));
  }
  return catalogue;
}

absl::StatusOr<std::unique_ptr<BackupFolder>> BackupFolder::Open(base::FileSystem& fs,
                                                                 const std::string& dir,
                                                                 uint64_t cluster_id) {
  KEEL_RETURN_IF_ERROR(fs.CreateDirs(dir));
  std::unique_ptr<BackupFolder> folder(new BackupFolder(fs, dir));
  KEEL_ASSIGN_OR_RETURN(folder->lock_, fs.Lock(dir + "/LOCK"));
  auto catalogue = ReadCatalogue(fs, dir);
  if (absl::IsNotFound(catalogue.status())) {
    folder->catalogue_.cluster_id = cluster_id;
    return folder;
  }
  KEEL_RETURN_IF_ERROR(catalogue.status());
  if (catalogue->cluster_id != cluster_id) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s holds a backup of cluster %x, and the servers are of cluster %x: give "
                        "each cluster a folder of its own",
                        dir, catalogue->cluster_id, cluster_id));
  }
  folder->catalogue_ = *std::move(catalogue);
  KEEL_RETURN_IF_ERROR(folder->RemoveUnlisted());
  KEEL_RETURN_IF_ERROR(folder->Resume());
  return folder;
}

// Only files that this class has named: a folder may hold others by mistake.
absl::Status BackupFolder::RemoveUnlisted() {
  std::set<std::string> listed;
  for (const BackupBase& base : catalogue_.bases) listed.insert(base.name);
  for (const BackupSegment& segment : catalogue_.segments) listed.insert(segment.name);
  KEEL_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_.List(dir_));
  for (const std::string& name : names) {
    const bool ours = name.starts_with("base-") || name.starts_with("segment-");
    if (ours && !listed.contains(name)) KEEL_RETURN_IF_ERROR(fs_.Remove(dir_ + "/" + name));
  }
  return absl::OkStatus();
}

// Finds the end of the open segment, and cuts it where a crash tore it.
absl::Status BackupFolder::Resume() {
  if (catalogue_.segments.empty()) return absl::OkStatus();
  BackupSegment& open = catalogue_.segments.back();
  for (auto segment = catalogue_.segments.rbegin(); segment != catalogue_.segments.rend();
       ++segment) {
    if (segment != catalogue_.segments.rbegin() && segment->last + 1 != chain_first_) break;
    chain_first_ = segment->first;
  }
  for (const BackupBase& base : catalogue_.bases) NotBefore(base.time);
  for (const BackupSegment& segment : catalogue_.segments) NotBefore(segment.until);
  if (!open.open) return absl::OkStatus();
  auto opened = SegmentReader::Open(fs_, dir_, open, catalogue_.cluster_id);
  last_revision_ = open.first - 1;
  BackupRecord record;
  uint64_t bytes = 0;
  damage_ = opened.status();
  while (damage_.ok()) {
    const absl::StatusOr<bool> more = (*opened)->Next(&record);
    damage_ = more.status();
    bytes = (*opened)->offset();
    last_revision_ = (*opened)->last_revision();
    NotBefore((*opened)->last_time());
    if (!more.ok() || !*more) break;
  }
  const std::string path = dir_ + "/" + open.name;
  if (!damage_.ok()) {
    // It stays for those who need what is good of it, and is damaged for ever.
    open.open = false;
    open.last = last_revision_;
    open.until = last_time_;
    const auto file = fs_.Open(path, base::FileSystem::Mode::kRead);
    if (file.ok()) {
      KEEL_ASSIGN_OR_RETURN(open.bytes, (*file)->Size());
    }
    return WriteCatalogue();
  }
  KEEL_ASSIGN_OR_RETURN(writing_, fs_.Open(path, base::FileSystem::Mode::kReadWrite));
  if ((*opened)->torn_bytes() > 0) {
    base::Log().warn("cut what a crash left of the last write path={} offset={} bytes={}", path,
                     bytes, (*opened)->torn_bytes());
    KEEL_RETURN_IF_ERROR(writing_->Truncate(bytes));
    KEEL_RETURN_IF_ERROR(writing_->Sync());
  }
  segment_ = (*opened)->header();
  offset_ = bytes;
  group_ = (*opened)->last_group() + 1;
  return absl::OkStatus();
}

const BackupBase* BackupFolder::newest_base() const {
  for (auto base = catalogue_.bases.rbegin(); base != catalogue_.bases.rend(); ++base) {
    if (base->revision >= chain_first_ - 1) return &*base;
  }
  return nullptr;
}

absl::Status BackupFolder::WriteCatalogue() {
  return base::WriteFileAtomic(fs_, StrCat(dir_, "/", kCatalogueName), EncodeCatalogue(catalogue_));
}

absl::Status BackupFolder::NewSegment(int64_t first_revision, WallMicros now) {
  KEEL_CHECK(buffer_.empty());
  if (!catalogue_.segments.empty() && catalogue_.segments.back().open) {
    BackupSegment& last = catalogue_.segments.back();
    last.open = false;
    last.last = last_revision_;
    last.until = last_time_;
    last.bytes = offset_;
  }
  segment_ = {.cluster_id = catalogue_.cluster_id,
              .sequence = catalogue_.segments.empty() ? 1 : catalogue_.segments.back().sequence + 1,
              .first_revision = first_revision,
              .created = NotBefore(now)};
  BackupSegment listed;
  listed.name = absl::StrFormat("segment-%08d.log", catalogue_.next_file++);
  listed.sequence = segment_.sequence;
  listed.first = first_revision;
  listed.open = true;
  const std::string path = dir_ + "/" + listed.name;
  KEEL_ASSIGN_OR_RETURN(writing_, fs_.Open(path, base::FileSystem::Mode::kCreateEmpty));
  KEEL_RETURN_IF_ERROR(writing_->Write(0, EncodeSegmentHeader(segment_)));
  KEEL_RETURN_IF_ERROR(writing_->Sync());
  KEEL_RETURN_IF_ERROR(fs_.SyncDir(dir_));
  catalogue_.segments.push_back(std::move(listed));
  KEEL_RETURN_IF_ERROR(WriteCatalogue());
  offset_ = kSegmentHeaderBytes;
  group_ = 1;
  last_revision_ = first_revision - 1;
  return absl::OkStatus();
}

absl::Status BackupFolder::Begin(int64_t first_revision, WallMicros now) {
  KEEL_RETURN_IF_ERROR(NewSegment(first_revision, now));
  chain_first_ = first_revision;
  return absl::OkStatus();
}

absl::Status BackupFolder::Rotate(WallMicros now) { return NewSegment(last_revision_ + 1, now); }

void BackupFolder::Append(BackupRecordType type, WallMicros time, std::string body) {
  KEEL_CHECK(following());
  AppendBackupRecord(segment_, offset_ + buffer_.size(),
                     {.type = type,
                      .group = group_,
                      .revision = last_revision_,
                      .time = NotBefore(time),
                      .body = std::move(body)},
                     &buffer_);
}

void BackupFolder::AddRevision(int64_t revision, const BackupEvents& events, WallMicros now) {
  KEEL_CHECK(revision == last_revision_ + 1, "revision=", revision, " last=", last_revision_);
  last_revision_ = revision;
  Append(BackupRecordType::kRevision, now, EncodeEvents(events));
}

void BackupFolder::AddLeases(const std::vector<BackupLease>& leases, WallMicros now) {
  if (!leases.empty()) Append(BackupRecordType::kLease, now, EncodeLeases(leases));
}

absl::Status BackupFolder::Flush(WallMicros heard) {
  Append(BackupRecordType::kClock, heard, "");
  KEEL_RETURN_IF_ERROR(writing_->Write(offset_, buffer_));
  KEEL_RETURN_IF_ERROR(writing_->Sync());
  offset_ += buffer_.size();
  buffer_.clear();
  ++group_;
  return absl::OkStatus();
}

std::string BackupFolder::NewBaseName() {
  return absl::StrFormat("base-%08d.db", catalogue_.next_file++);
}

absl::Status BackupFolder::AddBase(BackupBase base, WallMicros now) {
  KEEL_CHECK(base.revision >= chain_first_ - 1 && base.revision <= last_revision_,
             "revision=", base.revision, " first=", chain_first_, " last=", last_revision_);
  base.time = NotBefore(now);
  catalogue_.bases.push_back(std::move(base));
  return WriteCatalogue();
}

absl::Status BackupFolder::Prune(WallMicros since) {
  // The newest base that is old enough carries `since`.
  const BackupBase* oldest = nullptr;
  for (const BackupBase& base : catalogue_.bases) {
    if (base.time <= since) oldest = &base;
  }
  if (oldest == nullptr) return absl::OkStatus();
  const WallMicros base_time = oldest->time;
  const int64_t base_revision = oldest->revision;
  std::vector<std::string> gone;
  std::erase_if(catalogue_.bases, [&](const BackupBase& base) {
    if (base.time >= base_time) return false;
    gone.push_back(base.name);
    return true;
  });
  std::erase_if(catalogue_.segments, [&](const BackupSegment& segment) {
    // One without the base's revision may still say how long that was the newest.
    if (segment.open || segment.last > base_revision || segment.until >= base_time) return false;
    gone.push_back(segment.name);
    return true;
  });
  if (gone.empty()) return absl::OkStatus();
  KEEL_RETURN_IF_ERROR(WriteCatalogue());
  for (const std::string& name : gone) KEEL_RETURN_IF_ERROR(fs_.Remove(dir_ + "/" + name));
  base::Log().info("pruned backup files={} oldest_revision={}", gone.size(), base_revision);
  return fs_.SyncDir(dir_);
}

}  // namespace keel::kvstore
