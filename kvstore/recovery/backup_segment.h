// Reads one segment of a continuous backup, record by record.
//
//   KEEL_ASSIGN_OR_RETURN(auto reader, SegmentReader::Open(fs, dir, listed, cluster_id));
//   BackupRecord record;
//   while (true) {
//     KEEL_ASSIGN_OR_RETURN(const bool more, reader->Next(&record));
//     if (!more) break;
//   }
//   if (reader->torn_bytes() > 0) ...   // of the open segment: what a crash left of its last write
//
// Torn or damaged. Records are written in groups; a group is durable before the next one is
// written, and ends with a clock record. Bytes that do not parse are what a crash left of a write
// if no intact record of a later group stands behind them, and the segment is the open one. All
// else is damage, and reported with file and offset. (As in docs/formats/raft-log.md.)
//
// Thread-safety: none. Calls block on the disk; a chunk of the file is held in memory, or the
// largest record.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/file.h"
#include "kvstore/recovery/backup_format.h"

namespace keel::kvstore {

class SegmentReader {
 public:
  // `listed` is the segment's entry in the catalogue. Errors name the file: NotFound, DataLoss
  // (header damaged, of another segment, or a length that is not the one listed),
  // FailedPrecondition (another version).
  static absl::StatusOr<std::unique_ptr<SegmentReader>> Open(base::FileSystem& fs,
                                                             const std::string& dir,
                                                             const BackupSegment& listed,
                                                             uint64_t cluster_id);

  // The next record; false behind the last one. DataLoss with file and offset for damage, for a
  // revision left out, and for one that a closed segment should have and has not.
  absl::StatusOr<bool> Next(BackupRecord* record);

  const SegmentHeader& header() const { return header_; }
  // Behind the last record that Next returned.
  uint64_t offset() const { return offset_; }
  // Of that record, and of the one before it; header().first_revision - 1 and created at first.
  int64_t last_revision() const { return last_revision_; }
  WallMicros last_time() const { return last_time_; }
  uint64_t last_group() const { return last_group_; }
  // Set when Next returned false.
  uint64_t torn_bytes() const { return torn_bytes_; }

 private:
  SegmentReader(std::string path, BackupSegment listed, std::unique_ptr<base::File> file)
      : path_(std::move(path)), listed_(std::move(listed)), file_(std::move(file)) {}

  absl::StatusOr<std::string_view> View(uint64_t offset, uint64_t bytes);
  absl::StatusOr<bool> ReadRecord(uint64_t offset, BackupRecord* record);
  absl::StatusOr<bool> LaterGroupFollows();
  absl::StatusOr<bool> Unreadable();
  absl::Status Damaged(std::string_view what) const;

  const std::string path_;
  const BackupSegment listed_;
  const std::unique_ptr<base::File> file_;
  SegmentHeader header_;
  std::string tag_;
  uint64_t size_ = 0;
  std::string window_;
  uint64_t window_at_ = 0;
  uint64_t offset_ = 0;
  int64_t last_revision_ = 0;
  WallMicros last_time_ = 0;
  uint64_t last_group_ = 0;
  bool group_ended_ = true;
  uint64_t torn_bytes_ = 0;
};

}  // namespace keel::kvstore
