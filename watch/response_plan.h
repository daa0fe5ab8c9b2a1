// How the events that matched a range become responses: cut at revisions,
// encoded once, shared by every watcher that wants the same of them.
//
// Events of one revision are never cut apart here (fragments are, see Split).
// Thread-safety: none; the batches must outlive the plan, its parts need not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "watch/event_batch.h"

namespace keel::watch {

// One event that matched.
struct EventRef {
  const EventBatch* batch;
  uint32_t revision_index;
  uint32_t event_index;

  const kvstore::Event& event() const {
    return batch->revisions()[revision_index].events[event_index];
  }
  int64_t revision() const { return batch->revisions()[revision_index].revision; }
};

// What a watcher wants of the events in its range.
struct EventFilter {
  bool prev_kv = false;
  bool no_put = false;
  bool no_delete = false;

  static constexpr size_t kVariants = 8;
  size_t variant() const { return size_t{prev_kv} | size_t{no_put} << 1 | size_t{no_delete} << 2; }
  bool Wants(const kvstore::Event& event) const {
    return event.type == kvstore::Event::Type::kPut ? !no_put : !no_delete;
  }
};

// `events` fields, in order.
using EncodedEvents = absl::InlinedVector<SharedBytes, 1>;

class ResponsePlan {
 public:
  struct Response {
    int64_t first_revision = 0;
    int64_t last_revision = 0;
    uint32_t begin = 0;  // events [begin, end) of events()
    uint32_t end = 0;
    size_t bytes = 0;
    EncodedEvents parts;
  };

  // Plans `matched` from position `begin` on: responses of about
  // `bytes_target`, larger only when a single revision is.
  void Build(std::span<const EventRef> matched, size_t begin, const EventFilter& filter,
             size_t bytes_target);
  // Whether Build was called with these since the last Clear.
  bool Holds(size_t begin) const { return built_ && begin_ == begin; }
  void Clear();

  const std::vector<Response>& responses() const { return responses_; }

  // Cuts a response into pieces of at most `bytes_max`, or of a single event.
  std::vector<Response> Split(const Response& response, size_t bytes_max) const;

 private:
  EncodedEvents Encode(uint32_t begin, uint32_t end) const;

  bool built_ = false;
  size_t begin_ = 0;
  bool prev_kv_ = false;
  std::vector<EventRef> events_;
  std::vector<Response> responses_;
};

}  // namespace keel::watch
