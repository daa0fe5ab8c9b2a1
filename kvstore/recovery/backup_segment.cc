#include "kvstore/recovery/backup_segment.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "base/strings.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

constexpr uint64_t kWindowBytes = 1 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<SegmentReader>> SegmentReader::Open(base::FileSystem& fs,
                                                                   const std::string& dir,
                                                                   const BackupSegment& listed,
                                                                   uint64_t cluster_id) {
  const std::string path = dir + "/" + listed.name;
  KEEL_ASSIGN_OR_RETURN(auto file, fs.Open(path, base::FileSystem::Mode::kRead));
  std::unique_ptr<SegmentReader> reader(new SegmentReader(path, listed, std::move(file)));
  KEEL_ASSIGN_OR_RETURN(reader->size_, reader->file_->Size());
  KEEL_ASSIGN_OR_RETURN(const std::string bytes, reader->file_->Read(0, kSegmentHeaderBytes));
  const absl::StatusOr<SegmentHeader> header = DecodeSegmentHeader(bytes);
  if (!header.ok()) {
    return absl::Status(header.status().code(), StrCat("backup segment ", path, ": ",
                                                       base::ToStd(header.status().message())));
  }
  if (header->cluster_id != cluster_id || header->sequence != listed.sequence ||
      header->first_revision != listed.first) {
    return absl::DataLossError(StrCat("backup segment ", path,
                                      " is another one than the catalogue lists: segment ",
                                      header->sequence, " from revision ", header->first_revision));
  }
  if (!listed.open && reader->size_ != listed.bytes) {
    return absl::DataLossError(StrCat("backup segment ", path, " is damaged: it has ",
                                      reader->size_, " bytes instead of ", listed.bytes));
  }
  reader->header_ = *header;
  reader->tag_ = SegmentTag(*header);
  reader->offset_ = kSegmentHeaderBytes;
  reader->last_revision_ = header->first_revision - 1;
  reader->last_time_ = header->created;
  return reader;
}

absl::Status SegmentReader::Damaged(std::string_view what) const {
  return absl::DataLossError(
      StrCat("backup segment ", path_, " is damaged at byte ", offset_, ": ", what));
}

// Bytes of the file; fewer at its end. Valid until the next call.
absl::StatusOr<std::string_view> SegmentReader::View(uint64_t offset, uint64_t bytes) {
  bytes = std::min(bytes, size_ - std::min(offset, size_));
  if (offset < window_at_ || offset + bytes > window_at_ + window_.size()) {
    KEEL_ASSIGN_OR_RETURN(window_, file_->Read(offset, std::max(bytes, kWindowBytes)));
    window_at_ = offset;
  }
  const size_t from = offset - window_at_;
  return std::string_view(window_).substr(std::min(from, window_.size()), bytes);
}

// False when there is no intact one at `offset`.
absl::StatusOr<bool> SegmentReader::ReadRecord(uint64_t offset, BackupRecord* record) {
  KEEL_ASSIGN_OR_RETURN(std::string_view bytes, View(offset, kBackupRecordHeaderBytes));
  if (bytes.size() < kBackupRecordHeaderBytes) return false;
  const auto body = BackupBodyBytes(header_, bytes);
  if (!body || *body > size_ - offset - kBackupRecordHeaderBytes) return false;
  KEEL_ASSIGN_OR_RETURN(bytes, View(offset, kBackupRecordHeaderBytes + *body));
  return DecodeBackupRecord(header_, offset, bytes, record);
}

absl::StatusOr<bool> SegmentReader::LaterGroupFollows() {
  const uint64_t unfinished = group_ended_ ? last_group_ + 1 : last_group_;
  for (uint64_t at = offset_ + 1; at + kBackupRecordHeaderBytes <= size_;) {
    KEEL_ASSIGN_OR_RETURN(const std::string_view bytes, View(at, kWindowBytes));
    const size_t tag = bytes.find(tag_, 8);  // where it stands in a record
    if (tag == std::string_view::npos) {
      if (at + bytes.size() >= size_) return false;
      at += bytes.size() - 8 - tag_.size() + 1;
      continue;
    }
    at += tag - 8;
    BackupRecord record;
    KEEL_ASSIGN_OR_RETURN(const bool intact, ReadRecord(at, &record));
    if (intact && record.group > unfinished) return true;
    ++at;
  }
  return false;
}

absl::StatusOr<bool> SegmentReader::Unreadable() {
  if (!listed_.open) return Damaged("no intact record");
  KEEL_ASSIGN_OR_RETURN(const bool damaged, LaterGroupFollows());
  if (damaged) return Damaged("no intact record, though later ones are");
  torn_bytes_ = size_ - offset_;
  return false;
}

absl::StatusOr<bool> SegmentReader::Next(BackupRecord* record) {
  if (offset_ == size_) {
    if (!listed_.open && last_revision_ != listed_.last) {
      return Damaged(StrCat("it ends at revision ", last_revision_, " instead of ", listed_.last));
    }
    return false;
  }
  KEEL_ASSIGN_OR_RETURN(const bool intact, ReadRecord(offset_, record));
  if (!intact) return Unreadable();
  const bool new_revision = record->type == BackupRecordType::kRevision;
  if (record->revision != last_revision_ + (new_revision ? 1 : 0) || record->time < last_time_ ||
      record->group != last_group_ + (group_ended_ ? 1 : 0)) {
    // Intact, and yet it does not follow: the writer goes on with a new group over an unfinished
    // one, and with nothing else.
    const bool resumed = record->group == last_group_ + 1 && !group_ended_ &&
                         record->revision == last_revision_ + (new_revision ? 1 : 0) &&
                         record->time >= last_time_;
    if (!resumed) {
      return Damaged(StrCat("a record of revision ", record->revision, " and group ", record->group,
                            " behind revision ", last_revision_, " and group ", last_group_));
    }
  }
  offset_ += kBackupRecordHeaderBytes + record->body.size();
  last_revision_ = record->revision;
  last_time_ = record->time;
  last_group_ = record->group;
  group_ended_ = record->type == BackupRecordType::kClock;
  return true;
}

}  // namespace keel::kvstore
