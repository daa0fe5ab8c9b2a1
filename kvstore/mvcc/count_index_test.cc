// Counts by the index against counts by hand, and what they cost.
#include "kvstore/mvcc/count_index.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <set>

#include "base/check.h"
#include "base/temp_dir.h"
#include "kvstore/mvcc/store.h"
#include "rocksdb/perf_context.h"
#include "rocksdb/perf_level.h"

namespace keel::kvstore {
namespace {

class CountIndexTest : public ::testing::Test {
 protected:
  CountIndexTest() { options_.dir = dir_.path(); }
  void Open() {
    auto opened = Store::Open(options_);
    KEEL_CHECK(opened.ok(), opened.status().ToString());
    store_ = *std::move(opened);
    states_[store_->writer().revision()] = keys_;
  }
  Writer& writer() { return store_->writer(); }

  void Put(const std::string& key) {
    ASSERT_TRUE(writer().Put(key, "value", 0).ok());
    keys_.insert(key);
  }
  void Delete(const std::string& key) {
    ASSERT_TRUE(writer().DeleteRange(KeyRange::Of(key, {}), [](const RecordView&) {}).ok());
    keys_.erase(key);
  }
  void End() { states_[writer().End()] = keys_; }
  void Publish() {
    ASSERT_TRUE(store_->Commit(++index_, 1).ok());
    store_->Publish();
  }
  int64_t CountByHand(const std::string& key, const std::string& end, int64_t revision) const {
    const auto& keys = states_.at(revision);
    const bool unbounded = end == std::string(1, '\0');
    if (!unbounded && end <= key) return 0;
    return std::distance(keys.lower_bound(key), unbounded ? keys.end() : keys.lower_bound(end));
  }
  absl::StatusOr<RangeResult> Range(const std::string& key, const std::string& end,
                                    int64_t revision, int64_t limit) {
    RangeOptions range;
    range.key = key;
    range.range_end = end;
    range.revision = revision;
    range.limit = limit;
    range.count_only = limit == 0;
    return store_->view()->Range(range, [](const RecordView&) {});
  }

