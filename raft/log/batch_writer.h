// The one writer of a log: whatever queued up while the last fdatasync ran
// becomes the next batch, written with one call and synced once. What the
// records of a write are is for the two kinds of log to say (LogWriter,
// SharedWriter); the way there and back is here.
//
//   writer->Write(std::move(write));             // on the owner's loop
//     -> WriteAll(writes, &written)              // on the write loop
//     -> on_written(writes, written)             // on the owner's loop again
//
// The lists of a batch go round: once a batch has come back and on_written is
// done with it, they serve the next one. In a steady state nothing is
// allocated, and however many writes queue up are one task each way.
//
// After a failed write or sync nothing is written any more: what is on disk is
// then unknown (see "Can Applications Recover from fsync Failures?", ATC 2020).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "raft/log/options.h"
#include "raft/log/segment_pool.h"
#include "raft/log/segment_writer.h"

namespace keel::raft {

// WriteT: what becomes durable together. WrittenT: what a batch of them became,
// with at least `sequence`, of the segment the last record is in, and Clear().
template <typename WriteT, typename WrittenT>
class BatchWriter : public std::enable_shared_from_this<BatchWriter<WriteT, WrittenT>> {
 public:
  // The writes of a batch, oldest first, and what they became; both may be taken from.
  using OnWritten = std::function<void(std::vector<WriteT>& writes, WrittenT& written)>;

  BatchWriter(const LogPlaceOptions& options, OnWritten on_written,
              std::function<void(BatchBuilder*)> begin_segment, std::shared_ptr<SegmentPool> pool)
      : options_(options),
        on_written_(std::move(on_written)),
        segments_(std::make_shared<SegmentWriter>(
            SegmentWriterOptions{.fs = options.fs,
                                 .dir = options.dir,
                                 .segment_bytes = options.segment_bytes,
                                 .write_loop = options.write_loop,
                                 .begin_segment = std::move(begin_segment),
                                 .on_sync = options.on_sync},
            std::move(pool))) {}
  virtual ~BatchWriter() = default;

  // Queues a write. Writes happen in the order of the calls.
  void Write(WriteT write) {
    {
      std::lock_guard lock(mu_);
      queued_.push_back(std::move(write));
      if (std::exchange(flush_scheduled_, true)) return;
    }
    // Whatever else queues up until it runs joins the batch.
    options_.write_loop->Post([self = this->shared_from_this()] { self->Flush(); });
  }

  // Nothing is written or called back any more, but for what is being written.
  void Stop() {
    stopped_.store(true);
    segments_->Stop();
  }

 protected:
  // Adds the records of all writes and commits them. On the write loop.
  virtual absl::Status WriteAll(const std::vector<WriteT>& writes, WrittenT* written) = 0;
  SegmentWriter& segments() { return *segments_; }

 private:
  struct Batch {
    std::vector<WriteT> writes;
    WrittenT written;
  };

  void Flush() {
    Batch batch;
    {
      std::lock_guard lock(mu_);
      flush_scheduled_ = false;
      if (!free_.empty()) {
        batch = std::move(free_.back());
        free_.pop_back();
      }
      batch.writes.swap(queued_);
    }
    if (failed_ || stopped_.load()) return;
    absl::Status status = WriteAll(batch.writes, &batch.written);
    if (!status.ok()) {
      failed_ = true;
      segments_->Stop();
      options_.loop->Post([self = this->shared_from_this(), status = std::move(status)] {
        if (!self->stopped_.load()) self->options_.on_error(status);
      });
      return;
    }
    batch.written.sequence = segments_->sequence();
    if (stopped_.load()) return;
    {
      std::lock_guard lock(mu_);
      done_.push_back(std::move(batch));
      if (std::exchange(delivery_scheduled_, true)) return;
    }
    options_.loop->Post([self = this->shared_from_this()] { self->Deliver(); });
  }

  // On the owner's loop.
  void Deliver() {
    {
      std::lock_guard lock(mu_);
      delivery_scheduled_ = false;
      delivering_.swap(done_);
    }
    for (Batch& batch : delivering_) {
      if (stopped_.load()) break;
      on_written_(batch.writes, batch.written);
      batch.writes.clear();
      batch.written.Clear();
    }
    std::lock_guard lock(mu_);
    for (Batch& batch : delivering_) {
      if (free_.size() < kFreeMax) free_.push_back(std::move(batch));
    }
    delivering_.clear();
  }

  // One is being written, one is on its way back, one is being filled.
  static constexpr size_t kFreeMax = 3;

  const LogPlaceOptions options_;
  const OnWritten on_written_;
  const std::shared_ptr<SegmentWriter> segments_;
  std::atomic<bool> stopped_{false};

  std::mutex mu_;
  std::vector<WriteT> queued_;       // guarded by mu_
  bool flush_scheduled_ = false;     // guarded by mu_
  std::vector<Batch> done_;          // guarded by mu_
  bool delivery_scheduled_ = false;  // guarded by mu_
  std::vector<Batch> free_;          // guarded by mu_; empty lists with memory

  bool failed_ = false;            // on the write loop
  std::vector<Batch> delivering_;  // on the owner's loop
};

}  // namespace keel::raft
