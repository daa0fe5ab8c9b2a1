#include "raft/driver/host_core.h"

#include <algorithm>
#include <random>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::raft {

using base::StrCat;

namespace {

constexpr auto kRefusalLog = std::chrono::seconds(1);

uint64_t Mix(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9e3779b97f4a7c15ull * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

// A group's way out: its messages go with those of the others.
class GroupTransport final : public Transport {
 public:
  GroupTransport(std::shared_ptr<HostCore> host, GroupId group)
      : host_(std::move(host)), group_(group) {}

  void set_driver(const Driver* driver) { driver_ = driver; }

  void Start(base::Loop*, TransportHandler*) override {}  // The host's is running.
  void Stop() override { host_->Detach(group_, driver_); }
  void AddPeer(NodeId peer, const std::string& address) override {
    host_->transport()->AddPeer(peer, address);
  }
  void RemovePeer(NodeId) override {}  // Other groups may need it.
  void Send(std::span<Message> messages) override { host_->Enqueue(group_, messages); }
  void SendUser(NodeId to, std::string payload) override {
    host_->transport()->SendUser(to, std::move(payload));
  }
  void SendSnapshot(Message message, std::string dir,
                    absl::AnyInvocable<void(absl::Status)> done) override {
    message.group = group_;
    host_->transport()->SendSnapshot(std::move(message), std::move(dir), std::move(done));
  }
  base::Duration SinceHeard(NodeId peer) const override {
    return host_->transport()->SinceHeard(peer);
  }

 private:
  const std::shared_ptr<HostCore> host_;
  const GroupId group_;
  const Driver* driver_ = nullptr;
};

}  // namespace

HostCore::HostCore(HostOptions options, Transport* transport)
    : options_(WithDefaults(std::move(options))),
      loop_(options_.loop),
      transport_(transport),
      log_loops_(options_.log_loop) {}

HostCore::~HostCore() = default;

absl::Status HostCore::Open() {
  KEEL_CHECK(options_.id != kNoNode && loop_ != nullptr && options_.apply_loop != nullptr);
  KEEL_CHECK(options_.host_heartbeat_ticks > 0 &&
                 options_.host_suspect_ticks > options_.host_heartbeat_ticks,
             "host_heartbeat_ticks=", options_.host_heartbeat_ticks,
             " host_suspect_ticks=", options_.host_suspect_ticks);
  SharedLogOptions log;
  log_loops_.Create();
  FillLogPlace(options_, log_loops_, &log);
  log.on_error = [this](absl::Status status) { Fail(std::move(status)); };
  KEEL_ASSIGN_OR_RETURN(log_, SharedLog::Open(std::move(log)));
  return EmptyFolder(*options_.fs, options_.snapshot_dir);
}

void HostCore::Start() {
  if (closed_) return;
  log_loops_.Start();
  started_ = true;
  epoch_ =
      Mix(options_.random_seed, static_cast<uint64_t>(loop_->Now().time_since_epoch().count())) | 1;
  base::Log().info("raft host started id={:x} groups={}", options_.id, log_->Groups().size());
  transport_->Start(loop_, this);
  next_tick_ = loop_->Now() + options_.tick;
  tick_timer_ = loop_->After(options_.tick, [self = shared_from_this()] { self->Tick(); });
  ScheduleRun();
}

absl::StatusOr<std::shared_ptr<Driver>> HostCore::OpenGroup(const GroupOptions& given,
                                                            StateMachine* state_machine) {
  if (closed_) return absl::UnavailableError("the host has failed or is stopping");
  if (given.id == kNoGroup || given.id == kHostGroup) {
    return absl::InvalidArgumentError(StrCat(given.id, " is no id for a group"));
  }
  if (groups_.contains(given.id)) {
    return absl::AlreadyExistsError(StrCat("group ", given.id, " is open"));
  }
  NodeOptions options;
  options.id = options_.id;
  options.loop = loop_;
  options.apply_loop = options_.apply_loop;
  options.fs = options_.fs;
  options.log_dir = options_.log_dir;
  if (!options_.snapshot_dir.empty()) {
    options.snapshot_dir = StrCat(options_.snapshot_dir, "/", given.id);
  }
  options.cluster_id = options_.cluster_id;
  options.tick = options_.tick;
  options.election_ticks = options_.election_ticks;
  options.heartbeat_ticks = options_.heartbeat_ticks;
  options.random_seed = Mix(Mix(options_.random_seed, options_.id), given.id);
  options.lease_reads = given.lease_reads;
  options.snapshot_count = given.snapshot_count;
  options.catchup_entries = given.catchup_entries;
  options.log_bytes_max = given.log_bytes_max;
  options.max_uncommitted_bytes = given.max_uncommitted_bytes;
  options.on_fatal = given.on_fatal;
  options.on_state_change = given.on_state_change;
  options.observer = given.observer;
  GroupSeat seat;
  seat.host = this;
  seat.group = given.id;
  KEEL_ASSIGN_OR_RETURN(seat.log, log_->OpenGroup(given.id, given.initial_conf));
  auto transport = std::make_shared<GroupTransport>(shared_from_this(), given.id);
  seat.transport = transport;
  seat.quiesce_ticks = options_.quiesce_ticks;
  auto driver = std::make_shared<Driver>(std::move(options), std::move(seat));
  transport->set_driver(driver.get());
  KEEL_RETURN_IF_ERROR(driver->Open(state_machine));
  groups_.emplace(given.id, driver);
  const ConfState conf = driver->members();
  for (const auto* ids : {&conf.voters, &conf.learners, &conf.voters_outgoing}) {
    for (const NodeId id : *ids) {
      if (id != options_.id) peers_.try_emplace(id, Peer{ticks_, 0, false});
    }
  }
  return driver;
}

absl::Status HostCore::RemoveGroup(GroupId group, absl::AnyInvocable<void()> done) {
  if (closed_) return absl::UnavailableError("the host has failed or is stopping");
  return log_->RemoveGroup(group, std::move(done));
}

void HostCore::Detach(GroupId group, const Driver* driver) {
  loop_->Dispatch([self = shared_from_this(), group, driver] {
    const auto it = self->groups_.find(group);
    if (it == self->groups_.end() || it->second.get() != driver) return;
    it->second->ResignIfLeader();
    std::erase_if(self->leaving_, [](const auto& weak) { return weak.expired(); });
    self->leaving_.push_back(it->second);
    self->groups_.erase(it);
  });
}

std::vector<std::shared_ptr<Driver>> HostCore::Drivers() const {
  std::vector<std::shared_ptr<Driver>> out;
  out.reserve(groups_.size());
  for (const auto& [id, driver] : groups_) out.push_back(driver);
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a->group() < b->group(); });
  return out;
}

