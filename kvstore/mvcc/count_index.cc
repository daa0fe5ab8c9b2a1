#include "kvstore/mvcc/count_index.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/coding.h"
#include "kvstore/mvcc/database.h"
#include "kvstore/mvcc/scan.h"

namespace keel::kvstore {

namespace {

constexpr size_t kRoots = 8;
// Lists under way whose next page finds its count known.
constexpr size_t kCounted = 32;
constexpr size_t kCountedKeyBytesMax = 4096;
// Blocks of a root at most, about: with more keys the blocks get larger.
constexpr int64_t kBlocksMax = 64 << 10;
// A root so many revisions away is still the cheaper start than a walk, however few keys there are.
constexpr int64_t kDistanceFree = 10'000;

absl::StatusOr<int64_t> Walk(const CountIndex::At& at, const KeyRange& range, int64_t revision) {
  int64_t count = 0;
  const auto visit = [&](const RecordView&) { ++count; };
  KEEL_RETURN_IF_ERROR(revision == at.view_revision
                           ? ScanLatest(at.database, at.snapshot, range, visit)
                           : ScanAt(at.database, at.snapshot, range, revision, visit));
  return count;
}

// Calls visit(key) for the newest keys of the range, without a place in the cache for them.
template <typename Visit>
absl::Status WalkKeys(const CountIndex::At& at, std::string_view from, const std::string* end,
                      Visit&& visit) {
  rocksdb::ReadOptions options;
  options.snapshot = at.snapshot;
  options.fill_cache = false;
  rocksdb::Slice upper;
  if (end != nullptr) {
    upper = *end;
    options.iterate_upper_bound = &upper;
  }
  const std::unique_ptr<rocksdb::Iterator> iterator(
      at.database.db()->NewIterator(options, at.database.family(Family::kLatest)));
  for (iterator->Seek(ToSlice(from)); iterator->Valid(); iterator->Next()) {
    visit(ToView(iterator->key()));
  }
  return ToStatus(iterator->status(), base::StrCat("read store ", at.database.path()));
}

}  // namespace

size_t CountIndex::Root::BlockOf(std::string_view key) const {
  const auto after = std::upper_bound(starts->begin(), starts->end(), key);
  return static_cast<size_t>(after - starts->begin()) - 1;  // starts[0] is before every key
}

int64_t CountIndex::BlockKeys(int64_t keys) const {
  return std::max(options_.block_keys, keys / kBlocksMax);
}

absl::StatusOr<std::optional<int64_t>> CountIndex::Count(const At& at, const KeyRange& range,
                                                         int64_t revision) {
  KEEL_CHECK(!range.single && revision <= at.view_revision, "revision=", revision);
  if (range.empty()) return std::optional<int64_t>(0);
  KEEL_ASSIGN_OR_RETURN(const RootPtr root, GetRoot(at, range, revision));
  if (root == nullptr) return std::optional<int64_t>();

  const std::vector<std::string>& starts = *root->starts;
  const size_t first = root->BlockOf(range.begin);
  const size_t last = range.unbounded ? starts.size() : root->BlockOf(range.end);
  if (first == last) {
    KEEL_ASSIGN_OR_RETURN(const int64_t count, Walk(at, range, revision));
    return std::optional<int64_t>(count);
  }
  int64_t count = root->before[last] - root->before[first];
  // Less what stands in the first block before the range, more what of the last is in it.
  if (starts[first] < range.begin) {
    const KeyRange outside = {starts[first], range.begin, false, false};
    KEEL_ASSIGN_OR_RETURN(const int64_t keys, Walk(at, outside, revision));
    count -= keys;
  }
  if (!range.unbounded && starts[last] < range.end) {
    const KeyRange inside = {starts[last], range.end, false, false};
    KEEL_ASSIGN_OR_RETURN(const int64_t keys, Walk(at, inside, revision));
    count += keys;
  }
  return std::optional<int64_t>(count);
}

bool CountIndex::Counted::Is(const KeyRange& range, int64_t at) const {
  return revision == at && unbounded == range.unbounded && begin == range.begin &&
         (unbounded || end == range.end);
}

std::optional<int64_t> CountIndex::Known(const KeyRange& range, int64_t revision) {
  base::MutexLock lock(&mutex_);
  for (const Counted& counted : counted_) {
    if (counted.Is(range, revision)) return counted.count;
  }
  return std::nullopt;
}

void CountIndex::Remember(const KeyRange& range, int64_t revision, int64_t count) {
  if (range.begin.size() + range.end.size() > kCountedKeyBytesMax) return;
  base::MutexLock lock(&mutex_);
  for (const Counted& counted : counted_) {
    if (counted.Is(range, revision)) return;
  }
  if (counted_.size() < kCounted) {
    counted_.emplace_back();
  } else {
    std::rotate(counted_.begin(), counted_.begin() + 1, counted_.end());
  }
  Counted& newest = counted_.back();
  newest.revision = revision;
  newest.begin = range.begin;
  newest.end = range.unbounded ? std::string_view() : range.end;
  newest.unbounded = range.unbounded;
  newest.count = count;
}

void CountIndex::Walked(int64_t keys) {
  base::MutexLock lock(&mutex_);
  walked_ += keys;
}

CountIndex::RootPtr CountIndex::Find(int64_t revision, bool exact) {
  base::MutexLock lock(&mutex_);
  auto best = roots_.end();
  for (auto it = roots_.begin(); it != roots_.end(); ++it) {
    if (best == roots_.end() ||
        std::abs((*it)->revision - revision) < std::abs((*best)->revision - revision)) {
      best = it;
    }
  }
  if (best == roots_.end() || (exact && (*best)->revision != revision)) return nullptr;
  std::rotate(best, best + 1, roots_.end());
  return roots_.back();
}

void CountIndex::Keep(RootPtr root) {
  base::MutexLock lock(&mutex_);
  if (roots_.size() == kRoots) roots_.erase(roots_.begin());
  roots_.push_back(std::move(root));
  walked_ = 0;
}

absl::StatusOr<CountIndex::RootPtr> CountIndex::GetRoot(const At& at, const KeyRange& range,
                                                        int64_t revision) {
  if (RootPtr root = Find(revision, /*exact=*/true); root != nullptr) return root;
  {
    base::MutexLock deriving(&deriving_);
    KEEL_ASSIGN_OR_RETURN(RootPtr root, FromNearest(at, revision));
    if (root != nullptr) return root;
  }
  if (!WorthBuilding(at, range) || building_.exchange(true)) return RootPtr();
  absl::StatusOr<RootPtr> built = Build(at);
  building_.store(false);
  if (!built.ok()) return built;
  Keep(*built);
  if (revision == at.view_revision) return built;
  base::MutexLock deriving(&deriving_);
  return FromNearest(at, revision);
}

absl::StatusOr<CountIndex::RootPtr> CountIndex::FromNearest(const At& at, int64_t revision) {
  const RootPtr base = Find(revision, /*exact=*/false);
  if (base == nullptr || base->revision == revision) return base;
  const int64_t distance = std::abs(base->revision - revision);
  if (distance > std::max(base->total(), kDistanceFree)) return RootPtr();
  KEEL_ASSIGN_OR_RETURN(RootPtr root, Derive(at, *base, revision));
  if (root != nullptr) Keep(root);
  return root;
}

// Building walks over all keys: done when this walk and those before it come to a good part of
// that, so that it at most multiplies what was paid anyway.
bool CountIndex::WorthBuilding(const At& at, const KeyRange& range) {
  if (options_.min_keys == 0) return true;
  uint64_t keys = 0;
  rocksdb::DB* const db = at.database.db();
  rocksdb::ColumnFamilyHandle* const latest = at.database.family(Family::kLatest);
  db->GetIntProperty(latest, rocksdb::DB::Properties::kEstimateNumKeys, &keys);
  if (static_cast<int64_t>(keys) < options_.min_keys) return false;

  const std::string behind_all(64, '\xff');
  const rocksdb::Range ranges[2] = {
      {ToSlice(range.begin), range.unbounded ? rocksdb::Slice(behind_all) : ToSlice(range.end)},
      {rocksdb::Slice(), rocksdb::Slice(behind_all)}};
  uint64_t bytes[2] = {0, 0};
  rocksdb::SizeApproximationOptions both;
  both.include_memtables = true;
  both.include_files = true;
  if (!db->GetApproximateSizes(both, latest, ranges, 2, bytes).ok() || bytes[1] == 0) return false;
  const double share = static_cast<double>(bytes[0]) / static_cast<double>(bytes[1]);
  base::MutexLock lock(&mutex_);
  return share * static_cast<double>(keys) + static_cast<double>(walked_) >=
         static_cast<double>(keys) / 8;
}

absl::StatusOr<CountIndex::RootPtr> CountIndex::Build(const At& at) const {
  uint64_t estimate = 0;
  at.database.db()->GetIntProperty(at.database.family(Family::kLatest),
                                   rocksdb::DB::Properties::kEstimateNumKeys, &estimate);
  const int64_t block_keys = BlockKeys(static_cast<int64_t>(estimate));
  auto root = std::make_shared<Root>();
  root->revision = at.view_revision;
  auto starts = std::make_shared<std::vector<std::string>>(1);
  root->before.push_back(0);
  int64_t count = 0;
  KEEL_RETURN_IF_ERROR(WalkKeys(at, {}, nullptr, [&](std::string_view key) {
    if (count - root->before.back() == block_keys) {
      starts->emplace_back(key);
      root->before.push_back(count);
    }
    ++count;
  }));
  root->before.push_back(count);
  root->starts = std::move(starts);
  return root;
}

absl::StatusOr<CountIndex::RootPtr> CountIndex::Derive(const At& at, const Root& base,
                                                       int64_t revision) const {
  const bool forward = revision > base.revision;
  const int64_t after = std::min(revision, base.revision);
  const int64_t until = std::max(revision, base.revision);
  auto root = std::make_shared<Root>();
  root->revision = revision;
  root->starts = base.starts;
  std::vector<int64_t> change(base.starts->size());

  char from[kEventKeySize];
  StoreEventKey(after + 1, 0, from);
  // Without a snapshot: events never change, and those of both revisions are all there.
  const auto iterator = at.database.NewIterator(Family::kEvents, nullptr, nullptr);
  int64_t last = after;
  for (iterator->Seek(rocksdb::Slice(from, kEventKeySize)); iterator->Valid() && last <= until;
       iterator->Next()) {
    EventReader events(ToView(iterator->key()), ToView(iterator->value()));
    while (events.Next()) {
      last = events.revision();
      if (last <= after || last > until) continue;
      const EventView& event = events.event();
      if (!event.is_delete && event.prev_mod != 0) continue;  // an overwrite
      change[base.BlockOf(event.key)] += event.is_delete == forward ? -1 : 1;
    }
    if (!events.ok()) return DamagedRecord(at.database, Family::kEvents);
  }
  KEEL_RETURN_IF_ERROR(
      ToStatus(iterator->status(), base::StrCat("read store ", at.database.path())));
  // RocksDB drops compacted events regardless of who reads.
  if (at.database.drop_revision() > after + 1) return RootPtr();

  root->before.resize(base.before.size());
  for (size_t i = 0; i < change.size(); ++i) {
    const int64_t keys = base.before[i + 1] - base.before[i] + change[i];
    KEEL_CHECK(keys >= 0, "block=", i, " keys=", keys, " from=", base.revision, " to=", revision);
    root->before[i + 1] = root->before[i] + keys;
  }
  // Only the newest keys can be walked over cheaply.
  if (revision == at.view_revision) return Reshape(at, std::move(root));
  return root;
}

absl::StatusOr<CountIndex::RootPtr> CountIndex::Reshape(const At& at, RootPtr root) const {
  const int64_t block_keys = BlockKeys(root->total());
  const std::vector<std::string>& starts = *root->starts;
  const auto blocks = static_cast<int64_t>(starts.size());
  const bool too_many = blocks > 2 * (root->total() / block_keys) + 16;
  bool too_large = false;
  for (size_t i = 0; i < starts.size(); ++i) {
    too_large = too_large || root->before[i + 1] - root->before[i] > 2 * block_keys;
  }
  if (!too_many && !too_large) return root;

  auto shaped = std::make_shared<Root>();
  shaped->revision = root->revision;
  auto new_starts = std::make_shared<std::vector<std::string>>();
  for (size_t i = 0; i < starts.size(); ++i) {
    const int64_t begin = root->before[i], keys = root->before[i + 1] - begin;
    // The block before grows into this one while it stays small.
    if (i > 0 && root->before[i + 1] - shaped->before.back() <= block_keys) continue;
    new_starts->push_back(starts[i]);
    shaped->before.push_back(begin);
    if (keys <= 2 * block_keys) continue;
    int64_t count = begin;
    KEEL_RETURN_IF_ERROR(WalkKeys(at, starts[i], i + 1 < starts.size() ? &starts[i + 1] : nullptr,
                                  [&](std::string_view key) {
                                    if (count - shaped->before.back() == block_keys) {
                                      new_starts->emplace_back(key);
                                      shaped->before.push_back(count);
                                    }
                                    ++count;
                                  }));
    KEEL_CHECK(count == root->before[i + 1], "block=", i, " counted=", count - begin,
               " derived=", keys, " revision=", root->revision);
  }
  shaped->before.push_back(root->total());
  shaped->starts = std::move(new_starts);
  return shaped;
}

}  // namespace keel::kvstore
