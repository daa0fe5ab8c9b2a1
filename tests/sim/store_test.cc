// The store on a simulated disk: what survives a crash at any write, that
// failures end as errors, and that a run repeats.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "kvstore/apply/testing.h"
#include "tests/sim/disk.h"
#include "tests/sim/disk_node.h"
#include "tests/sim/rocksdb_env.h"

namespace keel::sim {
namespace {

using kvstore::KvStateMachine;
using kvstore::TestMachine;

[[maybe_unused]] const bool quiet = (base::Log().set_level(spdlog::level::off), true);

// The commands of a run, the same for each seed: entry i of a member's log.
class Commands {
 public:
  explicit Commands(uint64_t seed) : random_(seed) {}

  raft::CommittedEntry At(raft::Index index) {
    while (entries_.size() < index) {
      const raft::Index next = entries_.size() + 1;
      entries_.push_back(TestMachine::Entry(next, Make(next)));
    }
    return entries_[index - 1];
  }

 private:
  kv::Command Make(raft::Index index) {
    const std::string key = "k" + std::to_string(random_.Below(20));
    const uint64_t draw = random_.Below(20);
    if (draw == 0) return kvstore::DeleteCommand(key);
    if (draw == 2) return kvstore::DeleteCommand("k1", "k3");
    if (draw == 1 && index > 10) return kvstore::CompactCommand(static_cast<int64_t>(index / 2));
    return kvstore::PutCommand(key, std::string(random_.Below(600), 'v') + std::to_string(index));
  }

  DiskRandom random_;
  std::vector<raft::CommittedEntry> entries_;
};

// A member's store, as its apply loop drives it.
class Member {
 public:
  Member(SimDisk& disk, RocksDbHost& host, const std::string& dir = "/store") : host_(host) {
    KvStateMachine::Options options;
    options.store = host.Configure(dir);
    options.member_id = TestMachine::kMember;
    machine_ = KvStateMachine::Create(std::move(options), &sink_);
  }

  absl::Status Open() {
    auto opened = machine_->Open();
    if (!opened.ok()) return opened.status();
    index_ = opened->index;
    return absl::OkStatus();
  }
  absl::Status Apply(Commands& commands, uint64_t count) {
    std::vector<raft::CommittedEntry> entries;
    for (uint64_t i = 1; i <= count; ++i) entries.push_back(commands.At(index_ + i));
    const absl::Status status = machine_->Apply(entries);
    if (status.ok()) index_ += count;
    return status;
  }
  // Everything there is to see: revisions, history, values.
  std::string State() {
    const auto hash = machine_->view()->HashKv(0);
    return hash.ok()
               ? std::to_string(hash->hash) + "@" + std::to_string(machine_->view()->revision()) +
                     "/" + std::to_string(machine_->view()->compact_revision())
               : hash.status().ToString();
  }
  raft::Index index() const { return index_; }
  KvStateMachine* operator->() { return machine_.get(); }
  RocksDbHost& host() { return host_; }

