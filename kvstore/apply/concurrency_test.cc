// Readers on any thread beside apply and physical compaction: what they see is
// one moment, whole, or an honest refusal.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "kvstore/apply/testing.h"

namespace keel::kvstore {
namespace {

constexpr int kKeys = 8;

kv::Command WriteAll(const std::string& value) {
  kv::Command command;
  for (int i = 0; i < kKeys; ++i) {
    auto* put = command.mutable_txn()->add_success()->mutable_request_put();
    put->set_key("k" + std::to_string(i));
    put->set_value(value);
  }
  return command;
}

// All keys of one revision have the value that the transaction making it wrote:
// the revision itself. Returns the status of the read.
absl::Status ReadAll(const ReadView& view, int64_t revision) {
  RangeOptions options;
  options.key = "k";
  options.range_end = "l";
  options.revision = revision;
  const std::string want = std::to_string(revision);
  int records = 0;
  bool same = true;
  const auto result = view.Range(options, [&](const RecordView& record) {
    ++records;
    same = same && record.value == want && record.mod_revision == revision;
  });
  if (!result.ok()) return result.status();
  EXPECT_TRUE(same) << "revision " << revision;
  EXPECT_EQ(records, kKeys) << "revision " << revision;
  EXPECT_EQ(result->count, kKeys) << "revision " << revision;
  return absl::OkStatus();
}

TEST(ConcurrencyTest, ReadersSeeWholeRevisionsWhileHistoryGoes) {
  TempDir dir;
  TestMachine machine(dir / "store");
  machine.Run(WriteAll("2"));
  std::atomic<bool> stop{false};
  std::atomic<int> now{0}, past{0}, refused{0}, history{0};
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&, reader] {
      for (int64_t round = 0; !stop; ++round) {
        const auto view = machine->view();
        EXPECT_TRUE(ReadAll(*view, view->revision()).ok());
        ++now;
        // Around the compact revision is where it is decided.
        const int64_t revision =
            std::max<int64_t>(2, view->compact_revision() + round % 3 + reader - 1);
        if (revision > view->revision()) continue;
        const absl::Status status = ReadAll(*view, revision);
        EXPECT_TRUE(status.ok() || absl::IsOutOfRange(status)) << status;
        ++(status.ok() ? past : refused);
      }
    });
  }
  readers.emplace_back([&] {
    while (!stop) {
      ChangeFeed::HistoryOptions options;
      options.from_revision = std::max<int64_t>(2, machine->compact_revision());
      options.key = "k";
      options.range_end = "l";
      options.prev_kv = true;
      options.max_scanned = 20;
      const auto read = machine->ReadHistory(options);
      EXPECT_TRUE(read.ok() || absl::IsOutOfRange(read.status())) << read.status();
      if (!read.ok()) continue;
      int64_t expected = options.from_revision;
      for (const RevisionEvents& revision : read->revisions) {
        EXPECT_EQ(revision.revision, expected++);
        EXPECT_EQ(revision.events.size(), static_cast<size_t>(kKeys));
      }
      EXPECT_EQ(read->next_revision, expected);
      ++history;
    }
  });
  std::atomic<int> passes{0};
  int scheduled = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  while (std::chrono::steady_clock::now() < end) {
    const int64_t revision = machine->view()->revision();
    std::vector<kv::Command> batch;
    for (int i = 1; i <= 5; ++i) batch.push_back(WriteAll(std::to_string(revision + i)));
    machine.Run(batch);
    if (revision % 100 < 5 && passes == scheduled) {
      machine.Run(CompactCommand(revision - 3));
      ++scheduled;
      machine->WhenPhysicallyCompacted(revision - 3, [&](absl::Status status) {
        EXPECT_TRUE(status.ok()) << status;
        ++passes;
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  while (passes < scheduled) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(passes, 0);
  EXPECT_GT(now, 0);
  EXPECT_GT(past, 0);
  EXPECT_GT(history, 0);
}

TEST(ConcurrencyTest, ReadersOutliveARestoreAndTheMachine) {
  TempDir dir;
  {
    TestMachine source(dir / "source");
    source.Run({WriteAll("2"), WriteAll("3"), WriteAll("4")});
    ASSERT_TRUE(source->WriteSnapshot(dir / "snapshot").ok());
  }
  std::shared_ptr<const ReadView> before, after;
  {
    TestMachine machine(dir / "store");
    machine.Run(WriteAll("2"));
    before = machine->view();
    std::atomic<bool> stop{false};
    std::thread reader([&] {
      while (!stop) {
        const auto view = machine->view();
        EXPECT_TRUE(ReadAll(*view, view->revision()).ok());
      }
    });
    ASSERT_TRUE(machine->RestoreSnapshot(dir / "snapshot", {3, 1, {}}).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop = true;
    reader.join();
    after = machine->view();
    EXPECT_TRUE(std::filesystem::exists(dir / "store/db-000001"));
  }
  EXPECT_TRUE(ReadAll(*before, 2).ok());
  EXPECT_TRUE(ReadAll(*after, 4).ok());
  before.reset();
  EXPECT_FALSE(std::filesystem::exists(dir / "store/db-000001"));
}

}  // namespace
}  // namespace keel::kvstore
