#include "raft/core/progress.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutation.h"

namespace keel::raft {

bool Progress::Advance(Index index) {
  next = std::max(next, index + 1);
  if (index <= match) return false;
  match = index;
  return true;
}

bool Progress::Retreat(Index rejected, Index hint) {
  if (state == State::kReplicate) {
    // Whatever is at or below match is known to be there: the answer was overtaken.
    if (rejected <= match && !KEEL_MUTATION(kStaleRejectRewinds)) return false;
    BecomeProbe();
    if (KEEL_MUTATION(kStaleRejectRewinds)) next = std::min(rejected, hint + 1);
    return true;
  }
  // While probing only the newest probe counts.
  if (next - 1 != rejected) return false;
  next = std::max(std::min(rejected, hint + 1), match + 1);
  probe_sent = false;
  return true;
}

void Progress::BecomeProbe() {
  next = state == State::kSnapshot ? std::max(match, pending_snapshot) + 1 : match + 1;
  state = State::kProbe;
  probe_sent = false;
  pending_snapshot = 0;
  ping = false;
  window.Clear();
}

void Progress::BecomeReplicate() {
  state = State::kReplicate;
  needs_snapshot = false;
  probe_sent = false;
  pending_snapshot = 0;
  next = match + 1;
  window.Clear();
}

void Progress::BecomeSnapshot(Index snapshot_index) {
  state = State::kSnapshot;
  probe_sent = false;
  ping = false;
  pending_snapshot = snapshot_index;
  window.Clear();
}

void Progress::Sent(Index last, uint64_t bytes) {
  KEEL_CHECK(last + 1 >= next, "last=", last, " next=", next);
  if (state == State::kProbe) {
    probe_sent = true;
    return;
  }
  KEEL_CHECK(state == State::kReplicate);
  if (last >= next) window.Add(last, bytes);
  next = last + 1;
  ping = false;
}

void Progress::Reset(Index next_index) {
  state = State::kProbe;
  match = 0;
  next = next_index;
  pending_snapshot = 0;
  probe_sent = false;
  recently_active = false;
  needs_snapshot = false;
  ping = false;
  ping_tick = 0;
  sent_commit = 0;
  acked_round = 0;
  told_round = 0;
  match_round = 0;
  window.Clear();
}

PeerProgress Progress::View() const {
  return PeerProgress{.id = id,
                      .state = state,
                      .match = match,
                      .next = next,
                      .recently_active = recently_active,
                      .learner = learner};
}

}  // namespace keel::raft
