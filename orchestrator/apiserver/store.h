// The store as the API server uses it: ranges at a revision, transactions on mod revisions, one
// watch. An interface, so that tests run without a store; EtcdStore (etcd_store.h) is the real one.
//
//   store.Commit({.compares = {{key, 0}}, .ops = {StoreOp::Put(key, value)}, .read = key},
//                [](absl::StatusOr<StoreCommit> done) { ... });
//
// Thread-safety: on its loop only; callbacks run there, never inside the call.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace keel::orchestrator {

struct StoreRecord {
  std::string key;
  std::string value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
};

struct StorePage {
  std::vector<StoreRecord> records;
  int64_t revision = 0;  // that the page is of
  int64_t count = 0;     // of keys in the range, those beyond the page included
  bool more = false;
};

struct StoreEvent {
  bool deleted = false;
  StoreRecord record;  // deleted: key and mod_revision only
};

// Holds when the key's mod revision is this; 0: there is no such key.
struct StoreCompare {
  std::string key;
  int64_t mod_revision = 0;
};

struct StoreOp {
  bool deletes = false;
  std::string key;
  std::string value{};
  int64_t lease = 0;

  static StoreOp Put(std::string key, std::string value, int64_t lease = 0) {
    return {false, std::move(key), std::move(value), lease};
  }
  static StoreOp Delete(std::string key) { return {true, std::move(key)}; }
};

struct StoreTxn {
  std::vector<StoreCompare> compares;
  std::vector<StoreOp> ops;
  std::string read{};  // returned when a comparison fails; may be empty
};

struct StoreCommit {
  bool succeeded = false;
  int64_t revision = 0;            // of the store, after it
  std::vector<StoreRecord> found;  // of `read`, if it failed and there is such a key
};

class StoreWatch {
 public:
  virtual ~StoreWatch() = default;  // Cancels; no callback follows.
  // Asks for a call of OnEvents that tells how far the watch is.
  virtual void RequestProgress() = 0;
};

class Store {
 public:
  template <typename T>
  using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;
  // Events of whole revisions in their order; all up to and with `revision` have now been told.
  using OnEvents = absl::AnyInvocable<void(std::vector<StoreEvent> events, int64_t revision)>;
  // OutOfRange: history was compacted; else the watch cannot go on.
  using OnEnd = absl::AnyInvocable<void(absl::Status)>;

  virtual ~Store() = default;

  // Keys of [from, end) at `revision` (0: now, linearizable), at most `limit` (0: all).
  // OutOfRange when the revision was compacted.
  virtual void Range(std::string from, std::string end, int64_t revision, int64_t limit,
                     Done<StorePage> done) = 0;
  virtual void Commit(StoreTxn txn, Done<StoreCommit> done) = 0;
  // The newest revision (linearizable).
  virtual void Revision(Done<int64_t> done) = 0;
  // Of all keys with that prefix, from `start_revision` on.
  virtual std::unique_ptr<StoreWatch> Watch(std::string prefix, int64_t start_revision,
                                            OnEvents on_events, OnEnd on_end) = 0;
  virtual void GrantLease(int64_t seconds, Done<int64_t> done) = 0;
  virtual void Compact(int64_t revision, Done<int64_t> done) = 0;
};

// The end of the range of all keys with that prefix. REQUIRES: it does not end with 0xff.
inline std::string PrefixEndOf(std::string prefix) {
  ++prefix.back();
  return prefix;
}

}  // namespace keel::orchestrator
