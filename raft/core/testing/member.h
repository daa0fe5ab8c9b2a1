// One Raft with its log, disk and state machine in memory, for tests that say
// step by step what happens. Everything is deterministic: the election timeout
// of member n is election_ticks + n ticks.
//
//   Member member(1, conf, {});
//   member.raft().Campaign();
//   member.Process();                       // persists and applies whatever is ready
//   for (Message& m : member.TakeMessages()) …
//
// With hold_disk writes stay on their way until PersistOne or release; a
// Restart loses them.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "raft/core/memory_log.h"
#include "raft/core/raft.h"

namespace keel::raft::testing {

class Member {
 public:
  Member(NodeId id, ConfState conf, Config config);

  Raft& raft() { return *raft_; }
  MemoryLog& log() { return *log_; }
  const MemoryLog& disk() const { return disk_; }
  const ConfState& conf() const { return conf_; }

  // Takes every Ready there is, in a loop until nothing is left.
  void Process();
  // Makes the oldest write durable. REQUIRES: there is one.
  void PersistOne();
  size_t writes() const { return writes_.size(); }
  std::vector<Message> TakeMessages();
  // A crash: comes back with what is durable; the state machine was flushed.
  void Restart();
  // A new disk: nothing is left but the configuration it was first started with.
  void Wipe();
  // Before anything happened: the log holds entries of these terms, all
  // durable, and the member is in `term`. Nothing is committed.
  void StartWith(const std::vector<Term>& terms, Term term);
  // Snapshots the state machine as applied and drops the log up to `index`.
  void Compact(Index index);

  bool hold_disk = false;
  bool hold_apply = false;

  // What the state machine holds: the data of applied entries, empty ones left out.
  std::vector<std::string> applied;
  std::vector<ReadState> reads;
  std::vector<uint64_t> dropped_reads;
  // Called with each Ready before anything of it is done.
  std::function<void(const Ready&)> on_ready;
  // Called with each configuration that is applied.
  std::function<void(const ConfState&)> on_conf;
  // Where a snapshot's data come from: the state of the sender at `index`.
  std::function<std::vector<std::string>(Index)> fetch_snapshot;
  // The state after each index: what a snapshot of this member holds.
  std::vector<std::string> StateAt(Index index) const;

 private:
  void Start();
  void Apply();

  NodeId id_;
  ConfState first_conf_;
  Config config_;
  HardState hard_state_;
  MemoryLog disk_;
  ConfState conf_;
  Index applied_index_ = 0;
  std::unique_ptr<MemoryLog> log_;
  std::unique_ptr<Raft> raft_;
  std::deque<Ready> writes_;
  std::deque<Entry> to_apply_;
  std::vector<Message> outbox_;
  std::vector<std::pair<Index, size_t>> sizes_;  // applied.size() after an index
};

// Members joined by a network that loses what `drop` says and is otherwise reliable.
class Network {
 public:
  // `voters` in the configuration; every member's Config is `config` but for id and random.
  explicit Network(std::vector<NodeId> voters, std::vector<NodeId> learners = {},
                   Config config = {});

  Member& operator[](NodeId id) { return *members_.at(Position(id)); }
  Raft& raft(NodeId id) { return (*this)[id].raft(); }
  // A member that joins: empty log, no configuration.
  Member& Join(NodeId id);

  const std::vector<NodeId>& ids() const { return ids_; }

  // Delivers messages in the order they were sent until nothing moves.
  void Settle();
  // Puts a message on the network, behind those on their way.
  void Post(Message m) { messages_.push_back(std::move(m)); }
  // One tick for everybody, then Settle.
  void Tick(int ticks = 1);
  // `id` campaigns and everybody settles. Stops the process if it does not win.
  void Elect(NodeId id);
  void Propose(NodeId id, const std::string& data);

  // Cuts every link of `id`, both ways; Heal undoes all.
  void Isolate(NodeId id);
  void Heal() {
    drop = nullptr;
    isolated_.clear();
  }

  std::function<bool(const Message&)> drop;
  std::function<void(const Message&, bool lost)> on_message;

 private:
  size_t Position(NodeId id) const;
  void Wire(Member& member, NodeId id);
  bool Lost(const Message& m) const;

  Config config_;
  std::vector<NodeId> ids_;
  std::vector<std::unique_ptr<Member>> members_;
  std::vector<NodeId> isolated_;
  std::deque<Message> messages_;
};

Payload Data(std::string text);

}  // namespace keel::raft::testing
