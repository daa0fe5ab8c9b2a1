// The inside of Raft (internal to raft/core). One class, one file of code for
// each part of the protocol:
//
//   raft.cc         construction, the public surface, status
//   step.cc         a message comes in: terms first, then by type
//   validate.cc     what is refused before anything changes
//   election.cc     ticks, roles, campaigns, votes (paper 5.2, 5.4.1; thesis 9.6)
//   replication.cc  the leader's side of the log (5.3, 5.4.2)
//   follower.cc     the follower's side of the log, snapshots (5.3, 7)
//   membership.cc   changes of configuration (6)
//   transfer.cc     handing over leadership (thesis 3.10)
//   reads.cc        linearizable reads and the lease (thesis 6.4)
//   ready.cc        outputs, durability, apply
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "raft/core/entry_log.h"
#include "raft/core/progress.h"
#include "raft/core/queue.h"
#include "raft/core/quorum.h"
#include "raft/core/raft.h"
#include "raft/core/read_queue.h"
#include "raft/core/spares.h"

namespace keel::raft {

class Raft::Impl {
 public:
  Impl(Config config, LogView* log, HardState hard_state, ConfState conf, Index applied);

  // The public surface; see Raft.
  void Tick();
  absl::Status Step(Message message);
  absl::Status Propose(std::span<Payload> data);
  absl::Status ProposeConfChange(const ConfChange& change);
  ConfState ApplyConfChange(const ConfChange& change);
  absl::Status ReadIndex(uint64_t context);
  void Campaign();
  absl::Status TransferLeadership(NodeId to);
  bool HasReady();
  Ready TakeReady();
  void Persisted(uint64_t ready_id);
  void Applied(Index index);
  void Recycle(Ready ready);
  Message SpareMessage();
  void ReportUnreachable(NodeId peer);
  void ReportSnapshot(NodeId peer, SnapshotStatus status);
  Status GetStatus() const;

  NodeId id() const { return config_.id; }
  Term term() const { return term_; }
  Role role() const { return role_; }
  NodeId leader() const { return leader_; }
  Index commit() const { return commit_; }
  Index applied() const { return applied_; }

 private:
  // A Ready on its way to disk.
  struct HandedOut {
    uint64_t id = 0;
    Term term = 0;
    NodeId vote = kNoNode;
    bool must_sync = false;
    uint64_t tick = 0;
  };
  struct Vote {
    NodeId from = kNoNode;
    bool granted = false;
  };

  // raft.cc
  Quorum VotersQuorum() const { return {conf_.voters, conf_.voters_outgoing}; }
  Progress* Peer(NodeId id);
  const Progress* Peer(NodeId id) const;
  bool IsSoleVoter() const;
  void FindConfEntries();

  // validate.cc
  absl::Status Validate(const Message& m) const;
  absl::Status ValidateEntries(const Message& m) const;
  absl::Status ValidateAppend(const Message& m) const;

  // step.cc
  absl::Status StepValid(Message& m);
  absl::Status StepLowerTerm(const Message& m);
  void StepHigherTerm(const Message& m);
  absl::Status StepLeader(Message& m);
  absl::Status StepFromLeader(Message& m);
  Message NewMessage(MessageType type, NodeId to) const;
  void Send(Message m);               // at once
  void SendWhenPersisted(Message m);  // when all before it is durable

  // election.cc
  void TickElection();
  void TickLeader();
  void Reset(Term term);
  void SetLeader(NodeId leader);
  void BecomeFollower(Term term, NodeId leader);
  void BecomePreCandidate();
  void BecomeCandidate();
  void BecomeLeader();
  bool Promotable() const;
  bool InLease() const;
  void Hup(bool transfer);
  void StartElection(bool pre, bool transfer);
  void RecordVote(NodeId from, bool granted);
  void CountVotes();
  void HandleVoteRequest(const Message& m);
  void HandleVoteResponse(const Message& m);
  void Refuse(Message* answer) const;
  void LearnCommit(const Message& refusal);
  bool HasUnappliedConf() const {
    return !conf_entries_.empty() && conf_entries_.front() <= commit_;
  }
  bool QuorumActive() const;
  bool DiskStalled() const;

