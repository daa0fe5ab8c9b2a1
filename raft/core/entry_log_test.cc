#include "raft/core/entry_log.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <deque>

#include "raft/core/memory_log.h"
#include "raft/core/testing/member.h"

namespace keel::raft {
namespace {

std::vector<Entry> Entries(Index first, std::vector<Term> terms) {
  std::vector<Entry> entries;
  for (Term term : terms) {
    entries.push_back({.term = term, .index = first++, .data = testing::Data("x")});
  }
  return entries;
}

// Hands out what is pending, as a Ready would.
void HandOut(EntryLog& log, MemoryLog& view, uint64_t id) {
  std::optional<SnapshotMeta> snapshot;
  std::vector<Entry> entries;
  ASSERT_TRUE(log.TakePending(id, &snapshot, &entries));
  if (snapshot) view.Restore(*snapshot);
  view.Append(entries);
}

size_t SliceSize(const EntryLog& log, Index low, Index high, uint64_t max_bytes) {
  std::vector<Entry> entries;
  EXPECT_TRUE(log.Slice(low, high, max_bytes, &entries).ok());
  return entries.size();
}

TEST(EntryLogTest, StartsWithWhatIsDurable) {
  MemoryLog view;
  view.Append(Entries(1, {1, 1, 2}));
  EntryLog log(&view);
  EXPECT_EQ(log.last_index(), 3);
  EXPECT_EQ(log.last_term(), 2);
  EXPECT_EQ(log.durable(), 3);
}

TEST(EntryLogTest, EntriesAreDurableOnceTheirWriteIs) {
  MemoryLog view;
  EntryLog log(&view);
  log.Append(Entries(1, {1})[0]);
  HandOut(log, view, 1);
  log.Append(Entries(2, {1})[0]);
  HandOut(log, view, 2);
  EXPECT_EQ(log.durable(), 0);
  log.Persisted(1);
  EXPECT_EQ(log.durable(), 1);
  log.Persisted(2);
  EXPECT_EQ(log.durable(), 2);
}

TEST(EntryLogTest, AnOverwrittenWriteDoesNotVouchForWhatReplacedIt) {
  MemoryLog view;
  EntryLog log(&view);
  log.Replace(Entries(1, {1, 1, 1}));
  HandOut(log, view, 1);
  log.Replace(Entries(2, {2, 2}));  // same indexes, other term
  HandOut(log, view, 2);
  log.Persisted(1);
  EXPECT_EQ(log.durable(), 1) << "2 and 3 of term 1 are durable, those of term 2 are not";
  log.Persisted(2);
  EXPECT_EQ(log.durable(), 3);
}

TEST(EntryLogTest, AnEntryOverwrittenTwiceCountsFromItsLastWrite) {
  MemoryLog view;
  EntryLog log(&view);
  log.Replace(Entries(1, {1}));
  HandOut(log, view, 1);
  log.Replace(Entries(1, {2}));
  HandOut(log, view, 2);
  log.Replace(Entries(1, {3}));
  HandOut(log, view, 3);
  log.Persisted(1);
  EXPECT_EQ(log.durable(), 0);
  log.Persisted(2);
  EXPECT_EQ(log.durable(), 0);
  log.Persisted(3);
  EXPECT_EQ(log.durable(), 1);
}

TEST(EntryLogTest, ASnapshotReplacesEverythingAndCountsWhenDurable) {
  MemoryLog view;
  EntryLog log(&view);
  log.Replace(Entries(1, {1, 1}));
  HandOut(log, view, 1);
  log.Restore({.index = 9, .term = 3, .conf = {.voters = {1}}});
  EXPECT_TRUE(log.restoring());
  EXPECT_EQ(log.last_index(), 9);
  EXPECT_EQ(*log.TermAt(9), 3);
  EXPECT_TRUE(absl::IsOutOfRange(log.TermAt(2).status()));
  HandOut(log, view, 2);
  EXPECT_FALSE(log.Persisted(1).has_value());
  EXPECT_EQ(log.durable(), 0) << "the first write is of a log that is gone";
  const std::optional<SnapshotMeta> snapshot = log.Persisted(2);
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_EQ(snapshot->index, 9);
  EXPECT_FALSE(log.restoring());
  EXPECT_EQ(log.durable(), 9);
  log.Append(Entries(10, {3})[0]);
  EXPECT_EQ(log.last_index(), 10);
}

TEST(EntryLogTest, SliceSpansWhatIsHeldAndWhatIsPending) {
  MemoryLog view;
  EntryLog log(&view);
  log.Replace(Entries(1, {1, 1}));
  HandOut(log, view, 1);
  log.Replace(Entries(3, {1, 2}));
  EXPECT_EQ(SliceSize(log, 1, 5, 100), 4);
  EXPECT_EQ(SliceSize(log, 1, 5, 3), 3);
  EXPECT_EQ(SliceSize(log, 2, 5, 0), 1) << "at least one, of any size";
  EXPECT_EQ(SliceSize(log, 4, 5, 0), 1);
}

TEST(EntryLogTest, ConflictByTermSkipsWholeTerms) {
  MemoryLog view;
  view.Append(Entries(1, {1, 1, 4, 4, 4, 6}));
  EntryLog log(&view);
  EXPECT_EQ(log.ConflictByTerm(6, 5), (std::pair<Index, Term>(5, 4)));
  EXPECT_EQ(log.ConflictByTerm(6, 3), (std::pair<Index, Term>(2, 1)));
  EXPECT_EQ(log.ConflictByTerm(100, 6), (std::pair<Index, Term>(6, 6)));
  EXPECT_EQ(log.ConflictByTerm(3, 0), (std::pair<Index, Term>(0, 0)));
}

// Against a model that really keeps a disk: durable() says how far the disk
// agrees with the log, as far as it was written by the writes that ended.
RC_GTEST_PROP(EntryLogProperty, TheDurablePrefixIsOnDisk, ()) {
  MemoryLog view;
  MemoryLog disk;
  EntryLog log(&view);
  std::deque<std::pair<uint64_t, std::vector<Entry>>> writes;
  uint64_t next_id = 1;
  Term term = 1;
  for (int i = 0; i < 60; ++i) {
    switch (*rc::gen::inRange(0, 4)) {
      case 0: {
        ++term;
        const Index from = *rc::gen::inRange<Index>(1, log.last_index() + 2);
        log.Replace(Entries(from, std::vector<Term>(*rc::gen::inRange<size_t>(1, 4), term)));
        break;
      }
      case 1:
        log.Append(Entries(log.last_index() + 1, {std::max<Term>(term, 1)})[0]);
        break;
      case 2: {
        std::optional<SnapshotMeta> snapshot;
        std::vector<Entry> entries;
        if (log.TakePending(next_id, &snapshot, &entries)) {
          view.Append(entries);
          writes.emplace_back(next_id++, std::move(entries));
        }
        break;
      }
      default:
        if (writes.empty()) break;
        disk.Append(writes.front().second);
        log.Persisted(writes.front().first);
        writes.pop_front();
    }
    for (Index index = 1; index <= log.durable(); ++index) {
      RC_ASSERT(disk.TermAt(index).ok());
      RC_ASSERT(*disk.TermAt(index) == *log.TermAt(index));
    }
  }
  while (!writes.empty()) {
    log.Persisted(writes.front().first);
    writes.pop_front();
  }
  if (!log.HasPending()) RC_ASSERT(log.durable() == log.last_index());
}

}  // namespace
}  // namespace keel::raft