 private:
  RocksDbHost& host_;
  kvstore::RecordingSink sink_;
  std::unique_ptr<KvStateMachine> machine_;
  raft::Index index_ = 0;
};

// State() after each entry, of a member to which nothing happens.
std::vector<std::string> Expected(Commands& commands, raft::Index last) {
  SimDisk disk({});
  RocksDbHost host(disk, {});
  Member member(disk, host);
  EXPECT_TRUE(member.Open().ok());
  std::vector<std::string> states = {member.State()};
  while (member.index() < last) {
    EXPECT_TRUE(member.Apply(commands, 1).ok());
    states.push_back(member.State());
  }
  return states;
}

TEST(SimStoreTest, ReopensAfterAFlush) {
  SimDisk disk({.seed = 1});
  RocksDbHost host(disk, {.seed = 1});
  Commands commands(1);
  std::string state;
  {
    Member member(disk, host);
    ASSERT_TRUE(member.Open().ok());
    ASSERT_TRUE(member.Apply(commands, 50).ok());
    EXPECT_EQ(member->DurableIndex(), 0u);
    member->Flush();
    EXPECT_TRUE(host.busy());
    EXPECT_EQ(member->DurableIndex(), 0u);  // not before somebody pumps
    host.Pump();
    EXPECT_FALSE(host.busy());
    EXPECT_EQ(member->DurableIndex(), 50u);
    state = member.State();
    ASSERT_TRUE(member.Apply(commands, 10).ok());
    disk.Die();
  }
  disk.Crash();
  Member member(disk, host);
  ASSERT_TRUE(member.Open().ok());
  EXPECT_EQ(member.index(), 50u);
  EXPECT_EQ(member.State(), state);
}

TEST(SimStoreTest, ClosesWithEverythingFlushed) {
  SimDisk disk({.seed = 1});
  RocksDbHost host(disk, {.seed = 1});
  Commands commands(1);
  {
    Member member(disk, host);
    ASSERT_TRUE(member.Open().ok());
    ASSERT_TRUE(member.Apply(commands, 50).ok());
  }
  disk.Crash();
  Member member(disk, host);
  ASSERT_TRUE(member.Open().ok());
  EXPECT_EQ(member.index(), 50u);
}

TEST(SimStoreTest, OpensFast) {
  SimDisk disk({});
  RocksDbHost host(disk, {});
  Commands commands(1);
  const auto start = std::chrono::steady_clock::now();
  constexpr int kOpens = 20;
  for (int i = 0; i < kOpens; ++i) {
    Member member(disk, host);
    ASSERT_TRUE(member.Open().ok());
    ASSERT_TRUE(member.Apply(commands, 5).ok());
  }
  const auto each = (std::chrono::steady_clock::now() - start) / kOpens;
  RecordProperty("microseconds_per_life", std::to_string(each.count() / 1000));
  std::printf("a life of 5 entries: %ld us\n", static_cast<long>(each.count() / 1000));
  EXPECT_LT(each, std::chrono::milliseconds(200));  // about 5 ms where nothing else runs
}

struct Outcome {
  std::string trace;  // what could differ between two runs
  uint64_t lives = 0;
  uint64_t lost_entries = 0;
  uint64_t errors = 0;
  uint64_t unopened = 0;
};

// Lives of a member that end at some write, or with an error; after each, the store
// must hold exactly the first entries, and no fewer than were called durable.
Outcome Live(uint64_t seed, const DiskFaults& faults, uint64_t capacity_bytes, int lives) {
  Outcome outcome;
  DiskRandom random(seed * 7 + 1);
  Commands commands(seed);
  SimDisk disk({.seed = seed, .capacity_bytes = capacity_bytes});
  uint64_t now_ns = 0;
  RocksDbHost host(disk, {.now_ns = [&] { return now_ns; }, .seed = seed});
  const std::vector<std::string> expected = Expected(commands, 200);
  raft::Index durable = 0, applied = 0, attempted = 0;
  for (int life = 0; life < lives; ++life) {
    ++outcome.lives;
    if (random.Coin()) disk.DieAfter(1 + random.Below(200));
    disk.set_faults(faults);
    {
      Member member(disk, host);
      const absl::Status opened = member.Open();
      if (opened.ok()) {
        EXPECT_GE(member.index(), durable) << "seed " << seed << " life " << life;
        EXPECT_LE(member.index(), attempted) << "seed " << seed;
        if (faults.read_error_ppm == 0) {
          EXPECT_EQ(member.State(), expected[member.index()])
              << "seed " << seed << " life " << life << " index " << member.index();
        }
        outcome.lost_entries += applied - std::min(applied, member.index());
        applied = member.index();
        for (int step = 0; step < 30 && !disk.dead(); ++step) {
          now_ns += random.Below(1'000'000'000);
          const uint64_t count = std::min<uint64_t>(1 + random.Below(8), 200 - member.index());
          if (count == 0) break;
          attempted = std::max(attempted, member.index() + count);
          if (!member.Apply(commands, count).ok()) {
            ++outcome.errors;
            break;
          }
          applied = member.index();
          if (random.Below(3) == 0) member->Flush();
          if (random.Coin()) host.Pump();
          durable = std::max(durable, member->DurableIndex());
          if (!member->background_status().ok()) ++outcome.errors;
        }
      } else {
        ++outcome.unopened;
        EXPECT_TRUE(disk.dead() ||
                    faults.write_error_ppm + faults.sync_error_ppm + faults.name_error_ppm +
                            faults.read_error_ppm >
                        0 ||
                    absl::IsResourceExhausted(opened))
            << "seed " << seed << " life " << life << ": " << opened;
      }
      if (random.Below(4) != 0) disk.Die();  // else it closes in good order
    }
    host.Pump();
    disk.set_faults({});
    disk.Crash();
    outcome.trace += std::to_string(applied) + "," + std::to_string(durable) + "," +
                     std::to_string(disk.changes()) + "," + std::to_string(disk.Fingerprint()) +
                     ";";
  }
  if (capacity_bytes == UINT64_MAX) {
    Member member(disk, host);
    const absl::Status opened = member.Open();
    EXPECT_TRUE(opened.ok()) << "seed " << seed << ": " << opened;
    if (opened.ok()) {
      EXPECT_GE(member.index(), durable) << "seed " << seed;
      EXPECT_EQ(member.State(), expected[member.index()]) << "seed " << seed;
    }
  }
  return outcome;
}

TEST(SimStoreTest, HoldsAPrefixAfterACrashAtAnyWrite) {
  Outcome sum;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Outcome outcome = Live(seed, {}, UINT64_MAX, 6);
    sum.lost_entries += outcome.lost_entries;
    sum.unopened += outcome.unopened;
    if (HasFailure()) break;
  }
  EXPECT_GT(sum.lost_entries, 100u);
  EXPECT_GT(sum.unopened, 2u);  // died while opening
}

TEST(SimStoreTest, FailuresEndAsErrors) {
  Outcome sum;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    DiskFaults faults;
    if (seed % 5 != 0) faults.write_error_ppm = 5'000;
    if (seed % 5 != 1) faults.sync_error_ppm = 10'000;
    if (seed % 5 != 2) faults.name_error_ppm = 5'000;
    if (seed % 5 == 3) faults.read_error_ppm = 2'000;
    const Outcome outcome = Live(1'000 + seed, faults, UINT64_MAX, 6);
    sum.errors += outcome.errors;
    sum.unopened += outcome.unopened;
    if (HasFailure()) break;
  }
  EXPECT_GT(sum.errors, 10u);
  EXPECT_GT(sum.unopened, 5u);
}

TEST(SimStoreTest, AFullDiskEndsAsAnError) {
  Outcome sum;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Outcome outcome = Live(2'000 + seed, {}, (40 + 25 * seed) << 10, 6);
    sum.errors += outcome.errors;
    if (HasFailure()) break;
  }
  EXPECT_GT(sum.errors, 10u);
}

// RocksDB must not take a compaction's failure for a reason to refuse what flushes wrote: it would
// never give their memtables back.
TEST(SimStoreTest, FlushesGoOnAfterACompactionMetAFullDisk) {
  SimDisk disk({});
  RocksDbHost host(disk, {});
  Member member(disk, host);
  Commands commands(3);
  ASSERT_TRUE(member.Open().ok());
  ASSERT_TRUE(member.Apply(commands, 60).ok());
  ASSERT_GT(member->view()->compact_revision(), 0);
  member->Flush();
  host.Settle();  // the flush; the removal of history waits for Pump
  ASSERT_EQ(member->DurableIndex(), 60u);

  disk.set_capacity(disk.used_bytes());
  host.Pump();
  EXPECT_TRUE(absl::IsResourceExhausted(member->background_status()))
      << member->background_status();
  disk.set_capacity(1 << 30);
  for (uint64_t applied = 70; applied <= 90; applied += 10) {
    ASSERT_TRUE(member.Apply(commands, 10).ok());
    member->Flush();
    host.Pump();
    EXPECT_EQ(member->DurableIndex(), applied);
  }
  EXPECT_TRUE(member->ResumeFlushes().ok());
  EXPECT_TRUE(member->background_status().ok()) << member->background_status();
}

// Where an attempt to recover has failed in part, RocksDB's Flush says OK and flushes nothing.
TEST(SimStoreTest, ASnapshotHoldsWhatItSaysThoughARecoveryFailed) {
  int held = 0;
  for (uint64_t room = 0; room < 64; ++room) {
    SCOPED_TRACE(room);
    SimDisk disk({});
    RocksDbHost host(disk, {});
    Member member(disk, host);
    Commands commands(3);
    ASSERT_TRUE(member.Open().ok());
    for (int i = 0; i < 6; ++i) {
      ASSERT_TRUE(member.Apply(commands, 20).ok());
      member->Flush();
      host.Settle();
    }
    ASSERT_TRUE(member.Apply(commands, 20).ok());
    disk.set_capacity(disk.used_bytes());
    member->Flush();
    host.Pump();
    disk.set_capacity(disk.used_bytes() + room * 512);
    member->ResumeFlushes().IgnoreError();
    host.Pump();

    disk.set_capacity(1 << 30);
    if (!member.Apply(commands, 5).ok()) continue;
    const auto written = member->WriteSnapshot("/snap");
    if (!written.ok()) continue;
    ++held;
    EXPECT_EQ(written->index, member.index());
    Member other(disk, host, "/other");
    ASSERT_TRUE(other.Open().ok());
    const absl::Status restored =
        other->RestoreSnapshot("/snap", {written->index, written->term, written->conf});
    EXPECT_TRUE(restored.ok()) << restored;
    EXPECT_EQ(other.State(), member.State());
  }
  EXPECT_GT(held, 5);
}

TEST(SimStoreTest, TheSameSeedIsTheSameRunToTheBit) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const DiskFaults faults{.read_error_ppm = seed % 2 == 0 ? 300u : 0u,
                            .write_error_ppm = 1'000,
                            .sync_error_ppm = 1'000};
    const Outcome first = Live(seed, faults, UINT64_MAX, 5);
    EXPECT_EQ(first.trace, Live(seed, faults, UINT64_MAX, 5).trace) << "seed " << seed;
    EXPECT_NE(first.trace, Live(seed + 100, faults, UINT64_MAX, 5).trace);
  }
}

TEST(SimStoreTest, RemovesHistoryWhenPumped) {
  SimDisk disk({});
  RocksDbHost host(disk, {});
  Member member(disk, host);
  Commands commands(3);
  ASSERT_TRUE(member.Open().ok());
  ASSERT_TRUE(member.Apply(commands, 60).ok());
  const int64_t revision = member->view()->compact_revision();
  ASSERT_GT(revision, 0);
  int calls = 0;
  member->WhenPhysicallyCompacted(revision, [&](absl::Status status) {
    EXPECT_TRUE(status.ok()) << status;
    ++calls;
  });
  EXPECT_EQ(calls, 0);
  for (int i = 0; i < 10 && host.busy(); ++i) host.Pump();
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(host.busy());
}

// A snapshot is taken on one member and restored on another, whose disk dies on the way.
TEST(SimStoreTest, RestoreIsAllOrNothing) {
  int old_state = 0, new_state = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    SimDisk disk({.seed = seed});
    RocksDbHost host(disk, {.seed = seed});
    Commands commands(seed), others(seed + 500);
    raft::SnapshotMeta meta;
    std::string before, after;
    {
      Member source(disk, host, "/source");
      ASSERT_TRUE(source.Open().ok());
      ASSERT_TRUE(source.Apply(commands, 40).ok());
      const auto written = source->WriteSnapshot("/incoming");
      ASSERT_TRUE(written.ok()) << written.status();
      meta.index = written->index;
      meta.term = written->term;
      meta.conf = written->conf;
      after = source.State();
    }
    {
      Member target(disk, host, "/target");
      ASSERT_TRUE(target.Open().ok());
      ASSERT_TRUE(target.Apply(others, 20).ok());
      target->Flush();
      host.Pump();
      before = target.State();
      disk.DieAfter(1 + 4 * seed);
      const absl::Status restored = target->RestoreSnapshot("/incoming", meta);
      if (restored.ok() && !disk.dead()) {
        EXPECT_EQ(target.State(), after);
      }
      disk.Die();
    }
    disk.Crash();
    Member target(disk, host, "/target");
    const absl::Status opened = target.Open();
    ASSERT_TRUE(opened.ok()) << "seed " << seed << ": " << opened;
    if (target.index() == 40) {
      ++new_state;
      EXPECT_EQ(target.State(), after) << "seed " << seed;
    } else {
      ++old_state;
      EXPECT_EQ(target.State(), before) << "seed " << seed << " index " << target.index();
    }
  }
  EXPECT_GT(old_state, 3);
  EXPECT_GT(new_state, 3);
}

