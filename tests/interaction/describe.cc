#include "tests/interaction/describe.h"

#include "base/strings.h"

namespace keel::raft::testing {
namespace {

using base::StrCat;

const char* Name(MessageType type) {
  switch (type) {
    case MessageType::kPropose:
      return "propose";
    case MessageType::kAppend:
      return "append";
    case MessageType::kAppendResponse:
      return "append-response";
    case MessageType::kVote:
      return "vote";
    case MessageType::kVoteResponse:
      return "vote-response";
    case MessageType::kPreVote:
      return "pre-vote";
    case MessageType::kPreVoteResponse:
      return "pre-vote-response";
    case MessageType::kHeartbeat:
      return "heartbeat";
    case MessageType::kHeartbeatResponse:
      return "heartbeat-response";
    case MessageType::kSnapshot:
      return "snapshot";
    case MessageType::kReadIndex:
      return "read-index";
    case MessageType::kReadIndexResponse:
      return "read-index-response";
    case MessageType::kTimeoutNow:
      return "timeout-now";
    case MessageType::kTransferLeader:
      return "transfer-leader";
  }
  return "?";
}

std::string At(Index index, Term term) { return StrCat(index, "/", term); }

std::string Ids(const char* label, const std::vector<NodeId>& ids) {
  if (ids.empty()) return "";
  std::string text = StrCat(" ", label);
  for (NodeId id : ids) text += StrCat(" ", id);
  return text;
}

std::string List(const std::vector<Entry>& entries) {
  std::string text;
  for (const Entry& entry : entries) {
    if (!text.empty()) text += ", ";
    text += Describe(entry);
  }
  return text;
}

}  // namespace

std::string Describe(const Entry& entry) {
  // A proposal on its way to the leader has no place yet.
  std::string text = entry.index > 0 ? At(entry.index, entry.term) : "";
  if (entry.type == EntryType::kNormal) {
    return entry.data->empty() ? text : StrCat(text, " ", *entry.data);
  }
  const absl::StatusOr<ConfChange> change = DecodeConfChange(*entry.data);
  if (!change.ok()) return StrCat(text, " conf-change?");
  if (change->changes.empty()) return StrCat(text, " leave-joint");
  for (const ConfChangeSingle& single : change->changes) {
    const char* verb = single.type == ConfChangeSingle::Type::kAddVoter ? "voter"
                       : single.type == ConfChangeSingle::Type::kRemove ? "remove"
                                                                        : "learner";
    text += StrCat(" ", verb, " ", single.node);
  }
  return text;
}

std::string Describe(const Message& m) {
  std::string text = StrCat(m.from, " -> ", m.to, " ", Name(m.type));
  if (m.term != 0) text += StrCat(" term ", m.term);
  switch (m.type) {
    case MessageType::kAppend:
      text +=
          StrCat(" after ", At(m.index, m.log_term), " [", List(m.entries), "] commit ", m.commit);
      break;
    case MessageType::kPropose:
      text += " [";
      for (const Entry& entry : m.entries) {
        text += StrCat(&entry == m.entries.data() ? "" : ", ", Describe(entry).substr(1));
      }
      text += "]";
      break;
    case MessageType::kAppendResponse:
      text += m.reject ? StrCat(" rejects ", m.index, " hint ", At(m.reject_hint, m.log_term))
                       : StrCat(" has ", m.index);
      break;
    case MessageType::kVote:
    case MessageType::kPreVote:
      text += StrCat(" log ends ", At(m.index, m.log_term), m.context == 1 ? " by transfer" : "");
      break;
    case MessageType::kVoteResponse:
    case MessageType::kPreVoteResponse:
      text += m.reject ? " refused" : " granted";
      break;
    case MessageType::kHeartbeat:
      text += StrCat(" round ", m.context, " commit ", m.commit);
      break;
    case MessageType::kHeartbeatResponse:
      text += StrCat(" round ", m.context);
      break;
    case MessageType::kSnapshot:
      text += StrCat(" ", At(m.snapshot.index, m.snapshot.term), " ", Describe(m.snapshot.conf));
      break;
    case MessageType::kReadIndexResponse:
      text += m.reject ? std::string(" not the leader") : StrCat(" index ", m.index);
      break;
    case MessageType::kTransferLeader:
      text += StrCat(" to ", m.context);
      break;
    case MessageType::kReadIndex:
    case MessageType::kTimeoutNow:
      break;
  }
  return text;
}

std::string Describe(const ConfState& conf) {
  std::string text = Ids("voters", conf.voters) + Ids("outgoing", conf.voters_outgoing) +
                     Ids("learners", conf.learners) + Ids("learners-next", conf.learners_next) +
                     (conf.auto_leave ? " auto-leave" : "");
  return text.empty() ? "no members" : text.substr(1);
}

std::string Describe(const SoftState& state, Term term) {
  switch (state.role) {
    case Role::kLeader:
      return StrCat("leader of term ", term);
    case Role::kCandidate:
      return StrCat("candidate in term ", term);
    case Role::kPreCandidate:
      return StrCat("pre-candidate in term ", term);
    case Role::kFollower:
      break;
  }
  return StrCat("follower of ", state.leader == kNoNode ? "nobody" : StrCat(state.leader),
                " in term ", term);
}

std::string Describe(NodeId id, Term term, const Ready& ready, HardState* previous) {
  std::string text;
  if (ready.soft_state) text += StrCat(id, " is ", Describe(*ready.soft_state, term), "\n");
  if (ready.snapshot) {
    text += StrCat(id, " installs snapshot ", At(ready.snapshot->index, ready.snapshot->term), " ",
                   Describe(ready.snapshot->conf), "\n");
  }
  if (!ready.entries.empty()) text += StrCat(id, " appends ", List(ready.entries), "\n");
  if (ready.hard_state) {
    const HardState& hard = *ready.hard_state;
    if (hard.vote != kNoNode && (hard.vote != previous->vote || hard.term != previous->term)) {
      text += StrCat(id, " votes for ", hard.vote, " in term ", hard.term, "\n");
    }
    if (hard.commit != previous->commit) text += StrCat(id, " commits ", hard.commit, "\n");
    *previous = hard;
  }
  for (const ReadState& read : ready.reads) {
    text += StrCat(id, " may serve read ", read.context, " at ", read.index, "\n");
  }
  for (uint64_t context : ready.dropped_reads) text += StrCat(id, " drops read ", context, "\n");
  return text;
}

std::string Describe(const PeerProgress& peer) {
  const char* state = peer.state == PeerProgress::State::kProbe       ? "probe"
                      : peer.state == PeerProgress::State::kReplicate ? "replicate"
                                                                      : "snapshot";
  return StrCat(peer.id, peer.learner ? " (learner)" : "", " ", state, " match ", peer.match,
                " next ", peer.next);
}

}  // namespace keel::raft::testing