HostCounters HostCore::counters() const {
  HostCounters out = counters_;
  out.groups = groups_.size();
  out.active_groups = 0;
  for (const auto& driver : active_) out.active_groups += !driver->quiescent();
  for (const auto& [id, peer] : peers_) out.suspected_hosts += peer.suspected;
  return out;
}

// Messages in.

void HostCore::OnMessages(std::span<Message> messages) {
  if (!running()) return;
  NodeId heard = kNoNode;
  for (Message& message : messages) {
    if (message.from != heard) Heard(heard = message.from);
    if (message.group == kHostGroup) {
      OnHostMessage(message);
      continue;
    }
    const auto it = groups_.find(message.group);
    if (it == groups_.end()) {
      Refuse(message);
      continue;
    }
    ++counters_.messages_received;
    // Kept alive: what it is told may end it.
    const std::shared_ptr<Driver> driver = it->second;
    driver->Receive(std::move(message));
  }
}

void HostCore::OnUnreachable(NodeId peer) {
  if (!running()) return;
  // The others have nothing on their way.
  for (size_t i = 0; i < active_.size(); ++i) {
    static_cast<TransportHandler&>(*active_[i]).OnUnreachable(peer);
  }
}

void HostCore::OnSnapshotFiles(NodeId from, const Message& message, std::string dir) {
  if (!running()) return;
  Heard(from);
  const auto it = groups_.find(message.group);
  if (it == groups_.end()) {
    Refuse(message);
    if (const absl::Status status = options_.fs->RemoveAll(dir); !status.ok()) {
      base::Log().warn("cannot remove snapshot path={} error=\"{}\"", dir, status.ToString());
    }
    return;
  }
  const std::shared_ptr<Driver> driver = it->second;
  static_cast<TransportHandler&>(*driver).OnSnapshotFiles(from, message, std::move(dir));
}

void HostCore::OnUserMessage(NodeId from, std::string payload) {
  if (running() && options_.on_user_message) options_.on_user_message(from, std::move(payload));
}

void HostCore::Refuse(const Message& message) {
  ++counters_.refused_messages;
  if (loop_->Now() - refusal_logged_ < kRefusalLog) return;
  refusal_logged_ = loop_->Now();
  base::Log().warn("raft message refused from={:x} group={}: no such group here refused={}",
                   message.from, message.group, counters_.refused_messages);
}

// Messages out.

void HostCore::Enqueue(GroupId group, std::span<Message> messages) {
  if (!running()) return;
  counters_.messages_sent += messages.size();
  for (Message& message : messages) {
    message.group = group;
    outgoing_.push_back(std::move(message));
  }
  ScheduleRun();
}

void HostCore::ScheduleTurn(std::shared_ptr<Driver> driver) {
  turns_.push_back(std::move(driver));
  ScheduleRun();
}

void HostCore::ScheduleRun() {
  if (run_scheduled_) return;
  run_scheduled_ = true;
  loop_->Post([self = shared_from_this()] { self->Run(); });
}

