// Counts the keys of a range without walking over them: list pages (`limit`)
// and count_only requests answer with the number of all keys in the range.
//
// The key space is cut into blocks of some hundred keys. A *root* says where
// the blocks begin and how many keys stood before each, at one revision. A
// count is then a difference of two sums, and a walk over what the range covers
// of the blocks at its edges: O(log n + block_keys). A root is some 40 bytes and
// a key per block: 0.2 MB for a million keys.
//
// Writes pay nothing. Nothing is kept on disk either. The first count that
// would walk far builds a root by one walk over all keys; a later one at another
// revision derives its own from the nearest root by the events between the two
// (the store keeps them for watches), forward or back. So a list whose pages
// stay at the revision of its first page stays cheap while writes go on. And who
// counted a page also knows what is left behind it, which is the count of the next
// page: the last few such counts are kept.
//
// Invariants of a root: starts[0] is empty and starts ascend; before has one
// more element than starts, begins with 0 and never falls.
//
// Thread-safety: any number of threads. Those that derive a root wait for each
// other; while one builds the first, the others walk.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "kvstore/mvcc/store_options.h"
#include "rocksdb/db.h"

namespace keel::kvstore {

class Database;
struct KeyRange;

class CountIndex {
 public:
  explicit CountIndex(const CountOptions& options) : options_(options) {}

  // What a view can read: its snapshot, and the revision of that.
  struct At {
    const Database& database;
    const rocksdb::Snapshot* snapshot;
    int64_t view_revision;
  };

  // How many keys of `range` are visible at `revision`; nullopt when walking is
  // the cheaper way. REQUIRES: the range is not a single key; compact revision
  // <= revision <= at.view_revision. Errors: DataLoss.
  absl::StatusOr<std::optional<int64_t>> Count(const At& at, const KeyRange& range,
                                               int64_t revision);
  // How many keys of the range there are at that revision, when Remember said so lately.
  std::optional<int64_t> Known(const KeyRange& range, int64_t revision);
  // Says it: of what is left behind a page, which the next one will ask for.
  void Remember(const KeyRange& range, int64_t revision, int64_t count);
  // Says that a count went over so many keys because of a nullopt.
  void Walked(int64_t keys);

  const CountOptions& options() const { return options_; }

 private:
  struct Root {
    int64_t revision = 0;
    std::shared_ptr<const std::vector<std::string>> starts;
    std::vector<int64_t> before;

    int64_t total() const { return before.back(); }
    size_t BlockOf(std::string_view key) const;
  };
  struct Counted {
    int64_t revision = 0;
    std::string begin;
    std::string end;
    bool unbounded = false;
    int64_t count = 0;

    bool Is(const KeyRange& range, int64_t at) const;
  };
  using RootPtr = std::shared_ptr<const Root>;

  // Null: walk.
  absl::StatusOr<RootPtr> GetRoot(const At& at, const KeyRange& range, int64_t revision);
  absl::StatusOr<RootPtr> FromNearest(const At& at, int64_t revision)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(deriving_);
  RootPtr Find(int64_t revision, bool exact);
  void Keep(RootPtr root);
  bool WorthBuilding(const At& at, const KeyRange& range);
  absl::StatusOr<RootPtr> Build(const At& at) const;
  // Null when events between the two are compacted away.
  absl::StatusOr<RootPtr> Derive(const At& at, const Root& base, int64_t revision) const;
  // Splits blocks that grew large, joins those that became small.
  absl::StatusOr<RootPtr> Reshape(const At& at, RootPtr root) const;
  int64_t BlockKeys(int64_t keys) const;

  const CountOptions options_;
  base::Mutex deriving_;
  std::atomic<bool> building_{false};
  base::Mutex mutex_;
  std::vector<RootPtr> roots_ ABSL_GUARDED_BY(mutex_);    // used last stands last
  std::vector<Counted> counted_ ABSL_GUARDED_BY(mutex_);  // newest last
  int64_t walked_ ABSL_GUARDED_BY(mutex_) = 0;            // keys, since there was a root
};

}  // namespace keel::kvstore