// The damage is found when the bytes are read, and the file is named.
TEST(SimStoreTest, CorruptionIsNoticedAndNamed) {
  int noticed = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimDisk disk({.seed = seed});
    RocksDbHost host(disk, {.seed = seed});
    Commands commands(seed);
    std::string state;
    {
      Member member(disk, host);
      ASSERT_TRUE(member.Open().ok());
      ASSERT_TRUE(member.Apply(commands, 60).ok());
      state = member.State();
    }
    const auto sector = disk.CorruptRandomSector(
        [](const std::string& path) { return path.ends_with(".sst"); }, SimDisk::Damage::kGarbage);
    ASSERT_TRUE(sector.has_value());
    const std::string file = sector->path.substr(sector->path.rfind('/') + 1);
    Member member(disk, host);
    const absl::Status opened = member.Open();
    const std::string found = opened.ok() ? member.State() : opened.ToString();
    if (found == state) continue;  // a filter, or padding
    ++noticed;
    EXPECT_THAT(found, ::testing::HasSubstr("DATA_LOSS")) << sector->path;
    // Damage that RocksDB meets while it opens tables it blames on the MANIFEST.
    EXPECT_THAT(found, ::testing::AnyOf(::testing::HasSubstr(file),
                                        ::testing::HasSubstr("/store/db-000001/MANIFEST")))
        << sector->path;
  }
  EXPECT_GT(noticed, 5);
}

}  // namespace
}  // namespace keel::sim