void HostCore::Run() {
  run_scheduled_ = false;
  if (!running()) return;
  const std::vector<std::shared_ptr<Driver>> turns = std::exchange(turns_, {});
  counters_.turns += turns.size();
  for (const auto& driver : turns) driver->RunTurn();
  if (outgoing_.empty() || !running()) return;
  ++counters_.sends;
  transport_->Send(outgoing_);
  outgoing_.clear();
}

// Time.

void HostCore::Activate(std::shared_ptr<Driver> driver) {
  ++counters_.woken;
  if (driver->active) return;  // It fell asleep and woke up between two ticks.
  driver->active = true;
  active_.push_back(std::move(driver));
}

void HostCore::Tick() {
  if (!running()) return;
  ++ticks_;
  // Stays in step, but does not make up for what a blocked loop missed.
  next_tick_ = std::max(next_tick_ + options_.tick, loop_->Now());
  tick_timer_ =
      loop_->After(next_tick_ - loop_->Now(), [self = shared_from_this()] { self->Tick(); });
  size_t kept = 0;
  for (size_t i = 0; i < active_.size(); ++i) {
    if (active_[i]->TickOnce()) {
      ++counters_.ticks;
      if (kept != i) active_[kept] = std::move(active_[i]);
      ++kept;
    } else {
      active_[i]->active = false;
    }
  }
  active_.resize(kept);
  if (ticks_ % options_.host_heartbeat_ticks == 0) SendHostHeartbeats();
  SuspectSilentHosts();
}

void HostCore::SendHostHeartbeats() {
  for (const auto& [id, peer] : peers_) {
    Message message;
    message.type = MessageType::kHeartbeat;
    message.group = kHostGroup;
    message.from = options_.id;
    message.to = id;
    message.context = epoch_;
    outgoing_.push_back(std::move(message));
    ++counters_.host_heartbeats_sent;
  }
  if (!peers_.empty()) ScheduleRun();
}

void HostCore::Heard(NodeId host) {
  Peer& peer = peers_[host];
  peer.heard_tick = ticks_;
  if (!peer.suspected) return;
  peer.suspected = false;
  base::Log().info("raft host={:x} is back", host);
  HostChanged(host);
}

void HostCore::OnHostMessage(const Message& message) {
  if (message.type != MessageType::kHeartbeat) return Refuse(message);
  if (message.reject) {  // It gave up the lead of one group.
    const auto it = groups_.find(message.index);
    if (it != groups_.end()) it->second->OnHostChanged(message.from);
    return;
  }
  Peer& peer = peers_[message.from];
  const uint64_t before = std::exchange(peer.epoch, message.context);
  if (before != 0 && before != message.context) {
    base::Log().info("raft host={:x} was restarted", message.from);
    HostChanged(message.from);
  }
}

void HostCore::SuspectSilentHosts() {
  for (auto& [id, peer] : peers_) {
    if (peer.suspected || ticks_ - peer.heard_tick <= options_.host_suspect_ticks) continue;
    peer.suspected = true;
    base::Log().warn("raft host={:x} is suspected: silent for {} ticks", id,
                     ticks_ - peer.heard_tick);
    HostChanged(id);
  }
}

void HostCore::HostChanged(NodeId host) {
  for (const auto& driver : Drivers()) driver->OnHostChanged(host);
}

bool HostCore::Suspected(NodeId host) const {
  const auto it = peers_.find(host);
  return it != peers_.end() && it->second.suspected;
}

void HostCore::OnResigned(GroupId group, const ConfState& members) {
  if (!running()) return;
  for (const auto* ids : {&members.voters, &members.learners}) {
    for (const NodeId id : *ids) {
      if (id == options_.id) continue;
      Message message;
      message.type = MessageType::kHeartbeat;
      message.group = kHostGroup;
      message.from = options_.id;
      message.to = id;
      message.index = group;
      message.reject = true;
      outgoing_.push_back(std::move(message));
    }
  }
  ScheduleRun();
}

// The end.

void HostCore::Fail(absl::Status status) {
  if (closed_) return;
  base::Log().error("raft host={:x} cannot go on error=\"{}\"", options_.id, status.ToString());
  Close();
  for (const auto& driver : Drivers()) driver->Fail(status);
  if (options_.on_fatal) options_.on_fatal(std::move(status));
}

void HostCore::Close() {
  closed_ = true;
  if (tick_timer_ != 0) loop_->Cancel(tick_timer_);
  active_.clear();
  turns_.clear();
  outgoing_.clear();
}

void HostCore::Halt() {
  Close();
  for (const auto& driver : Drivers()) {
    driver->Abandon();
    driver->Halt();
  }
  for (const auto& weak : leaving_) {
    if (const auto driver = weak.lock()) driver->Halt();
  }
  groups_.clear();
  log_.reset();
}

void HostCore::StopOwnLoops() { log_loops_.Stop(); }

}  // namespace keel::raft
