// Removes compacted history while RocksDB rewrites files anyway. What it drops
// is invisible to every read at or above the compact revision C:
//   history  a version with superseded_by <= C that was not itself written at C
//            (watches from C on still read the events of C)
//   events   of revisions below C
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "base/mutation.h"
#include "kvstore/mvcc/coding.h"
#include "rocksdb/compaction_filter.h"

namespace keel::kvstore {

class DropFilter : public rocksdb::CompactionFilter {
 public:
  DropFilter(bool events, int64_t revision) : events_(events), revision_(revision) {}

  bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice& value, std::string*,
              bool*) const override {
    if (key.size() < 8) return false;
    if (events_) {
      const int64_t first_kept = KEEL_MUTATION(kCompactDropsEvents) ? revision_ + 1 : revision_;
      return static_cast<int64_t>(LoadBig64(key.data())) < first_kept;
    }
    if (value.size() < 8) return false;
    const auto superseded_by = static_cast<int64_t>(LoadBig64(value.data()));
    const auto mod = static_cast<int64_t>(~LoadBig64(key.data() + key.size() - 8));
    if (KEEL_MUTATION(kCompactTooMuch)) return mod <= revision_;
    return superseded_by <= revision_ && mod < revision_;
  }
  const char* Name() const override { return "keel.DropFilter"; }

 private:
  const bool events_;
  const int64_t revision_;
};

class DropFilterFactory : public rocksdb::CompactionFilterFactory {
 public:
  DropFilterFactory(bool events, std::shared_ptr<std::atomic<int64_t>> revision)
      : events_(events), revision_(std::move(revision)) {}

  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    const int64_t revision = revision_->load(std::memory_order_acquire);
    if (revision < 0) return nullptr;
    return std::make_unique<DropFilter>(events_, revision);
  }
  const char* Name() const override { return "keel.DropFilterFactory"; }

 private:
  const bool events_;
  const std::shared_ptr<std::atomic<int64_t>> revision_;
};

}  // namespace keel::kvstore
