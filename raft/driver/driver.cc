#include "raft/driver/driver.h"

#include <algorithm>
#include <random>

#include "base/asio_loop.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mutation.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::raft {

using base::StrCat;

namespace {

// SplitMix64 (Steele, Lea, Flood 2014): eight bytes a group instead of 2,500.
std::function<uint64_t(uint64_t)> SmallRandom(uint64_t state) {
  return [state](uint64_t n) mutable {
    uint64_t z = state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % n;
  };
}

// How long an unused snapshot is kept, for the followers after the first.
constexpr auto kKeepSnapshot = std::chrono::seconds(30);
constexpr auto kRefusalLog = std::chrono::seconds(1);
// A leader whose disk stalls for this many election timeouts steps down.
constexpr uint64_t kDiskStallElections = 10;
}  // namespace

Driver::Driver(NodeOptions options, Transport* transport)
    : options_([&] {
        if (options.fs == nullptr) options.fs = &base::PosixFileSystem();
        if (options.random_seed == 0) options.random_seed = std::random_device{}() | 1ull << 40;
        return std::move(options);
      }()),
      loop_(options_.loop),
      transport_(transport) {}

Driver::Driver(NodeOptions options, GroupSeat seat)
    : options_(std::move(options)),
      loop_(options_.loop),
      seat_(std::move(seat)),
      transport_(seat_.transport.get()),
      log_(std::move(seat_.log)) {}

Driver::~Driver() {
  Abandon();
  log_.reset();
}

void Driver::Abandon() {
  if (applier_) applier_->Abandon();
}

absl::Status Driver::OpenLog() {
  std::mt19937_64 random(options_.random_seed);
  LogOptions log;
  log.dir = options_.log_dir;
  log.fs = options_.fs;
  log.loop = loop_;
  log.cluster_id = options_.cluster_id;
  log.member_id = options_.id;
  log.segment_bytes = options_.segment_bytes;
  log.memory_bytes = options_.log_memory_bytes;
  log.initial_conf = options_.initial_conf;
  log.random = [&random] { return random(); };
  log.on_sync = options_.on_log_sync;
  log.on_error = [this](absl::Status status) { Fail(std::move(status)); };
  log.write_loop = log.fill_loop = options_.log_loop;
  if (options_.log_loop == nullptr) {
    own_log_loop_ = std::make_unique<base::AsioLoop>("raft-log");
    own_fill_loop_ = std::make_unique<base::AsioLoop>("raft-log-fill");
    log.write_loop = own_log_loop_.get();
    log.fill_loop = own_fill_loop_.get();
  }
  KEEL_ASSIGN_OR_RETURN(log_, Log::Open(std::move(log)));
  return absl::OkStatus();
}

absl::Status Driver::Open(StateMachine* state_machine) {
  KEEL_CHECK(options_.id != kNoNode && loop_ != nullptr && options_.apply_loop != nullptr);
  if (log_ == nullptr) KEEL_RETURN_IF_ERROR(OpenLog());
  KEEL_ASSIGN_OR_RETURN(opened_at_, state_machine->Open());
  if (opened_at_.conf == ConfState{}) opened_at_.conf = log_->initial_conf();
  if (opened_at_.index + 1 < log_->FirstIndex()) {
    return absl::DataLossError(StrCat(
        "the state machine stands at entry ", opened_at_.index, ", but the Raft log in ",
        options_.log_dir, " starts at ", log_->FirstIndex(),
        ": part of the state is missing. Restore the data directory from a copy, or remove this "
        "member from the cluster, delete its data directory and add it again"));
  }
  applier_ = std::make_shared<Applier>(
      state_machine, options_.fs, loop_, options_.apply_loop, opened_at_,
      [weak = weak_from_this()](Index last, std::vector<ConfChange> changes) {
        if (const auto self = weak.lock()) self->OnApplied(last, std::move(changes));
      },
      [weak = weak_from_this()](absl::Status status) {
        if (const auto self = weak.lock()) self->Fail(std::move(status));
      });
  // Snapshots that were on their way, in or out. A host has done it for all.
  if (!options_.snapshot_dir.empty() && seat_.host == nullptr) {
    KEEL_RETURN_IF_ERROR(options_.fs->RemoveAll(options_.snapshot_dir));
    KEEL_RETURN_IF_ERROR(options_.fs->CreateDirs(options_.snapshot_dir));
  }
  return absl::OkStatus();
}

