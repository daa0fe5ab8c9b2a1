#include "raft/core/read_queue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace keel::raft {

void LeaderReads::Start(uint64_t round, Index index) {
  KEEL_CHECK(waiting() && !running());
  running_.swap(waiting_);
  round_ = round;
  index_ = index;
}

std::vector<ReadRequest> LeaderReads::Confirm(uint64_t round, Index* index) {
  if (!running() || round < round_) return {};
  *index = index_;
  return std::exchange(running_, {});
}

std::vector<ReadRequest> LeaderReads::TakeWaiting() { return std::exchange(waiting_, {}); }

std::vector<ReadRequest> LeaderReads::TakeAll() {
  std::vector<ReadRequest> all = std::exchange(running_, {});
  all.insert(all.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  return all;
}

uint64_t FollowerReads::Send(uint64_t tick) {
  KEEL_CHECK(waiting());
  const uint64_t id = next_id_++;
  sent_.push_back(Batch{id, tick, std::exchange(waiting_, {})});
  return id;
}

std::vector<uint64_t> FollowerReads::Take(uint64_t id) {
  auto at = std::find_if(sent_.begin(), sent_.end(), [id](const Batch& b) { return b.id == id; });
  if (at == sent_.end()) return {};
  std::vector<uint64_t> contexts = std::move(at->contexts);
  sent_.erase(at);
  return contexts;
}

std::vector<uint64_t> FollowerReads::TakeOld(uint64_t tick) {
  std::vector<uint64_t> contexts;
  while (!sent_.empty() && sent_.front().tick <= tick) {
    const std::vector<uint64_t>& old = sent_.front().contexts;
    contexts.insert(contexts.end(), old.begin(), old.end());
    sent_.erase(sent_.begin());
  }
  return contexts;
}

std::vector<uint64_t> FollowerReads::TakeAll() {
  std::vector<uint64_t> contexts;
  for (Batch& batch : sent_) {
    contexts.insert(contexts.end(), batch.contexts.begin(), batch.contexts.end());
  }
  sent_.clear();
  contexts.insert(contexts.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  return contexts;
}

void RoundClock::Mark(uint64_t round, uint64_t tick, uint64_t horizon) {
  if (marks_.empty() || marks_.back().tick != tick) marks_.push_back({round, tick});
  auto keep = std::find_if(marks_.begin(), marks_.end(),
                           [&](const FirstOfTick& mark) { return mark.tick + horizon >= tick; });
  marks_.erase(marks_.begin(), keep);
}

uint64_t RoundClock::SentAt(uint64_t round) const {
  uint64_t tick = 0;
  for (const FirstOfTick& mark : marks_) {
    if (mark.round > round) break;
    tick = mark.tick;
  }
  return tick;
}

}  // namespace keel::raft
