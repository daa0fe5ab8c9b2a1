#include "kvstore/server/proposals.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "base/strings.h"
#include "kvstore/server/errors.h"

namespace keel::kvstore {

using google::protobuf::io::CodedOutputStream;

namespace {

// In the order in which they were proposed: a hash table has none.
template <typename T>
std::vector<std::pair<uint64_t, T>>& ById(std::vector<std::pair<uint64_t, T>>& items) {
  std::sort(items.begin(), items.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return items;
}

// std::copy from char to uint8_t goes byte by byte.
uint8_t* WriteBytes(std::string_view bytes, uint8_t* to) {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

}  // namespace

Proposals::Proposals(ServerContext* context)
    : context_(context), ids_(context->member_id, context->unix_ms()) {}

std::string Proposals::Encode(uint64_t id, CommandField field, std::string_view request,
                              uint64_t only_in_term, const Caller* caller) const {
  // keel.kv.Command: id (1), proposer (2), user (3) and auth_revision (4), the request as the
  // client encoded it.
  std::string out;
  const size_t term_bytes =
      only_in_term == 0 ? 0 : 2 + CodedOutputStream::VarintSize64(only_in_term);
  const bool named = caller != nullptr && caller->revision != 0;
  const size_t caller_bytes = !named ? 0
                                     : 2 + CodedOutputStream::VarintSize64(caller->user.size()) +
                                           caller->user.size() +
                                           CodedOutputStream::VarintSize64(caller->revision);
  const auto request_tag = static_cast<uint32_t>(field) << 3 | 2;
  out.resize(1 + CodedOutputStream::VarintSize64(id) + term_bytes + caller_bytes + 1 +
             CodedOutputStream::VarintSize64(context_->member_id) +
             CodedOutputStream::VarintSize32(request_tag) +
             CodedOutputStream::VarintSize64(request.size()) + request.size());
  auto* to = reinterpret_cast<uint8_t*>(out.data());
  *to++ = 1 << 3;
  to = CodedOutputStream::WriteVarint64ToArray(id, to);
  *to++ = 2 << 3;
  to = CodedOutputStream::WriteVarint64ToArray(context_->member_id, to);
  if (named) {
    *to++ = 3 << 3 | 2;
    to = CodedOutputStream::WriteVarint64ToArray(caller->user.size(), to);
    to = WriteBytes(caller->user, to);
    *to++ = 4 << 3;
    to = CodedOutputStream::WriteVarint64ToArray(caller->revision, to);
  }
  if (only_in_term != 0) {
    to = CodedOutputStream::WriteVarint32ToArray(16 << 3, to);
    to = CodedOutputStream::WriteVarint64ToArray(only_in_term, to);
  }
  to = CodedOutputStream::WriteVarint32ToArray(request_tag, to);
  to = CodedOutputStream::WriteVarint64ToArray(request.size(), to);
  WriteBytes(request, to);
  return out;
}

void Proposals::Propose(CommandField field, std::string_view request, Done done,
                        uint64_t only_in_term, const Caller* caller) {
  if (context_->node->commit_index() > context_->node->applied_index() + kMaxApplyGap) {
    failed_total_.fetch_add(1, std::memory_order_relaxed);
    return done(ErrTooManyRequests(), nullptr);
  }
  if (const uint32_t level = context_->config.levels.of(static_cast<int>(field));
      level != 0 && level > context_->machine->cluster_level()) [[unlikely]] {
    failed_total_.fetch_add(1, std::memory_order_relaxed);
    return done(ErrNotKnownToAll(), nullptr);
  }
  const uint64_t id = ids_.Next();
  auto payload =
      std::make_shared<const std::string>(Encode(id, field, request, only_in_term, caller));
  if (payload->size() > context_->config.max_request_bytes) {
    return done(ErrRequestTooLarge(), nullptr);
  }
  Waiting waiting{.done = std::move(done),
                  .start = context_->loop->Now(),
                  .payload = payload,
                  .bytes = payload->size(),
                  .reign = reign_.load(std::memory_order_relaxed)};
  if (Add(id, std::move(waiting))) Send(id, payload);
}

void Proposals::ProposeChange(absl::AnyInvocable<raft::ConfChange(uint64_t id)> make, Done done) {
  const uint64_t id = ids_.Next();
  if (!Add(id, {.done = std::move(done),
                .start = context_->loop->Now(),
                .reign = reign_.load(std::memory_order_relaxed)})) {
    return;
  }
  context_->node->ProposeConfChange(make(id), [this, id](absl::Status refused) {
    Fail(id, refused.code() == absl::StatusCode::kUnavailable ? ErrNoLeader() : ErrUnhealthy());
  });
}

bool Proposals::Add(uint64_t id, Waiting waiting) {
  absl::Status refused;
  Done done;
  {
    base::MutexLock lock(&mutex_);
    if (stopped_) {
      refused = ErrStopped();
    } else if (waiting_bytes_ + waiting.bytes > kMaxPendingBytes) {
      refused = ErrTooManyRequests();
    } else {
      waiting_bytes_ += waiting.bytes;
      by_start_.emplace_back(waiting.start, id);
      waiting_.emplace(id, std::move(waiting));
      return true;
    }
    done = std::move(waiting.done);
  }
  failed_total_.fetch_add(1, std::memory_order_relaxed);
  done(refused, nullptr);
  return false;
}

Proposals::Done Proposals::Take(uint64_t id) {
  base::MutexLock lock(&mutex_);
  const auto it = waiting_.find(id);
  if (it == waiting_.end()) return nullptr;
  Done done = std::move(it->second.done);
  waiting_bytes_ -= it->second.bytes;
  waiting_.erase(it);
  return done;
}

void Proposals::Send(uint64_t id, const raft::Payload& payload) {
  // Two words of capture, so that a proposal costs no allocation for it.
  context_->node->Propose(payload,
                          [this, id](absl::Status refused) { OnRefused(id, std::move(refused)); });
}

void Proposals::OnRefused(uint64_t id, absl::Status refused) {
  if (refused.code() == absl::StatusCode::kUnavailable) {
    held_.push_back(id);
  } else if (refused.code() == absl::StatusCode::kResourceExhausted) {
    Fail(id, ErrTooManyRequests());
  } else {
    Fail(id, std::move(refused));
  }
}

void Proposals::Fail(uint64_t id, absl::Status error) {
  Done done = Take(id);
  if (done == nullptr) return;
  failed_total_.fetch_add(1, std::memory_order_relaxed);
  done(std::move(error), nullptr);
}

void Proposals::OnResults(std::span<ApplyResult> results) {
  // One lock for the whole batch; the answers go out after it.
  thread_local std::vector<std::pair<Done, ApplyResult*>> ready;
  {
    base::MutexLock lock(&mutex_);
    for (ApplyResult& result : results) {
      const auto it = waiting_.find(result.id);
      if (it == waiting_.end()) continue;
      ready.emplace_back(std::move(it->second.done), &result);
      waiting_bytes_ -= it->second.bytes;
      waiting_.erase(it);
    }
  }
  for (auto& [done, result] : ready) done(absl::OkStatus(), result);
  ready.clear();
}

void Proposals::OnLeaderChange(bool has_leader) {
  (has_leader ? leader_elected_ : leader_lost_) = context_->loop->Now();
  if (!has_leader || !leaderless_) reign_.fetch_add(1, std::memory_order_relaxed);
  leaderless_ = !has_leader;
  if (!has_leader) return;
  Retry();
  CatchUp();
}

// Whatever of the old leader's survived comes before the new leader's first
// entry, and a linearizable read waits for that one: clients need not wait for
// the time limit to hear of the rest. The read travels to the leader and may get
// lost like any message, so that Tick asks again.
void Proposals::CatchUp() {
  const uint64_t reign = reign_.load(std::memory_order_relaxed);
  catch_up_asked_ = context_->loop->Now();
  context_->node->ReadIndex([this, reign](absl::StatusOr<raft::Index> caught_up) {
    if (!caught_up.ok()) return;
    context_->loop->Post([this, reign] {
      if (reign <= caught_up_) return;
      caught_up_ = reign;
      FailSentBefore(reign);
    });
  });
}

void Proposals::FailSentBefore(uint64_t reign) {
  std::vector<std::pair<uint64_t, Done>> lost;
  {
    base::MutexLock lock(&mutex_);
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      const bool held = std::find(held_.begin(), held_.end(), it->first) != held_.end();
      if (it->second.reign >= reign || held) {
        ++it;
        continue;
      }
      lost.emplace_back(it->first, std::move(it->second.done));
      waiting_bytes_ -= it->second.bytes;
      waiting_.erase(it++);
    }
  }
  failed_total_.fetch_add(lost.size(), std::memory_order_relaxed);
  for (auto& [id, done] : ById(lost)) done(ErrTimeoutDueToLeaderFail(), nullptr);
}

void Proposals::Retry() {
  const std::vector<uint64_t> held = std::move(held_);
  held_.clear();
  for (const uint64_t id : held) {
    raft::Payload payload;
    {
      base::MutexLock lock(&mutex_);
      const auto it = waiting_.find(id);
      if (it != waiting_.end()) {
        payload = it->second.payload;
        it->second.reign = reign_.load(std::memory_order_relaxed);
      }
    }
    if (payload != nullptr) Send(id, payload);
  }
}

void Proposals::OnReset() {
  std::vector<std::pair<uint64_t, Waiting>> lost;
  {
    base::MutexLock lock(&mutex_);
    for (auto& [id, waiting] : waiting_) lost.emplace_back(id, std::move(waiting));
    waiting_.clear();
    waiting_bytes_ = 0;
  }
  for (auto& [id, waiting] : ById(lost)) waiting.done(TimeoutError(waiting.start), nullptr);
}

void Proposals::Tick() {
  const base::TimePoint now = context_->loop->Now();
  std::vector<std::pair<Done, base::TimePoint>> late;
  {
    base::MutexLock lock(&mutex_);
    while (!by_start_.empty()) {
      const auto [start, id] = by_start_.front();
      const auto it = waiting_.find(id);
      if (it != waiting_.end()) {
        if (start + context_->config.request_timeout() > now) break;
        late.emplace_back(std::move(it->second.done), start);
        waiting_bytes_ -= it->second.bytes;
        waiting_.erase(it);
      }
      by_start_.pop_front();
    }
  }
  failed_total_.fetch_add(late.size(), std::memory_order_relaxed);
  for (auto& [done, start] : late) done(TimeoutError(start), nullptr);
  if (!context_->HasLeader()) return;
  if (!held_.empty()) Retry();
  if (caught_up_ < reign_.load(std::memory_order_relaxed) &&
      now - catch_up_asked_ >= context_->config.election()) {
    CatchUp();
  }
}

void Proposals::Stop() {
  std::vector<std::pair<uint64_t, Waiting>> left;
  {
    base::MutexLock lock(&mutex_);
    stopped_ = true;
    for (auto& [id, waiting] : waiting_) left.emplace_back(id, std::move(waiting));
    waiting_.clear();
    waiting_bytes_ = 0;
    by_start_.clear();
  }
  for (auto& [id, waiting] : ById(left)) waiting.done(ErrStopped(), nullptr);
}

size_t Proposals::pending() const {
  base::MutexLock lock(&mutex_);
  return waiting_.size();
}

// etcd: EtcdServer.parseProposeCtxErr.
absl::Status Proposals::TimeoutError(base::TimePoint start) const {
  const base::TimePoint previous_lost = leader_elected_ - 2 * context_->config.election();
  if (leader_elected_ != base::TimePoint() && start > previous_lost && start < leader_elected_) {
    return ErrTimeoutDueToLeaderFail();
  }
  const raft::NodeId leader = context_->node->leader();
  const base::Duration waited = context_->loop->Now() - start;
  if (leader != raft::kNoNode && leader != context_->member_id &&
      context_->transport->SinceHeard(leader) > waited) {
    return ErrTimeoutDueToConnectionLost();
  }
  return ErrTimeout();
}

}  // namespace keel::kvstore
