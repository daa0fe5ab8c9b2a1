// The revisions of one hand-over of the change feed (or of one read of
// history), with the encoded form of their events made on demand and shared.
//
//   auto batch = std::make_shared<EventBatch>(feed_batch);
//   SharedBytes bytes = batch->Encoded({.revision = 0, .event = 2}, /*with_prev=*/true);
//
// Encoded bytes are one `events` field of etcdserverpb.WatchResponse (number
// 11): tag, length, mvccpb.Event. Several in a row are the repeated field.
// They live as long as somebody has them in hand: a batch that waits in memory
// for slow readers does not hold them twice.
//
// Thread-safety: immutable but for the cache of encoded bytes, which is locked:
// any method may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "kvstore/feed.h"
#include "rpc/message.h"

namespace keel::watch {

using SharedBytes = rpc::Message::SharedBytes;

// Appends the `events` field for one event.
void AppendEventField(const kvstore::Event& event, bool with_prev, std::string* out);
// The number of bytes that AppendEventField appends.
size_t EventFieldBytes(const kvstore::Event& event, bool with_prev);

class EventBatch {
 public:
  // REQUIRES: not empty; revisions ascend; no revision without events.
  explicit EventBatch(std::shared_ptr<const kvstore::FeedBatch> revisions);

  EventBatch(const EventBatch&) = delete;
  EventBatch& operator=(const EventBatch&) = delete;

  const kvstore::FeedBatch& revisions() const { return *revisions_; }
  int64_t first_revision() const { return revisions_->front().revision; }
  int64_t last_revision() const { return revisions_->back().revision; }
  size_t event_count() const { return event_count_; }
  // Memory held, about.
  size_t bytes() const { return bytes_; }

  // The encoded event at that position of revisions(); the same bytes for
  // everyone who asks while anyone holds them.
  SharedBytes Encoded(uint32_t revision, uint32_t event, bool with_prev) const;

 private:
  const std::shared_ptr<const kvstore::FeedBatch> revisions_;
  size_t event_count_ = 0;
  size_t bytes_ = 0;

  mutable std::mutex mu_;
  // By position: revision, event, with_prev. Guarded by mu_.
  mutable absl::flat_hash_map<uint64_t, std::weak_ptr<const std::string>> encoded_;
};

}  // namespace keel::watch
