#include "tests/sim/host_member.h"

#include <algorithm>

#include "base/check.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::sim {

using base::StrCat;
using raft::GroupId;
using raft::Role;

namespace {

// Of one task, on however slow a disk: a start does much at once.
constexpr Nanos kChargeMax = 5 * kSecond;
constexpr Nanos kPoll = 20 * kMilli;

}  // namespace

// One life of a group on this host.
class SimHost::Group final : public raft::NodeObserver {
 public:
  Group(SimHost* host, const SimGroup& group)
      : host_(*host), id_(group.id), machine_(&host->disk_, StrCat("/member/list-", group.id)) {
    machine_.on_applied = [this](const raft::CommittedEntry& committed) { OnApplied(committed); };
  }

  absl::Status Open(const SimGroup& group) {
    raft::GroupOptions options;
    options.id = id_;
    options.initial_conf = group.first_conf;
    options.snapshot_count = group.snapshot_count;
    options.catchup_entries = group.catchup_entries;
    options.lease_reads = group.lease_reads;
    options.observer = this;
    options.on_fatal = [this](absl::Status status) {
      host_.fatal_ = std::move(status);
      host_.Dying();
    };
    KEEL_ASSIGN_OR_RETURN(node_, host_.host_->OpenGroup(std::move(options), &machine_));
    return absl::OkStatus();
  }
  void CloseNode() { node_.reset(); }
  raft::Node* node() const { return node_.get(); }

  // ---- raft::NodeObserver
  void OnStart(const raft::LogView& log, const raft::HardState& hard_state,
               const raft::ConfState& conf, raft::Index applied) override {
    log_ = &log;
    first_index_ = log.FirstIndex();
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
    host_.world_.Note(host_.id(),
                      "group %d opened term=%d vote=%x commit=%d log=[%d, %d] applied=%d", id_,
                      hard_state.term, hard_state.vote, hard_state.commit, first_index_,
                      log.LastIndex(), applied);
    checker().OnRestart(host_.id(), hard_state, base, entries, applied);
  }

  void OnReady(const raft::Ready& ready, raft::Term term) override {
    if (ready.snapshot) {
      host_.world_.Note(host_.id(), "group %d takes snapshot index=%d term=%d", id_,
                        ready.snapshot->index, ready.snapshot->term);
      checker().OnSnapshot(host_.id(), *ready.snapshot);
      snapshot_index_ = ready.snapshot->index;
    }
    if (!ready.entries.empty()) {
      host_.world_.Note(host_.id(), "group %d appends [%d, %d] term=%d", id_,
                        ready.entries.front().index, ready.entries.back().index,
                        ready.entries.back().term);
      checker().OnAppend(host_.id(), ready.entries);
    }
    if (log_ != nullptr && log_->FirstIndex() > first_index_) {
      first_index_ = log_->FirstIndex();
      if (!ready.snapshot) checker().OnCompact(host_.id(), first_index_ - 1);
    }
    if (ready.soft_state) {
      host_.world_.Note(host_.id(), "group %d role=%d term=%d leader=%x", id_,
                        static_cast<int>(ready.soft_state->role), term, ready.soft_state->leader);
    }
    if (node_ != nullptr && (ready.soft_state || ready.hard_state || !ready.entries.empty())) {
      node_->GetStatus([this](const raft::Status& status) { checker().OnStatus(status); });
    }
  }

 private:
  RaftChecker& checker() { return host_.listener_.CheckerOf(id_); }

  void OnApplied(const raft::CommittedEntry& committed) {
    const raft::Entry& entry = committed.entry;
    // What was on its way here when the core took a snapshot is covered by that: the checker
    // has moved on.
    if (entry.index > snapshot_index_) checker().OnApplied(host_.id(), entry, machine_.hash());
    if (entry.type == raft::EntryType::kConfChange) {
      checker().OnConf(host_.id(), entry.index, committed.conf_after);
    }
    host_.listener_.OnApplied(host_, id_, committed);
  }

  SimHost& host_;
  const GroupId id_;
  ListMachine machine_;
  const raft::LogView* log_ = nullptr;
  raft::Index first_index_ = 0;
  raft::Index snapshot_index_ = 0;  // of the last one that the core took
  std::unique_ptr<raft::Node> node_;
};

SimHost::SimHost(World* world, SimNetwork* network, SimHostOptions options, HostListener* listener)
    : world_(*world),
      network_(*network),
      options_(std::move(options)),
      listener_(*listener),
      groups_(options_.groups),
      disk_(SimDiskOptions{.seed = options_.seed}),
      clock_(world, world->random().Between(1, 1000) * kSecond) {
  KEEL_CHECK(disk_.CreateDirs("/member").ok());
}

SimHost::~SimHost() {
  *alive_ = false;
  disk_.Die();
  TearDown();
}

std::unique_ptr<SimLoop> SimHost::MakeLoop() {
  auto loop = std::make_unique<SimLoop>(&world_, &clock_);
  loop->set_after_task([this] {
    world_.Charge(std::min(static_cast<Nanos>(disk_.TakeCost()), kChargeMax));
    if (disk_.dead()) Dying();
  });
  return loop;
}

