// A toy state machine on a disk that forgets what was not flushed, and members
// that run it, each with loops of its own.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/asio_loop.h"
#include "base/strings.h"
#include "raft/driver/node.h"
#include "raft/transport/memory_transport.h"

namespace keel::raft {

struct ToyState {
  AppliedState applied;
  std::vector<std::string> values;  // every non-empty entry, in order
};

// What survives a member's crash.
struct ToyDisk {
  std::mutex mu;
  ToyState state;
};

class ToyMachine final : public StateMachine {
 public:
  explicit ToyMachine(std::shared_ptr<ToyDisk> disk) : disk_(std::move(disk)) {}

  absl::StatusOr<AppliedState> Open() override {
    std::lock_guard lock(disk_->mu);
    state_ = disk_->state;
    return state_.applied;
  }
  absl::Status Apply(std::span<const CommittedEntry> entries) override {
    std::lock_guard lock(mu_);
    for (const CommittedEntry& e : entries) {
      EXPECT_EQ(e.entry.index, state_.applied.index + 1);
      state_.applied.index = e.entry.index;
      state_.applied.term = e.entry.term;
      if (e.entry.type == EntryType::kConfChange) {
        state_.applied.conf = e.conf_after;
      } else if (!e.entry.data->empty()) {
        state_.values.push_back(*e.entry.data);
      }
    }
    ++batches_;
    cv_.notify_all();
    return fail_apply_ ? absl::InternalError("no disk") : absl::OkStatus();
  }
  bool AcceptConfChange(const Entry&, const ConfChange& change) override {
    return change.context != "refuse";
  }
  Index DurableIndex() override {
    std::lock_guard lock(disk_->mu);
    return disk_->state.applied.index;
  }
  void Flush() override {
    if (!flushes_) return;
    std::scoped_lock lock(mu_, disk_->mu);
    disk_->state = state_;
  }
  absl::StatusOr<AppliedState> WriteSnapshot(const std::string& dir) override {
    std::lock_guard lock(mu_);
    std::ofstream out(dir + "/values", std::ios::binary);
    for (const std::string& value : state_.values) out << value << '\n';
    ++snapshots_;
    return state_.applied;
  }
  absl::Status RestoreSnapshot(const std::string& dir, const SnapshotMeta& meta) override {
    std::scoped_lock lock(mu_, disk_->mu);
    std::ifstream in(dir + "/values", std::ios::binary);
    EXPECT_TRUE(in.good());
    state_ = {{meta.index, meta.term, meta.conf}, {}};
    for (std::string line; std::getline(in, line);) state_.values.push_back(line);
    disk_->state = state_;
    ++restores_;
    cv_.notify_all();
    return absl::OkStatus();
  }

  ToyState state() {
    std::lock_guard lock(mu_);
    return state_;
  }
  size_t count() {
    std::lock_guard lock(mu_);
    return state_.values.size();
  }
  bool WaitForCount(size_t count, std::chrono::seconds limit = std::chrono::seconds(60)) {
    std::unique_lock lock(mu_);
    return cv_.wait_for(lock, limit, [&] { return state_.values.size() >= count; });
  }
  int snapshots() {
    std::lock_guard lock(mu_);
    return snapshots_;
  }
  int restores() {
    std::lock_guard lock(mu_);
    return restores_;
  }
  int batches() {
    std::lock_guard lock(mu_);
    return batches_;
  }
  void set_fail_apply(bool fail) { fail_apply_ = fail; }
  // Without flushes nothing is ever durable.
  void set_flushes(bool flushes) { flushes_ = flushes; }

 private:
  const std::shared_ptr<ToyDisk> disk_;
  std::mutex mu_;
  std::condition_variable cv_;
  ToyState state_;
  int snapshots_ = 0;
  int restores_ = 0;
  int batches_ = 0;
  std::atomic<bool> fail_apply_{false};
  std::atomic<bool> flushes_{true};
};

// One member: its folders and disk outlive its runs.
class Member {
 public:
  Member(NodeId self, const std::string& root)
      : id(self), dir(base::StrCat(root, "/m", self)), disk(std::make_shared<ToyDisk>()) {
    options.id = id;
    options.log_dir = dir + "/log";
    options.snapshot_dir = dir + "/snapshot";
    options.cluster_id = 7;
    options.tick = std::chrono::milliseconds(10);
    options.election_ticks = 20;  // Slow machines run these tests too.
    options.initial_conf.voters = {1, 2, 3};
    options.segment_bytes = 1 << 20;
    options.on_fatal = [this](absl::Status status) {
      std::lock_guard lock(fatal_mu);
      fatal = std::move(status);
    };
  }
  ~Member() { Crash(); }

  absl::Status Start(std::unique_ptr<Transport> with) {
    transport = std::move(with);
    loop = std::make_unique<base::AsioLoop>("raft");
    apply_loop = std::make_unique<base::AsioLoop>("apply");
    options.loop = loop.get();
    options.apply_loop = apply_loop.get();
    machine = std::make_unique<ToyMachine>(disk);
    auto opened = Node::Open(options, transport.get(), machine.get());
    if (!opened.ok()) return opened.status();
    node = *std::move(opened);
    loop->Start();
    apply_loop->Start();
    return absl::OkStatus();
  }
  absl::Status Start(MemoryNetwork* network) {
    return Start(std::make_unique<MemoryTransport>(network, id, dir + "/snapshot"));
  }
  void Stop() {
    node->Stop(std::chrono::seconds(2));
    Crash();
  }
  // Ends without a word; what was not flushed or synced is lost.
  void Crash() {
    if (transport) transport->Stop();
    if (loop) loop->Stop();
    if (apply_loop) apply_loop->Stop();
    node.reset();
    loop.reset();
    apply_loop.reset();
    machine.reset();
    transport.reset();
  }
  bool up() const { return node != nullptr; }

  void Propose(const std::string& value) {
    node->Propose(std::make_shared<const std::string>(value), [](absl::Status) {});
  }
  // The index a linearizable read saw, and how many values.
  absl::StatusOr<size_t> Read() {
    auto done = std::make_shared<std::promise<absl::StatusOr<size_t>>>();
    node->ReadIndex([done, this](absl::StatusOr<Index> index) {
      if (index.ok()) {
        done->set_value(machine->count());
      } else {
        done->set_value(index.status());
      }
    });
    auto result = done->get_future();
    if (result.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
      return absl::DeadlineExceededError("read");
    }
    return result.get();
  }

  const NodeId id;
  const std::string dir;
  const std::shared_ptr<ToyDisk> disk;
  NodeOptions options;
  std::mutex fatal_mu;
  absl::Status fatal;
  std::unique_ptr<Transport> transport;
  std::unique_ptr<base::AsioLoop> loop, apply_loop;
  std::unique_ptr<ToyMachine> machine;
  std::unique_ptr<Node> node;
};

template <typename Condition>
bool Eventually(Condition condition, std::chrono::seconds limit = std::chrono::seconds(30)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace keel::raft
