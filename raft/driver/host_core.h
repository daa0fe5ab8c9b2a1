// The inside of Host: owns the log and the list of groups, hands messages out
// to them and collects theirs, ticks those that are awake, and keeps an eye on
// the other hosts.
//
// One turn of the loop takes what queued up for any of the groups, then sends
// everything they have to say at once.
//
// Everything on `loop`, but where said otherwise. Held by shared_ptr: tasks on
// the loops keep it alive.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "raft/driver/driver.h"
#include "raft/driver/host.h"

namespace keel::raft {

class HostCore final : public TransportHandler,
                       public GroupHost,
                       public std::enable_shared_from_this<HostCore> {
 public:
  HostCore(HostOptions options, Transport* transport);
  ~HostCore() override;

  // Blocks; before the loops matter.
  absl::Status Open();
  // First task on the loop.
  void Start();
  std::vector<GroupId> Groups() const { return log_->Groups(); }
  // The driver, not yet started.
  absl::StatusOr<std::shared_ptr<Driver>> OpenGroup(const GroupOptions& options,
                                                    StateMachine* state_machine);
  absl::Status RemoveGroup(GroupId group, absl::AnyInvocable<void()> done);
  HostCounters counters() const;
  SharedLogStats log_stats() const { return log_ ? log_->stats() : SharedLogStats{}; }
  // Nothing ticks, sends or is received any more.
  void Close();
  // Lets go of everything, the log's lock too; its groups refuse everything.
  void Halt();
  // Not on one of them.
  void StopOwnLoops();

  // For the groups' transports.
  void Enqueue(GroupId group, std::span<Message> messages);
  // Any thread.
  void Detach(GroupId group, const Driver* driver);
  Transport* transport() const { return transport_; }

  // GroupHost
  void ScheduleTurn(std::shared_ptr<Driver> driver) override;
  void Activate(std::shared_ptr<Driver> driver) override;
  void OnQuiesced() override { ++counters_.quiesced; }
  void OnResigned(GroupId group, const ConfState& members) override;
  bool Suspected(NodeId host) const override;

 private:
  // Another host.
  struct Peer {
    uint64_t heard_tick = 0;
    uint64_t epoch = 0;  // of its process; 0: not known yet
    bool suspected = false;
  };

  // TransportHandler
  void OnMessages(std::span<Message> messages) override;
  void OnUnreachable(NodeId peer) override;
  void OnSnapshotFiles(NodeId from, const Message& message, std::string dir) override;
  void OnUserMessage(NodeId from, std::string payload) override;

  void Heard(NodeId host);
  void OnHostMessage(const Message& message);
  void Refuse(const Message& message);
  void Tick();
  void SendHostHeartbeats();
  void SuspectSilentHosts();
  void HostChanged(NodeId host);
  void ScheduleRun();
  void Run();
  void Fail(absl::Status status);
  // By id: what is done in order must not depend on a hash.
  std::vector<std::shared_ptr<Driver>> Drivers() const;
  bool running() const { return started_ && !closed_; }

  const HostOptions options_;
  base::Loop* const loop_;
  Transport* const transport_;
  LogLoops log_loops_;
  std::unique_ptr<SharedLog> log_;
  absl::flat_hash_map<GroupId, std::shared_ptr<Driver>> groups_;
  std::vector<std::weak_ptr<Driver>> leaving_;  // off the list, but perhaps not closed yet
  std::map<NodeId, Peer> peers_;
  uint64_t epoch_ = 0;  // of this process

  bool started_ = false;
  bool closed_ = false;
  uint64_t ticks_ = 0;
  base::TimerId tick_timer_ = 0;
  base::TimePoint next_tick_{};
  std::vector<std::shared_ptr<Driver>> active_;  // those that tick
  std::vector<std::shared_ptr<Driver>> turns_;   // those that have something to do
  std::vector<Message> outgoing_;
  bool run_scheduled_ = false;
  HostCounters counters_;
  base::TimePoint refusal_logged_{};
};

}  // namespace keel::raft
