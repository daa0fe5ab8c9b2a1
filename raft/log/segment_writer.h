// The file side of a Raft log's writer: batches into the newest segment, and
// from one segment to the next. What the records say is its user's business.
//
//   writer->Start(tail);
//   writer->MakeRoom(RecordBytes(body.size()));
//   writer->batch().Add(type, body);
//   writer->Commit();                // one write, one sync
//
// Held by shared_ptr: the pool's answers find it through a weak one. Everything
// on the write loop. After any error nothing may be written any more: what is on
// disk is then unknown.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/loop.h"
#include "raft/log/format.h"
#include "raft/log/segment_pool.h"
#include "raft/log/segment_reader.h"

namespace keel::raft {

struct SegmentWriterOptions {
  base::FileSystem* fs = nullptr;
  std::string dir;
  uint64_t segment_bytes = 0;
  base::Loop* write_loop = nullptr;
  // Adds the first record of a new segment.
  std::function<void(BatchBuilder*)> begin_segment;
  // How long a sync took; may be null.
  std::function<void(base::Duration)> on_sync;
};

class SegmentWriter : public std::enable_shared_from_this<SegmentWriter> {
 public:
  // Creates the first segment with one record, and then the identity. Blocks.
  static absl::Status Create(base::FileSystem& fs, const std::string& dir,
                             const LogIdentity& identity, RecordType type, std::string_view body,
                             uint64_t segment_bytes);

  SegmentWriter(SegmentWriterOptions options, std::shared_ptr<SegmentPool> pool);

  // Continues where the log ends.
  absl::Status Start(const LogTail& tail);
  // Changes to the next segment when `record_bytes` do not fit into this one.
  absl::Status MakeRoom(uint64_t record_bytes);
  // What Commit writes.
  BatchBuilder& batch() { return *builder_; }
  // REQUIRES: the batch is not empty.
  absl::Status Commit();
  uint64_t sequence() const { return sequence_; }
  // Nothing is taken from the pool any more.
  void Stop() { stopped_ = true; }

 private:
  absl::Status Settle(uint64_t content_bytes, bool complete);
  absl::Status NextSegment();
  void PrepareNext();
  void OnPrepared(std::string path, uint64_t bytes);

  const SegmentWriterOptions options_;
  const std::shared_ptr<SegmentPool> pool_;
  std::atomic<bool> stopped_{false};
  LogIdentity identity_;
  std::unique_ptr<base::File> file_;
  uint64_t sequence_ = 0;
  uint64_t capacity_bytes_ = 0;
  uint64_t content_start_ = 0;  // offset after the first record
  uint64_t batch_ = 0;          // the last one written
  std::optional<BatchBuilder> builder_;

  struct Next {
    uint64_t bytes = 0;
    bool name_durable = false;
  };
  std::optional<Next> next_;  // has the next segment's name already
};

}  // namespace keel::raft
