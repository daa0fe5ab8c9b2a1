// Deliberate bugs, to check the checkers: a test that no mutation can fail
// proves nothing. Each is a plausible mistake at one place in the code:
//
//   if (index <= commit_ || (index < term_start_ && !KEEL_MUTATION(kCommitOldTerm))) return;
//
// In every build but one KEEL_MUTATION is the constant false, and the compiler
// drops what depends on it; the names are still checked. Only with the CMake
// option KEEL_MUTATIONS (preset `mutations`, a folder of its own) one of them
// can be chosen while the program starts, by the environment variable
// KEEL_MUTATION=NAME or by SetMutation.
//
// docs/testing.md has the table of which check catches which mutation.
#pragma once

#include <cstdint>
#include <string_view>

// name, what goes wrong
#define KEEL_MUTATION_LIST(X)                                                                \
  /* raft/core */                                                                            \
  X(kCommitWithoutQuorum, "the leader commits what only it holds")                           \
  X(kCommitOldTerm, "an entry of an older term is committed by counting (figure 8)")         \
  X(kCountUnsyncedSelf, "the leader counts itself before its own disk is done")              \
  X(kCountLearners, "acknowledgements of learners count for the majority")                   \
  X(kJointOneMajority, "a joint configuration needs the incoming majority only")             \
  X(kVoteTwice, "a member votes for everyone who asks in a term")                            \
  X(kForgetVote, "the vote is forgotten on restart")                                         \
  X(kVoteForStaleLog, "a candidate whose log is behind gets votes")                          \
  X(kVoteBeforeDurable, "a vote is sent before it is durable")                               \
  X(kCampaignBeforeApply, "a member campaigns with a committed membership change unapplied") \
  X(kSkipLogMatching, "the term of the previous entry is not compared")                      \
  X(kKeepConflict, "a follower keeps its entries where they conflict with the leader's")     \
  X(kCutOnOverlap, "a late message cuts the log short though its entries are there")         \
  X(kAcknowledgeAll, "a follower acknowledges all its log, not what the leader sent")        \
  X(kCommitBeyondMatch, "a follower commits beyond what the message vouches for")            \
  X(kHeartbeatCommit, "heartbeats carry the commit index beyond what the peer matches")      \
  X(kAckBeforeDurable, "entries are acknowledged before they are durable")                   \
  X(kApplyUncommitted, "entries are handed out for apply before they are committed")         \
  X(kApplyUnsynced, "entries are handed out for apply before they are durable here")         \
  X(kReadWithoutQuorum, "a leader answers a read without asking a quorum")                   \
  X(kReadBeforeOwnTerm, "a new leader answers reads before it committed in its term")        \
  X(kReadOldRound, "an answer to an older heartbeat round confirms a read")                  \
  X(kLeaseTooLong, "a leader reads by its lease for longer than it holds")                   \
  X(kLeaseIgnoresTransfer, "the lease stands though leadership was transferred")             \
  X(kLeaseForgottenOnRestart, "a restarted member votes within a lease it granted")          \
  X(kTwoConfChanges, "a membership change is proposed while another is not applied")         \
  X(kConfAtAppend, "the leader counts by a membership change before it is committed")        \
  X(kConfNotTruncated, "a dropped membership change still blocks the next one")              \
  X(kSnapshotWithoutConf, "a restored snapshot leaves the configuration as it was")          \
  X(kIgnoreOwnRemoval, "a removed leader goes on as if it was a voter")                      \
  X(kStaleRejectRewinds, "a late refusal moves a peer's progress below what it matches")     \
  X(kTruncateKeepsDurable, "replaced entries still count as durable")                        \
  X(kSnapshotOverNewer, "a snapshot replaces a log that holds its last entry and more")      \
  X(kUnsyncedHardState, "a vote or term does not ask for an fsync")                          \
  /* raft/log, raft/driver */                                                                \
  X(kNoFsync, "the log writer does not sync")                                                \
  X(kSendBeforePersisted, "the driver sends what waits for the disk at once")                \
  X(kCheckpointWithoutVote, "a new segment starts without the hard state")                   \
  X(kIgnoreCorruption, "a damaged record inside the log is taken for its torn end")          \
  X(kKeepTornTail, "what lies behind a torn write is not wiped")                             \
  X(kTruncateUndurable, "the log is truncated past what the state machine has durable")      \
  X(kReadsAtWrongIndex, "a read does not wait for its index to be applied")                  \
  /* kvstore/mvcc, kvstore/apply */                                                          \
  X(kApplyTwice, "the applied index is stored one too low: an entry is applied twice")       \
  X(kRevisionNotStored, "the revision stored with the data is the one before")               \
  X(kTxnStaleCompare, "a transaction compares with the state before the running batch")      \
  X(kTxnManyRevisions, "each operation of a transaction takes a revision of its own")        \
  X(kCompactTooMuch, "compaction drops versions visible at the compacted revision")          \
  X(kCompactDropsEvents, "compaction drops the events of the compacted revision")            \
  X(kOldLeaseKeepsKey, "a key put under a new lease stays attached to the old one too")      \
  X(kRevokeManyRevisions, "the keys of a revoked lease go in revisions of their own")        \
  X(kForgetCheckpoint, "a checkpoint of a lease is not applied")                             \
  X(kGrantOnRevoke, "a key may be put under a lease that is revoked")                        \
  /* kvstore/server */                                                                       \
  X(kRenewKeepsCheckpoint, "a renewed lease keeps the remaining time of its checkpoint")     \
  X(kFollowerExpires, "a member that lost the lead goes on expiring leases")                 \
  X(kLeaseExpiresEarly, "a lease expires when half of its time is over")                     \
  X(kExpiryForgotten, "a renewed lease is never looked at again")                            \
  X(kJoinRunningRound, "a read joins a round of the read gate that has already been asked")  \
  X(kStaleReadView, "a read is served from the view of when it came in")                     \
  /* watch */                                                                                \
  X(kWatchGapAtHandover, "a watcher that catches up misses a revision when it goes live")    \
  X(kWatchDuplicates, "a watcher gets again what it has seen")                               \
  X(kWatchSplitsRevision, "events of one revision come in two responses")                    \
  X(kProgressTooEarly, "progress is told while a watcher is still behind")                   \
  X(kWatchGapAtReset, "a snapshot restored under a live watcher leaves a gap")               \
  X(kWatchStartOff, "a watch from the present misses the first revision after it")

namespace keel::base {

enum class Mutation : uint8_t {
#define KEEL_MUTATION_NAME(name, text) name,
  KEEL_MUTATION_LIST(KEEL_MUTATION_NAME)
#undef KEEL_MUTATION_NAME
      kNone
};

inline constexpr bool kMutationsBuilt =
#ifdef KEEL_MUTATIONS
    true;
#else
    false;
#endif

#ifdef KEEL_MUTATIONS

// Whether this is the one chosen; counts how often it was asked while it was.
bool MutationActive(Mutation mutation);
// "" chooses none. False when there is none of that name. Not while other threads run.
bool SetMutation(std::string_view name);
// How often the chosen one has taken effect.
uint64_t MutationHits();

#define KEEL_MUTATION(name) (::keel::base::MutationActive(::keel::base::Mutation::name))

#else

consteval bool MutationActive(Mutation) { return false; }
static_assert(!MutationActive(Mutation::kNone), "production code has no mutations");

#define KEEL_MUTATION(name) (::keel::base::MutationActive(::keel::base::Mutation::name))

#endif

}  // namespace keel::base
