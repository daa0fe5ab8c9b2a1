#include "raft/core/testing/member.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace keel::raft::testing {

namespace {
// Members that say more without a tick between talk in circles.
constexpr int kMessagesMax = 1'000'000;
}  // namespace

Payload Data(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

Member::Member(NodeId id, ConfState conf, Config config)
    : id_(id), first_conf_(conf), config_(std::move(config)), conf_(std::move(conf)) {
  config_.id = id;
  config_.random = [id](uint64_t n) { return id % n; };
  Start();
}

void Member::Start() {
  log_ = std::make_unique<MemoryLog>(disk_);
  raft_ = std::make_unique<Raft>(config_, log_.get(), hard_state_, conf_, applied_index_);
}

void Member::Restart() {
  writes_.clear();
  to_apply_.clear();
  outbox_.clear();
  Start();
}

void Member::Wipe() {
  hard_state_ = {};
  disk_ = MemoryLog();
  conf_ = first_conf_;
  applied_index_ = 0;
  applied.clear();
  sizes_.clear();
  Restart();
}

void Member::StartWith(const std::vector<Term>& terms, Term term) {
  std::vector<Entry> entries;
  for (Term each : terms) {
    entries.push_back({each, entries.size() + 1, EntryType::kNormal, Data("")});
  }
  disk_.Append(entries);
  hard_state_.term = term;
  Restart();
}

void Member::Process() {
  while (raft_->HasReady()) {
    Ready ready = raft_->TakeReady();
    if (on_ready) on_ready(ready);
    if (ready.snapshot) log_->Restore(*ready.snapshot);
    log_->Append(ready.entries);
    std::move(ready.messages.begin(), ready.messages.end(), std::back_inserter(outbox_));
    for (Entry& entry : ready.committed) to_apply_.push_back(std::move(entry));
    reads.insert(reads.end(), ready.reads.begin(), ready.reads.end());
    dropped_reads.insert(dropped_reads.end(), ready.dropped_reads.begin(),
                         ready.dropped_reads.end());
    writes_.push_back(std::move(ready));
    while (!hold_disk && !writes_.empty()) PersistOne();
    if (!hold_apply) Apply();
  }
  while (!hold_disk && !writes_.empty()) {
    PersistOne();
    Process();
  }
  if (!hold_apply && !to_apply_.empty()) {
    Apply();
    Process();
  }
}

void Member::PersistOne() {
  KEEL_CHECK(!writes_.empty());
  Ready ready = std::move(writes_.front());
  writes_.pop_front();
  if (ready.snapshot) {
    disk_.Restore(*ready.snapshot);
    to_apply_.clear();
    applied_index_ = ready.snapshot->index;
    conf_ = ready.snapshot->conf;
    if (fetch_snapshot) applied = fetch_snapshot(applied_index_);
    sizes_.assign(1, {applied_index_, applied.size()});
  }
  disk_.Append(ready.entries);
  if (ready.hard_state) hard_state_ = *ready.hard_state;
  std::move(ready.persisted_messages.begin(), ready.persisted_messages.end(),
            std::back_inserter(outbox_));
  raft_->Persisted(ready.id);
}

void Member::Apply() {
  if (to_apply_.empty()) return;
  for (; !to_apply_.empty(); to_apply_.pop_front()) {
    const Entry& entry = to_apply_.front();
    KEEL_CHECK(entry.index == applied_index_ + 1);
    if (entry.type == EntryType::kConfChange) {
      const absl::StatusOr<ConfChange> change = DecodeConfChange(*entry.data);
      KEEL_CHECK(change.ok());
      conf_ = raft_->ApplyConfChange(*change);
      if (on_conf) on_conf(conf_);
    } else if (!entry.data->empty()) {
      applied.push_back(*entry.data);
    }
    applied_index_ = entry.index;
    sizes_.emplace_back(applied_index_, applied.size());
  }
  raft_->Applied(applied_index_);
}

std::vector<std::string> Member::StateAt(Index index) const {
  const auto it = std::find_if(sizes_.begin(), sizes_.end(),
                               [index](const auto& size) { return size.first == index; });
  KEEL_CHECK(it != sizes_.end(), "no state at ", index);
  return {applied.begin(), applied.begin() + static_cast<ptrdiff_t>(it->second)};
}

std::vector<Message> Member::TakeMessages() { return std::exchange(outbox_, {}); }

void Member::Compact(Index index) {
  const SnapshotMeta meta{applied_index_, *log_->TermAt(applied_index_), conf_};
  for (MemoryLog* log : {log_.get(), &disk_}) {
    log->SetSnapshot(meta);
    log->Compact(index);
  }
}

Network::Network(std::vector<NodeId> voters, std::vector<NodeId> learners, Config config)
    : config_(std::move(config)) {
  ConfState conf;
  conf.voters = std::move(voters);
  conf.learners = std::move(learners);
  for (const std::vector<NodeId>* list : {&conf.voters, &conf.learners}) {
    for (NodeId id : *list) {
      ids_.push_back(id);
      members_.push_back(std::make_unique<Member>(id, conf, config_));
      Wire(*members_.back(), id);
    }
  }
}

Member& Network::Join(NodeId id) {
  ids_.push_back(id);
  members_.push_back(std::make_unique<Member>(id, ConfState{}, config_));
  Wire(*members_.back(), id);
  return *members_.back();
}

void Network::Wire(Member& member, NodeId id) {
  member.fetch_snapshot = [this, id](Index index) {
    size_t i = 0;
    for (; i < ids_.size(); ++i) {
      if (ids_[i] == id) continue;
      const absl::StatusOr<SnapshotMeta> meta = members_[i]->log().Snapshot();
      if (meta.ok() && meta->index == index) break;
    }
    KEEL_CHECK(i < ids_.size(), "nobody has snapshot ", index);
    return members_[i]->StateAt(index);
  };
}

size_t Network::Position(NodeId id) const {
  const auto at = std::find(ids_.begin(), ids_.end(), id);
  KEEL_CHECK(at != ids_.end(), "no member ", id);
  return static_cast<size_t>(at - ids_.begin());
}

bool Network::Lost(const Message& m) const {
  for (NodeId id : isolated_) {
    if (m.from == id || m.to == id) return true;
  }
  if (std::find(ids_.begin(), ids_.end(), m.to) == ids_.end()) return true;
  return drop && drop(m);
}

void Network::Settle() {
  for (int delivered = 0;; ++delivered) {
    KEEL_CHECK(delivered < kMessagesMax, "the members never fall silent");
    for (auto& member : members_) {
      member->Process();
      for (Message& m : member->TakeMessages()) messages_.push_back(std::move(m));
    }
    if (messages_.empty()) return;
    Message m = std::move(messages_.front());
    messages_.pop_front();
    const bool lost = Lost(m);
    if (on_message) on_message(m, lost);
    if (m.type == MessageType::kSnapshot) {
      (*this)[m.from].raft().ReportSnapshot(
          m.to, lost ? SnapshotStatus::kFailed : SnapshotStatus::kFinished);
    }
    if (!lost) (*this)[m.to].raft().Step(std::move(m)).IgnoreError();
  }
}

void Network::Tick(int ticks) {
  for (int i = 0; i < ticks; ++i) {
    for (auto& member : members_) member->raft().Tick();
    Settle();
  }
}

void Network::Elect(NodeId id) {
  raft(id).Campaign();
  Settle();
  KEEL_CHECK(raft(id).role() == Role::kLeader, "member ", id, " lost the election");
}

void Network::Propose(NodeId id, const std::string& data) {
  const absl::Status status = raft(id).Propose(Data(data));
  KEEL_CHECK(status.ok(), status.message());
  Settle();
}

void Network::Isolate(NodeId id) { isolated_.push_back(id); }

}  // namespace keel::raft::testing
