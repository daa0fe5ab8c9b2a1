// The only way to change the store: gathers the effects of many log entries in
// one write batch and lets later entries see earlier ones through an overlay of
// the keys changed.
//
//   writer.Begin();
//   writer.Put("a", "1", /*lease=*/0);
//   writer.DeleteRange(KeyRange::Of("b", "c"), [](const RecordView&) {});
//   int64_t revision = writer.End();      // the next one, if anything changed
//   ...                                   // more transactions
//   KEEL_RETURN_IF_ERROR(writer.Commit(index, term));
//
// Not thread-safe: the apply loop's. After an error of any method but Range and
// Commit the store must not be used any more: memory and disk no longer agree.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kvstore/feed.h"
#include "kvstore/mvcc/arena.h"
#include "kvstore/mvcc/coding.h"
#include "kvstore/mvcc/database.h"
#include "kvstore/mvcc/read_view.h"
#include "kvstore/mvcc/scan.h"

namespace keel::kvstore {

class Writer {
 public:
  // Starts from what `database` holds.
  Writer(std::shared_ptr<Database> database, int64_t revision, int64_t compact_revision);

  // ---- one transaction

  void Begin();
  // Returns the revision after the transaction: a new one if it changed a key.
  int64_t End();

  // Looks keys up in one go, for the Gets, Puts and DeleteRanges of single keys up to the next
  // Commit, in about that order: far cheaper than one by one. A hint, and no more: any key may be
  // missing or stand here in vain. The keys are to stay where they are until the next LookUp or
  // Commit. REQUIRES: at most kLookUpMax.
  static constexpr size_t kLookUpMax = 32;
  void LookUp(std::span<const std::string_view> keys);

  struct PutResult {
    // The record replaced; null when the key is new.
    std::shared_ptr<const KeyValue> prev;
  };
  // REQUIRES: no key is put twice between Begin and End.
  absl::StatusOr<PutResult> Put(std::string_view key, std::string_view value, int64_t lease);
  // Hands every record over before it goes, in key order; returns how many went.
  absl::StatusOr<int64_t> DeleteRange(const KeyRange& range, RecordVisitor visit);

  // The newest record, the transaction's own changes included; null: none.
  absl::StatusOr<std::shared_ptr<const KeyValue>> Get(std::string_view key) const;
  // As ReadView::Range. A revision given refers to the state before the
  // transaction. REQUIRES then: nothing was pending when the transaction began.
  absl::StatusOr<RangeResult> Range(const RangeOptions& options, RecordVisitor visit) const;

  // Revision of reads in the transaction: a new one as soon as it changed something.
  int64_t read_revision() const { return revision_ + (sub_ > 0 ? 1 : 0); }

  // ---- the state beside the keys; outside of transactions

  // REQUIRES: compact_revision() < revision <= revision().
  void Compact(int64_t revision);
  // Leaves out the next `revisions`: whoever has seen them elsewhere never meets others here.
  void SkipRevisions(int64_t revisions) { revision_ += revisions; }
  void PutLease(int64_t id, int64_t granted_ttl, int64_t remaining_ttl);
  void DeleteLease(int64_t id);
  void PutMeta(std::string_view key, std::string_view value);
  void DeleteMeta(std::string_view key);
  // REQUIRES: nothing is pending (its effects would be missing).
  absl::StatusOr<std::vector<std::string>> LeaseKeys(int64_t id) const;

  // ---- to disk (RocksDB's memtable)

  // Writes all that is pending, and that the store holds the log up to
  // `index`, atomically. After a failure everything is pending still: it may be tried again.
  absl::Status Commit(uint64_t index, uint64_t term);
  bool pending() const { return batch_.Count() > 0; }
  size_t pending_bytes() const { return batch_.GetDataSize(); }

  int64_t revision() const { return revision_; }
  int64_t compact_revision() const { return compact_revision_; }

  // The events since the last call. REQUIRES: all of them are committed.
  std::shared_ptr<FeedBatch> TakeFeed();

 private:
  template <typename Visit>
  absl::Status ScanNewest(const KeyRange& range, Visit&& visit) const;
  // The event stands in the overlay, too. Valid until the next one is added.
  Event& AddEvent(Event::Type type, const std::shared_ptr<const KeyValue>& prev,
                  std::string_view key);
  void WritePacked();
  void Supersede(const KeyValue& prev);
  void ForgetFound();
  // Where `key` stands in looked_up_.
  std::optional<size_t> Found(std::string_view key) const;

  const std::shared_ptr<Database> database_;
  int64_t revision_;
  int64_t compact_revision_;
  bool in_transaction_ = false;
  uint32_t sub_ = 0;  // changes in the transaction
  rocksdb::WriteBatch batch_;
  EventPacker packer_;  // events that are not in batch_ yet
  // Keys changed since the last Commit, and where the last event of each stands.
  struct Place {
    size_t revision = 0;  // in feed_
    size_t event = 0;
  };
  const Event& EventAt(Place place) const { return (*feed_)[place.revision].events[place.event]; }
  absl::flat_hash_map<std::string_view, Place> overlay_;  // keys in keys_
  // The same in order, from the first range read on; until then unused.
  mutable absl::btree_map<std::string_view, Place> ordered_;
  mutable bool is_ordered_ = false;
  Arena keys_;
  std::shared_ptr<FeedBatch> feed_ = std::make_shared<FeedBatch>();
  std::string scratch_key_;
  std::string scratch_value_;
  // What LookUp found. Keys changed since stand in the overlay.
  std::vector<std::string_view> looked_up_;
  std::array<rocksdb::PinnableSlice, kLookUpMax> found_values_;
  std::array<rocksdb::Status, kLookUpMax> found_;
  mutable size_t next_found_ = 0;
};

// What `meta` says of the log and the revisions.
struct AppliedMeta {
  uint64_t index = 0;
  uint64_t term = 0;
  int64_t revision = 1;  // an empty store's: etcd counts from 1
  int64_t compact_revision = -1;
};
// What a new view would show, or (durable) what a crash would leave.
absl::StatusOr<AppliedMeta> ReadAppliedMeta(const Database& database, bool durable);

}  // namespace keel::kvstore
