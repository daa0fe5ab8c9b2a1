// What a message must look like before any of it is believed. Everything here
// leaves the state as it is, so a refused message changes nothing.
#include "base/check.h"
#include "base/status.h"
#include "raft/core/confchange.h"
#include "raft/core/raft_impl.h"

namespace keel::raft {
namespace {

absl::Status Invalid(const char* what, uint64_t value) {
  return absl::InvalidArgumentError(base::StrCat("raft message refused: ", what, " (", value, ")"));
}

bool IsLocalTerm(MessageType type) {
  return type == MessageType::kPropose || type == MessageType::kReadIndex ||
         type == MessageType::kTransferLeader;
}

bool ComesFromLeader(MessageType type) {
  return type == MessageType::kAppend || type == MessageType::kHeartbeat ||
         type == MessageType::kSnapshot;
}

}  // namespace

absl::Status Raft::Impl::Validate(const Message& m) const {
  if (m.type > MessageType::kTransferLeader) return Invalid("unknown type", uint64_t(m.type));
  if (m.to != id()) return Invalid("it is for another member", m.to);
  if (m.from == kNoNode || m.from == id()) return Invalid("sender", m.from);
  if (m.term > kMaxTermOrIndex) return Invalid("term out of range", m.term);
  if (IsLocalTerm(m.type) != (m.term == 0)) return Invalid("term does not fit the type", m.term);
  if (m.index > kMaxTermOrIndex) return Invalid("index out of range", m.index);
  if (m.commit > kMaxTermOrIndex) return Invalid("commit out of range", m.commit);
  if (m.reject_hint > kMaxTermOrIndex) return Invalid("hint out of range", m.reject_hint);
  if (m.type == MessageType::kAppend || m.type == MessageType::kPropose) {
    KEEL_RETURN_IF_ERROR(ValidateEntries(m));
  } else if (!m.entries.empty()) {
    return Invalid("entries in a message without any", m.entries.size());
  }
  if (ComesFromLeader(m.type) && m.term == term_) {
    // Election safety (paper, 5.2): at most one leader a term.
    if (role_ == Role::kLeader) return Invalid("two leaders in term", m.term);
    if (leader_ != kNoNode && leader_ != m.from) return Invalid("two leaders in term", m.term);
  }
  switch (m.type) {
    case MessageType::kAppend:
      return ValidateAppend(m);
    case MessageType::kAppendResponse:
    case MessageType::kHeartbeatResponse:
      if (m.term != term_ || role_ != Role::kLeader) return absl::OkStatus();
      if (m.type == MessageType::kAppendResponse && m.index > log_.last_index()) {
        return Invalid("answer for an entry never sent", m.index);
      }
      if (m.type == MessageType::kHeartbeatResponse && m.context > round_) {
        return Invalid("answer to a heartbeat never sent", m.context);
      }
      return absl::OkStatus();
    case MessageType::kSnapshot: {
      const SnapshotMeta& meta = m.snapshot;
      if (meta.index == 0 || meta.index > kMaxTermOrIndex) return Invalid("snapshot", meta.index);
      if (meta.term == 0 || meta.term > m.term) return Invalid("snapshot's term", meta.term);
      return CheckConf(meta.conf);
    }
    case MessageType::kVoteResponse:
    case MessageType::kPreVoteResponse:
      if (m.log_term > m.term || (m.commit > 0 && m.log_term == 0)) {
        return Invalid("term of a commit", m.log_term);
      }
      return absl::OkStatus();
    case MessageType::kVote:
    case MessageType::kPreVote:
      if (m.log_term >= m.term) return Invalid("candidate's last term", m.log_term);
      return absl::OkStatus();
    default:
      return absl::OkStatus();
  }
}

absl::Status Raft::Impl::ValidateEntries(const Message& m) const {
  const bool append = m.type == MessageType::kAppend;
  if (!append && m.entries.empty()) return Invalid("no proposals", 0);
  Index index = m.index;
  Term term = m.log_term;
  for (const Entry& entry : m.entries) {
    if (entry.data == nullptr) return Invalid("entry without data", entry.index);
    if (entry.type > EntryType::kConfChange) return Invalid("entry type", uint64_t(entry.type));
    if (entry.type == EntryType::kConfChange) {
      KEEL_RETURN_IF_ERROR(DecodeConfChange(*entry.data).status());
    }
    if (!append) continue;
    if (entry.index != ++index) return Invalid("gap at entry", entry.index);
    if (entry.term == 0 || entry.term < term || entry.term > m.term) {
      return Invalid("entry's term", entry.term);
    }
    term = entry.term;
  }
  return absl::OkStatus();
}

absl::Status Raft::Impl::ValidateAppend(const Message& m) const {
  if ((m.index == 0) != (m.log_term == 0) || m.log_term > m.term) {
    return Invalid("previous entry's term", m.log_term);
  }
  if (m.term < term_) return absl::OkStatus();
  // State machine safety (paper, 5.4.3): a committed entry never changes.
  for (const Entry& entry : m.entries) {
    if (entry.index > commit_) break;
    const absl::StatusOr<Term> mine = log_.TermAt(entry.index);
    if (mine.ok() && *mine != entry.term) {
      return Invalid("conflict with a committed entry", entry.index);
    }
  }
  return absl::OkStatus();
}

}  // namespace keel::raft
