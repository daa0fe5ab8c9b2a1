// Three Nodes with their drivers, the real log's code on files in memory, a network
// in memory and a state machine that counts, all on one loop: from Propose to Apply
// on all members without a thread, a disk or a socket.
//
//   NodeTrio trio;
//   trio.Round(data, 16);        // all three have applied them
//
// One thread only; the same calls give the same run.
#pragma once

#include <memory>
#include <vector>

#include "base/log.h"
#include "base/manual_loop.h"
#include "base/memory_files.h"
#include "base/strings.h"
#include "raft/driver/node.h"
#include "raft/transport/memory_transport.h"

namespace keel::raft {

class CountingMachine final : public StateMachine {
 public:
  absl::StatusOr<AppliedState> Open() override { return AppliedState{}; }
  absl::Status Apply(std::span<const CommittedEntry> entries) override {
    applied += entries.size();
    index = entries.back().entry.index;
    return absl::OkStatus();
  }
  Index DurableIndex() override { return index; }
  void Flush() override {}
  absl::StatusOr<AppliedState> WriteSnapshot(const std::string&) override {
    return absl::UnimplementedError("no snapshots here");
  }
  absl::Status RestoreSnapshot(const std::string&, const SnapshotMeta&) override {
    return absl::UnimplementedError("no snapshots here");
  }
  uint64_t applied = 0;
  Index index = 0;
};

class NodeTrio {
 public:
  NodeTrio() {
    base::Log().set_level(spdlog::level::err);
    for (NodeId id = 1; id <= 3; ++id) {
      transports_.push_back(std::make_unique<MemoryTransport>(&network_, id));
      NodeOptions options;
      options.id = id;
      options.loop = options.apply_loop = options.log_loop = &loop_;
      options.fs = &files_;
      options.log_dir = base::StrCat("/", id);
      options.initial_conf.voters = {1, 2, 3};
      options.random_seed = id;
      options.segment_bytes = 4 << 20;
      nodes_.push_back(*Node::Open(options, transports_.back().get(), &machines_[id - 1]));
    }
    for (int ticks = 0; leader_ == nullptr && ticks < 1000; ++ticks) {
      loop_.Advance(std::chrono::milliseconds(100));
      for (auto& node : nodes_) {
        if (node->role() == Role::kLeader) leader_ = node.get();
      }
    }
  }
  ~NodeTrio() {
    nodes_.clear();
    loop_.RunUntilIdle();
  }

  bool led() const { return leader_ != nullptr; }

  // No time passes: what ticks do now and then is not counted.
  void Round(const Payload& data, int proposals) {
    for (int i = 0; i < proposals; ++i) leader_->Propose(data, nullptr);
    loop_.RunUntilIdle();
  }

  Node& leader() { return *leader_; }
  base::ManualLoop& loop() { return loop_; }

  uint64_t applied(size_t member) const { return machines_[member].applied; }

 private:
  base::MemoryFiles files_;
  base::ManualLoop loop_;
  MemoryNetwork network_;
  CountingMachine machines_[3];
  std::vector<std::unique_ptr<MemoryTransport>> transports_;
  std::vector<std::unique_ptr<Node>> nodes_;
  Node* leader_ = nullptr;
};

}  // namespace keel::raft
