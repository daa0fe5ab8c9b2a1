// Inputs, turns of the loop, and what a Ready sets going.
#include "raft/driver/driver.h"

#include <algorithm>

#include "base/log.h"
#include "base/mutation.h"
#include "base/strings.h"

namespace keel::raft {

namespace {
constexpr auto kRefusalLog = std::chrono::seconds(1);
}  // namespace

void Driver::Propose(Payload data, Refused refused) {
  if (!loop_->InLoop()) {
    {
      std::lock_guard lock(arriving_mu_);
      arriving_.Add(std::move(data), std::move(refused));
      if (std::exchange(arrival_scheduled_, true)) return;
    }
    loop_->Post([self = shared_from_this()] { self->TakeArrived(); });
    return;
  }
  if (!running()) {
    if (refused) refused(absl::UnavailableError("the member is not running"));
    return;
  }
  Wake();
  proposals_.Add(std::move(data), std::move(refused));
  ScheduleTurn();
}

// Proposals of other threads: those of all of them in one task.
void Driver::TakeArrived() {
  {
    std::lock_guard lock(arriving_mu_);
    arrival_scheduled_ = false;
    std::swap(arriving_, proposing_);
  }
  if (running()) {
    Wake();
    proposals_.Take(&proposing_);
    ScheduleTurn();
  } else {
    proposing_.Refuse(absl::UnavailableError("the member is not running"));
  }
}

void Driver::ProposeConfChange(const ConfChange& change, Refused refused) {
  absl::Status status = absl::UnavailableError("the member is not running");
  if (running()) {
    Wake();
    ProposeQueued();  // In the order of the calls.
    status = core_->ProposeConfChange(change);
    ScheduleTurn();
  }
  if (!status.ok() && refused) refused(std::move(status));
}

void Driver::ReadIndex(ReadDone done) {
  reads_.push_back(std::move(done));
  if (running()) {
    Wake();
    ScheduleTurn();
  } else if (applier_) {
    applier_->FailReads(std::exchange(reads_, {}),
                        absl::UnavailableError("the member is not running"));
  }
}

void Driver::TransferLeadership(NodeId to, Refused done) {
  absl::Status status = absl::UnavailableError("the member is not running");
  if (running()) {
    Wake();
    status = core_->TransferLeadership(to);
    ScheduleTurn();
  }
  if (done) done(std::move(status));
}

void Driver::GetStatus(absl::AnyInvocable<void(Status)> done) {
  done(core_ != nullptr ? core_->GetStatus() : Status{});
}

void Driver::OnMessages(std::span<Message> messages) {
  if (!running()) return;
  for (Message& message : messages) {
    // A snapshot comes with its files (OnSnapshotFiles) or not at all.
    if (message.type == MessageType::kSnapshot) continue;
    if (message.group != kNoGroup || message.quiesce) {
      if (MayLogRefusal()) {
        base::Log().warn("raft message refused from={:x} group={}: this is no host of groups",
                         message.from, message.group);
      }
      continue;
    }
    const bool entries = !message.entries.empty();
    Step(std::move(message));
    if (entries) message.entries = core_->SpareMessage().entries;
  }
  ScheduleTurn();
}

bool Driver::MayLogRefusal() {
  if (loop_->Now() - refusal_logged_ < kRefusalLog) return false;
  refusal_logged_ = loop_->Now();
  return true;
}

// A refusal is the sender's loss: it changed nothing here. The core counts it.
void Driver::Step(Message message) {
  const NodeId from = message.from;
  const absl::Status status = core_->Step(std::move(message));
  if (!absl::IsInvalidArgument(status) || !MayLogRefusal()) return;
  base::Log().info("raft member={:x} from={:x} {}", options_.id, from,
                   base::ToStd(status.message()));
}

void Driver::OnUnreachable(NodeId peer) {
  if (!running() || quiescent_) return;  // Nothing was on its way.
  core_->ReportUnreachable(peer);
  ScheduleTurn();
}

void Driver::OnSnapshotFiles(NodeId from, const Message& message, std::string dir) {
  if (!running()) return;
  Wake();
  auto& slot = arrived_[message.snapshot.index];
  if (!slot.empty()) applier_->RemoveFolder(slot);
  slot = std::move(dir);
  Step(message);
  ScheduleTurn();
}

void Driver::OnUserMessage(NodeId from, std::string payload) {
  if (!closed_ && options_.on_user_message) options_.on_user_message(from, std::move(payload));
}

// Ids are never used again, so that who was removed at an index is no member at any later one.
void Driver::OnRemoved(NodeId from, Index index) {
  if (!running()) return;
  const Index applied = applied_index.load();
  if (applied >= index && IsMember(core_->GetStatus().conf, options_.id)) {
    if (!MayLogRefusal()) return;
    base::Log().warn(
        "peer={:x} says that this member was removed at index={}; it is a member at index={}, "
        "and stays",
        from, index, applied);
    return;
  }
  base::Log().log(log_level(), "peer={:x} says that this member ({:x}) was removed at index={}",
                  from, options_.id, index);
  if (options_.on_removed) options_.on_removed(from, index);
}

void Driver::ScheduleTurn() {
  if (turn_scheduled_) return;
  turn_scheduled_ = true;
  if (seat_.host != nullptr) return seat_.host->ScheduleTurn(shared_from_this());
  loop_->Post([self = shared_from_this()] { self->RunTurn(); });
}

void Driver::RunTurn() {
  turn_scheduled_ = false;
  if (running()) Turn();
}

void Driver::Turn() {
  ProposeQueued();
  ReadQueued();
  while (running() && core_->HasReady()) Process(core_->TakeReady());
  if (!running()) return;
  // The core had no use for these: a newer state was here already.
  if (!arrived_.empty()) {
    for (auto& [index, dir] : arrived_) applier_->RemoveFolder(dir);
    arrived_.clear();
  }
  Publish();
}

void Driver::ProposeQueued() {
  if (proposals_.data.empty()) return;
  // Who is refused may propose again at once.
  std::swap(proposals_, proposing_);
  std::vector<Payload>& data = proposing_.data;
  const absl::Status status = core_->Propose(std::span<Payload>(data));
  if (absl::IsResourceExhausted(status) && data.size() > 1) {
    // All or none: too much at once may still be possible one by one.
    for (size_t i = 0; i < data.size(); ++i) {
      const absl::Status one = core_->Propose(std::move(data[i]));
      if (!one.ok() && proposing_.refused[i]) proposing_.refused[i](one);
    }
  } else if (!status.ok()) {
    return proposing_.Refuse(status);
  }
  proposing_.Clear();
}

void Driver::ReadQueued() {
  if (reads_.empty()) return;
  std::vector<ReadDone> reads = std::exchange(reads_, {});
  const uint64_t context = next_read_++;
  const absl::Status status = core_->ReadIndex(context);
  if (status.ok()) {
    reads_out_.emplace(context, std::move(reads));
  } else {
    applier_->FailReads(std::move(reads), status);
  }
}

void Driver::Process(Ready ready) {
  if (options_.observer != nullptr) options_.observer->OnReady(ready, core_->term());
  if (ready.soft_state) {
    const SoftState& soft = *ready.soft_state;
    base::Log().log(log_level(), "raft member={:x} group={} role={} leader={:x} term={}",
                    options_.id, seat_.group,
                    soft.role == Role::kLeader     ? "leader"
                    : soft.role == Role::kFollower ? "follower"
                                                   : "candidate",
                    soft.leader, core_->term());
  }
  if (ready.soft_state || !ready.entries.empty() || !ready.committed.empty() ||
      !ready.reads.empty() || ready.snapshot) {
    idle_ticks_ = 0;
  }
  // Beside the writes (thesis, 10.2.1).
  SendAtOnce(&ready.messages);

  LogWrite write;
  write.hard_state = ready.hard_state;
  write.must_sync = ready.must_sync;
  if (!ready.entries.empty()) {
    write.entries = std::exchange(ready.entries, log_->SpareEntries());
  }
  if (KEEL_MUTATION(kSendBeforePersisted) && !ready.persisted_messages.empty()) {
    transport_->Send(ready.persisted_messages);
    ready.persisted_messages.clear();
  }
  Persisting persisting{ready.id, std::move(ready.persisted_messages)};
  // A snapshot is restored before the log restarts behind it, so that a crash in
  // between leaves a state that the log reaches; what follows waits its turn.
  if (ready.snapshot || restoring_) {
    Hold(std::move(write), std::move(persisting), std::move(ready.snapshot));
  } else {
    Persist(std::move(write), std::move(persisting));
  }

  if (!ready.committed.empty()) applier_->Apply(&ready.committed);
  for (const ReadState& read : ready.reads) {
    const auto it = reads_out_.find(read.context);
    if (it == reads_out_.end()) continue;
    applier_->Read(KEEL_MUTATION(kReadsAtWrongIndex) ? 0 : read.index, std::move(it->second));
    reads_out_.erase(it);
  }
  for (const uint64_t context : ready.dropped_reads) {
    const auto it = reads_out_.find(context);
    if (it == reads_out_.end()) continue;
    applier_->FailReads(std::move(it->second), absl::UnavailableError("the leader was lost"));
    reads_out_.erase(it);
  }
  const std::optional<SoftState> changed = ready.soft_state;
  core_->Recycle(std::move(ready));
  if (changed) {
    Publish();
    if (options_.on_state_change) options_.on_state_change(*changed, core_->term());
    if (handed_over_ && changed->role != Role::kLeader) {
      std::exchange(handed_over_, nullptr)();
    }
  }
}

void Driver::SendAtOnce(std::vector<Message>* messages) {
  const auto is_snapshot = [](const Message& m) { return m.type == MessageType::kSnapshot; };
  if (std::any_of(messages->begin(), messages->end(), is_snapshot)) {
    const auto snapshots = std::stable_partition(messages->begin(), messages->end(),
                                                 [&](const Message& m) { return !is_snapshot(m); });
    for (auto it = snapshots; it != messages->end(); ++it) snapshots_->Send(std::move(*it));
    messages->erase(snapshots, messages->end());
  }
  if (!messages->empty()) transport_->Send(*messages);
}

void Driver::Tick() {
  if (!running()) return;
  TickOnce();
  // Stays in step, but does not make up for what a blocked loop missed.
  next_tick_ = std::max(next_tick_ + options_.tick, loop_->Now());
  tick_timer_ =
      loop_->After(next_tick_ - loop_->Now(), [self = shared_from_this()] { self->Tick(); });
}

bool Driver::TickOnce() {
  if (!running() || quiescent_) return false;
  // Ahead of the tick: it would put heartbeats on their way.
  if (seat_.quiesce_ticks > 0 && ++idle_ticks_ % seat_.quiesce_ticks == 0) TryQuiesce();
  if (quiescent_) return false;
  core_->Tick();
  ++ticks_;
  if (ticks_ % options_.election_ticks == 0) {
    snapshots_->Expire();
    TruncateLog();
  }
  ScheduleTurn();
  return true;
}

void Driver::Publish() {
  leader.store(core_->leader(), std::memory_order_release);
  term.store(core_->term(), std::memory_order_release);
  role.store(core_->role(), std::memory_order_release);
  commit_index.store(core_->commit(), std::memory_order_release);
}

}  // namespace keel::raft
