// What a SimDisk keeps, loses and tears; and the Raft log on it.
#include "tests/sim/disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "raft/log/test_util.h"
#include "tests/sim/disk_node.h"

namespace keel::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Mode = base::FileSystem::Mode;

// Thousands of crashes report what they cut.
[[maybe_unused]] const bool quiet = (base::Log().set_level(spdlog::level::err), true);

std::unique_ptr<base::File> OpenFile(SimDisk& disk, const std::string& path, Mode mode) {
  auto file = disk.Open(path, mode);
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : nullptr;
}

void WriteDurably(SimDisk& disk, const std::string& path, std::string_view data) {
  const auto file = OpenFile(disk, path, Mode::kCreate);
  ASSERT_TRUE(file->Write(0, data).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(disk.SyncDir(path.substr(0, std::max<size_t>(path.rfind('/'), 1))).ok());
}

std::string Contents(SimDisk& disk, const std::string& path) {
  return base::ReadFile(disk, path).value_or("(none)");
}

// For many seeds: some writes are synced, some follow. After the crash each
// sector of the file is what it was when synced, or what some later write made it.
TEST(SimDiskTest, ASectorAfterACrashIsTheSyncedOneOrALaterOne) {
  uint64_t lost = 0, torn = 0, kept_all = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SimDisk disk({.seed = seed});
    DiskRandom random(seed + 1'000);
    WriteDurably(disk, "/f", std::string(random.Below(8'000), 's'));
    const auto file = OpenFile(disk, "/f", Mode::kReadWrite);
    auto write = [&] {
      const std::string data(1 + random.Below(3'000), static_cast<char>('a' + random.Below(26)));
      ASSERT_TRUE(file->Write(random.Below(10'000), data).ok());
    };
    for (uint64_t i = random.Below(5); i > 0; --i) write();
    ASSERT_TRUE(file->Sync().ok());
    const std::string synced = Contents(disk, "/f");
    std::vector<std::string> versions = {synced};
    for (uint64_t i = random.Below(5); i > 0; --i) {
      write();
      versions.push_back(Contents(disk, "/f"));
    }
    disk.Crash();
    const std::string after = Contents(disk, "/f");
    ASSERT_GE(after.size(), synced.size());
    ASSERT_LE(after.size(), versions.back().size());
    for (size_t i = 0; i < after.size(); ++i) {
      // A byte comes from the synced version or from some write; an unwritten one is zero.
      bool known = after[i] == '\0' && i >= synced.size();
      for (const std::string& version : versions)
        known |= i < version.size() && version[i] == after[i];
      ASSERT_TRUE(known) << "seed " << seed << " byte " << i << " is " << after[i];
    }
    lost += disk.counters().dropped_writes;
    torn += disk.counters().torn_writes;
    kept_all += after == versions.back() ? 1 : 0;
  }
  EXPECT_GT(lost, 100u);
  EXPECT_GT(torn, 100u);
  EXPECT_GT(kept_all, 100u);
}

TEST(SimDiskTest, TearsAtSectorsOnly) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimDisk disk({.seed = seed});
    WriteDurably(disk, "/f", std::string(4096, '.'));
    const auto file = OpenFile(disk, "/f", Mode::kReadWrite);
    ASSERT_TRUE(file->Write(300, std::string(3'000, 'x')).ok());
    disk.Crash();
    const std::string after = Contents(disk, "/f");
    ASSERT_EQ(after.size(), 4096u);
    for (size_t sector = 0; sector < 4096; sector += kSectorBytes) {
      const size_t from = std::max<size_t>(sector, 300);
      const size_t to = std::min<size_t>(sector + kSectorBytes, 3'300);
      for (size_t i = from + 1; i < to; ++i) ASSERT_EQ(after[i], after[from]) << "seed " << seed;
    }
  }
}

TEST(SimDiskTest, ReordersWritesThatNoSyncSeparates) {
  int second_only = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimDisk disk({.seed = seed});
    WriteDurably(disk, "/f", std::string(1024, '.'));
    const auto file = OpenFile(disk, "/f", Mode::kReadWrite);
    ASSERT_TRUE(file->Write(0, std::string(512, '1')).ok());
    ASSERT_TRUE(file->Write(512, std::string(512, '2')).ok());
    disk.Crash();
    const std::string after = Contents(disk, "/f");
    second_only += after[0] == '.' && after[512] == '2' ? 1 : 0;
  }
  EXPECT_GT(second_only, 5);
}

TEST(SimDiskTest, NamesAreDurableOnceTheirFolderWasSynced) {
  int created = 0, renamed = 0, resurrected = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimDisk disk({.seed = seed});
    ASSERT_TRUE(disk.CreateDirs("/d/sub").ok());
    WriteDurably(disk, "/d/kept", "kept");
    WriteDurably(disk, "/d/old", "new");
    WriteDurably(disk, "/d/removed", "back");
    WriteDurably(disk, "/d/target", "old");
    OpenFile(disk, "/d/created", Mode::kCreate);
    ASSERT_TRUE(disk.Rename("/d/old", "/d/target").ok());
    ASSERT_TRUE(disk.Remove("/d/removed").ok());
    EXPECT_EQ(Contents(disk, "/d/target"), "new");
    disk.Crash();
    EXPECT_EQ(Contents(disk, "/d/kept"), "kept");
    EXPECT_TRUE(disk.IsDir("/d/sub"));  // CreateDirs is durable by itself
    created += disk.Exists("/d/created") ? 1 : 0;
    // A rename happens or does not.
    const bool done = Contents(disk, "/d/target") == "new";
    ASSERT_EQ(Contents(disk, "/d/target"), done ? "new" : "old");
    ASSERT_EQ(disk.Exists("/d/old"), !done);
    renamed += done ? 1 : 0;
    if (disk.Exists("/d/removed")) {
      ++resurrected;
      ASSERT_EQ(Contents(disk, "/d/removed"), "back");
    }
  }
  for (const int count : {created, renamed, resurrected}) {
    EXPECT_GT(count, 20);
    EXPECT_LT(count, 180);
  }
}

TEST(SimDiskTest, SyncDirKeepsEveryChangeOfNames) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk disk({.seed = seed});
    ASSERT_TRUE(disk.CreateDirs("/d").ok());
    ASSERT_TRUE(disk.CreateDirs("/from/folder").ok());
    WriteDurably(disk, "/from/folder/f", "moved");
    WriteDurably(disk, "/d/gone", "x");
    ASSERT_TRUE(base::WriteFileAtomic(disk, "/d/CURRENT", "1").ok());
    ASSERT_TRUE(base::WriteFileAtomic(disk, "/d/CURRENT", "2").ok());
    ASSERT_TRUE(disk.Remove("/d/gone").ok());
    ASSERT_TRUE(disk.Rename("/from/folder", "/d/folder").ok());
    ASSERT_TRUE(disk.Link("/d/CURRENT", "/d/link").ok());
    ASSERT_TRUE(disk.SyncDir("/d").ok());
    const uint64_t before = disk.Fingerprint();
    disk.Crash();
    EXPECT_EQ(disk.Fingerprint(), before);
    EXPECT_THAT(disk.Files(), ElementsAre("/d/CURRENT", "/d/folder/f", "/d/link"));
    EXPECT_EQ(Contents(disk, "/d/CURRENT"), "2");
    EXPECT_EQ(Contents(disk, "/d/folder/f"), "moved");
    EXPECT_EQ(disk.LinkCount("/d/link").value_or(0), 2u);
  }
}

TEST(SimDiskTest, AKilledProcessLosesNothing) {
  SimDisk disk({});
  const auto file = OpenFile(disk, "/f", Mode::kCreate);
  ASSERT_TRUE(file->Write(0, "unsynced").ok());
  auto lock = disk.Lock("/LOCK");
  ASSERT_TRUE(lock.ok());
  disk.Crash(SimDisk::CrashKind::kProcess);
  EXPECT_EQ(Contents(disk, "/f"), "unsynced");
  EXPECT_EQ(file->Write(0, "x").code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(disk.Lock("/LOCK").ok());
}

TEST(SimDiskTest, LocksExclude) {
  SimDisk disk({});
  auto held = disk.Lock("/LOCK");
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(disk.Lock("/LOCK").status().code(), absl::StatusCode::kUnavailable);
  held->reset();
  auto again = disk.Lock("/LOCK");
  ASSERT_TRUE(again.ok());
  auto stale = *std::move(again);
  disk.Crash(SimDisk::CrashKind::kProcess);
  auto next = disk.Lock("/LOCK");
  ASSERT_TRUE(next.ok());
  stale.reset();  // of a life before: frees nothing
  EXPECT_EQ(disk.Lock("/LOCK").status().code(), absl::StatusCode::kUnavailable);
}

TEST(SimDiskTest, DiesAtTheChangeAskedFor) {
  SimDisk disk({});
  const auto file = OpenFile(disk, "/f", Mode::kCreate);
  disk.DieAfter(2);
  EXPECT_TRUE(file->Write(0, "a").ok());
  EXPECT_EQ(file->Sync().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(disk.dead());
  EXPECT_EQ(file->Read(0, 1).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(disk.List("/").status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(disk.Exists("/f"));
  disk.Crash();
  EXPECT_FALSE(disk.dead());
  EXPECT_TRUE(disk.List("/").ok());
  EXPECT_EQ(file->Sync().code(), absl::StatusCode::kUnavailable);
}

TEST(SimDiskTest, HookDecides) {
  SimDisk disk({});
  const auto file = OpenFile(disk, "/f", Mode::kCreate);
  disk.set_on_change([](DiskOp op, const std::string& path) {
    return op == DiskOp::kSync && path == "/f" ? SimDisk::Verdict::kFail
                                               : SimDisk::Verdict::kProceed;
  });
  EXPECT_TRUE(file->Write(0, "a").ok());
  EXPECT_EQ(file->Sync().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(disk.counters().sync_errors, 1u);
}

TEST(SimDiskTest, AfterAFailedSyncRetryingKeepsNothing) {
  int lost = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimDisk disk({.seed = seed});
    WriteDurably(disk, "/f", "old");
    const auto file = OpenFile(disk, "/f", Mode::kReadWrite);
    disk.set_faults({.sync_error_ppm = 1'000'000});
    ASSERT_TRUE(file->Write(0, "new").ok());
    ASSERT_FALSE(file->Sync().ok());
    disk.set_faults({});
    ASSERT_TRUE(file->Sync().ok());
    disk.Crash();
    lost += Contents(disk, "/f") == "old" ? 1 : 0;
  }
  EXPECT_GT(lost, 5);
}

TEST(SimDiskTest, FillsUpAndTellsTheTruthAboutSpace) {
  SimDisk disk({.capacity_bytes = 64 << 10});
  const auto file = OpenFile(disk, "/f", Mode::kCreate);
  ASSERT_TRUE(file->Write(0, std::string(60 << 10, 'x')).ok());
  EXPECT_EQ(disk.GetSpace("/")->free_bytes, 4u << 10);
  const absl::Status full = file->Write(60 << 10, std::string(8 << 10, 'y'));
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
  EXPECT_EQ(disk.GetSpace("/")->free_bytes, 0u);
  EXPECT_TRUE(file->Write(0, "what is there can be overwritten").ok());
  EXPECT_EQ(disk.counters().no_space, 1u);
  EXPECT_EQ(file->Truncate(1 << 20).code(), absl::StatusCode::kResourceExhausted);

  ASSERT_TRUE(disk.Remove("/f").ok());
  EXPECT_EQ(disk.GetSpace("/")->free_bytes, 0u);  // open yet
  const_cast<std::unique_ptr<base::File>&>(file).reset();
  EXPECT_EQ(disk.GetSpace("/")->free_bytes, 64u << 10);
  disk.set_capacity(0);
  EXPECT_EQ(disk.GetSpace("/")->free_bytes, 0u);
}

TEST(SimDiskTest, FailsAsOftenAsAsked) {
  SimDisk disk({.seed = 5, .faults = {.read_error_ppm = 100'000, .write_error_ppm = 200'000}});
  const auto file = OpenFile(disk, "/f", Mode::kCreate);
  int bad_writes = 0, bad_reads = 0;
  for (int i = 0; i < 1'000; ++i) {
    bad_writes += file->Write(0, "abc").ok() ? 0 : 1;
    bad_reads += file->Read(0, 3).ok() ? 0 : 1;
  }
  EXPECT_NEAR(bad_writes, 200, 60);
  EXPECT_NEAR(bad_reads, 100, 40);
  EXPECT_EQ(disk.counters().write_errors, static_cast<uint64_t>(bad_writes));
  EXPECT_EQ(disk.counters().read_errors, static_cast<uint64_t>(bad_reads));
}

TEST(SimDiskTest, LosesAndMisdirectsWritesWhenAskedTo) {
  SimDisk disk({.seed = 5});
  WriteDurably(disk, "/f", std::string(64 * kSectorBytes, '.'));
  const auto file = OpenFile(disk, "/f", Mode::kReadWrite);
  disk.set_faults({.lost_write_ppm = 1'000'000});
  EXPECT_TRUE(file->Write(0, "lost").ok());
  EXPECT_EQ(Contents(disk, "/f").find("lost"), std::string::npos);
  disk.set_faults({.misdirected_write_ppm = 1'000'000});
  int elsewhere = 0;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(file->Write(7, "astray").ok());
    const size_t at = Contents(disk, "/f").find("astray");
    ASSERT_EQ(at % kSectorBytes, 7u);
    elsewhere += at != 7 ? 1 : 0;
  }
  EXPECT_GT(elsewhere, 5);
  EXPECT_EQ(Contents(disk, "/f").size(), 64 * kSectorBytes);
  EXPECT_EQ(disk.counters().lost_writes, 1u);
  EXPECT_EQ(disk.counters().misdirected_writes, 10u);
}

TEST(SimDiskTest, CostsVirtualTime) {
  SimDisk disk({.latency = {.read_ns = 1, .write_ns = 10, .sync_ns = 100, .per_kib_ns = 1'000}});
  const auto file = OpenFile(disk, "/f", Mode::kCreate);
  EXPECT_EQ(disk.TakeCost(), 10u);
  ASSERT_TRUE(file->Write(0, std::string(2048, 'x')).ok());
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(disk.TakeCost(), 10u + 2'000 + 100);
  EXPECT_EQ(disk.TakeCost(), 0u);
  disk.set_latency({.sync_ns = 100, .factor = 50});
  disk.set_faults({.stall_ppm = 1'000'000, .stall_ns = 7});
  ASSERT_TRUE(file->Sync().ok());
  EXPECT_EQ(disk.TakeCost(), 5'007u);
  EXPECT_EQ(disk.counters().stalls, 1u);
}

TEST(SimDiskTest, RefusesWhatPosixRefuses) {
  SimDisk disk({});
  EXPECT_EQ(disk.Open("/f", Mode::kRead).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(disk.Open("/none/f", Mode::kCreate).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(disk.Remove("/f").code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(disk.RemoveAll("/f").ok());
  ASSERT_TRUE(disk.CreateDirs("/d/e").ok());
  WriteDurably(disk, "/d/e/f", "x");
  EXPECT_FALSE(disk.Remove("/d").ok());
  EXPECT_FALSE(disk.Rename("/d", "/d/e/inside").ok());
  EXPECT_EQ(disk.Link("/d/e/f", "/d/e/f").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_FALSE(OpenFile(disk, "/d/e/f", Mode::kRead)->Write(0, "y").ok());
  EXPECT_THAT(*disk.List("/d"), ElementsAre("e"));
  ASSERT_TRUE(disk.RemoveAll("/d").ok());
  EXPECT_THAT(*disk.List("/"), ElementsAre());
  EXPECT_EQ(disk.used_bytes(), 0u);
}

// ---- the Raft log on it

raft::LogOptions LogOn(SimDisk& disk) {
  raft::LogOptions options = raft::TestLog::Options("/log");
  options.fs = &disk;
  options.segment_bytes = 64 << 10;
  return options;
}

// A member's log dies at some change, over and over. What it called durable is
// there afterwards; what it did not, may be.
TEST(SimDiskTest, RaftLogKeepsWhatItCalledDurable) {
  uint64_t crashes = 0, torn = 0;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SimDisk disk({.seed = seed});
    DiskRandom random(seed);
    std::vector<raft::Entry> durable;
    raft::TestLog member;
    for (int life = 0; life < 6; ++life) {
      disk.DieAfter(1 + random.Below(60));
      const absl::Status opened = member.Open(LogOn(disk));
      if (opened.ok() && !disk.dead()) {
        const std::vector<raft::Entry> found = member.All();
        ASSERT_GE(found.size(), durable.size()) << "seed " << seed << " life " << life;
        for (size_t i = 0; i < durable.size(); ++i) ASSERT_TRUE(raft::Same(found[i], durable[i]));
        durable = found;  // read back: it counts from now on
        while (!disk.dead()) {
          const raft::Index last = member.log->LastIndex();
          const std::vector<raft::Entry> more =
              raft::MakeEntries(last + 1, last + 1 + random.Below(4), 1, 1 + random.Below(3'000));
          if (member.Append(more)) durable.insert(durable.end(), more.begin(), more.end());
        }
      } else {
        ASSERT_TRUE(disk.dead()) << "seed " << seed << " life " << life << ": " << opened;
      }
      member.log.reset();
      member.loop.RunUntilIdle();
      disk.Crash();
      ++crashes;
    }
    torn += disk.counters().torn_writes;
    ASSERT_TRUE(member.Open(LogOn(disk)).ok());
    ASSERT_GE(member.All().size(), durable.size());
    member.log.reset();
    member.loop.RunUntilIdle();
  }
  EXPECT_EQ(crashes, 900u);
  EXPECT_GT(torn, 50u);
}

TEST(SimDiskTest, RaftLogNamesTheCorruptedSector) {
  int refused = 0, cut = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SimDisk disk({.seed = seed});
    raft::TestLog member;
    ASSERT_TRUE(member.Open(LogOn(disk)).ok());
    for (raft::Index i = 1; i <= 30; ++i) {
      ASSERT_TRUE(member.Append(raft::MakeEntries(i, i, 1, 700)));
    }
    member.log.reset();
    member.loop.RunUntilIdle();
    const auto sector =
        disk.CorruptRandomSector([](const std::string& path) { return path.ends_with("0001.seg"); },
                                 SimDisk::Damage::kBitFlip);
    ASSERT_TRUE(sector.has_value());
    EXPECT_EQ(disk.counters().corrupted_sectors, 1u);
    const absl::Status status = member.Open(LogOn(disk));
    if (status.ok()) {  // padding, or the last batch: as if torn
      ASSERT_GE(member.All().size(), 29u) << "seed " << seed << " at " << sector->offset;
      ++cut;
      continue;
    }
    ++refused;
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(sector->path));
    EXPECT_THAT(std::string(status.message()), HasSubstr("offset"));
  }
  EXPECT_GT(refused, 30);
}

// The same seed, the same calls: the same disk.
TEST(SimDiskTest, SameSeedSameDisk) {
  auto run = [](uint64_t seed) {
    SimDisk disk({.seed = seed, .faults = {.write_error_ppm = 10'000}});
    std::string trace;
    for (int life = 0; life < 3; ++life) {
      raft::TestLog member;
      disk.DieAfter(40);
      if (member.Open(LogOn(disk)).ok()) {
        for (int i = 0; i < 40; ++i) {
          const raft::Index next = member.log->LastIndex() + 1;
          (void)member.Append(raft::MakeEntries(next, next, 1, 900));
        }
      }
      member.log.reset();
      member.loop.RunUntilIdle();
      disk.Crash();
      trace += std::to_string(disk.Fingerprint()) + "," + std::to_string(disk.TakeCost()) + ";";
    }
    return trace;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

}  // namespace
}  // namespace keel::sim