  const base::TempDir dir_;
  StoreOptions options_;
  std::unique_ptr<Store> store_;
  uint64_t index_ = 0;
  std::set<std::string> keys_;
  std::map<int64_t, std::set<std::string>> states_;  // by revision
};

std::string Key(uint64_t number) {
  std::string key = std::to_string(number);
  return "k" + std::string(6 - std::min<size_t>(key.size(), 6), '0') + key;
}

TEST_F(CountIndexTest, AgreesWithCountsByHandAtEveryRevision) {
  options_.counts = {.block_keys = 3, .walk_keys = 1, .min_keys = 0};
  Open();
  std::mt19937_64 random(7);
  auto below = [&](uint64_t bound) { return random() % bound; };
  int64_t compacted = -1;
  for (int step = 0; step < 400; ++step) {
    // Grows, then shrinks, so that blocks are split and joined.
    const bool grow = step < 200;
    for (uint64_t txn = below(3); txn > 0; --txn) {
      writer().Begin();
      const uint64_t ops = 1 + below(6);
      std::set<std::string> used;
      for (uint64_t op = 0; op < ops; ++op) {
        const std::string key = Key(below(300));
        if (!used.insert(key).second) continue;
        below(4) < (grow ? 3 : 1) ? Put(key) : Delete(key);
      }
      End();
    }
    const int64_t newest = writer().revision();
    if (below(20) == 0 && newest > compacted + 1) {
      compacted = compacted + 1 + static_cast<int64_t>(below(newest - compacted));
      compacted = std::max<int64_t>(compacted, 1);
      writer().Compact(compacted);
      Publish();
      store_->SchedulePhysicalCompaction(compacted);
    } else {
      Publish();
    }
    for (int read = 0; read < 8; ++read) {
      const std::string key = Key(below(320));
      const std::string end = below(4) == 0 ? std::string(1, '\0') : Key(below(320));
      const int64_t oldest = std::max<int64_t>(compacted, 1);
      const int64_t revision =
          below(2) == 0 ? 0 : oldest + static_cast<int64_t>(below(newest - oldest + 1));
      const int64_t limit = static_cast<int64_t>(below(4));
      const int64_t want = CountByHand(key, end, revision == 0 ? newest : revision);
      const auto got = Range(key, end, revision, limit);
      ASSERT_TRUE(got.ok()) << got.status();
      ASSERT_EQ(got->count, want) << "[" << key << ", " << end << ") at " << revision << " of "
                                  << newest << ", limit " << limit << ", step " << step;
      ASSERT_EQ(got->more, limit > 0 && want > limit);
    }
  }
}

// Lists whose pages come at one revision while writes go on, each page from the last one's end.
TEST_F(CountIndexTest, PagesOfAListAgreeWithCountsByHand) {
  options_.counts = {.block_keys = 3, .walk_keys = 1, .min_keys = 0};
  Open();
  std::mt19937_64 random(11);
  auto below = [&](uint64_t bound) { return random() % bound; };
  for (int list = 0; list < 60; ++list) {
    std::string key = Key(below(100));
    const std::string end = below(4) == 0 ? std::string(1, '\0') : Key(100 + below(220));
    const auto limit = static_cast<int64_t>(1 + below(20));
    int64_t revision = 0;
    for (bool more = true; more;) {
      writer().Begin();
      std::set<std::string> used;
      for (int op = 0; op < 5; ++op) {
        const std::string changed = Key(below(300));
        if (!used.insert(changed).second) continue;
        below(3) < 2 ? Put(changed) : Delete(changed);
      }
      End();
      Publish();
      if (revision == 0) revision = writer().revision();
      RangeOptions page;
      page.key = key;
      page.range_end = end;
      page.revision = revision;
      page.limit = limit;
      std::string last;
      const auto got = store_->view()->Range(
          page, [&](const RecordView& record) { last = std::string(record.key); });
      ASSERT_TRUE(got.ok()) << got.status();
      const int64_t want = CountByHand(key, end, revision);
      ASSERT_EQ(got->count, want) << "[" << key << ", " << end << ") at " << revision;
      ASSERT_EQ(got->more, want > limit);
      more = got->more;
      if (!last.empty()) key = last + '\0';
      // Others that begin or end there are not taken for it.
      ASSERT_EQ(Range(key, end, 0, 1)->count, CountByHand(key, end, writer().revision()));
      ASSERT_EQ(Range(key, Key(250), revision, 1)->count, CountByHand(key, Key(250), revision));
    }
  }
}

// Records that RocksDB steps over for one count.
uint64_t StepsOf(const std::function<void()>& read) {
  rocksdb::SetPerfLevel(rocksdb::kEnableCount);
  rocksdb::get_perf_context()->Reset();
  read();
  const uint64_t steps = rocksdb::get_perf_context()->next_on_memtable_count;
  rocksdb::SetPerfLevel(rocksdb::kDisable);
  return steps;
}

TEST_F(CountIndexTest, CountsWithoutWalkingOverTheKeys) {
  Open();
  constexpr uint64_t kKeys = 20'000;
  writer().Begin();
  for (uint64_t i = 0; i < kKeys; ++i) Put(Key(i));
  End();
  Publish();
  const std::string all(1, '\0');
  int64_t count = 0;
  const auto page = [&] { count = Range(Key(700), all, 0, 500)->count; };
  EXPECT_GE(StepsOf(page), kKeys) << "the first builds the index";
  EXPECT_LT(StepsOf(page), 2'000u);
  EXPECT_EQ(count, static_cast<int64_t>(kKeys) - 700);

  // And at the old revision, while writes go on.
  const int64_t revision = writer().revision();
  for (uint64_t i = 0; i < 100; ++i) {
    writer().Begin();
    i % 2 == 0 ? Put(Key(kKeys + i)) : Delete(Key(10'000 + i));
    End();
  }
  Publish();
  EXPECT_LT(StepsOf(page), 2'000u);
  EXPECT_EQ(count, static_cast<int64_t>(kKeys) - 700);  // 50 came, 50 went
  EXPECT_LT(StepsOf([&] { count = Range(Key(9'000), Key(19'000), revision, 500)->count; }), 4'000u);
  EXPECT_EQ(count, 10'000);
  EXPECT_EQ(Range(Key(9'000), Key(19'000), 0, 500)->count, 9'950);
}

TEST_F(CountIndexTest, TheNextPageOfAListIsCountedByTheOneBefore) {
  Open();
  writer().Begin();
  for (uint64_t i = 0; i < 5'000; ++i) Put(Key(i));
  End();
  Publish();
  const int64_t revision = writer().revision();
  EXPECT_EQ(Range(Key(0), "l", 0, 500)->count, 5'000);
  int64_t count = 0;
  EXPECT_LT(StepsOf([&] { count = Range(Key(499) + '\0', "l", revision, 500)->count; }), 510u);
  EXPECT_EQ(count, 4'500);
}

TEST_F(CountIndexTest, SmallStoresAndShortCountsNeedNoIndex) {
  Open();
  writer().Begin();
  for (uint64_t i = 0; i < 1000; ++i) Put(Key(i));
  End();
  Publish();
  for (int i = 0; i < 3; ++i) {
    int64_t count = 0;
    EXPECT_GE(StepsOf([&] { count = Range("a", "z", 0, 0)->count; }), 999u);
    EXPECT_EQ(count, 1000);
  }
}

}  // namespace
}  // namespace keel::kvstore