void SimHost::Dying() {
  if (dying_ || host_ == nullptr) return;
  dying_ = true;
  world_.Note(id(), "goes down%s", fatal_.ok() ? "" : ": " + fatal_.ToString());
  for (SimLoop* loop : {main_.get(), apply_.get(), log_loop_.get()}) loop->Close();
  // Outside of its own calls.
  world_.At(0, [this, alive = alive_, life = life_] {
    if (*alive && life == life_ && host_ != nullptr) listener_.OnDown(*this);
  });
}

absl::Status SimHost::Start() {
  KEEL_CHECK(host_ == nullptr);
  ++life_;
  dying_ = false;
  fatal_ = absl::OkStatus();
  main_ = MakeLoop();
  apply_ = MakeLoop();
  log_loop_ = MakeLoop();

  raft::HostOptions options;
  options.id = id();
  options.loop = main_.get();
  options.apply_loop = apply_.get();
  options.log_loop = log_loop_.get();
  options.fs = &disk_;
  options.log_dir = "/member/wal";
  options.snapshot_dir = "/member/snap";
  options.cluster_id = 0xc1;
  options.tick = options_.tick;
  options.election_ticks = options_.election_ticks;
  options.random_seed = (options_.seed ^ (life_ * 0x9e3779b97f4a7c15ull)) | 1;
  options.quiesce_ticks = options_.quiesce_ticks;
  options.host_heartbeat_ticks = options_.host_heartbeat_ticks;
  options.host_suspect_ticks = options_.host_suspect_ticks;
  options.segment_bytes = options_.segment_bytes;
  options.log_memory_bytes = options_.log_memory_bytes;
  options.on_fatal = [this](absl::Status status) {
    fatal_ = std::move(status);
    Dying();
  };

  absl::Status status;
  main_->Enter([&] {
    transport_ =
        network_.Connect(id(), {.fs = &disk_, .snapshot_dir = "/member/snap", .knows_all = true});
    auto host = raft::Host::Open(std::move(options), transport_.get());
    if (!host.ok()) {
      status = host.status();
      return;
    }
    host_ = *std::move(host);
    for (const SimGroup& group : groups_) {
      if (status.ok()) status = Open(group);
    }
  });
  world_.Note(id(), "started: %s", status.ToString());
  if (!status.ok()) {
    fatal_ = status;
    TearDown();
    if (disk_.dead()) disk_.Crash();
  }
  return status;
}

absl::Status SimHost::Open(const SimGroup& group) {
  auto& slot = open_[group.id];
  slot = std::make_unique<Group>(this, group);
  return slot->Open(group);
}

absl::Status SimHost::Join(const SimGroup& group) {
  SimGroup joined = group;
  joined.first_conf = {};
  groups_.push_back(joined);
  absl::Status status;
  main_->Enter([&] { status = Open(joined); });
  return status;
}

void SimHost::Drop(GroupId group) {
  std::erase_if(groups_, [group](const SimGroup& each) { return each.id == group; });
  listener_.CheckerOf(group).OnWiped(id());
  if (!up()) return;
  world_.Note(id(), "drops group %d", group);
  main_->Enter([this, group] {
    open_.erase(group);
    const absl::Status removed = host_->RemoveGroup(group, [] {});
    world_.Note(id(), "removed group %d: %s", group, removed.ToString());
  });
}

raft::Node* SimHost::node(GroupId group) const {
  const auto it = open_.find(group);
  return !up() || it == open_.end() ? nullptr : it->second->node();
}

void SimHost::Crash(SimDisk::CrashKind kind) {
  if (host_ == nullptr) return;
  world_.Note(id(), "crashes");
  disk_.Die();
  TearDown();
  disk_.Crash(kind);
  for (const SimGroup& group : groups_) listener_.CheckerOf(group.id).OnCrash(id());
}

void SimHost::Leave(Nanos limit, std::function<void()> done) {
  if (!up()) return;
  world_.Note(id(), "leaves");
  bool leads = false;
  for (const auto& [group, open] : open_) {
    raft::Node* const node = open->node();
    if (node == nullptr || node->role() != Role::kLeader) continue;
    leads = true;
    main_->Post([node] { node->TransferLeadership(raft::kNoNode, nullptr); });
  }
  if (!leads || limit <= 0) {
    Crash(SimDisk::CrashKind::kProcess);
    return done();
  }
  world_.After(kPoll, [this, life = life_, limit, done = std::move(done)]() mutable {
    if (life == life_ && up()) Leave(limit - kPoll, std::move(done));
  });
}

void SimHost::TearDown() {
  for (SimLoop* loop : {main_.get(), apply_.get(), log_loop_.get()}) {
    if (loop != nullptr) loop->Close();
  }
  if (main_ != nullptr) {
    main_->Enter([this] {
      for (const auto& [id, group] : open_) group->CloseNode();
      host_.reset();
      transport_.reset();
      open_.clear();
    });
  }
  for (auto* loop : {&log_loop_, &apply_, &main_}) loop->reset();
  dying_ = false;
}

void SimHost::Stall(Nanos until) {
  if (!up()) return;
  for (SimLoop* loop : {main_.get(), apply_.get(), log_loop_.get()}) loop->Stall(until);
}

}  // namespace keel::sim
