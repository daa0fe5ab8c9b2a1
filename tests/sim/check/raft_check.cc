#include "tests/sim/check/raft_check.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "base/strings.h"

namespace keel::sim {

using base::StrCat;
using raft::ConfState;
using raft::Entry;
using raft::Index;
using raft::kNoNode;
using raft::Message;
using raft::MessageType;
using raft::NodeId;
using raft::Role;
using raft::SnapshotMeta;
using raft::Term;

namespace {

uint64_t HashOf(const Entry& entry) {
  const uint64_t data = entry.data == nullptr ? 0 : std::hash<std::string>()(*entry.data);
  return data * 2 + static_cast<uint64_t>(entry.type);
}

std::string Nodes(const std::vector<NodeId>& nodes) {
  std::string text = "{";
  for (NodeId id : nodes) text += StrCat(text.size() == 1 ? "" : " ", id);
  return text + "}";
}

std::string ConfText(const ConfState& conf) {
  std::string text = Nodes(conf.voters);
  if (!conf.voters_outgoing.empty()) text += StrCat(" joint with ", Nodes(conf.voters_outgoing));
  if (!conf.learners.empty()) text += StrCat(" learners ", Nodes(conf.learners));
  return text;
}

// Whether any majority of `a` shares a member with any majority of `b`.
bool MajoritiesOverlap(const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
  std::vector<NodeId> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
  // The two that avoid each other best take what is not common first.
  const size_t of_a = a.size() / 2 + 1;
  const size_t of_b = b.size() / 2 + 1;
  const size_t alone_a = a.size() - common.size();
  const size_t alone_b = b.size() - common.size();
  const size_t shared_a = of_a > alone_a ? of_a - alone_a : 0;
  const size_t shared_b = of_b > alone_b ? of_b - alone_b : 0;
  return shared_a + shared_b > common.size();
}

// Each quorum of a joint configuration holds a majority of both of its halves:
// it is enough that one half of the one overlaps one half of the other.
bool QuorumsOverlap(const ConfState& a, const ConfState& b) {
  for (const std::vector<NodeId>* x : {&a.voters, &a.voters_outgoing}) {
    for (const std::vector<NodeId>* y : {&b.voters, &b.voters_outgoing}) {
      if (!x->empty() && !y->empty() && MajoritiesOverlap(*x, *y)) return true;
    }
  }
  return false;
}

}  // namespace

RaftChecker::RaftChecker(ConfState first) {
  if (!first.voters.empty()) confs_[0] = {std::move(first), kNoNode};
}

void RaftChecker::Fail(std::string rule, std::string text) {
  if (verdict_.ok()) {
    text = StrCat(rule, ": ", text);
    verdict_ = Verdict::Violation(std::move(rule), std::move(text));
  }
}

std::optional<Term> RaftChecker::TermAt(const Member& member, Index index) {
  if (index == member.base) return member.base_term;
  if (index < member.base || index > member.last()) return std::nullopt;
  return member.log[index - member.base - 1].term;
}

// Log matching by induction: an index and a term name one entry with one predecessor.
bool RaftChecker::CheckEntry(NodeId id, Index index, const Digest& digest, Term previous) {
  const auto [at, fresh] =
      entries_.emplace(std::pair(index, digest.term), Seen{digest.hash, previous, id});
  if (fresh) return true;
  if (at->second.hash != digest.hash) {
    Fail("log matching", StrCat("members ", at->second.by, " and ", id, " hold different entries ",
                                index, " of term ", digest.term));
    return false;
  }
  if (at->second.previous != previous) {
    Fail("log matching", StrCat("before entry ", index, " of term ", digest.term, " member ",
                                at->second.by, " held one of term ", at->second.previous,
                                ", member ", id, " one of term ", previous));
    return false;
  }
  return true;
}

void RaftChecker::OnAppend(NodeId id, std::span<const Entry> entries) {
  if (!verdict_.ok() || entries.empty()) return;
  Member& member = Get(id);
  const Index from = entries.front().index;
  if (from <= member.base || from > member.last() + 1) {
    return Fail("log without gaps", StrCat("member ", id, " appends entry ", from, " to a log of (",
                                           member.base, ", ", member.last(), "]"));
  }
  if (from <= member.last()) {
    if (member.role == Role::kLeader && member.term == entries.front().term) {
      return Fail("leader append-only", StrCat("member ", id, ", leader of term ", member.term,
                                               ", overwrites its entry ", from));
    }
    if (from <= member.commit) {
      return Fail("committed entries stay", StrCat("member ", id, " replaces entry ", from,
                                                   ", though it committed up to ", member.commit));
    }
    member.log.resize(from - member.base - 1);
    member.promised = std::min(member.promised, from - 1);
  }
  for (const Entry& entry : entries) {
    if (entry.index != member.last() + 1) {
      return Fail("log without gaps",
                  StrCat("member ", id, " appends entry ", entry.index, " after ", member.last()));
    }
    const Term previous = *TermAt(member, member.last());
    if (entry.term < previous) {
      return Fail("terms in a log never fall",
                  StrCat("member ", id, " appends entry ", entry.index, " of term ", entry.term,
                         " after one of term ", previous));
    }
    const Digest digest{entry.term, HashOf(entry)};
    if (!CheckEntry(id, entry.index, digest, previous)) return;
    if (const auto known = committed_.find(entry.index); known != committed_.end() &&
                                                         entry.term > known->second.in_term &&
                                                         member.role == Role::kLeader) {
      return Fail("leader completeness",
                  StrCat("member ", id, ", leader of term ", entry.term, ", makes a new entry ",
                         entry.index, ", though one of term ", known->second.digest.term,
                         " was committed there in term ", known->second.in_term));
    }
    member.log.push_back(digest);
  }
}

void RaftChecker::OnSnapshot(NodeId id, const SnapshotMeta& meta) {
  if (!verdict_.ok()) return;
  Member& member = Get(id);
  if (meta.index < member.commit && meta.index < member.applied) {
    return Fail("state never goes back", StrCat("member ", id, " takes a snapshot at ", meta.index,
                                                ", though it applied ", member.applied));
  }
  if (const auto known = committed_.find(meta.index); known == committed_.end()) {
    if (!committed_.empty() && meta.index > committed_.rbegin()->first) {
      return Fail("snapshots hold committed entries",
                  StrCat("member ", id, " takes a snapshot at ", meta.index,
                         ", but nothing is known to be committed beyond ", committed()));
    }
  } else if (known->second.digest.term != meta.term) {
    return Fail("state-machine safety",
                StrCat("member ", id, " takes a snapshot that ends in entry ", meta.index,
                       " of term ", meta.term, ", but the one committed there by member ",
                       known->second.by, " is of term ", known->second.digest.term));
  }
  if (member.promised > meta.index && TermAt(member, meta.index) == meta.term) {
    return Fail("durable before acknowledged",
                StrCat("member ", id, " drops entries up to ", member.promised,
                       ", which it acknowledged, for a snapshot at ", meta.index,
                       " that its log had reached"));
  }
  member.log.clear();
  member.base = meta.index;
  member.base_term = meta.term;
  member.applied = std::max(member.applied, meta.index);
  member.promised = std::min(member.promised, meta.index);
}

void RaftChecker::OnCompact(NodeId id, Index index) {
  if (!verdict_.ok()) return;
  Member& member = Get(id);
  if (index <= member.base) return;
  if (index > member.applied) {
    return Fail("only what is applied is compacted",
                StrCat("member ", id, " compacts up to ", index, ", but applied only up to ",
                       member.applied));
  }
  const std::optional<Term> term = TermAt(member, index);
  if (!term.has_value()) {
    return Fail("log without gaps", StrCat("member ", id, " compacts up to ", index,
                                           " a log that ends at ", member.last()));
  }
  const size_t gone = index - member.base;
  member.log.erase(member.log.begin(), member.log.begin() + static_cast<ptrdiff_t>(gone));
  member.base = index;
  member.base_term = *term;
}

void RaftChecker::NoteVote(NodeId id, Member& member, Term term, NodeId vote) {
  const auto [at, fresh] = member.votes.emplace(term, vote);
  if (!fresh && at->second != vote) {
    Fail("one vote a term", StrCat("in term ", term, " member ", id, " voted for ", at->second,
                                   " and then for ", vote));
  }
}

void RaftChecker::OnSent(const Message& m) {
  if (!verdict_.ok()) return;
  Member& member = Get(m.from);
  switch (m.type) {
    case MessageType::kVote:
      member.sent_term = std::max(member.sent_term, m.term);
      return NoteVote(m.from, member, m.term, m.from);
    case MessageType::kVoteResponse:
      if (m.reject) return;
      member.sent_term = std::max(member.sent_term, m.term);
      return NoteVote(m.from, member, m.term, m.to);
    case MessageType::kAppend:
    case MessageType::kHeartbeat:
    case MessageType::kSnapshot:
    case MessageType::kTimeoutNow: {
      member.sent_term = std::max(member.sent_term, m.term);
      const auto [at, fresh] = leaders_.emplace(m.term, m.from);
      if (!fresh && at->second != m.from) {
        Fail("election safety", StrCat("in term ", m.term, " both member ", at->second,
                                       " and member ", m.from, " speak as leader"));
      }
      return;
    }
    case MessageType::kAppendResponse:
      if (m.reject || m.index == 0) return;
      member.sent_term = std::max(member.sent_term, m.term);
      // An answer to an earlier leader that waited for the disk while the next
      // one replaced entries: the log it speaks of is not known here any more.
      if (m.term < member.term) return;
      if (m.index > member.last()) {
        return Fail("durable before acknowledged",
                    StrCat("member ", m.from, " acknowledges entries up to ", m.index,
                           ", but its log ends at ", member.last()));
      }
      member.promised = std::max(member.promised, m.index);
      // What it acknowledges is what its leader has there.
      if (const auto leader = members_.find(m.to); leader != members_.end()) {
        const Member& other = leader->second;
        if (!other.up || other.role != Role::kLeader || other.term != m.term) return;
        const std::optional<Term> theirs = TermAt(other, m.index);
        const std::optional<Term> mine = TermAt(member, m.index);
        if (theirs.has_value() && mine.has_value() && *theirs != *mine) {
          Fail("acknowledges what the leader has",
               StrCat("member ", m.from, " acknowledges entries up to ", m.index,
                      " to the leader of term ", m.term, ", but its entry there is of term ", *mine,
                      ", the leader's of term ", *theirs));
        }
      }
      return;
    default:
      return;  // binds nobody
  }
}

void RaftChecker::NoteCommitted(NodeId id, Member& member, Index upto, Term term) {
  for (Index index = std::max(member.commit, member.base) + 1; index <= upto; ++index) {
    const Digest& digest = member.log[index - member.base - 1];
    const auto [at, fresh] = committed_.emplace(index, Committed{digest, term, id});
    Committed& known = at->second;
    if (known.digest.term != digest.term || known.digest.hash != digest.hash) {
      return Fail(
          "committed entries stay",
          StrCat("member ", id, " commits entry ", index, " of term ", digest.term, ", but member ",
                 known.by, " committed one of term ", known.digest.term, " there"));
    }
    known.in_term = std::min(known.in_term, term);
  }
  // Leaders of later terms that are in office already must have it too.
  for (const auto& [other_id, other] : members_) {
    if (other_id == id || !other.up || other.role != Role::kLeader || other.term <= term) continue;
    CheckLeaderHas(other_id, other, upto);
  }
}

void RaftChecker::CheckLeaderHas(NodeId id, const Member& member, Index index) {
  const auto known = committed_.find(index);
  if (known == committed_.end() || known->second.in_term >= member.term || index <= member.base) {
    return;
  }
  const std::optional<Term> mine = TermAt(member, index);
  if (mine.has_value() && *mine == known->second.digest.term) return;
  Fail("leader completeness",
       StrCat("member ", id, " leads term ", member.term, " without entry ", index, " of term ",
              known->second.digest.term, ", which member ", known->second.by,
              " knew committed in term ", known->second.in_term,
              mine.has_value() ? StrCat("; it holds one of term ", *mine, " there")
                               : StrCat("; its log ends at ", member.last())));
}

void RaftChecker::OnStatus(const raft::Status& status) {
  if (!verdict_.ok()) return;
  const NodeId id = status.id;
  Member& member = Get(id);
  const Term term = status.hard_state.term;
  const Role role = status.soft_state.role;
  if (term < member.term) {
    return Fail("terms never fall",
                StrCat("member ", id, " goes from term ", member.term, " back to ", term));
  }
  const bool new_leader = role == Role::kLeader && (member.role != role || member.term != term);
  member.term = term;
  member.role = role;
  if (role == Role::kLeader) {
    const auto [at, fresh] = leaders_.emplace(term, id);
    if (at->second != id) {
      return Fail("election safety",
                  StrCat("term ", term, " has two leaders, members ", at->second, " and ", id));
    }
    // By log matching the last of what was committed before its term stands for all.
    if (new_leader) {
      for (auto known = committed_.rbegin(); known != committed_.rend(); ++known) {
        if (known->second.in_term >= term) continue;
        CheckLeaderHas(id, member, known->first);
        break;
      }
      if (!verdict_.ok()) return;
    }
  }
  const Index commit = status.hard_state.commit;
  if (commit < member.commit) {
    return Fail("commit never falls", StrCat("member ", id, "'s commit index goes from ",
                                             member.commit, " back to ", commit));
  }
  if (commit > member.last() && commit > member.base) {
    return Fail("commit within the log", StrCat("member ", id, " commits ", commit,
                                                ", but its log ends at ", member.last()));
  }
  if (commit > member.commit) {
    NoteCommitted(id, member, commit, term);
    member.commit = commit;
  }
  if (status.applied > commit) {
    return Fail(
        "only what is committed is applied",
        StrCat("member ", id, " applied ", status.applied, ", but committed only ", commit));
  }
}

void RaftChecker::OnApplied(NodeId id, const Entry& entry, uint64_t state_hash) {
  if (!verdict_.ok()) return;
  Member& member = Get(id);
  if (entry.index != member.applied + 1) {
    return Fail("applied in order",
                StrCat("member ", id, " applies entry ", entry.index, " after ", member.applied));
  }
  const Digest digest{entry.term, HashOf(entry)};
  const auto [at, fresh] = applied_.emplace(entry.index, AppliedState{digest, state_hash, id});
  AppliedState& known = at->second;
  if (known.digest.term != digest.term || known.digest.hash != digest.hash) {
    return Fail("state-machine safety",
                StrCat("at index ", entry.index, " member ", known.by, " applied an entry of term ",
                       known.digest.term, ", member ", id, " another one, of term ", entry.term));
  }
  if (known.state_hash == 0) known.state_hash = state_hash;
  if (state_hash != 0 && known.state_hash != state_hash) {
    return Fail("state-machine safety",
                StrCat("after entry ", entry.index, " members ", known.by, " and ", id,
                       " have different states: hashes ", known.state_hash, " and ", state_hash));
  }
  if (entry.index > member.commit) {
    const auto committed = committed_.find(entry.index);
    if (committed == committed_.end()) {
      return Fail("only what is committed is applied",
                  StrCat("member ", id, " applies entry ", entry.index,
                         ", which no member knows to be committed"));
    }
  }
  member.applied = entry.index;
}

void RaftChecker::OnConf(NodeId id, Index index, const ConfState& conf) {
  if (!verdict_.ok()) return;
  const auto [at, fresh] = confs_.emplace(index, Conf{conf, id});
  if (!(at->second.conf == conf)) {
    return Fail("one configuration an index",
                StrCat("after entry ", index, " member ", at->second.by, " has the configuration ",
                       ConfText(at->second.conf), ", member ", id, " has ", ConfText(conf)));
  }
  if (!fresh) return;
  const auto check = [&](const ConfState& before, const ConfState& after, Index where) {
    if (before.voters.empty() || QuorumsOverlap(before, after)) return;
    Fail("quorums overlap",
         StrCat("entry ", where, " changes the configuration ", ConfText(before), " to ",
                ConfText(after), ": there are quorums of both without a common member"));
  };
  if (at != confs_.begin()) check(std::prev(at)->second.conf, conf, index);
  if (const auto next = std::next(at); next != confs_.end()) {
    check(conf, next->second.conf, next->first);
  }
}

void RaftChecker::OnCrash(NodeId id) {
  Member& member = Get(id);
  member.up = false;
  member.role = Role::kFollower;
}

void RaftChecker::OnRestart(NodeId id, const raft::HardState& hard_state, const SnapshotMeta& base,
                            std::span<const Entry> entries, Index applied) {
  if (!verdict_.ok()) return;
  Member& member = Get(id);
  if (hard_state.term < member.sent_term) {
    return Fail("durable before acknowledged",
                StrCat("member ", id, " comes back in term ", hard_state.term,
                       ", though it spoke in term ", member.sent_term));
  }
  if (const auto vote = member.votes.find(hard_state.term);
      vote != member.votes.end() && hard_state.vote != vote->second) {
    return Fail("one vote a term",
                StrCat("member ", id, " comes back without its vote for ", vote->second,
                       " in term ", hard_state.term, "; it has ", hard_state.vote));
  }
  std::vector<Digest> log;
  Term previous = base.term;
  for (const Entry& entry : entries) {
    const Digest digest{entry.term, HashOf(entry)};
    if (entry.index != base.index + log.size() + 1) {
      return Fail("log without gaps", StrCat("member ", id, " comes back with entry ", entry.index,
                                             " after ", base.index + log.size()));
    }
    if (!CheckEntry(id, entry.index, digest, previous)) return;
    previous = entry.term;
    log.push_back(digest);
  }
  const Index last = base.index + log.size();
  if (last < member.promised) {
    return Fail("durable before acknowledged",
                StrCat("member ", id, " comes back with a log up to ", last,
                       ", though it acknowledged entries up to ", member.promised));
  }
  for (Index index = std::max(base.index, member.base) + 1; index <= member.promised; ++index) {
    const Digest& promised = member.log[index - member.base - 1];
    const Digest& there = log[index - base.index - 1];
    if (promised.term != there.term || promised.hash != there.hash) {
      return Fail("durable before acknowledged",
                  StrCat("member ", id, " comes back with entry ", index, " of term ", there.term,
                         ", though it acknowledged one of term ", promised.term));
    }
  }
  if (applied < base.index) {
    return Fail("nothing is lost between log and state",
                StrCat("member ", id, "'s state machine comes back at ", applied,
                       ", but its log starts after ", base.index));
  }
  member.up = true;
  member.base = base.index;
  member.base_term = base.term;
  member.log = std::move(log);
  member.role = Role::kFollower;
  member.term = hard_state.term;
  member.commit = 0;
  member.applied = applied;
}

void RaftChecker::OnWiped(NodeId id) { members_[id] = Member{.up = false}; }

}  // namespace keel::sim
