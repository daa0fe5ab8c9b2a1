#include "tests/sim/member.h"

#include "base/check.h"
#include "base/strings.h"

namespace keel::sim {

using base::StrCat;

namespace {

// Of one task, on however slow a disk: a start does much at once.
constexpr Nanos kChargeMax = 5 * kSecond;

const char* Name(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower:
      return "follower";
    case raft::Role::kPreCandidate:
      return "pre-candidate";
    case raft::Role::kCandidate:
      return "candidate";
    case raft::Role::kLeader:
      return "leader";
  }
  return "?";
}

std::string Describe(const raft::ConfState& conf) {
  const auto list = [](const std::vector<raft::NodeId>& ids) {
    std::string out;
    for (const raft::NodeId id : ids) out += absl::StrFormat("%s%x", out.empty() ? "" : " ", id);
    return out;
  };
  std::string out = "voters [" + list(conf.voters) + "]";
  if (!conf.voters_outgoing.empty()) out += " outgoing [" + list(conf.voters_outgoing) + "]";
  if (!conf.learners.empty()) out += " learners [" + list(conf.learners) + "]";
  return out;
}

}  // namespace

// Tells the oracle of everything that a member applies.
class SimMember::WatchedMachine final : public raft::StateMachine {
 public:
  WatchedMachine(SimMember* member, raft::StateMachine* machine)
      : member_(*member), machine_(*machine) {}

  absl::StatusOr<raft::AppliedState> Open() override { return machine_.Open(); }

  absl::Status Apply(std::span<const raft::CommittedEntry> entries) override {
    // A machine that can tell its hash is asked after each entry.
    const size_t step = member_.stack_->KnowsHash() ? 1 : entries.size();
    for (size_t at = 0; at < entries.size(); at += step) {
      const auto some = entries.subspan(at, std::min(step, entries.size() - at));
      if (absl::Status status = machine_.Apply(some); !status.ok()) return status;
      if (member_.disk().dead()) return absl::UnavailableError("the disk is dead");
      const uint64_t hash = member_.stack_->StateHash();
      for (const raft::CommittedEntry& committed : some) {
        const raft::Entry& entry = committed.entry;
        // What was on its way here when the core took a snapshot is covered by that: the checker
        // has moved on.
        if (entry.index > member_.snapshot_index_) {
          member_.oracle_.raft().OnApplied(member_.id(), entry, hash);
        }
        if (entry.type == raft::EntryType::kConfChange) {
          member_.world_.Note(member_.id(), "conf at index=%d: %s", entry.index,
                              Describe(committed.conf_after));
          member_.oracle_.raft().OnConf(member_.id(), entry.index, committed.conf_after);
          if (member_.on_conf) member_.on_conf(member_, entry.index, committed.conf_after);
        }
      }
    }
    member_.world_.Note(member_.id(), "applied up to index=%d", entries.back().entry.index);
    return absl::OkStatus();
  }
  bool AcceptConfChange(const raft::Entry& entry, const raft::ConfChange& change) override {
    return machine_.AcceptConfChange(entry, change);
  }
  raft::Index DurableIndex() override { return machine_.DurableIndex(); }
  void Flush() override {
    member_.world_.Note(member_.id(), "flush");
    machine_.Flush();
  }
  absl::StatusOr<raft::AppliedState> WriteSnapshot(const std::string& dir) override {
    auto state = machine_.WriteSnapshot(dir);
    member_.world_.Note(member_.id(), "wrote snapshot index=%d", state.ok() ? state->index : 0);
    return state;
  }
  absl::Status RestoreSnapshot(const std::string& dir, const raft::SnapshotMeta& meta) override {
    const absl::Status status = machine_.RestoreSnapshot(dir, meta);
    member_.world_.Note(member_.id(), "restored snapshot index=%d status=%s", meta.index,
                        status.ToString());
    if (status.ok() && member_.on_conf) member_.on_conf(member_, meta.index, meta.conf);
    return status;
  }

