#include "raft/driver/node.h"

#include <gtest/gtest.h>

#include <set>

#include "base/manual_loop.h"
#include "raft/driver/node_test_util.h"
#include "raft/transport/tcp_transport.h"

namespace keel::raft {
namespace {

using base::StrCat;

class NodeTest : public ::testing::Test {
 protected:
  NodeTest() : root_(StrCat(::testing::TempDir(), "/keel_node_test_", ::getpid())) {
    std::filesystem::remove_all(root_);
    for (NodeId id = 1; id <= 3; ++id) members_.push_back(std::make_unique<Member>(id, root_));
  }
  ~NodeTest() override {
    members_.clear();
    std::filesystem::remove_all(root_);
  }

  void StartAll() {
    for (auto& m : members_) {
      const absl::Status status = m->Start(&network_);
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  Member* Leader() {
    for (auto& m : members_) {
      if (m->up() && m->node->role() == Role::kLeader) return m.get();
    }
    return nullptr;
  }
  Member* WaitForLeader() {
    Member* leader = nullptr;
    EXPECT_TRUE(Eventually([&] {
      leader = Leader();
      return leader != nullptr;
    }));
    return leader;
  }
  Member* OtherThan(const Member* not_this) {
    for (auto& m : members_) {
      if (m->up() && m.get() != not_this) return m.get();
    }
    return nullptr;
  }
  // Proposes values first..last through whoever leads, again until each is
  // applied somewhere: proposals may get lost with a leader.
  void Put(int first, int last) {
    for (int attempt = 0; attempt < 100; ++attempt) {
      Member* leader = WaitForLeader();
      ASSERT_NE(leader, nullptr);
      std::set<std::string> there;
      std::vector<std::string> values = leader->machine->state().values;
      const size_t count = values.size();  // some may be there twice
      for (std::string& v : values) there.insert(std::move(v));
      int missing = 0;
      for (int i = first; i <= last; ++i) {
        if (there.count(StrCat("v", i)) == 0) {
          ++missing;
          leader->Propose(StrCat("v", i));
        }
      }
      if (missing == 0) return;
      const size_t want = count + static_cast<size_t>(missing);
      Eventually([&] { return leader->machine->count() >= want; }, std::chrono::seconds(2));
    }
    FAIL() << "values do not get through";
  }
  // Every running member holds the same values, the expected ones among them.
  void ExpectAgreement(int first, int last) {
    ASSERT_TRUE(Eventually([&] {
      std::set<Index> applied;
      for (auto& m : members_) {
        if (m->up()) applied.insert(m->machine->state().applied.index);
      }
      return applied.size() == 1;
    }));
    const std::vector<std::string>* reference = nullptr;
    std::vector<ToyState> states;
    for (auto& m : members_) {
      if (m->up()) states.push_back(m->machine->state());
    }
    for (const ToyState& s : states) {
      if (reference == nullptr) reference = &s.values;
      EXPECT_EQ(s.values, *reference);
    }
    const std::set<std::string> all(reference->begin(), reference->end());
    for (int i = first; i <= last; ++i) ASSERT_EQ(all.count(StrCat("v", i)), 1u) << i;
  }

  const std::string root_;
  MemoryNetwork network_;
  std::vector<std::unique_ptr<Member>> members_;
};

TEST_F(NodeTest, ElectsAndAppliesTenThousandProposalsInOrder) {
  StartAll();
  Member* leader = WaitForLeader();
  ASSERT_NE(leader, nullptr);
  for (int i = 0; i < 10000; ++i) leader->Propose(StrCat("v", i));
  for (auto& m : members_) ASSERT_TRUE(m->machine->WaitForCount(10000)) << m->id;
  for (auto& m : members_) {
    const auto values = m->machine->state().values;
    ASSERT_EQ(values.size(), 10000u);
    for (int i = 0; i < 10000; ++i) ASSERT_EQ(values[static_cast<size_t>(i)], StrCat("v", i));
  }
  // Batched: far fewer applies than entries.
  EXPECT_LT(leader->machine->batches(), 5000);
}

TEST_F(NodeTest, FollowersForwardProposalsAndServeLinearizableReads) {
  StartAll();
  Member* leader = WaitForLeader();
  Member* follower = OtherThan(leader);
  ASSERT_TRUE(Eventually([&] { return follower->node->leader() == leader->id; }));
  for (size_t i = 1; i <= 50; ++i) {
    follower->Propose(StrCat("v", i));
    ASSERT_TRUE(leader->machine->WaitForCount(i));
    for (auto& m : members_) {
      const auto seen = m->Read();
      ASSERT_TRUE(seen.ok()) << seen.status();
      ASSERT_GE(*seen, i);
    }
  }
}

TEST_F(NodeTest, ReadsAndProposalsAreRefusedWithoutALeader) {
  ASSERT_TRUE(members_[0]->Start(&network_).ok());
  EXPECT_EQ(members_[0]->Read().status().code(), absl::StatusCode::kUnavailable);
  std::promise<absl::Status> refused;
  members_[0]->node->Propose(std::make_shared<const std::string>("x"),
                             [&](absl::Status status) { refused.set_value(status); });
  EXPECT_EQ(refused.get_future().get().code(), absl::StatusCode::kUnavailable);
}

TEST_F(NodeTest, StoppedLeaderHandsOver) {
  StartAll();
  Put(1, 100);
  Member* leader = WaitForLeader();
  const auto start = std::chrono::steady_clock::now();
  leader->Stop();
  Member* next = WaitForLeader();
  ASSERT_NE(next, nullptr);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  Put(101, 200);
  ExpectAgreement(1, 200);
  ASSERT_TRUE(leader->Start(&network_).ok());
  ExpectAgreement(1, 200);
}

TEST_F(NodeTest, CrashedLeaderIsReplacedAndComesBack) {
  StartAll();
  int last = 0;
  for (int round = 0; round < 4; ++round) {
    Put(last + 1, last + 200);
    last += 200;
    Member* leader = WaitForLeader();
    leader->Crash();
    Put(last + 1, last + 200);
    last += 200;
    const absl::Status status = leader->Start(&network_);
    ASSERT_TRUE(status.ok()) << status;
    ExpectAgreement(1, last);
  }
}

TEST_F(NodeTest, CrashOfAllLosesNothingThatWasApplied) {
  StartAll();
  Put(1, 500);
  ExpectAgreement(1, 500);
  for (auto& m : members_) m->Crash();
  StartAll();
  Put(501, 510);
  ExpectAgreement(1, 510);
}

TEST_F(NodeTest, FollowerCatchesUpBySnapshotOnceTheLogIsTruncated) {
  for (auto& m : members_) {
    m->options.snapshot_count = 200;
    m->options.catchup_entries = 50;
  }
  StartAll();
  Put(1, 100);
  Member* leader = WaitForLeader();
  Member* behind = OtherThan(leader);
  behind->Stop();
  for (int i = 0; i < 10; ++i) Put(101 + i * 200, 300 + i * 200);
  // The log reaches no further back than the followers' due.
  ASSERT_TRUE(Eventually([&] {
    Put(2101, 2101);
    return WaitForLeader()->machine->DurableIndex() > 1500;
  }));
  std::this_thread::sleep_for(std::chrono::seconds(1));  // Truncation happens on a tick.
  ASSERT_TRUE(behind->Start(&network_).ok());
  ExpectAgreement(1, 2101);
  EXPECT_EQ(behind->machine->restores(), 1);
  Put(2102, 2200);
  ExpectAgreement(1, 2200);
  // And its log goes on behind the snapshot after another restart.
  behind->Crash();
  Put(2201, 2210);
  ASSERT_TRUE(behind->Start(&network_).ok());
  ExpectAgreement(1, 2210);
}

uint64_t LogBytes(const Member& member) {
  uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(member.options.log_dir)) {
    std::error_code gone;  // truncated away meanwhile
    const uint64_t size = file.file_size(gone);
    if (!gone && file.path().extension() == ".seg") bytes += size;
  }
  return bytes;
}

TEST_F(NodeTest, LogOfLargeEntriesIsBoundedInBytes) {
  for (auto& m : members_) m->options.log_bytes_max = 4 << 20;
  StartAll();
  const std::string large(100 << 10, 'x');
  for (size_t wanted = 100; wanted <= 600; wanted += 100) {
    // On a busy machine the lead may change, and what was proposed then be lost.
    ASSERT_TRUE(Eventually(
        [&] {
          Member* leader = WaitForLeader();
          for (size_t i = leader->machine->count(); i < wanted; ++i) leader->Propose(large);
          return leader->machine->WaitForCount(wanted, std::chrono::seconds(5));
        },
        std::chrono::seconds(120)));
  }
  EXPECT_TRUE(Eventually([&] { return LogBytes(*WaitForLeader()) < 10 << 20; }));
}

// Who lags by more than the log holds gets a snapshot, which is kept for a while for the
// next one that asks. The log must not grow for as long.
TEST_F(NodeTest, LogIsBoundedInBytesThoughASnapshotIsKept) {
  for (auto& m : members_) m->options.log_bytes_max = 4 << 20;
  StartAll();
  Member* leader = WaitForLeader();
  Member* behind = OtherThan(leader);
  const std::string large(100 << 10, 'x');
  network_.Isolate(behind->id);
  for (int i = 0; i < 200; ++i) leader->Propose(large);
  ASSERT_TRUE(leader->machine->WaitForCount(200));
  ASSERT_TRUE(Eventually([&] { return LogBytes(*leader) < 10 << 20; }));
  network_.Heal();
  ASSERT_TRUE(behind->machine->WaitForCount(200));
  ASSERT_GE(leader->machine->snapshots(), 1);
  for (int i = 0; i < 200; ++i) leader->Propose(large);
  ASSERT_TRUE(leader->machine->WaitForCount(400));
  EXPECT_TRUE(Eventually([&] { return LogBytes(*leader) < 10 << 20; }, std::chrono::seconds(20)));
}

TEST_F(NodeTest, CrashBetweenRestoreAndLogResetIsRepairedAtStart) {
  StartAll();
  Put(1, 100);
  Member* behind = OtherThan(WaitForLeader());
  behind->Crash();
  Put(101, 300);
  // The state of another, as a restored snapshot would be; the log knows nothing of it.
  ToyState restored = WaitForLeader()->machine->state();
  restored.applied.conf = behind->options.initial_conf;
  behind->disk->state = restored;
  const absl::Status status = behind->Start(&network_);
  ASSERT_TRUE(status.ok()) << status;
  Put(301, 400);
  ExpectAgreement(1, 400);
}

TEST_F(NodeTest, StateBehindTheLogIsDataLoss) {
  for (auto& m : members_) {
    m->options.snapshot_count = 100;
    m->options.catchup_entries = 10;
  }
  StartAll();
  for (int i = 0; i < 10; ++i) Put(1 + i * 100, 100 + i * 100);
  Member* m = WaitForLeader();
  ASSERT_TRUE(Eventually([&] {
    Put(1001, 1001);
    return m->machine->DurableIndex() > 500;
  }));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  m->Crash();
  m->disk->state = {};
  const absl::Status status = m->Start(&network_);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
}

TEST_F(NodeTest, WhatTheStateMachineMayLoseStaysInTheLog) {
  for (auto& m : members_) {
    m->options.snapshot_count = 100;
    m->options.catchup_entries = 10;
  }
  StartAll();
  for (auto& m : members_) m->machine->set_flushes(false);
  for (int i = 0; i < 10; ++i) {
    Put(1 + i * 100, 100 + i * 100);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // Truncation is on a tick.
  }
  ExpectAgreement(1, 1000);
  for (auto& m : members_) m->Crash();
  ASSERT_NO_FATAL_FAILURE(StartAll());
  Put(1001, 1010);
  ExpectAgreement(1, 1010);
}

TEST_F(NodeTest, NewMemberJoinsByConfChangeAndSnapshot) {
  StartAll();
  Put(1, 100);
  ConfChange change;
  change.changes = {{ConfChangeSingle::Type::kAddVoter, 4}};
  change.context = "refuse";
  Member* leader = WaitForLeader();
  leader->node->ProposeConfChange(change, [](absl::Status s) { EXPECT_TRUE(s.ok()) << s; });
  Put(101, 110);
  EXPECT_EQ(leader->machine->state().applied.conf.voters.size(), 3u);
  change.context = "";
  leader->node->ProposeConfChange(change, [](absl::Status s) { EXPECT_TRUE(s.ok()) << s; });
  auto fourth = std::make_unique<Member>(4, root_);
  fourth->options.initial_conf = {};
  ASSERT_TRUE(fourth->Start(&network_).ok());
  members_.push_back(std::move(fourth));
  ExpectAgreement(1, 110);
  EXPECT_EQ(members_[3]->machine->state().applied.conf.voters, (std::vector<NodeId>{1, 2, 3, 4}));
  EXPECT_EQ(members_[3]->machine->restores(), 1);
  // Four voters: three make a majority without one of the first.
  members_[0]->Crash();
  Put(111, 120);
  ASSERT_TRUE(members_[0]->Start(&network_).ok());
  ExpectAgreement(1, 120);
}

TEST_F(NodeTest, PartitionedLeaderStepsDownAndItsReadsFail) {
  StartAll();
  Put(1, 10);
  Member* old = WaitForLeader();
  network_.Isolate(old->id);
  const auto read = old->Read();
  EXPECT_FALSE(read.ok());
  ASSERT_TRUE(Eventually([&] { return Leader() != nullptr && Leader() != old; }));
  Put(11, 20);
  network_.Heal();
  ExpectAgreement(1, 20);
}

TEST_F(NodeTest, SurvivesLossDelayAndReordering) {
  network_.set_loss(0.05);
  network_.set_delay(std::chrono::milliseconds(0), std::chrono::milliseconds(5));
  StartAll();
  Put(1, 300);
  network_.set_loss(0);
  ExpectAgreement(1, 300);
}

TEST_F(NodeTest, FailedApplyIsFatalOnce) {
  StartAll();
  Put(1, 10);
  Member* leader = WaitForLeader();
  leader->machine->set_fail_apply(true);
  leader->Propose("x");
  EXPECT_TRUE(Eventually([&] {
    std::lock_guard lock(leader->fatal_mu);
    return leader->fatal.code() == absl::StatusCode::kInternal;
  }));
  EXPECT_EQ(leader->Read().status().code(), absl::StatusCode::kUnavailable);
  leader->Crash();
  EXPECT_NE(WaitForLeader(), nullptr);
}

TEST_F(NodeTest, SecondProcessOnTheSameLogIsRefused) {
  ASSERT_TRUE(members_[0]->Start(&network_).ok());
  Member second(1, root_);
  EXPECT_EQ(second.Start(&network_).code(), absl::StatusCode::kUnavailable);
}

TEST_F(NodeTest, RunsOverTcp) {
  std::vector<std::unique_ptr<TcpTransport>> transports;
  for (auto& m : members_) {
    TcpTransportOptions options;
    options.self = m->id;
    options.cluster_id = 7;
    options.listen = {"127.0.0.1:0"};
    options.snapshot_dir = m->dir + "/snapshot";
    auto made = TcpTransport::Create(options);
    ASSERT_TRUE(made.ok()) << made.status();
    transports.push_back(*std::move(made));
  }
  for (auto& a : transports) {
    for (size_t i = 0; i < transports.size(); ++i) {
      a->AddPeer(i + 1, StrCat("http://127.0.0.1:", transports[i]->port()));
    }
  }
  for (size_t i = 0; i < members_.size(); ++i) {
    const absl::Status status = members_[i]->Start(std::move(transports[i]));
    ASSERT_TRUE(status.ok()) << status;
  }
  Put(1, 2000);
  ExpectAgreement(1, 2000);
  for (auto& m : members_) ASSERT_TRUE(m->Read().ok());
  WaitForLeader()->Stop();
  Put(2001, 2100);
  ExpectAgreement(1, 2100);
}

// Everything on one loop and one clock that is advanced by hand: nothing in a
// node reads a clock or starts a thread of its own.
TEST_F(NodeTest, RunsOnAVirtualLoop) {
  base::ManualLoop loop;
  std::vector<std::unique_ptr<MemoryTransport>> transports;
  std::vector<std::unique_ptr<ToyMachine>> machines;
  std::vector<std::unique_ptr<Node>> nodes;
  for (NodeId id = 1; id <= 3; ++id) {
    NodeOptions options = members_[id - 1]->options;
    options.loop = options.apply_loop = options.log_loop = &loop;
    options.random_seed = 5;
    transports.push_back(std::make_unique<MemoryTransport>(&network_, id, options.snapshot_dir));
    machines.push_back(std::make_unique<ToyMachine>(members_[id - 1]->disk));
    auto node = Node::Open(options, transports.back().get(), machines.back().get());
    ASSERT_TRUE(node.ok()) << node.status();
    nodes.push_back(*std::move(node));
  }
  loop.Advance(std::chrono::seconds(2));
  Node* leader = nullptr;
  for (auto& n : nodes) {
    if (n->role() == Role::kLeader) leader = n.get();
  }
  ASSERT_NE(leader, nullptr);
  int reads = 0;
  for (int i = 0; i < 100; ++i) {
    leader->Propose(std::make_shared<const std::string>(StrCat("v", i)), nullptr);
    nodes[static_cast<size_t>(i) % 3]->ReadIndex([&](absl::StatusOr<Index> index) {
      EXPECT_TRUE(index.ok()) << index.status();
      ++reads;
    });
    loop.Advance(std::chrono::milliseconds(1));
  }
  loop.Advance(std::chrono::milliseconds(100));
  EXPECT_EQ(reads, 100);
  for (auto& m : machines) EXPECT_EQ(m->count(), 100u);
  nodes.clear();
  loop.RunUntilIdle();
}

TEST_F(NodeTest, AVoterAloneLeadsWithoutWaiting) {
  for (const bool lease_reads : {false, true}) {
    base::ManualLoop loop;
    NodeOptions options = members_[0]->options;
    options.loop = options.apply_loop = options.log_loop = &loop;
    options.log_dir += lease_reads ? "-lease" : "-alone";
    options.initial_conf = ConfState{.voters = {1}};
    options.lease_reads = lease_reads;
    MemoryTransport transport(&network_, 1, options.snapshot_dir);
    ToyMachine machine(std::make_shared<ToyDisk>());
    auto node = Node::Open(options, &transport, &machine);
    ASSERT_TRUE(node.ok()) << node.status();
    loop.Advance(options.tick / 2);
    EXPECT_EQ((*node)->role(), lease_reads ? Role::kFollower : Role::kLeader);
    (*node).reset();
    loop.RunUntilIdle();
  }
}

// A follower's word counts once its disk is done, and not before.
TEST_F(NodeTest, AFollowerWhoseDiskIsBusyAcknowledgesNothing) {
  base::ManualLoop loop;
  std::vector<std::unique_ptr<base::ManualLoop>> disks;
  std::vector<std::unique_ptr<MemoryTransport>> transports;
  std::vector<std::unique_ptr<ToyMachine>> machines;
  std::vector<std::unique_ptr<Node>> nodes;
  for (NodeId id = 1; id <= 2; ++id) {  // the third is down: both of these are needed
    NodeOptions options = members_[id - 1]->options;
    disks.push_back(std::make_unique<base::ManualLoop>());
    options.loop = options.apply_loop = &loop;
    options.log_loop = disks.back().get();
    options.random_seed = 5;
    transports.push_back(std::make_unique<MemoryTransport>(&network_, id, options.snapshot_dir));
    machines.push_back(std::make_unique<ToyMachine>(members_[id - 1]->disk));
    auto node = Node::Open(options, transports.back().get(), machines.back().get());
    ASSERT_TRUE(node.ok()) << node.status();
    nodes.push_back(*std::move(node));
  }
  const base::ManualLoop* busy = nullptr;
  const auto run = [&] {
    for (int i = 0; i < 20; ++i) {
      loop.Advance(std::chrono::milliseconds(1));
      for (auto& disk : disks) {
        if (disk.get() != busy) disk->RunUntilIdle();
      }
    }
  };
  size_t at = 2;
  for (int i = 0; i < 100 && at == 2; ++i) {
    run();
    for (size_t each = 0; each < 2; ++each) {
      if (nodes[each]->role() == Role::kLeader && nodes[each]->applied_index() > 0) at = each;
    }
  }
  ASSERT_LT(at, 2u) << "no leader";
  run();
  busy = disks[1 - at].get();
  const Index commit = nodes[at]->commit_index();
  nodes[at]->Propose(std::make_shared<const std::string>("v"), nullptr);
  run();
  EXPECT_EQ(nodes[at]->commit_index(), commit);
  EXPECT_EQ(machines[at]->count(), 0u);
  busy = nullptr;
  run();
  EXPECT_EQ(nodes[at]->commit_index(), commit + 1);
  EXPECT_EQ(machines[at]->count(), 1u);
  nodes.clear();
  loop.RunUntilIdle();
  for (auto& disk : disks) disk->RunUntilIdle();
}

// A transport whose handler the test calls itself.
class LoneTransport final : public Transport {
 public:
  explicit LoneTransport(TransportHandler** handler) : handler_(handler) {}
  void Start(base::Loop*, TransportHandler* handler) override { *handler_ = handler; }
  void Stop() override {}
  void AddPeer(NodeId, const std::string&) override {}
  void RemovePeer(NodeId) override {}
  void Send(std::span<Message>) override {}
  void SendUser(NodeId, std::string) override {}
  void SendSnapshot(Message, std::string, absl::AnyInvocable<void(absl::Status)>) override {}
  base::Duration SinceHeard(NodeId) const override { return base::Duration::max(); }

 private:
  TransportHandler** const handler_;
};

// A wrong or old notice stops nobody: ids are never used again, so that who is a member at an
// index was not removed before it.
TEST_F(NodeTest, OnlyWhoCannotKnowBetterBelievesThatItWasRemoved) {
  Member& member = *members_[0];
  std::vector<Index> told;
  TransportHandler* handler = nullptr;
  member.options.initial_conf.voters = {1};
  member.options.on_removed = [&](NodeId from, Index index) {
    EXPECT_EQ(from, 2u);
    told.push_back(index);
  };
  ASSERT_TRUE(member.Start(std::make_unique<LoneTransport>(&handler)).ok());
  ASSERT_TRUE(Eventually([&] { return member.node->role() == Role::kLeader; }));
  member.Propose("v");
  ASSERT_TRUE(Eventually([&] { return member.machine->count() == 1; }));
  std::promise<void> done;
  member.loop->Post([&] {
    const Index applied = member.node->applied_index();
    handler->OnRemoved(2, 1);
    handler->OnRemoved(2, applied);
    EXPECT_TRUE(told.empty());
    handler->OnRemoved(2, applied + 1);
    EXPECT_EQ(told, std::vector<Index>{applied + 1});
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace
}  // namespace keel::raft
