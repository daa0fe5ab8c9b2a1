// The change feed: what the store publishes as it applies, and all that the
// watch layer knows of the store.
//
// Thread-safety: Subscribe and Unsubscribe are called on the apply loop;
// OnRevisions and OnReset run on it; ReadHistory and the getters may be called
// from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keel::kvstore {

// One key at one revision; etcd's mvccpb.KeyValue.
struct KeyValue {
  std::string key;
  std::string value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  int64_t lease = 0;
};

// One change. For a delete only key and mod_revision of `kv` are set.
struct Event {
  enum class Type : uint8_t { kPut = 0, kDelete = 1 };
  Type type = Type::kPut;
  KeyValue kv;
  // The key's value before this event, when there was one. Feed batches carry
  // it always (the store has it at hand); ReadHistory only when asked.
  std::shared_ptr<const KeyValue> prev;
};

// All events of one revision, in the order of their sub-revisions.
struct RevisionEvents {
  int64_t revision = 0;
  absl::InlinedVector<Event, 1> events;  // nearly always one
};

// Consecutive revisions, in order. Revisions without events do not exist.
using FeedBatch = std::vector<RevisionEvents>;

class FeedSubscriber {
 public:
  virtual ~FeedSubscriber() = default;
  // Every revision once, in order, without gaps, after it is readable.
  virtual void OnRevisions(std::shared_ptr<const FeedBatch> batch) = 0;
  // The state was replaced by a snapshot at `revision`: what was between is
  // to be read by ReadHistory.
  virtual void OnReset(int64_t revision) = 0;
};

class ChangeFeed {
 public:
  virtual ~ChangeFeed() = default;

  // Returns the current revision: the subscriber sees everything after it.
  virtual int64_t Subscribe(FeedSubscriber* subscriber) = 0;
  virtual void Unsubscribe(FeedSubscriber* subscriber) = 0;

  virtual int64_t current_revision() const = 0;
  // Revisions below it are gone; its own events can still be read, though without
  // `prev` (as etcd >= 3.5.17 has it). -1 before the first compaction.
  virtual int64_t compact_revision() const = 0;

  struct HistoryOptions {
    int64_t from_revision = 1;  // inclusive
    // Keys in [key, range_end); range_end empty: the one key; "\0": all keys >= key (etcd's rules).
    std::string key;
    std::string range_end;
    bool prev_kv = false;
    // Stops after whole revisions once this many bytes of keys and values were read.
    uint64_t max_bytes = 4 << 20;
    // Or after having looked at this many events, matching or not.
    uint64_t max_scanned = 10000;
  };
  struct History {
    FeedBatch revisions;        // only those with matching events
    int64_t next_revision = 0;  // where to go on; current_revision + 1 as of the read when finished
  };
  // Past events from disk. OutOfRange when from_revision < compact_revision(). Blocks on the disk:
  // not on an I/O loop.
  virtual absl::StatusOr<History> ReadHistory(const HistoryOptions& options) const = 0;
};

}  // namespace keel::kvstore