void Driver::Start() {
  if (own_log_loop_) {
    own_log_loop_->Start();
    own_fill_loop_->Start();
  }
  HardState hard_state = log_->hard_state();
  const auto term_there = log_->TermAt(opened_at_.index);
  if (!term_there.ok() || *term_there != opened_at_.term) {
    // A snapshot was restored, and a crash came before the log restarted behind it.
    base::Log().info("raft log restarts behind the restored snapshot index={} term={}",
                     opened_at_.index, opened_at_.term);
    LogWrite write;
    write.reset = LogPoint{opened_at_.index, opened_at_.term};
    if (hard_state.term < opened_at_.term) hard_state = {opened_at_.term, kNoNode, 0};
    hard_state.commit = opened_at_.index;
    write.hard_state = hard_state;
    log_->Append(std::move(write), nullptr);
  }
  flushed_at_ = opened_at_.index;
  applied_index.store(opened_at_.index);
  const std::weak_ptr<Driver> weak = weak_from_this();
  snapshots_ = std::make_shared<OutgoingSnapshots>(applier_, transport_, loop_,
                                                   options_.snapshot_dir, kKeepSnapshot,
                                                   [weak](NodeId peer, SnapshotStatus status) {
                                                     const auto self = weak.lock();
                                                     if (!self || !self->running()) return;
                                                     self->core_->ReportSnapshot(peer, status);
                                                     self->ScheduleTurn();
                                                   });

  Config config;
  config.id = options_.id;
  config.election_ticks = options_.election_ticks;
  config.heartbeat_ticks = options_.heartbeat_ticks;
  config.max_uncommitted_bytes = options_.max_uncommitted_bytes;
  config.lease_reads = options_.lease_reads;
  config.disk_stall_ticks = kDiskStallElections * options_.election_ticks;
  if (seat_.host == nullptr) {
    config.random = [random =
                         std::mt19937_64(options_.random_seed + options_.id)](uint64_t n) mutable {
      return std::uniform_int_distribution<uint64_t>(0, n - 1)(random);
    };
  } else {
    config.random = SmallRandom(options_.random_seed);
  }
  if (options_.observer != nullptr) {
    options_.observer->OnStart(*this, hard_state, opened_at_.conf, opened_at_.index);
  }
  core_ = std::make_unique<Raft>(std::move(config), this, hard_state, opened_at_.conf,
                                 opened_at_.index);
  base::Log().log(log_level(),
                  "raft started member={:x} group={} term={} commit={} applied={} log=[{}, {}]",
                  options_.id, seat_.group, core_->term(), core_->commit(), opened_at_.index,
                  log_->FirstIndex(), log_->LastIndex());
  if (seat_.host != nullptr) {
    seat_.host->Activate(shared_from_this());
    return ScheduleTurn();
  }
  transport_->Start(loop_, this);
  next_tick_ = loop_->Now() + options_.tick;
  tick_timer_ = loop_->After(options_.tick, [self = shared_from_this()] { self->Tick(); });
  ScheduleTurn();
}

absl::StatusOr<std::vector<Entry>> Driver::Entries(Index low, Index high,
                                                   uint64_t max_bytes) const {
  auto entries = log_->Entries(low, high, max_bytes);
  if (absl::IsDataLoss(entries.status())) {
    // After the core's call has ended.
    loop_->Post([self = const_cast<Driver*>(this)->shared_from_this(), status = entries.status()] {
      self->Fail(status);
    });
  }
  return entries;
}

absl::StatusOr<SnapshotMeta> Driver::Snapshot() const {
  return snapshots_->Offer(log_->FirstIndex());
}

