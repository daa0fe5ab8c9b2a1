// How a driver begins, fails and ends.
#include <algorithm>
#include <random>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "raft/driver/driver.h"

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
// A leader whose disk stalls for this many election timeouts steps down.
constexpr uint64_t kDiskStallElections = 10;

absl::Status CheckOptions(const NodeOptions& options) {
  const auto refuse = [](std::string_view what) {
    return absl::InvalidArgumentError(base::ToAbsl(what));
  };
  if (options.tick <= base::Duration::zero()) return refuse("tick must be more than 0");
  if (options.heartbeat_ticks == 0 || options.election_ticks <= options.heartbeat_ticks) {
    return refuse("election_ticks must be more than heartbeat_ticks, and that more than 0");
  }
  if (options.max_message_bytes == 0 || options.max_inflight_messages == 0 ||
      options.max_inflight_bytes == 0) {
    return refuse("max_message_bytes and the max_inflight limits must be more than 0");
  }
  if (options.lease_reads && !options.check_quorum) {
    return refuse("lease_reads needs check_quorum: a lease is what a quorum renews");
  }
  return absl::OkStatus();
}

}  // namespace

Driver::Driver(NodeOptions options, Transport* transport)
    : options_(WithDefaults(std::move(options))),
      loop_(options_.loop),
      transport_(transport),
      log_loops_(options_.log_loop) {}

Driver::Driver(NodeOptions options, GroupSeat seat)
    : options_(std::move(options)),
      loop_(options_.loop),
      seat_(std::move(seat)),
      transport_(seat_.transport.get()),
      log_loops_(options_.log_loop),
      log_(std::move(seat_.log)) {}

Driver::~Driver() {
  Abandon();
  log_.reset();
}

void Driver::Abandon() {
  if (applier_) applier_->Abandon();
}

absl::Status Driver::OpenLog() {
  LogOptions log;
  log_loops_.Create();
  FillLogPlace(options_, log_loops_, &log);
  log.initial_conf = options_.initial_conf;
  log.on_error = [this](absl::Status status) { Fail(std::move(status)); };
  KEEL_ASSIGN_OR_RETURN(log_, Log::Open(std::move(log)));
  return absl::OkStatus();
}

absl::Status Driver::Open(StateMachine* state_machine) {
  KEEL_CHECK(options_.id != kNoNode && loop_ != nullptr && options_.apply_loop != nullptr);
  KEEL_RETURN_IF_ERROR(CheckOptions(options_));
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
      [weak = weak_from_this()](Index last, const std::vector<ConfChange>& changes) {
        if (const auto self = weak.lock()) self->OnApplied(last, changes);
      },
      [weak = weak_from_this()](absl::Status status) {
        if (const auto self = weak.lock()) self->Fail(std::move(status));
      });
  if (seat_.host != nullptr) return absl::OkStatus();  // The host has done it for all.
  return EmptyFolder(*options_.fs, options_.snapshot_dir);
}

void Driver::Start() {
  log_loops_.Start();
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
  config.max_message_bytes = options_.max_message_bytes;
  config.max_inflight_messages = options_.max_inflight_messages;
  config.max_inflight_bytes = options_.max_inflight_bytes;
  config.pre_vote = options_.pre_vote;
  config.check_quorum = options_.check_quorum;
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
  // Nobody else can lead: there is nobody to wait for. But a leader of before, who left a cluster
  // of two, may read by its lease until an election timeout has passed.
  const ConfState& conf = opened_at_.conf;
  if (conf.voters == std::vector<NodeId>{options_.id} && conf.voters_outgoing.empty() &&
      !options_.lease_reads) {
    core_->Campaign();
  }
  ScheduleTurn();
}

void Driver::RefuseAll(const absl::Status& status) {
  Proposals proposals = std::exchange(proposals_, {});
  proposals.Refuse(status);
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

void Driver::StopOwnLoops() { log_loops_.Stop(); }

}  // namespace keel::raft
