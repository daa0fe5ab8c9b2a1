#include "kvstore/mvcc/writer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/mutation.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/coding.h"
#include "kvstore/mvcc/errors.h"
#include "kvstore/mvcc/range.h"

namespace keel::kvstore {

namespace {

constexpr std::string_view kAppliedKey = "applied";
// Events are packed into entries of about a block of a file: who reads one reads its neighbours.
constexpr size_t kPackedBytes = 4000;

RecordView ViewOf(const KeyValue& kv) {
  return {kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease};
}

std::shared_ptr<const KeyValue> Own(const RecordView& record) {
  return std::make_shared<const KeyValue>(
      KeyValue{std::string(record.key), std::string(record.value), record.create_revision,
               record.mod_revision, record.version, record.lease});
}

}  // namespace

absl::StatusOr<AppliedMeta> ReadAppliedMeta(const Database& database, bool durable) {
  rocksdb::PinnableSlice value;
  KEEL_ASSIGN_OR_RETURN(const bool found,
                        durable ? database.GetDurableMeta(kAppliedKey, &value)
                                : database.Get(Family::kMeta, nullptr, kAppliedKey, &value));
  AppliedMeta meta;
  if (!found) return meta;
  std::string_view bytes = ToView(value);
  int64_t compact_plus_one = 0;
  if (!ReadVarint(&bytes, &meta.index) || !ReadVarint(&bytes, &meta.term) ||
      !ReadVarint(&bytes, &meta.revision) || !ReadVarint(&bytes, &compact_plus_one) ||
      !bytes.empty()) {
    return DamagedRecord(database, Family::kMeta);
  }
  meta.compact_revision = compact_plus_one - 1;
  return meta;
}

Writer::Writer(std::shared_ptr<Database> database, int64_t revision, int64_t compact_revision)
    : database_(std::move(database)), revision_(revision), compact_revision_(compact_revision) {}

void Writer::Begin() {
  KEEL_CHECK(!in_transaction_);
  in_transaction_ = true;
  sub_ = 0;
}

int64_t Writer::End() {
  KEEL_CHECK(in_transaction_);
  in_transaction_ = false;
  if (sub_ > 0) ++revision_;
  sub_ = 0;
  return revision_;
}

void Writer::LookUp(std::span<const std::string_view> keys) {
  KEEL_CHECK(keys.size() <= kLookUpMax);
  ForgetFound();
  std::array<rocksdb::Slice, kLookUpMax> slices;
  for (size_t i = 0; i < keys.size(); ++i) slices[i] = ToSlice(keys[i]);
  database_->MultiGet(Family::kLatest, {slices.data(), keys.size()}, found_values_.data(),
                      found_.data());
  looked_up_.assign(keys.begin(), keys.end());
}

void Writer::ForgetFound() {
  for (size_t i = 0; i < looked_up_.size(); ++i) found_values_[i].Reset();
  looked_up_.clear();
  next_found_ = 0;
}

// The keys come in the order in which they were looked up, but for those that nobody asks for in
// the end and those asked for twice.
std::optional<size_t> Writer::Found(std::string_view key) const {
  for (size_t i = next_found_; i < looked_up_.size(); ++i) {
    if (looked_up_[i] != key) continue;
    next_found_ = i;
    return i;
  }
  return std::nullopt;
}

absl::StatusOr<std::shared_ptr<const KeyValue>> Writer::Get(std::string_view key) const {
  if (!overlay_.empty()) {
    if (const auto found = overlay_.find(key); found != overlay_.end()) {
      const Event& event = EventAt(found->second);
      if (event.type == Event::Type::kDelete) return std::shared_ptr<const KeyValue>();
      return std::make_shared<const KeyValue>(event.kv);
    }
  }
  RecordView record;
  if (const std::optional<size_t> at = Found(key); at && found_[*at].ok()) {
    record.key = key;
    if (!DecodeRecord(ToView(found_values_[*at]), &record)) {
      return DamagedRecord(*database_, Family::kLatest);
    }
    return Own(record);
  } else if (at && found_[*at].IsNotFound()) {
    return std::shared_ptr<const KeyValue>();
  }
  rocksdb::PinnableSlice value;
  KEEL_ASSIGN_OR_RETURN(const bool exists, GetLatest(*database_, nullptr, key, &value, &record));
  if (!exists) return std::shared_ptr<const KeyValue>();
  return Own(record);
}

Event& Writer::AddEvent(Event::Type type, const std::shared_ptr<const KeyValue>& prev,
                        std::string_view key) {
  const int64_t revision = revision_ + 1;
  packer_.Add(revision, sub_,
              {type == Event::Type::kDelete, prev == nullptr ? 0 : prev->mod_revision, key});
  if (packer_.bytes() >= kPackedBytes) WritePacked();

  if (sub_++ == 0) feed_->push_back({revision, {}});
  auto& events = feed_->back().events;
  Event& event = events.emplace_back();
  const Place place{feed_->size() - 1, events.size() - 1};
  if (const auto at = overlay_.find(key); at != overlay_.end()) {
    at->second = place;
    if (is_ordered_) ordered_.find(key)->second = place;
  } else {
    const std::string_view kept = keys_.Copy(key);
    overlay_.emplace(kept, place);
    if (is_ordered_) ordered_.emplace(kept, place);
  }
  event.type = type;
  event.prev = prev;
  event.kv.key = key;
  event.kv.mod_revision = revision;
  return event;
}

void Writer::WritePacked() {
  const EventPacker::Entry entry = packer_.Take();
  batch_.Put(database_->family(Family::kEvents), ToSlice(entry.key), ToSlice(entry.value));
}

void Writer::Supersede(const KeyValue& prev) {
  scratch_key_.clear();
  AppendHistoryKey(prev.key, prev.mod_revision, &scratch_key_);
  scratch_value_.clear();
  AppendBig64(static_cast<uint64_t>(revision_ + 1), &scratch_value_);
  AppendRecordHeader(ViewOf(prev), &scratch_value_);
  const rocksdb::Slice key(scratch_key_);
  const std::array<rocksdb::Slice, 2> value = {rocksdb::Slice(scratch_value_), ToSlice(prev.value)};
  batch_.Put(database_->family(Family::kHistory), rocksdb::SliceParts(&key, 1),
             rocksdb::SliceParts(value.data(), 2));
}

absl::StatusOr<Writer::PutResult> Writer::Put(std::string_view key, std::string_view value,
                                              int64_t lease) {
  KEEL_CHECK(in_transaction_ && !key.empty());
  KEEL_ASSIGN_OR_RETURN(std::shared_ptr<const KeyValue> prev, Get(key));
  const int64_t revision = revision_ + 1;
  // `history` has one place for each key and revision.
  KEEL_CHECK(prev == nullptr || prev->mod_revision < revision, "revision=", revision);
  if (prev != nullptr) Supersede(*prev);

  Event& event = AddEvent(Event::Type::kPut, prev, key);
  event.kv.value = value;
  event.kv.create_revision = prev == nullptr ? revision : prev->create_revision;
  event.kv.version = prev == nullptr ? 1 : prev->version + 1;
  event.kv.lease = lease;

  scratch_value_.clear();
  AppendRecordHeader(ViewOf(event.kv), &scratch_value_);
  const rocksdb::Slice key_slice = ToSlice(key);
  const std::array<rocksdb::Slice, 2> parts = {rocksdb::Slice(scratch_value_), ToSlice(value)};
  batch_.Put(database_->family(Family::kLatest), rocksdb::SliceParts(&key_slice, 1),
             rocksdb::SliceParts(parts.data(), 2));

  const int64_t old_lease = prev == nullptr ? 0 : prev->lease;
  if (old_lease != lease) {
    if (old_lease != 0 && !KEEL_MUTATION(kOldLeaseKeepsKey))
      batch_.Delete(database_->family(Family::kLeaseKeys), LeaseKey(old_lease, key));
    if (lease != 0) batch_.Put(database_->family(Family::kLeaseKeys), LeaseKey(lease, key), {});
  }
  return PutResult{std::move(prev)};
}

absl::StatusOr<int64_t> Writer::DeleteRange(const KeyRange& range, RecordVisitor visit) {
  KEEL_CHECK(in_transaction_);
  std::vector<std::shared_ptr<const KeyValue>> going;
  if (range.single) {
    KEEL_ASSIGN_OR_RETURN(std::shared_ptr<const KeyValue> record, Get(range.begin));
    if (record != nullptr) going.push_back(std::move(record));
  } else {
    KEEL_RETURN_IF_ERROR(
        ScanNewest(range, [&](const RecordView& record) { going.push_back(Own(record)); }));
  }
  for (const std::shared_ptr<const KeyValue>& record : going) {
    visit(ViewOf(*record));
    Supersede(*record);
    AddEvent(Event::Type::kDelete, record, record->key);
    batch_.Delete(database_->family(Family::kLatest), record->key);
    if (record->lease != 0) {
      batch_.Delete(database_->family(Family::kLeaseKeys), LeaseKey(record->lease, record->key));
    }
  }
  return static_cast<int64_t>(going.size());
}

// Merges `latest` with the overlay, which wins.
template <typename Visit>
absl::Status Writer::ScanNewest(const KeyRange& range, Visit&& visit) const {
  if (range.empty()) return absl::OkStatus();
  if (range.single) {
    KEEL_ASSIGN_OR_RETURN(const std::shared_ptr<const KeyValue> record, Get(range.begin));
    if (record != nullptr) visit(ViewOf(*record));
    return absl::OkStatus();
  }
  if (!is_ordered_) {
    ordered_.insert(overlay_.begin(), overlay_.end());
    is_ordered_ = true;
  }
  auto changed = ordered_.lower_bound(range.begin);
  auto inside = [&] { return changed != ordered_.end() && range.Contains(changed->first); };
  const auto visit_changed = [&](Place place) {
    const Event& event = EventAt(place);
    if (event.type == Event::Type::kPut) visit(ViewOf(event.kv));
  };
  KEEL_RETURN_IF_ERROR(ScanLatest(*database_, nullptr, range, [&](const RecordView& record) {
    for (; inside() && changed->first < record.key; ++changed) visit_changed(changed->second);
    if (inside() && changed->first == record.key) {
      visit_changed(changed->second);
      ++changed;
      return;
    }
    visit(record);
  }));
  for (; inside(); ++changed) visit_changed(changed->second);
  return absl::OkStatus();
}

absl::StatusOr<RangeResult> Writer::Range(const RangeOptions& options, RecordVisitor visit) const {
  const KeyRange range = KeyRange::Of(options.key, options.range_end);
  if (options.revision > read_revision()) return ErrFutureRevision();
  // What is pending is not in the index.
  const auto no_index = [](std::string_view, int64_t) {
    return absl::StatusOr<std::optional<int64_t>>(std::nullopt);
  };
  if (options.revision <= 0 || options.revision == read_revision()) {
    return ExecuteRange(
        options, [&](auto&& record) { return ScanNewest(range, record); }, INT64_MAX, no_index,
        visit);
  }
  if (options.revision < compact_revision_) return ErrCompacted();
  return ExecuteRange(
      options,
      [&](auto&& record) { return ScanAt(*database_, nullptr, range, options.revision, record); },
      INT64_MAX, no_index, visit);
}

void Writer::Compact(int64_t revision) {
  KEEL_CHECK(revision > compact_revision_ && revision <= revision_, "revision=", revision);
  compact_revision_ = revision;
}

void Writer::PutLease(int64_t id, int64_t granted_ttl, int64_t remaining_ttl) {
  scratch_key_.clear();
  AppendBig64(static_cast<uint64_t>(id), &scratch_key_);
  scratch_value_.clear();
  AppendVarint(static_cast<uint64_t>(granted_ttl), &scratch_value_);
  AppendVarint(static_cast<uint64_t>(remaining_ttl), &scratch_value_);
  batch_.Put(database_->family(Family::kLease), scratch_key_, scratch_value_);
}

void Writer::DeleteLease(int64_t id) {
  scratch_key_.clear();
  AppendBig64(static_cast<uint64_t>(id), &scratch_key_);
  batch_.Delete(database_->family(Family::kLease), scratch_key_);
}

void Writer::PutMeta(std::string_view key, std::string_view value) {
  batch_.Put(database_->family(Family::kMeta), ToSlice(key), ToSlice(value));
}

void Writer::DeleteMeta(std::string_view key) {
  batch_.Delete(database_->family(Family::kMeta), ToSlice(key));
}

absl::StatusOr<std::vector<std::string>> Writer::LeaseKeys(int64_t id) const {
  KEEL_CHECK(!pending());
  std::vector<std::string> keys;
  const std::string prefix = LeaseKey(id, {});
  const auto iterator = database_->NewIterator(Family::kLeaseKeys, nullptr, nullptr);
  for (iterator->Seek(prefix); iterator->Valid() && iterator->key().starts_with(prefix);
       iterator->Next()) {
    keys.emplace_back(ToView(iterator->key()).substr(prefix.size()));
  }
  KEEL_RETURN_IF_ERROR(
      ToStatus(iterator->status(), base::StrCat("read store ", database_->path())));
  return keys;
}

absl::Status Writer::Commit(uint64_t index, uint64_t term) {
  KEEL_CHECK(!in_transaction_);
  scratch_value_.clear();
  AppendVarint(KEEL_MUTATION(kApplyTwice) && index > 0 ? index - 1 : index, &scratch_value_);
  AppendVarint(term, &scratch_value_);
  AppendVarint(static_cast<uint64_t>(KEEL_MUTATION(kRevisionNotStored) ? revision_ - 1 : revision_),
               &scratch_value_);
  AppendVarint(static_cast<uint64_t>(compact_revision_ + 1), &scratch_value_);
  PutMeta(kAppliedKey, scratch_value_);
  if (!packer_.empty()) WritePacked();
  KEEL_RETURN_IF_ERROR(database_->Write(&batch_));
  batch_.Clear();
  const size_t changed = overlay_.size();
  overlay_.clear();
  overlay_.reserve(changed);  // a large table lets go of its memory when it is cleared
  ordered_.clear();
  is_ordered_ = false;
  keys_.Clear();
  ForgetFound();
  return absl::OkStatus();
}

std::shared_ptr<FeedBatch> Writer::TakeFeed() {
  KEEL_CHECK(overlay_.empty());
  auto next = std::make_shared<FeedBatch>();
  next->reserve(std::min<size_t>(feed_->size(), 256));
  return std::exchange(feed_, std::move(next));
}

}  // namespace keel::kvstore