void Driver::Propose(Payload data, Refused refused) {
  if (!running()) {
    if (refused) refused(absl::UnavailableError("the member is not running"));
    return;
  }
  Wake();
  proposals_.push_back(std::move(data));
  proposals_refused_.push_back(std::move(refused));
  ScheduleTurn();
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

void Driver::OnMessages(std::vector<Message> messages) {
  if (!running()) return;
  for (Message& message : messages) {
    // A snapshot comes with its files (OnSnapshotFiles) or not at all.
    if (message.type == MessageType::kSnapshot) continue;
    if (message.group != kNoGroup || message.quiesce) {
      if (loop_->Now() - refusal_logged_ >= kRefusalLog) {
        refusal_logged_ = loop_->Now();
        base::Log().warn("raft message refused from={:x} group={}: this is no host of groups",
                         message.from, message.group);
      }
      continue;
    }
    Step(std::move(message));
  }
  ScheduleTurn();
}

// A refusal is the sender's loss: it changed nothing here. The core counts it.
void Driver::Step(Message message) {
  const NodeId from = message.from;
  const absl::Status status = core_->Step(std::move(message));
  if (!absl::IsInvalidArgument(status) || loop_->Now() - refusal_logged_ < kRefusalLog) return;
  refusal_logged_ = loop_->Now();
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
  for (auto& [index, dir] : arrived_) applier_->RemoveFolder(dir);
  arrived_.clear();
  Publish();
}

void Driver::ProposeQueued() {
  if (proposals_.empty()) return;
  std::vector<Payload> proposals = std::exchange(proposals_, {});
  std::vector<Refused> refused = std::exchange(proposals_refused_, {});
  absl::Status status = core_->Propose(proposals);
  if (status.ok()) return;
  // All or none: too much at once may still be possible one by one.
  const bool one_by_one = absl::IsResourceExhausted(status) && proposals.size() > 1;
  for (size_t i = 0; i < proposals.size(); ++i) {
    if (one_by_one) status = core_->Propose(std::move(proposals[i]));
    if (!status.ok() && refused[i]) refused[i](status);
  }
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
  const auto snapshots =
      std::stable_partition(ready.messages.begin(), ready.messages.end(),
                            [](const Message& m) { return m.type != MessageType::kSnapshot; });
  for (auto it = snapshots; it != ready.messages.end(); ++it) snapshots_->Send(std::move(*it));
  ready.messages.erase(snapshots, ready.messages.end());
  if (!ready.messages.empty()) transport_->Send(std::move(ready.messages));

  Write write;
  write.ready_id = ready.id;
  write.log.hard_state = ready.hard_state;
  write.log.entries = std::move(ready.entries);
  write.log.must_sync = ready.must_sync;
  write.messages = std::move(ready.persisted_messages);
  if (ready.snapshot) {
    write.log.reset = LogPoint{ready.snapshot->index, ready.snapshot->term};
    write.log.must_sync = true;
    if (const auto it = arrived_.find(ready.snapshot->index); it != arrived_.end()) {
      write.snapshot_dir = std::move(it->second);
      arrived_.erase(it);
    }
    write.snapshot = std::move(ready.snapshot);
  }
  if (KEEL_MUTATION(kSendBeforePersisted) && !write.messages.empty()) {
    transport_->Send(std::exchange(write.messages, {}));
  }
  Submit(std::move(write));

  if (!ready.committed.empty()) applier_->Apply(std::move(ready.committed));
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
  if (ready.soft_state) {
    Publish();
    if (options_.on_state_change) options_.on_state_change(*ready.soft_state, core_->term());
    if (handed_over_ && ready.soft_state->role != Role::kLeader) {
      std::exchange(handed_over_, nullptr)();
    }
  }
}

// A snapshot is restored before the log restarts behind it, so that a crash in
// between leaves a state that the log reaches; what follows waits its turn.
void Driver::Submit(Write write) {
  if (write.snapshot || restoring_) {
    held_.push_back(std::move(write));
    if (!restoring_) RestoreNext();
  } else {
    Persist(std::move(write));
  }
}

void Driver::RestoreNext() {
  restoring_ = false;
  while (!held_.empty() && !held_.front().snapshot) {
    Write write = std::move(held_.front());
    held_.pop_front();
    Persist(std::move(write));
  }
  if (held_.empty()) return;
  restoring_ = true;
  Write& first = held_.front();
  KEEL_CHECK(!first.snapshot_dir.empty(), "a snapshot without files index=", first.snapshot->index);
  base::Log().info("restoring snapshot index={} term={}", first.snapshot->index,
                   first.snapshot->term);
  applier_->Restore(first.snapshot_dir, *first.snapshot,
                    [weak = weak_from_this()](absl::Status status) {
                      const auto self = weak.lock();
                      if (!self || !self->running()) return;
                      if (!status.ok()) return self->Fail(std::move(status));
                      Write write = std::move(self->held_.front());
                      self->held_.pop_front();
                      self->applied_index.store(write.snapshot->index);
                      self->flushed_at_ = write.snapshot->index;
                      self->Persist(std::move(write));
                      self->RestoreNext();
                    });
}

void Driver::Persist(Write write) {
  ++persisting_;
  log_->Append(std::move(write.log),
               [this, id = write.ready_id, messages = std::move(write.messages)]() mutable {
                 OnPersisted(id, std::move(messages));
               });
}

void Driver::OnPersisted(uint64_t ready_id, std::vector<Message> messages) {
  --persisting_;
  if (!running()) return;
  if (!messages.empty()) transport_->Send(std::move(messages));
  core_->Persisted(ready_id);
  ScheduleTurn();
}

void Driver::OnApplied(Index last, std::vector<ConfChange> changes) {
  if (!running()) return;
  for (const ConfChange& change : changes) {
    const Status before = seat_.host != nullptr ? core_->GetStatus() : Status{};
    const ConfState conf = core_->ApplyConfChange(change);
    TellRemoved(before, conf);
  }
  core_->Applied(last);
  applied_index.store(last);
  if (last - flushed_at_ >= options_.snapshot_count) {
    flushed_at_ = last;
    applier_->Flush();
  }
  ScheduleTurn();
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

void Driver::TruncateLog() {
  if (truncating_ || restoring_) return;
  const Index applied = applied_index.load();
  if (log_->IndexWithin(options_.log_bytes_max / 2) > flushed_at_) {
    flushed_at_ = applied;
    applier_->Flush();
  }
  // Not for every entry: segments go as a whole anyway.
  const uint64_t step = std::max<uint64_t>(1, options_.snapshot_count / 4);
  const Index by_count = applied - std::min(applied, options_.catchup_entries);
  const Index by_bytes = std::min(applied, log_->IndexWithin(options_.log_bytes_max));
  const Index wanted = std::max(by_count, by_bytes);
  if (wanted < log_->FirstIndex() ||
      (by_bytes < log_->FirstIndex() && by_count < log_->FirstIndex() - 1 + step)) {
    return;
  }
  truncating_ = true;
  applier_->GetDurableIndex([weak = weak_from_this(), wanted](Index durable) {
    const auto self = weak.lock();
    if (!self || !self->running()) return;
    self->truncating_ = false;
    if (self->restoring_) return;
    if (KEEL_MUTATION(kTruncateUndurable)) durable = wanted;
    const Index at = std::min({durable, wanted, self->snapshots_->PinnedIndex()});
    if (at < self->log_->FirstIndex()) return;
    base::Log().log(self->log_level(), "truncating raft log group={} index={}", self->seat_.group,
                    at);
    self->log_->Truncate(at);
  });
}

void Driver::Publish() {
  leader.store(core_->leader());
  term.store(core_->term());
  role.store(core_->role());
  commit_index.store(core_->commit());
}

void Driver::RefuseAll(const absl::Status& status) {
  for (Refused& refused : std::exchange(proposals_refused_, {})) {
    if (refused) refused(status);
  }
  proposals_.clear();
  applier_->FailReads(std::exchange(reads_, {}), status);
  std::vector<uint64_t> contexts;
  for (const auto& [context, reads] : reads_out_) contexts.push_back(context);
  std::sort(contexts.begin(), contexts.end());  // in the order they were asked in
  for (const uint64_t context : contexts) {
    applier_->FailReads(std::move(reads_out_[context]), status);
  }
  reads_out_.clear();
}

void Driver::Fail(absl::Status status) {
  if (closed_) return;
  base::Log().error("raft member={:x} group={} cannot go on error=\"{}\"", options_.id, seat_.group,
                    status.ToString());
  ResignIfLeader();
  closed_ = true;
  if (tick_timer_ != 0) loop_->Cancel(tick_timer_);
  RefuseAll(absl::UnavailableError("the member has failed"));
  if (handed_over_) std::exchange(handed_over_, nullptr)();
  if (options_.on_fatal) options_.on_fatal(std::move(status));
}

void Driver::HandOver(base::Duration limit, std::function<void()> done) {
  if (!running() || core_->role() != Role::kLeader || limit <= base::Duration::zero() ||
      !core_->TransferLeadership(kNoNode).ok()) {
    return done();
  }
  handed_over_ = std::move(done);
  loop_->After(limit, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->handed_over_) std::exchange(self->handed_over_, nullptr)();
  });
  ScheduleTurn();
}

