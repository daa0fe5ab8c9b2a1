// The safety properties of Raft (paper, figure 3; thesis 4), checked while a
// cluster runs. Every hook is cheap: work in proportion to what is new.
//
//   RaftChecker checker;
//   checker.OnAppend(1, ready.entries);        // with every Ready, as it is taken
//   checker.OnStatus(raft.GetStatus());        // then, with no Ready left to take
//   checker.OnSent(message);                   // every message that leaves a member
//   checker.OnApplied(1, entry, state_hash);   // after the state machine took it
//   checker.OnRestart(1, hard_state, base, entries);   // what a member came back with
//   if (!checker.verdict().ok()) stop(checker.verdict().text);
//
// One checker a group. The first violation stays; later hooks then do nothing.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "raft/core/raft.h"
#include "tests/sim/check/verdict.h"

namespace keel::sim {

class RaftChecker {
 public:
  // The configuration of the members that start a cluster.
  explicit RaftChecker(raft::ConfState first = {});

  // The member took these into its log (Ready::entries, durable or not): an entry at an index
  // already there replaces it and all after it. In the order of Ready: snapshot, then entries.
  // Rules: leader append-only, log matching, committed entries stay.
  void OnAppend(raft::NodeId member, std::span<const raft::Entry> entries);
  // A snapshot replaced its whole log.
  void OnSnapshot(raft::NodeId member, const raft::SnapshotMeta& meta);
  // Its log's entries up to `index` are gone, compacted.
  void OnCompact(raft::NodeId member, raft::Index index);

  // A message left the member, so its promises bind now. Rules: one vote a term; one
  // leader a term speaks; nothing acknowledged that its log does not hold, or that the
  // leader's log holds otherwise.
  void OnSent(const raft::Message& message);

  // REQUIRES: all Readys so far were taken and given to OnSnapshot and OnAppend.
  // Rules: election safety, leader completeness, commit monotone and within the
  // log, term monotone, applied never above commit.
  void OnStatus(const raft::Status& status);

  // The member applied the entry. `state_hash` of its state machine after it; 0: not known.
  // Rules: in order without gap; state-machine safety (same entry and same hash at the
  // same index on every member); applied only what is committed.
  void OnApplied(raft::NodeId member, const raft::Entry& entry, uint64_t state_hash = 0);
  // The configuration in force on the member after it applied `index`. Rules: the same on
  // every member; any quorum of one overlaps any quorum of the next.
  void OnConf(raft::NodeId member, raft::Index index, const raft::ConfState& conf);

  // The member crashed: what it had not promised may be lost.
  void OnCrash(raft::NodeId member);
  // It came back with this: entries (base.index, ...] and, at `base`, the end of what is
  // compacted. `applied`: where its state machine goes on. Rules: durable before
  // acknowledged (all that it promised is there), term and vote not forgotten.
  void OnRestart(raft::NodeId member, const raft::HardState& hard_state,
                 const raft::SnapshotMeta& base, std::span<const raft::Entry> entries,
                 raft::Index applied);
  // Its disk was wiped or corrupted on purpose: its promises are void.
  void OnWiped(raft::NodeId member);

  const Verdict& verdict() const { return verdict_; }
  raft::Index committed() const { return committed_.empty() ? 0 : committed_.rbegin()->first; }

 private:
  struct Digest {
    raft::Term term = 0;
    uint64_t hash = 0;
  };
  struct Committed {
    Digest digest;
    raft::Term in_term = 0;  // the lowest term in which a member knew it committed
    raft::NodeId by = raft::kNoNode;
  };
  struct AppliedState {
    Digest digest;
    uint64_t state_hash = 0;
    raft::NodeId by = raft::kNoNode;
  };
  struct Member {
    bool up = true;
    // The log: entries after base.
    raft::Index base = 0;
    raft::Term base_term = 0;
    std::vector<Digest> log;
    raft::Term term = 0;
    raft::Role role = raft::Role::kFollower;
    raft::Index commit = 0;
    raft::Index applied = 0;
    // Promises: what messages have said.
    raft::Term sent_term = 0;
    std::map<raft::Term, raft::NodeId> votes;
    raft::Index promised = 0;  // acknowledged, and not replaced since

    raft::Index last() const { return base + log.size(); }
  };
  struct Conf {
    raft::ConfState conf;
    raft::NodeId by = raft::kNoNode;
  };

  void Fail(std::string rule, std::string text);
  Member& Get(raft::NodeId id) { return members_[id]; }
  // Empty when the index is compacted or beyond the end.
  static std::optional<raft::Term> TermAt(const Member& member, raft::Index index);
  bool CheckEntry(raft::NodeId id, raft::Index index, const Digest& digest, raft::Term previous);
  void NoteCommitted(raft::NodeId id, Member& member, raft::Index upto, raft::Term term);
  void CheckLeaderHas(raft::NodeId id, const Member& member, raft::Index index);
  void NoteVote(raft::NodeId id, Member& member, raft::Term term, raft::NodeId vote);

  Verdict verdict_;
  std::map<raft::NodeId, Member> members_;
  std::map<raft::Term, raft::NodeId> leaders_;
  // (index, term) → what it holds and the term of the one before: log matching by induction.
  struct Seen {
    uint64_t hash = 0;
    raft::Term previous = 0;
    raft::NodeId by = raft::kNoNode;
  };
  std::map<std::pair<raft::Index, raft::Term>, Seen> entries_;
  std::map<raft::Index, Committed> committed_;
  std::map<raft::Index, AppliedState> applied_;
  std::map<raft::Index, Conf> confs_;
};

}  // namespace keel::sim
