// The loop side of a node (internal to raft/driver): owns the core and the
// log, and turns inputs into Readys and Readys into sends, writes and applies.
//
// One turn of the loop takes everything that queued up since the last one: all
// proposals go into the core as one, all reads share one request, and the
// Readys that follow carry the lot. While the log syncs, and while the state
// machine applies, further turns run beside it.
//
// Everything on `loop`, but where said otherwise. Held by shared_ptr: tasks on
// the loops keep it alive.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/log.h"
#include "raft/core/queue.h"
#include "raft/core/raft.h"
#include "raft/driver/applier.h"
#include "raft/driver/node.h"
#include "raft/driver/opening.h"
#include "raft/driver/outgoing_snapshots.h"
#include "raft/log/log.h"

namespace keel::raft {

using Refused = absl::AnyInvocable<void(absl::Status)>;

class Driver;

// Whether it is a voter, one that leaves, or a learner.
bool IsMember(const ConfState& conf, NodeId id);

// What a host of many groups does for each (see host_core.h). On its loop.
class GroupHost {
 public:
  virtual ~GroupHost() = default;
  // Calls RunTurn soon, with those of others.
  virtual void ScheduleTurn(std::shared_ptr<Driver> driver) = 0;
  // Calls TickOnce from the next tick on, until it says false.
  virtual void Activate(std::shared_ptr<Driver> driver) = 0;
  virtual void OnQuiesced() = 0;
  // The group here leads no more, though nobody else does: `members` must not sleep on.
  virtual void OnResigned(GroupId group, const ConfState& members) = 0;
  // Whether a host was not heard of for too long.
  virtual bool Suspected(NodeId host) const = 0;
};

// What makes a driver that of one of a host's groups.
struct GroupSeat {
  GroupHost* host = nullptr;  // outlives the driver's being open
  GroupId group = kNoGroup;
  std::shared_ptr<Transport> transport;
  std::unique_ptr<GroupLog> log;
  uint64_t quiesce_ticks = 0;  // 0: never
};

class Driver final : public TransportHandler,
                     public LogView,
                     public std::enable_shared_from_this<Driver> {
 public:
  Driver(NodeOptions options, Transport* transport);
  // One of a host's groups: ticks, turns and messages come from the host.
  Driver(NodeOptions options, GroupSeat seat);
  ~Driver() override;

  // Opens the log and compares it with where the state machine stands.
  // Blocks; before the loops matter.
  absl::Status Open(StateMachine* state_machine);
  // First task on the loop: makes the core, ticks, talks to peers.
  void Start();

  // Any thread.
  void Propose(Payload data, Refused refused);
  void ProposeConfChange(const ConfChange& change, Refused refused);
  void ReadIndex(ReadDone done);
  void TransferLeadership(NodeId to, Refused done);
  void GetStatus(absl::AnyInvocable<void(Status)> done);

  // The steps of Node::Stop, in this order; `done` on the loop.
  void HandOver(base::Duration limit, std::function<void()> done);
  void Close(std::function<void()> done);
  // Lets go of everything, the log's lock too.
  void Halt();
  // Not on one of them.
  void StopOwnLoops();

  // Any thread: no more callbacks.
  void Abandon();

  // What a host calls (quiescence.cc has the reasons).
  void RunTurn();
  // Whether it goes on ticking.
  bool TickOnce();
  void Receive(Message message);
  // A host came back, went away or was restarted, or gave up the lead of this group.
  void OnHostChanged(NodeId host);
  // The log has failed.
  void Fail(absl::Status status);
  // Before the group is taken off the host.
  void ResignIfLeader();
  GroupId group() const { return seat_.group; }
  Transport* transport() const { return transport_; }
  bool quiescent() const { return quiescent_; }
  // Whether it is on the host's list of those that tick; kept by the host.
  bool active = false;
  // Hosts of this group's members.
  ConfState members() const;

  // For the getters. Any thread.
  std::atomic<NodeId> leader{kNoNode};
  std::atomic<Term> term{0};
  std::atomic<Role> role{Role::kFollower};
  std::atomic<Index> commit_index{0};
  std::atomic<Index> applied_index{0};

 private:
  // What waits for the next turn, or is on its way there.
  struct Proposals {
    std::vector<Payload> data;
    std::vector<Refused> refused;  // one for each

    void Add(Payload payload, Refused on_refused) {
      data.push_back(std::move(payload));
      refused.push_back(std::move(on_refused));
    }
    void Take(Proposals* from) {
      std::move(from->data.begin(), from->data.end(), std::back_inserter(data));
      std::move(from->refused.begin(), from->refused.end(), std::back_inserter(refused));
      from->Clear();
    }
    // Of all of them. What is proposed meanwhile goes elsewhere.
    void Refuse(const absl::Status& status) {
      for (Refused& each : refused) {
        if (each) each(status);
      }
      Clear();
    }
    void Clear() {
      data.clear();
      refused.clear();
    }
  };

  // A Ready on its way to disk.
  struct Persisting {
    uint64_t ready_id = 0;
    std::vector<Message> messages;  // sent once durable
  };

  // One held back while a snapshot, its own or of one before it, is restored.
  struct Held {
    LogWrite write;
    Persisting persisting;
    std::optional<SnapshotMeta> snapshot;
    std::string snapshot_dir;
  };

  // TransportHandler
  void OnMessages(std::span<Message> messages) override;
  void OnUnreachable(NodeId peer) override;
  void OnSnapshotFiles(NodeId from, const Message& message, std::string dir) override;
  void OnUserMessage(NodeId from, std::string payload) override;
  void OnRemoved(NodeId from, Index index) override;

  // LogView
  Index FirstIndex() const override { return log_->FirstIndex(); }
  Index LastIndex() const override { return log_->LastIndex(); }
  absl::StatusOr<Term> TermAt(Index index) const override { return log_->TermAt(index); }
  absl::StatusOr<std::vector<Entry>> Entries(Index low, Index high,
                                             uint64_t max_bytes) const override;
  absl::Status ReadEntries(Index low, Index high, uint64_t max_bytes,
                           std::vector<Entry>* entries) const override;
  absl::StatusOr<SnapshotMeta> Snapshot() const override;

  absl::Status OpenLog();
  bool running() const { return core_ != nullptr && !closed_; }
  void ScheduleTurn();
  void Turn();
  void TakeArrived();
  void ProposeQueued();
  void ReadQueued();
  void Step(Message message);
  void Process(Ready ready);
  void SendAtOnce(std::vector<Message>* messages);
  void Tick();
  void Publish();
  // True now and then: peers may send what is refused as often as they like.
  bool MayLogRefusal();

  // persistence.cc
  void Hold(LogWrite write, Persisting persisting, std::optional<SnapshotMeta> snapshot);
  void RestoreNext();
  void Persist(LogWrite write, Persisting persisting);
  void OnPersisted();
  void OnApplied(Index last, const std::vector<ConfChange>& changes);
  void TruncateLog();

  spdlog::level::level_enum log_level() const {
    return seat_.host != nullptr ? spdlog::level::debug : spdlog::level::info;
  }

  // quiescence.cc
  void Wake();
  bool MayQuiesce(const Status& status) const;
  void TryQuiesce();
  bool Agrees(const Message& quiesce);
  void TellRemoved(const Status& before, const ConfState& conf);
  // Ends what cannot end any more.
  void RefuseAll(const absl::Status& status);

  const NodeOptions options_;
  base::Loop* const loop_;
  GroupSeat seat_;
  Transport* const transport_;
  LogLoops log_loops_;
  std::unique_ptr<GroupLog> log_;
  std::shared_ptr<Applier> applier_;
  std::shared_ptr<OutgoingSnapshots> snapshots_;
  AppliedState opened_at_;  // what the state machine had at Open
  std::unique_ptr<Raft> core_;

  bool closed_ = false;  // stopping or failed
  bool turn_scheduled_ = false;
  base::TimerId tick_timer_ = 0;
  base::TimePoint next_tick_{};
  uint64_t ticks_ = 0;
  std::mutex arriving_mu_;
  Proposals arriving_;              // guarded by arriving_mu_; from other threads
  bool arrival_scheduled_ = false;  // guarded by arriving_mu_
  Proposals proposals_;             // for the next turn
  Proposals proposing_;             // in use during a call only; kept for its memory
  std::vector<ReadDone> reads_;
  uint64_t next_read_ = 1;
  absl::flat_hash_map<uint64_t, std::vector<ReadDone>> reads_out_;  // by context
  absl::flat_hash_map<Index, std::string> arrived_;  // snapshots' folders, not yet in a Ready
  std::list<Held> held_;                             // the first one is being restored
  bool restoring_ = false;
  Index flushed_at_ = 0;     // applied index of the last Flush
  bool truncating_ = false;  // asked for the durable index
  std::function<void()> handed_over_;
  Queue<Persisting> persisting_;  // in the order of Append
  uint64_t idle_ticks_ = 0;       // since there was something to do
  bool quiescent_ = false;
  base::TimePoint refusal_logged_{};
};

}  // namespace keel::raft