 private:
  SimMember& member_;
  raft::StateMachine& machine_;
};

SimMember::SimMember(World* world, SimNetwork* network, Oracle* oracle, SimMemberOptions options,
                     MakeStack make_stack)
    : world_(*world),
      network_(*network),
      oracle_(*oracle),
      options_(std::move(options)),
      make_stack_(std::move(make_stack)),
      clock_(world, world->random().Between(1, 1000) * kSecond) {
  Wipe();
}

SimMember::~SimMember() {
  *alive_ = false;
  disk_->Die();
  TearDown();
}

void SimMember::Wipe() {
  KEEL_CHECK(node_ == nullptr);
  SimDiskOptions disk = options_.disk;
  disk.seed = options_.seed + 1000003 * ++disks_;
  disk_ = std::make_unique<SimDisk>(disk);
  excused_ = damaged_ = false;
  KEEL_CHECK(disk_->CreateDirs("/member").ok());
  if (!world_.tracing()) return;
  disk_->set_on_change([this](DiskOp op, const std::string& path) {
    static constexpr const char* kNames[] = {"read",   "create", "write",  "truncate", "sync",
                                             "rename", "link",   "remove", "sync-dir"};
    world_.Print(id(), StrCat("disk ", kNames[static_cast<size_t>(op)], " ", path));
    return SimDisk::Verdict::kProceed;
  });
}

std::unique_ptr<SimLoop> SimMember::MakeLoop() {
  auto loop = std::make_unique<SimLoop>(&world_, &clock_);
  loop->set_after_task([this] { AfterTask(); });
  return loop;
}

void SimMember::AfterTask() {
  world_.Charge(std::min(static_cast<Nanos>(disk_->TakeCost()), kChargeMax));
  if (disk_->dead()) Dying();
}

void SimMember::Dying() {
  if (dying_ || node_ == nullptr) return;
  dying_ = true;
  world_.Note(id(), "goes down%s", fatal_.ok() ? "" : ": " + fatal_.ToString());
  main_->Close();
  apply_->Close();
  log_loop_->Close();
  worker_->Close();
  // Outside of its own calls.
  world_.At(0, [this, alive = alive_, life = life_] {
    if (*alive && life == life_ && on_down) on_down(*this);
  });
}

absl::Status SimMember::Start() {
  KEEL_CHECK(node_ == nullptr);
  ++life_;
  dying_ = false;
  fatal_ = absl::OkStatus();
  main_ = MakeLoop();
  apply_ = MakeLoop();
  log_loop_ = MakeLoop();
  worker_ = MakeLoop();

  raft::NodeOptions options;
  options.id = id();
  options.loop = main_.get();
  options.apply_loop = apply_.get();
  options.log_loop = log_loop_.get();
  options.fs = disk_.get();
  options.log_dir = "/member/wal";
  options.snapshot_dir = "/member/snap";
  options.cluster_id = options_.cluster_id;
  options.initial_conf = options_.first_conf;
  options.tick = options_.tick;
  options.election_ticks = options_.election_ticks;
  options.random_seed = (options_.seed ^ (life_ * 0x9e3779b97f4a7c15ull)) | 1;
  options.lease_reads = options_.lease_reads;
  options.snapshot_count = options_.snapshot_count;
  options.catchup_entries = options_.catchup_entries;
  options.segment_bytes = options_.segment_bytes;
  options.log_memory_bytes = options_.log_memory_bytes;
  options.observer = this;
  options.on_fatal = [this](absl::Status status) {
    fatal_ = std::move(status);
    Dying();
  };

  absl::Status status;
  main_->Enter([&] {
    stack_ = make_stack_(*this);
    stack_->Prepare(&options);
    machine_ = std::make_unique<WatchedMachine>(this, stack_->machine());
    transport_ = network_.Connect(
        id(), {.fs = disk_.get(),
               .snapshot_dir = "/member/snap",
               .knows_all = options_.knows_all,
               .removed_at = [this](raft::NodeId peer) { return stack_->RemovedAt(peer); }});
    auto node = raft::Node::Open(options, transport_.get(), machine_.get());
    if (!node.ok()) {
      status = node.status();
      return;
    }
    node_ = *std::move(node);
    stack_->Start(node_.get(), transport_.get());
  });
  world_.Note(id(), "started: %s", status.ToString());
  if (!status.ok()) {
    fatal_ = status;
    TearDown();
    if (disk_->dead()) disk_->Crash();
  }
  return status;
}

