// The vocabulary of Raft: what the core, its log, its transport and its driver
// hand to each other. Plain values; nothing here does I/O.
//
// Names are those of the Raft paper ("In Search of an Understandable Consensus
// Algorithm", extended version) and of etcd-io/raft.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace keel::raft {

using NodeId = uint64_t;  // A member's id. 0 (kNoNode) is no member.
using Term = uint64_t;    // Starts at 1; 0 is "before the first election".
using Index = uint64_t;   // Of a log entry, from 1; 0 is "before the first".

inline constexpr NodeId kNoNode = 0;

// One of many Raft groups in a process (raft::Host). A Node alone is kNoGroup.
using GroupId = uint64_t;
inline constexpr GroupId kNoGroup = 0;
inline constexpr GroupId kHostGroup = ~GroupId{0};  // of messages between the hosts themselves

// The bytes of an entry, encoded once where it was proposed and shared from
// there on by log, transport and apply. Never null in an entry; never changed.
using Payload = std::shared_ptr<const std::string>;

enum class EntryType : uint8_t {
  kNormal = 0,      // a proposal; empty for the one a new leader appends
  kConfChange = 1,  // an encoded ConfChange
};

struct Entry {
  Term term = 0;
  Index index = 0;
  EntryType type = EntryType::kNormal;
  Payload data;
};

// What must survive a crash besides the log (paper, figure 2).
struct HardState {
  Term term = 0;
  NodeId vote = kNoNode;
  Index commit = 0;

  bool operator==(const HardState&) const = default;
};

// Who takes part. `outgoing` is not empty only while a joint configuration is
// in force (paper, section 6): then majorities of both voters and
// voters_outgoing are needed. All sorted.
struct ConfState {
  std::vector<NodeId> voters;
  std::vector<NodeId> learners;
  std::vector<NodeId> voters_outgoing;
  std::vector<NodeId> learners_next;  // voters now, learners on leaving the joint configuration
  bool auto_leave = false;

  bool operator==(const ConfState&) const = default;
};

struct ConfChangeSingle {
  enum class Type : uint8_t { kAddVoter = 0, kRemove = 1, kAddLearner = 2 };
  Type type = Type::kAddVoter;
  NodeId node = kNoNode;
};

// One change of membership. Several changes at once, or a transition that is
// not kAuto, go through a joint configuration. An empty `changes` leaves it.
struct ConfChange {
  enum class Transition : uint8_t { kAuto = 0, kJointImplicit = 1, kJointExplicit = 2 };
  Transition transition = Transition::kAuto;
  std::vector<ConfChangeSingle> changes;
  std::string context;  // the user's; carried along
};

// Points at a snapshot of the state machine; the data travel beside Raft.
struct SnapshotMeta {
  Index index = 0;  // the last entry it covers
  Term term = 0;    // of that entry
  ConfState conf;   // as of that entry

  bool empty() const { return index == 0; }
};

enum class MessageType : uint8_t {
  kPropose = 0,  // a follower's proposals to the leader
  kAppend = 1,   // AppendEntries
  kAppendResponse = 2,
  kVote = 3,  // RequestVote
  kVoteResponse = 4,
  kPreVote = 5,  // thesis, section 9.6
  kPreVoteResponse = 6,
  kHeartbeat = 7,
  kHeartbeatResponse = 8,
  kSnapshot = 9,    // InstallSnapshot: the meta; the data go by a stream of their own
  kReadIndex = 10,  // a follower's ReadIndex to the leader (thesis, section 6.4)
  kReadIndexResponse = 11,
  kTimeoutNow = 12,      // leadership transfer (thesis, section 3.10)
  kTransferLeader = 13,  // a follower asks the leader to transfer
};

struct Message {
  MessageType type = MessageType::kAppend;
  NodeId from = kNoNode;
  NodeId to = kNoNode;
  Term term = 0;      // 0 only in kPropose, kReadIndex and kTransferLeader
  Index index = 0;    // kAppend: previous entry; responses: the last index the sender answers for
  Term log_term = 0;  // term of the entry at `index`
  std::vector<Entry> entries;
  Index commit = 0;  // a refused vote carries it too, with its term in log_term
  bool reject = false;
  Index reject_hint = 0;  // kAppendResponse with reject: fast backtracking (paper, end of 5.3)
  SnapshotMeta snapshot;  // kSnapshot
  uint64_t context = 0;   // kReadIndex, kReadIndexResponse: request id; kHeartbeat and its
                          // response: round; kVote, kPreVote: 1 when a transfer forces the
                          // campaign; kTransferLeader: the member to transfer to

  // For the driver; the core neither sets nor reads these.
  GroupId group = kNoGroup;
  bool quiesce = false;  // kHeartbeat: the leader stops ticking (see Host)
};

}  // namespace keel::raft
