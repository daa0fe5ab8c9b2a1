// Hosts of a few groups: what wakes them, what ends them, who is refused.
#include "raft/driver/host.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "base/asio_loop.h"
#include "raft/driver/host_test_util.h"
#include "raft/transport/tcp_transport.h"

namespace keel::raft {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class HostTest : public ::testing::Test {
 protected:
  void StartAsleep(GroupId groups, GroupOptions options = {}) {
    t_.StartAll(groups, options);
    Sleep(groups);
  }
  void Sleep(GroupId groups) {
    ASSERT_TRUE(t_.Within(seconds(20), [&] { return t_.Active() == 0; })) << t_.Active();
    for (GroupId g = 1; g <= groups; ++g) ASSERT_NE(t_.Leader(g), nullptr) << g;
  }
  TestHost* NotLeader(GroupId group) {
    for (auto& host : t_.hosts) {
      if (host->host && host.get() != t_.Leader(group)) return host.get();
    }
    return nullptr;
  }
  bool AllCount(GroupId group, uint64_t count) {
    return t_.Within(seconds(10), [&] {
      for (auto& host : t_.hosts) {
        if (host->host && host->machines[group]->count != count) return false;
      }
      return true;
    });
  }
  // From the death of a host until all groups are led by others.
  static constexpr base::Duration kBound = milliseconds(100 * (15 + 2 * 20));

