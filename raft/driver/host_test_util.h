// Hosts of many groups on one ManualLoop, for the tests.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/manual_loop.h"
#include "base/strings.h"
#include "raft/driver/host.h"
#include "raft/log/test_util.h"
#include "raft/transport/memory_transport.h"

namespace keel::raft {

// Counts entries and folds their bytes into one number. Keeps nothing on disk:
// after a restart the log is replayed.
class TallyMachine final : public StateMachine {
 public:
  absl::StatusOr<AppliedState> Open() override { return AppliedState{}; }
  absl::Status Apply(std::span<const CommittedEntry> entries) override {
    if (fail) return absl::InternalError("no disk");
    for (const CommittedEntry& committed : entries) {
      applied.index = committed.entry.index;
      applied.term = committed.entry.term;
      if (committed.entry.type == EntryType::kConfChange) applied.conf = committed.conf_after;
      if (committed.entry.type != EntryType::kNormal || committed.entry.data->empty()) continue;
      ++count;
      for (const char c : *committed.entry.data) hash = hash * 1099511628211ull + uint8_t(c);
    }
    return absl::OkStatus();
  }
  // What a restart would find is in the log, unless the test says otherwise.
  Index DurableIndex() override { return durable ? applied.index : 0; }
  void Flush() override {}
  absl::StatusOr<AppliedState> WriteSnapshot(const std::string& dir) override {
    std::ofstream(dir + "/tally") << count << ' ' << hash;
    return applied;
  }
  absl::Status RestoreSnapshot(const std::string& dir, const SnapshotMeta& meta) override {
    std::ifstream(dir + "/tally") >> count >> hash;
    applied = {meta.index, meta.term, meta.conf};
    ++restores;
    return absl::OkStatus();
  }

  AppliedState applied;
  uint64_t count = 0;
  uint64_t hash = 14695981039346656037ull;
  int restores = 0;
  bool fail = false;
  bool durable = false;
};

// One process: its folder outlives its runs.
struct TestHost {
  TestHost(NodeId self, const std::string& root, base::ManualLoop* loop, MemoryNetwork* net)
      : id(self), network(net) {
    options.id = id;
    options.loop = options.apply_loop = options.log_loop = loop;
    options.log_dir = base::StrCat(root, "/h", id, "/log");
    options.snapshot_dir = base::StrCat(root, "/h", id, "/snapshot");
    options.cluster_id = 7;
    options.random_seed = 11;
    options.segment_bytes = 1 << 20;
    options.on_fatal = [this](absl::Status status) { fatal = std::move(status); };
  }
  ~TestHost() { Crash(); }

  absl::Status Start() {
    transport = std::make_unique<MemoryTransport>(network, id, options.snapshot_dir);
    auto opened = Host::Open(options, transport.get());
    if (!opened.ok()) return opened.status();
    host = *std::move(opened);
    return absl::OkStatus();
  }
  absl::Status OpenGroup(GroupId group, GroupOptions given = {}) {
    given.id = group;
    if (given.initial_conf.voters.empty()) given.initial_conf.voters = {1, 2, 3};
    auto& machine = machines[group];
    machine = std::make_unique<TallyMachine>();
    machine->durable = durable;
    auto opened = host->OpenGroup(given, machine.get());
    if (!opened.ok()) return opened.status();
    nodes[group] = *std::move(opened);
    return absl::OkStatus();
  }
  // Ends without a word.
  void Crash() {
    host.reset();
    nodes.clear();
    machines.clear();
    transport.reset();
  }

  const NodeId id;
  MemoryNetwork* const network;
  HostOptions options;
  bool durable = false;  // of new machines
  absl::Status fatal;
  std::unique_ptr<MemoryTransport> transport;
  std::unique_ptr<Host> host;
  std::map<GroupId, std::unique_ptr<TallyMachine>> machines;
  std::map<GroupId, std::unique_ptr<Node>> nodes;
};

// Three hosts.
struct TestHosts {
  explicit TestHosts(const std::string& name) : dir(name) {
    for (NodeId id = 1; id <= 3; ++id) {
      hosts.push_back(std::make_unique<TestHost>(id, dir.path(), &loop, &network));
    }
  }
  ~TestHosts() {
    for (auto& host : hosts) host->Crash();
    loop.RunUntilIdle();
  }

  void StartAll(GroupId groups, GroupOptions options = {}) {
    for (auto& host : hosts) {
      const absl::Status status = host->Start();
      ASSERT_TRUE(status.ok()) << status;
      for (GroupId g = 1; g <= groups; ++g) ASSERT_TRUE(host->OpenGroup(g, options).ok());
    }
  }

  // Of the highest term; null when there is none.
  TestHost* Leader(GroupId group) {
    TestHost* leader = nullptr;
    for (auto& host : hosts) {
      const auto it = host->nodes.find(group);
      if (it == host->nodes.end() || it->second->role() != Role::kLeader) continue;
      if (leader == nullptr || leader->nodes[group]->term() < it->second->term()) {
        leader = host.get();
      }
    }
    return leader;
  }
  uint64_t Active() {
    uint64_t active = 0;
    for (auto& host : hosts) {
      if (host->host) active += host->host->counters().active_groups;
    }
    return active;
  }
  // Virtual time passes in steps of 50 ms until it holds.
  template <typename Condition>
  bool Within(base::Duration limit, Condition condition) {
    const base::TimePoint end = loop.Now() + limit;
    while (!condition()) {
      if (loop.Now() >= end) return false;
      loop.Advance(std::chrono::milliseconds(50));
    }
    return true;
  }
  void Propose(TestHost* at, GroupId group, const std::string& value) {
    at->nodes[group]->Propose(std::make_shared<const std::string>(value), nullptr);
  }

  TempDir dir;
  base::ManualLoop loop;
  MemoryNetwork network;
  std::vector<std::unique_ptr<TestHost>> hosts;
};

}  // namespace keel::raft