void SimMember::Crash(SimDisk::CrashKind kind) {
  if (node_ == nullptr) return;
  world_.Note(id(), "crashes");
  disk_->Die();
  TearDown();
  disk_->Crash(kind);
  oracle_.raft().OnCrash(id());
}

void SimMember::TearDown() {
  log_ = nullptr;
  for (SimLoop* loop : {main_.get(), apply_.get(), log_loop_.get(), worker_.get()}) {
    if (loop != nullptr) loop->Close();
  }
  if (main_ != nullptr) {
    main_->Enter([this] {
      if (stack_ != nullptr) stack_->TearDown();
      node_.reset();
      transport_.reset();
      machine_.reset();
      stack_.reset();
    });
  }
  for (auto* loop : {&worker_, &log_loop_, &apply_, &main_}) loop->reset();
  dying_ = false;
}

void SimMember::Stall(Nanos until) {
  if (!up()) return;
  for (SimLoop* loop : {main_.get(), apply_.get(), log_loop_.get(), worker_.get()}) {
    loop->Stall(until);
  }
}

void SimMember::OnStart(const raft::LogView& log, const raft::HardState& hard_state,
                        const raft::ConfState& conf, raft::Index applied) {
  log_ = &log;
  first_index_ = log.FirstIndex();
  snapshot_index_ = 0;
  raft::SnapshotMeta base;
  base.index = first_index_ - 1;
  base.term = log.TermAt(base.index).value_or(0);
  base.conf = conf;
  std::vector<raft::Entry> entries;
  for (raft::Index next = first_index_; next <= log.LastIndex();) {
    auto some = log.Entries(next, log.LastIndex() + 1, 1 << 20);
    if (!some.ok()) break;  // The log reports the damage by itself.
    next += some->size();
    for (raft::Entry& entry : *some) entries.push_back(std::move(entry));
  }
  world_.Note(id(), "opened term=%d vote=%x commit=%d log=[%d, %d] applied=%d", hard_state.term,
              hard_state.vote, hard_state.commit, first_index_, log.LastIndex(), applied);
  oracle_.raft().OnRestart(id(), hard_state, base, entries, applied);
}

void SimMember::OnReady(const raft::Ready& ready, raft::Term term) {
  RaftChecker& checker = oracle_.raft();
  if (ready.snapshot) {
    world_.Note(id(), "takes snapshot index=%d term=%d", ready.snapshot->index,
                ready.snapshot->term);
    checker.OnSnapshot(id(), *ready.snapshot);
    snapshot_index_ = ready.snapshot->index;
  }
  if (!ready.entries.empty()) {
    world_.Note(id(), "appends [%d, %d] term=%d", ready.entries.front().index,
                ready.entries.back().index, ready.entries.back().term);
    checker.OnAppend(id(), ready.entries);
  }
  if (log_ != nullptr && log_->FirstIndex() > first_index_) {
    first_index_ = log_->FirstIndex();
    if (!ready.snapshot) checker.OnCompact(id(), first_index_ - 1);
  }
  if (ready.soft_state) {
    world_.Note(id(), "is %s term=%d leader=%x", Name(ready.soft_state->role), term,
                ready.soft_state->leader);
  }
  if (node_ != nullptr && (ready.soft_state || ready.hard_state || !ready.entries.empty())) {
    node_->GetStatus([&](const raft::Status& status) { checker.OnStatus(status); });
  }
}

}  // namespace keel::sim
