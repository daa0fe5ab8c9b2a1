// The follower's side of the log: paper 5.3; snapshots: paper 7.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutation.h"
#include "raft/core/confchange.h"
#include "raft/core/raft_impl.h"

namespace keel::raft {

void Raft::Impl::NoteConfEntries(const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    if (entry.type == EntryType::kConfChange) conf_entries_.push_back(entry.index);
  }
}

void Raft::Impl::Acknowledge(NodeId to, Index index) {
  acknowledged_ = std::max(acknowledged_, index);
  // Acknowledgements add up: one for all that arrived since the last Ready.
  if (!persisted_messages_.empty()) {
    Message& last = persisted_messages_.back();
    if (last.type == MessageType::kAppendResponse && !last.reject && last.to == to &&
        last.term == term_) {
      last.index = std::max(last.index, index);
      return;
    }
  }
  Message m = NewMessage(MessageType::kAppendResponse, to);
  m.index = index;
  if (KEEL_MUTATION(kAckBeforeDurable)) return Send(std::move(m));
  SendWhenPersisted(std::move(m));
}

void Raft::Impl::HandleAppend(Message& m) {
  // A snapshot is on its way to disk; the leader probes again when told it is there.
  if (log_.restoring()) return;
  const Index last_new = m.index + m.entries.size();
  if (m.index < commit_) {
    if (last_new <= commit_) {
      Acknowledge(m.from, commit_);
      return;
    }
    // What is committed is the same in both logs (and may be compacted here):
    // the logs meet at `commit_` at the latest.
    m.entries.erase(m.entries.begin(),
                    m.entries.begin() + static_cast<ptrdiff_t>(commit_ - m.index));
    m.index = commit_;
  } else if (conf_.voters.empty() ||
             !(log_.Matches(m.index, m.log_term) ||
               (KEEL_MUTATION(kSkipLogMatching) && m.index <= log_.last_index()))) {
    // A member that joins has no configuration. The one that the entries build
    // on comes with a snapshot only, so it refuses entries from index 0 on too.
    const auto [hint, hint_term] = log_.ConflictByTerm(m.index, m.log_term);
    Message answer = NewMessage(MessageType::kAppendResponse, m.from);
    answer.index = m.index;
    answer.reject = true;
    answer.reject_hint = hint;
    answer.log_term = hint_term;
    Send(std::move(answer));  // claims nothing that a disk would have to hold
    return;
  }
  // Entries already here stay: a message overtaken by a later one must not cut the log short.
  auto fresh = std::find_if(m.entries.begin(), m.entries.end(), [this](const Entry& entry) {
    if (KEEL_MUTATION(kCutOnOverlap)) return true;
    if (KEEL_MUTATION(kKeepConflict) && entry.index <= log_.last_index()) return false;
    return !log_.Matches(entry.index, entry.term);
  });
  if (fresh != m.entries.end()) {
    KEEL_CHECK(fresh->index > commit_, "index=", fresh->index, " commit=", commit_);
    m.entries.erase(m.entries.begin(), fresh);
    const Index from = m.entries.front().index;
    while (!conf_entries_.empty() && conf_entries_.back() >= from &&
           !KEEL_MUTATION(kConfNotTruncated)) {
      conf_entries_.pop_back();
    }
    NoteConfEntries(m.entries);
    log_.Replace(std::move(m.entries));
  }
  const Index commit = commit_;
  SetCommit(std::min(m.commit, KEEL_MUTATION(kCommitBeyondMatch) ? log_.last_index() : last_new));
  // Mere news of the commit index need no answer: the entries were acknowledged
  // before. Should that have been lost, the leader's ping brings no news and is answered.
  if (m.entries.empty() && commit_ > commit && last_new <= acknowledged_) return;
  Acknowledge(m.from, KEEL_MUTATION(kAcknowledgeAll) ? log_.last_index() : last_new);
}

void Raft::Impl::HandleHeartbeat(const Message& m) {
  // A commit beyond this log means that this log was set back; the answer says so.
  if (m.commit <= log_.last_index()) SetCommit(m.commit);
  Message answer = NewMessage(MessageType::kHeartbeatResponse, m.from);
  answer.context = m.context;
  answer.index = log_.last_index();
  Send(std::move(answer));
}

void Raft::Impl::HandleSnapshot(Message& m) {
  const Index index = m.snapshot.index;
  if (index > commit_) {
    // A member that joins needs the snapshot for its configuration in any case.
    if (conf_.voters.empty() || !log_.Matches(index, m.snapshot.term) ||
        KEEL_MUTATION(kSnapshotOverNewer)) {
      log_.Restore(std::move(m.snapshot));
      conf_entries_.clear();
      handed_committed_ = index;
    }
    SetCommit(index);
  }
  Acknowledge(m.from, commit_);
}

}  // namespace keel::raft