void Driver::Close(std::function<void()> done) {
  const bool failed = closed_;
  if (core_ != nullptr && !closed_) {
    closed_ = true;
    if (tick_timer_ != 0) loop_->Cancel(tick_timer_);
    RefuseAll(absl::UnavailableError("the member is stopping"));
  }
  // On its way back from the apply loop, then behind all that was written.
  applier_->Stop([self = shared_from_this(), failed, done = std::move(done)] {
    self->loop_->Post([self, failed, done] {
      if (failed || self->core_ == nullptr) return done();
      LogWrite write;
      write.hard_state = self->core_->GetStatus().hard_state;
      // Not ahead of what the log holds; it may still be restoring.
      write.hard_state->commit = std::min(write.hard_state->commit, self->log_->LastIndex());
      self->log_->Append(std::move(write), [done] { done(); });
    });
  });
}

void Driver::Halt() {
  closed_ = true;
  if (tick_timer_ != 0) loop_->Cancel(tick_timer_);
  handed_over_ = nullptr;
  core_.reset();
  snapshots_.reset();
  log_.reset();
}

void Driver::StopOwnLoops() {
  if (own_log_loop_) own_log_loop_->Stop();
  if (own_fill_loop_) own_fill_loop_->Stop();
}

}  // namespace keel::raft