  // replication.cc
  absl::Status AppendProposals(std::vector<Entry>& entries);
  absl::Status CheckConfEntry(const Entry& entry) const;
  void AppendOwn(EntryType type, Payload data);
  // Leaves the elements of `entries` empty.
  absl::Status ProposeEntries(std::vector<Entry>& entries);
  void FlushForwards();
  bool MaybeCommit();
  void SetCommit(Index index);
  void SendAppends();
  void SendAppendsTo(Progress& peer);
  bool SendAppend(Progress& peer, bool with_entries);
  void SendSnapshot(Progress& peer);
  void HandleAppendResponse(const Message& m, Progress& peer);
  void HandleHeartbeatResponse(const Message& m, Progress& peer);
  void BroadcastHeartbeat(bool voters_only);

  // follower.cc
  void HandleAppend(Message& m);
  void HandleHeartbeat(const Message& m);
  void HandleSnapshot(Message& m);
  void Acknowledge(NodeId to, Index index);
  void NoteConfEntries(const std::vector<Entry>& entries);

  // membership.cc
  void SwitchConf(ConfState conf);
  void MaybeAutoLeave();
  void LeaveOffice();
  void MaybeRetire();

  // transfer.cc
  absl::Status StartTransfer(NodeId to);
  void AbortTransfer();
  void SendTimeoutNow(NodeId to);
  NodeId BestVoter() const;

  // reads.cc
  absl::Status AddLeaderRead(ReadRequest request);
  void FlushReads();
  void AnswerReads(const std::vector<ReadRequest>& requests, Index index);
  void ConfirmReads();
  void DropReads();
  void DropReads(const std::vector<uint64_t>& contexts);
  void HandleReadIndexResponse(const Message& m);
  uint64_t QuorumRound() const;
  bool LeaseValid() const;

  // ready.cc
  void Flush();
  HardState CurrentHardState() const { return {term_, vote_, commit_}; }
  SoftState CurrentSoftState() const { return {leader_, role_}; }
  Index Appliable() const;
  bool HasCommitted() const;
  void TakeCommitted(Ready* ready);

  const Config config_;
  LogView* const view_;
  EntryLog log_;

  // Persistent state (paper, figure 2).
  Term term_ = 0;
  NodeId vote_ = kNoNode;
  Index commit_ = 0;

  Index handed_committed_ = 0;  // the end of what Ready::committed has handed out
  Index applied_ = 0;
  ConfState conf_;
  // Indexes of kConfChange entries in the log that are not yet applied, ascending.
  std::deque<Index> conf_entries_;

  Role role_ = Role::kFollower;
  NodeId leader_ = kNoNode;
  uint64_t ticks_ = 1;  // since the start; 0 means never
  uint64_t election_elapsed_ = 0;
  uint64_t heartbeat_elapsed_ = 0;
  uint64_t election_timeout_ = 0;  // randomised, in ticks
  uint64_t no_votes_until_ = 0;    // tick; lease reads: peers may still trust our promise
  std::vector<Vote> votes_;

  // A leader's state.
  std::vector<Progress> peers_;  // of every member, itself included; by id
  Index term_start_ = 0;         // index of the first entry of this term
  uint64_t uncommitted_bytes_ = 0;
  NodeId transferee_ = kNoNode;
  bool transfer_sent_ = false;
  Index retire_index_ = 0;   // not 0: no voter any more since this was committed
  bool lease_void_ = false;  // a kTimeoutNow was sent in this term: its election ignores leases
  uint64_t round_ = 0;       // heartbeat rounds of this term
  RoundClock rounds_;
  LeaderReads leader_reads_;

  // A follower's state.
  Index acknowledged_ = 0;  // the highest index acknowledged to this leader
  FollowerReads follower_reads_;
  std::vector<Entry> forward_;  // proposals for the leader

  // Outputs for the next Ready.
  uint64_t next_ready_id_ = 1;
  Queue<HandedOut> handed_out_;
  HardState last_hard_state_;
  SoftState last_soft_state_;
  std::vector<Message> messages_;
  std::vector<Message> persisted_messages_;
  std::vector<ReadState> reads_;
  std::vector<uint64_t> dropped_reads_;

  uint64_t refused_messages_ = 0;
  Spares spares_;
  std::vector<Entry> proposals_;  // of the call at hand; kept for its memory
};

// The largest term and index taken from a peer: leaves room to count on without overflow.
inline constexpr uint64_t kMaxTermOrIndex = uint64_t{1} << 62;

}  // namespace keel::raft