  TestHosts t_{"host_test"};
};

TEST_F(HostTest, GroupsAreApartAndShareFrames) {
  t_.StartAll(20);
  ASSERT_TRUE(t_.Within(seconds(10), [&] {
    for (GroupId g = 1; g <= 20; ++g) {
      if (t_.Leader(g) == nullptr) return false;
    }
    return true;
  }));
  const HostCounters before = t_.hosts[0]->host->counters();
  for (GroupId g = 1; g <= 20; ++g) {
    for (GroupId i = 0; i < g; ++i) t_.Propose(t_.hosts[i % 3].get(), g, base::StrCat(g, ".", i));
  }
  for (GroupId g = 1; g <= 20; ++g) ASSERT_TRUE(AllCount(g, g)) << g;
  const HostCounters after = t_.hosts[0]->host->counters();
  EXPECT_LT((after.sends - before.sends) * 2, after.messages_sent - before.messages_sent);
  EXPECT_EQ(after.refused_messages, 0u);
}

TEST_F(HostTest, ProposalsAndReadsWakeOneGroup) {
  StartAsleep(10);
  int reads = 0;
  t_.Propose(NotLeader(3), 3, "x");
  NotLeader(4)->nodes[4]->ReadIndex([&](absl::StatusOr<Index> index) {
    EXPECT_TRUE(index.ok()) << index.status();
    ++reads;
  });
  t_.Leader(5)->nodes[5]->ReadIndex([&](absl::StatusOr<Index> index) {
    EXPECT_TRUE(index.ok()) << index.status();
    ++reads;
  });
  t_.loop.Advance(milliseconds(300));
  EXPECT_EQ(reads, 2);
  EXPECT_TRUE(AllCount(3, 1));
  EXPECT_GT(t_.Active(), 0u);
  EXPECT_LE(t_.Active(), 9u);
  Sleep(10);
}

TEST_F(HostTest, LeadersOfADeadHostAreReplacedWithinTheBound) {
  StartAsleep(30);
  std::vector<GroupId> led;
  TestHost* victim = t_.Leader(1);
  for (GroupId g = 1; g <= 30; ++g) {
    if (t_.Leader(g) == victim) led.push_back(g);
  }
  t_.loop.Advance(seconds(600));  // However long they slept.
  EXPECT_EQ(t_.Active(), 0u);
  victim->Crash();
  EXPECT_TRUE(t_.Within(kBound, [&] {
    return std::all_of(led.begin(), led.end(), [&](GroupId g) { return t_.Leader(g) != nullptr; });
  }));
  Sleep(30);  // With a host down, too.
  t_.Propose(t_.Leader(1), 1, "x");
  ASSERT_TRUE(AllCount(1, 1));
  Sleep(30);
  ASSERT_TRUE(victim->Start().ok());
  for (GroupId g = 1; g <= 30; ++g) ASSERT_TRUE(victim->OpenGroup(g).ok());
  ASSERT_TRUE(AllCount(1, 1));
  Sleep(30);
}

// The host is never silent for long: only its epoch tells.
TEST_F(HostTest, QuickRestartOfTheLeadersHostIsNoticed) {
  StartAsleep(5);
  TestHost* leader = t_.Leader(2);
  leader->Crash();
  t_.loop.Advance(milliseconds(100));
  ASSERT_TRUE(leader->Start().ok());
  for (GroupId g = 1; g <= 5; ++g) ASSERT_TRUE(leader->OpenGroup(g).ok());
  EXPECT_TRUE(t_.Within(kBound, [&] { return t_.Leader(2) != nullptr; }));
  for (auto& host : t_.hosts) EXPECT_EQ(host->host->counters().suspected_hosts, 0u);
  t_.Propose(t_.Leader(2), 2, "x");
  EXPECT_TRUE(AllCount(2, 1));
  Sleep(5);
}

TEST_F(HostTest, LeaderThatIsClosedAloneIsReplaced) {
  StartAsleep(5);
  TestHost* leader = t_.Leader(2);
  leader->nodes.erase(2);
  EXPECT_TRUE(t_.Within(kBound, [&] { return t_.Leader(2) != nullptr; }));
  EXPECT_NE(t_.Leader(2), leader);
  // And may be opened again.
  ASSERT_TRUE(leader->OpenGroup(2).ok());
  t_.Propose(t_.Leader(2), 2, "x");
  EXPECT_TRUE(AllCount(2, 1));
  Sleep(5);
}

TEST_F(HostTest, LeaderCutOffFromAllWakesAndStepsDown) {
  StartAsleep(3);
  TestHost* old = t_.Leader(1);
  t_.network.Isolate(old->id);
  EXPECT_TRUE(t_.Within(kBound + seconds(2), [&] {
    return t_.Leader(1) != nullptr && t_.Leader(1) != old && old->nodes[1]->role() != Role::kLeader;
  }));
  absl::Status read;
  old->nodes[1]->ReadIndex([&](absl::StatusOr<Index> index) { read = index.status(); });
  t_.loop.Advance(seconds(3));
  EXPECT_FALSE(read.ok());
  t_.Propose(t_.Leader(1), 1, "x");
  t_.network.Heal();
  EXPECT_TRUE(AllCount(1, 1));
  Sleep(3);
}

TEST_F(HostTest, StateMachineThatFailsEndsItsGroupAlone) {
  absl::Status fatal;
  GroupOptions options;
  options.on_fatal = [&](absl::Status status) { fatal = std::move(status); };
  StartAsleep(4, options);
  TestHost* leader = t_.Leader(2);
  leader->machines[2]->fail = true;
  t_.Propose(leader, 2, "x");
  t_.loop.Advance(milliseconds(200));
  EXPECT_EQ(fatal.code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(leader->fatal.ok());
  leader->nodes.erase(2);
  EXPECT_TRUE(t_.Within(kBound, [&] { return t_.Leader(2) != nullptr; }));
  for (const GroupId g : {1, 3, 4}) {
    t_.Propose(leader, g, "x");
    EXPECT_TRUE(AllCount(g, 1));
  }
}

TEST_F(HostTest, LossDelayAndReorderingOnlyDelay) {
  t_.StartAll(10);
  t_.network.set_loss(0.1);
  t_.network.set_delay(milliseconds(0), milliseconds(150));
  for (int round = 0; round < 20; ++round) {
    for (GroupId g = 1; g <= 10; ++g) {
      if (TestHost* leader = t_.Leader(g)) t_.Propose(leader, g, base::StrCat(round));
    }
    t_.loop.Advance(milliseconds(1500));
  }
  t_.network.set_loss(0);
  t_.network.set_delay(milliseconds(0), milliseconds(0));
  Sleep(10);
  for (GroupId g = 1; g <= 10; ++g) {
    EXPECT_GT(t_.hosts[0]->machines[g]->count, 10u) << g;
    for (auto& host : t_.hosts) EXPECT_EQ(host->machines[g]->hash, t_.hosts[0]->machines[g]->hash);
  }
}

TEST_F(HostTest, MessagesForOthersGroupsAreRefusedAndChangeNothing) {
  t_.StartAll(2);
  ASSERT_TRUE(t_.hosts[0]->OpenGroup(7).ok());  // The other two do not hold it.
  t_.loop.Advance(seconds(5));
  EXPECT_EQ(t_.Leader(7), nullptr);
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_GT(t_.hosts[i]->host->counters().refused_messages, 0u);
    EXPECT_EQ(t_.hosts[i]->host->Groups(), (std::vector<GroupId>{1, 2}));
  }
  // Words between hosts that are none; a wrong member; a term gone mad.
  const uint64_t before = t_.hosts[1]->host->counters().refused_messages;
  const Term term = t_.hosts[1]->nodes[1]->term();
  std::vector<Message> bad(4);
  for (Message& m : bad) {
    m.from = 1;
    m.to = 2;
    m.type = MessageType::kHeartbeat;
    m.term = term;
    m.group = 1;
  }
  bad[0].group = kHostGroup;
  bad[0].type = MessageType::kVote;
  bad[1].group = kNoGroup;
  bad[2].to = 3;
  bad[3].term = ~uint64_t{0};
  t_.hosts[0]->transport->Send(bad);
  t_.loop.RunUntilIdle();
  EXPECT_EQ(t_.hosts[1]->host->counters().refused_messages, before + 2);
  EXPECT_EQ(t_.hosts[1]->nodes[1]->term(), term);
}

TEST_F(HostTest, GroupsComeAndGoAtRunTime) {
  StartAsleep(1);
  for (auto& host : t_.hosts) ASSERT_TRUE(host->OpenGroup(2).ok());
  EXPECT_EQ(t_.hosts[0]->host->OpenGroup({.id = 2}, nullptr).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(t_.hosts[0]->host->OpenGroup({.id = kHostGroup}, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(t_.Within(seconds(5), [&] { return t_.Leader(2) != nullptr; }));
  t_.Propose(t_.hosts[0].get(), 2, "x");
  ASSERT_TRUE(AllCount(2, 1));
  int removed = 0;
  for (auto& host : t_.hosts) {
    EXPECT_EQ(host->host->RemoveGroup(2, nullptr).code(), absl::StatusCode::kFailedPrecondition);
    host->nodes.erase(2);
    ASSERT_TRUE(host->host->RemoveGroup(2, [&] { ++removed; }).ok());
  }
  t_.loop.Advance(seconds(1));
  EXPECT_EQ(removed, 3);
  EXPECT_EQ(t_.hosts[0]->host->Groups(), std::vector<GroupId>{1});
  for (auto& host : t_.hosts) ASSERT_TRUE(host->OpenGroup(2).ok());
  ASSERT_TRUE(t_.Within(seconds(5), [&] { return t_.Leader(2) != nullptr; }));
  EXPECT_EQ(t_.hosts[1]->machines[2]->count, 0u);
  Sleep(2);
}

TEST_F(HostTest, GroupCatchesUpBySnapshotOnceItsLogIsTruncated) {
  GroupOptions options;
  options.snapshot_count = 50;
  options.catchup_entries = 10;
  for (auto& host : t_.hosts) host->durable = true;
  StartAsleep(2, options);
  TestHost* behind = NotLeader(1);
  behind->Crash();
  for (int i = 0; i < 400; ++i) {
    if (TestHost* leader = t_.Leader(1)) t_.Propose(leader, 1, base::StrCat(i));
    t_.loop.Advance(milliseconds(20));
  }
  Sleep(2);
  const uint64_t count = t_.Leader(1)->machines[1]->count;
  EXPECT_GT(count, 300u);
  ASSERT_TRUE(behind->Start().ok());
  for (GroupId g = 1; g <= 2; ++g) ASSERT_TRUE(behind->OpenGroup(g, options).ok());
  EXPECT_TRUE(AllCount(1, count));
  EXPECT_EQ(behind->machines[1]->restores, 1);
  EXPECT_EQ(behind->machines[1]->hash, t_.Leader(1)->machines[1]->hash);
  ASSERT_TRUE(t_.Within(seconds(60), [&] { return t_.Active() == 0; })) << t_.Active();
}

TEST_F(HostTest, MembersChangeAndWhoIsRemovedSleeps) {
  StartAsleep(2);
  ConfChange change;
  change.changes = {{ConfChangeSingle::Type::kRemove, NotLeader(1)->id}};
  TestHost* removed = NotLeader(1);
  t_.Leader(1)->nodes[1]->ProposeConfChange(change, [](absl::Status s) { ADD_FAILURE() << s; });
  ASSERT_TRUE(t_.Within(seconds(60), [&] { return t_.Active() == 0; })) << t_.Active();
  std::optional<Status> status;
  t_.Leader(1)->nodes[1]->GetStatus([&](Status s) { status = std::move(s); });
  ASSERT_TRUE(status);
  EXPECT_EQ(status->conf.voters.size(), 2u);
  // Now it may forget the group, and join again as if new.
  removed->nodes.erase(1);
  ASSERT_TRUE(removed->host->RemoveGroup(1, nullptr).ok());
  change.changes[0].type = ConfChangeSingle::Type::kAddVoter;
  t_.Propose(t_.Leader(1), 1, "x");
  t_.Leader(1)->nodes[1]->ProposeConfChange(change, [](absl::Status s) { ADD_FAILURE() << s; });
  removed->machines[1] = std::make_unique<TallyMachine>();
  GroupOptions joining;
  joining.id = 1;
  auto node = removed->host->OpenGroup(joining, removed->machines[1].get());
  ASSERT_TRUE(node.ok()) << node.status();
  removed->nodes[1] = *std::move(node);
  EXPECT_TRUE(AllCount(1, 1));
  ASSERT_TRUE(t_.Within(seconds(60), [&] { return t_.Active() == 0; })) << t_.Active();
}

// Files whose Sync fails when told.
class FailingFiles final : public base::FileSystem {
 public:
  class FailingFile final : public base::File {
   public:
    FailingFile(std::unique_ptr<base::File> file, const bool* fail)
        : file_(std::move(file)), fail_(fail) {}
    absl::Status Write(uint64_t offset, std::string_view data) override {
      return file_->Write(offset, data);
    }
    absl::Status WriteV(uint64_t offset, std::span<const std::string_view> parts) override {
      return file_->WriteV(offset, parts);
    }
    absl::StatusOr<std::string> Read(uint64_t offset, size_t size) const override {
      return file_->Read(offset, size);
    }
    absl::Status Sync() override {
      return *fail_ ? absl::DataLossError("the disk is gone") : file_->Sync();
    }
    absl::Status Truncate(uint64_t size) override { return file_->Truncate(size); }
    absl::StatusOr<uint64_t> Size() const override { return file_->Size(); }
    const std::string& path() const override { return file_->path(); }

   private:
    const std::unique_ptr<base::File> file_;
    const bool* const fail_;
  };
  absl::StatusOr<std::unique_ptr<base::File>> Open(const std::string& path, Mode mode) override {
    auto file = posix_.Open(path, mode);
    if (!file.ok()) return file.status();
    return std::unique_ptr<base::File>(std::make_unique<FailingFile>(*std::move(file), &fail));
  }
  absl::Status CreateDirs(const std::string& path) override { return posix_.CreateDirs(path); }
  absl::StatusOr<std::vector<std::string>> List(const std::string& dir) override {
    return posix_.List(dir);
  }
  bool Exists(const std::string& path) override { return posix_.Exists(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return posix_.Rename(from, to);
  }
  absl::Status Remove(const std::string& path) override { return posix_.Remove(path); }
  absl::Status RemoveAll(const std::string& path) override { return posix_.RemoveAll(path); }
  absl::Status SyncDir(const std::string& dir) override { return posix_.SyncDir(dir); }
  absl::StatusOr<std::unique_ptr<base::FileLock>> Lock(const std::string& path) override {
    return posix_.Lock(path);
  }
  absl::StatusOr<Space> GetSpace(const std::string& path) override { return posix_.GetSpace(path); }

  bool fail = false;

 private:
  base::FileSystem& posix_ = base::PosixFileSystem();
};

TEST_F(HostTest, FailedSyncEndsTheHostAndOthersTakeOver) {
  FailingFiles files;
  for (auto& host : t_.hosts) host->options.fs = host->id == 1 ? &files : nullptr;
  int ended = 0;
  GroupOptions options;
  options.on_fatal = [&](absl::Status status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    ++ended;
  };
  StartAsleep(6, options);
  TestHost* bad = t_.hosts[0].get();
  files.fail = true;
  absl::Status refused;
  for (GroupId g = 1; g <= 6; ++g) t_.Propose(bad, g, "x");
  t_.loop.Advance(milliseconds(200));
  EXPECT_EQ(bad->fatal.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ended, 6);
  bad->nodes[1]->Propose(std::make_shared<const std::string>("y"),
                         [&](absl::Status status) { refused = std::move(status); });
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(bad->host->OpenGroup({.id = 9}, nullptr).status().code(),
            absl::StatusCode::kUnavailable);
  bad->Crash();
  EXPECT_TRUE(t_.Within(kBound, [&] {
    for (GroupId g = 1; g <= 6; ++g) {
      if (t_.Leader(g) == nullptr) return false;
    }
    return true;
  }));
  // What it had acknowledged is on its disk still, and nothing else is believed.
  files.fail = false;
  ASSERT_TRUE(bad->Start().ok());
  for (GroupId g = 1; g <= 6; ++g) ASSERT_TRUE(bad->OpenGroup(g, options).ok());
  Sleep(6);
  for (GroupId g = 1; g <= 6; ++g) {
    EXPECT_EQ(bad->machines[g]->hash, t_.Leader(g)->machines[g]->hash) << g;
  }
}

TEST_F(HostTest, LogOfAnotherOrHeldByAnotherIsRefused) {
  ASSERT_TRUE(t_.hosts[0]->Start().ok());
  TestHost other(1, t_.dir.path(), &t_.loop, &t_.network);
  EXPECT_EQ(other.Start().code(), absl::StatusCode::kUnavailable);
  t_.hosts[0]->Crash();
  t_.loop.RunUntilIdle();
  other.options.id = 9;
  EXPECT_EQ(other.Start().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(HostTcpTest, RunsOnThreadsOverTcp) {
  TempDir dir("host_tcp_test");
  constexpr GroupId kGroups = 50;
  struct Process {
    std::unique_ptr<TcpTransport> transport;
    std::unique_ptr<base::AsioLoop> loop, apply;
    std::map<GroupId, std::unique_ptr<TallyMachine>> machines;
    std::unique_ptr<Host> host;
    std::map<GroupId, std::unique_ptr<Node>> nodes;
  };
  std::vector<Process> processes(3);
  for (size_t i = 0; i < 3; ++i) {
    TcpTransportOptions options;
    options.self = i + 1;
    options.cluster_id = 7;
    options.listen = {"127.0.0.1:0"};
    options.snapshot_dir = base::StrCat(dir.path(), "/", i, "/in");
    auto made = TcpTransport::Create(options);
    ASSERT_TRUE(made.ok()) << made.status();
    processes[i].transport = *std::move(made);
  }
  for (size_t i = 0; i < 3; ++i) {
    Process& p = processes[i];
    for (size_t k = 0; k < 3; ++k) {
      p.transport->AddPeer(k + 1, base::StrCat("127.0.0.1:", processes[k].transport->port()));
    }
    p.loop = std::make_unique<base::AsioLoop>("raft");
    p.apply = std::make_unique<base::AsioLoop>("apply");
    HostOptions options;
    options.id = i + 1;
    options.loop = p.loop.get();
    options.apply_loop = p.apply.get();
    options.log_dir = base::StrCat(dir.path(), "/", i, "/log");
    options.cluster_id = 7;
    options.tick = milliseconds(20);
    options.election_ticks = 20;
    options.host_suspect_ticks = 100;
    options.segment_bytes = 1 << 20;
    auto host = Host::Open(options, p.transport.get());
    ASSERT_TRUE(host.ok()) << host.status();
    p.host = *std::move(host);
    for (GroupId g = 1; g <= kGroups; ++g) {
      GroupOptions group;
      group.id = g;
      group.initial_conf.voters = {1, 2, 3};
      p.machines[g] = std::make_unique<TallyMachine>();
      auto node = p.host->OpenGroup(group, p.machines[g].get());
      ASSERT_TRUE(node.ok()) << node.status();
      p.nodes[g] = *std::move(node);
    }
  }
  for (Process& p : processes) {
    p.loop->Start();
    p.apply->Start();
  }
  const auto eventually = [](auto condition) {
    for (int i = 0; i < 3000 && !condition(); ++i) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    return condition();
  };
  for (GroupId g = 1; g <= kGroups; ++g) {
    ASSERT_TRUE(eventually([&] { return processes[0].nodes[g]->leader() != kNoNode; })) << g;
    processes[g % 3].nodes[g]->Propose(std::make_shared<const std::string>("x"), nullptr);
  }
  std::atomic<int> read{0};
  for (GroupId g = 1; g <= kGroups; ++g) {
    ASSERT_TRUE(eventually([&] { return processes[1].nodes[g]->applied_index() >= 2; })) << g;
    processes[2].nodes[g]->ReadIndex(
        [&read](absl::StatusOr<Index> index) { read += index.ok() ? 1 : 0; });
  }
  EXPECT_TRUE(eventually([&] { return read == static_cast<int>(kGroups); })) << read;
  for (Process& p : processes) {
    for (auto& [g, node] : p.nodes) node->Stop({});
    p.host->Stop();
    p.nodes.clear();
    p.host.reset();
    p.loop->Stop();
    p.apply->Stop();
  }
}

}  // namespace
}  // namespace keel::raft
