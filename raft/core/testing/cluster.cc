#include "raft/core/testing/cluster.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace keel::raft::testing {

// What a crash leaves, and what it does not.
struct Cluster::Node {
  struct Write {
    Ready ready;  // what is to be made durable, and the messages that wait for it
  };

  NodeId id = kNoNode;

  // Durable.
  HardState hard_state;
  MemoryLog disk;
  Index flushed = 0;  // the state machine's own durable state
  ConfState flushed_conf;

  // Volatile.
  std::optional<HardState> unsynced;
  std::unique_ptr<MemoryLog> log;  // what the core reads: includes writes on their way
  std::unique_ptr<Raft> raft;      // null while crashed
  std::deque<Write> writes;
  std::deque<Entry> to_apply;
  Index applied = 0;
  ConfState conf;
  Index seen_commit = 0;
  std::map<uint64_t, Index> reads;  // outstanding: what was committed when each was asked
};

Cluster::Cluster(ClusterOptions options)
    : options_(std::move(options)),
      rng_(options_.seed),
      temper_(DrawTemper()),
      chaos_(options_.chaos) {
  ConfState conf;
  conf.voters = options_.voters;
  conf.learners = options_.learners;
  auto add = [&](NodeId id, const ConfState& initial) {
    auto node = std::make_unique<Node>();
    node->id = id;
    node->flushed_conf = initial;
    Start(*node);
    nodes_[id] = std::move(node);
  };
  for (NodeId id : options_.voters) add(id, conf);
  for (NodeId id : options_.learners) add(id, conf);
  for (NodeId id : options_.spares) add(id, ConfState{});
}

Cluster::~Cluster() = default;

Cluster::Temper Cluster::DrawTemper() {
  Temper temper{.deliver = 20 + Random(40),
                .persist = 3 + Random(25),
                .apply = 2 + Random(20),
                .tick = 2 + Random(15),
                .other = 5 + Random(15),
                .lose = 0,
                .duplicate = 0,
                .reorder = 0,
                .misbehave = 0,
                .late_driver = Random(600)};
  if (options_.chaos) {
    temper.lose = Random(100);
    temper.duplicate = Random(200);
    temper.reorder = Random(1000);
    // Rare enough for an election and some commits between two of them.
    temper.misbehave = 1 + Random(60);
  } else {
    temper.deliver = 100;
  }
  return temper;
}

Raft& Cluster::node(NodeId id) { return *nodes_.at(id)->raft; }

Cluster::Node& Cluster::Pick() {
  auto at = nodes_.begin();
  std::advance(at, Random(nodes_.size()));
  return *at->second;
}

void Cluster::Start(Node& node) {
  node.log = std::make_unique<MemoryLog>(node.disk);
  node.applied = node.flushed;
  node.conf = node.flushed_conf;
  node.seen_commit = 0;
  Config config = options_.config;
  config.id = node.id;
  config.random = [this](uint64_t n) { return Random(n); };
  node.raft = std::make_unique<Raft>(std::move(config), node.log.get(), node.hard_state, node.conf,
                                     node.applied);
  if (options_.observer != nullptr) {
    const Index base = node.disk.FirstIndex() - 1;
    options_.observer->OnStart(node.id, node.hard_state, {base, *node.disk.TermAt(base), {}},
                               node.disk.entries(), node.applied);
  }
}

void Cluster::Crash(Node& node) {
  ++crashes_;
  if (options_.observer != nullptr) options_.observer->OnCrash(node.id);
  node.raft.reset();
  node.log.reset();
  node.unsynced.reset();
  node.writes.clear();
  node.to_apply.clear();
  node.reads.clear();
}

void Cluster::Post(const Message& m) {
  if (options_.observer != nullptr) options_.observer->OnSent(m);
  if (cut_.contains({m.from, m.to})) {
    if (m.type == MessageType::kSnapshot) {
      if (Node& from = *nodes_.at(m.from); from.raft != nullptr) {
        from.raft->ReportSnapshot(m.to, SnapshotStatus::kFailed);
      }
    }
    return;
  }
  // A backlog only makes everything stale: under load networks lose messages too.
  constexpr size_t kBacklogMax = 60;
  if (chaos_ && network_.size() >= kBacklogMax) Deliver(/*lose=*/true);
  network_.push_back(m);
  if (chaos_ && Chance(temper_.duplicate)) network_.push_back(m);
}

void Cluster::Deliver(bool lose) {
  if (network_.empty()) return;
  const size_t at = chaos_ && Chance(temper_.reorder) ? Random(network_.size()) : 0;
  Message m = std::move(network_[at]);
  network_.erase(network_.begin() + static_cast<ptrdiff_t>(at));
  auto to = nodes_.find(m.to);
  KEEL_CHECK(to != nodes_.end(), "to=", m.to);
  const bool lost = lose || to->second->raft == nullptr || cut_.contains({m.from, m.to}) ||
                    (chaos_ && Chance(temper_.lose));
  if (m.type == MessageType::kSnapshot) {
    if (Node& from = *nodes_.at(m.from); from.raft != nullptr) {
      from.raft->ReportSnapshot(m.to, lost ? SnapshotStatus::kFailed : SnapshotStatus::kFinished);
    }
  }
  if (lost) return;
  to->second->raft->Step(std::move(m)).IgnoreError();
  Drain(*to->second);
}

void Cluster::Drain(Node& node) {
  // Sometimes inputs queue up before the driver comes round.
  if (node.raft == nullptr || Chance(temper_.late_driver)) return;
  while (node.raft->HasReady()) {
    Ready ready = node.raft->TakeReady();
    if (options_.observer != nullptr) options_.observer->OnReady(node.id, ready);
    if (ready.snapshot) node.log->Restore(*ready.snapshot);
    node.log->Append(ready.entries);
    for (const Message& m : ready.messages) Post(m);
    for (const Entry& entry : ready.committed) {
      CheckCommitted(node, entry);
      node.to_apply.push_back(entry);
    }
    for (const ReadState& read : ready.reads) {
      auto asked = node.reads.find(read.context);
      KEEL_CHECK(asked != node.reads.end(), "answer to no question: ", read.context);
      KEEL_CHECK(read.index >= asked->second, "stale read: index=", read.index,
                 " committed when asked=", asked->second);
      node.reads.erase(asked);
      ++reads_answered_;
    }
    for (uint64_t context : ready.dropped_reads) {
      KEEL_CHECK(node.reads.erase(context) == 1, "dropped unknown read ", context);
    }
    KEEL_CHECK(node.raft->commit() >= node.seen_commit, "commit went back");
    node.seen_commit = node.raft->commit();
    node.writes.push_back({std::move(ready)});
    if (node.raft->role() == Role::kLeader) CheckLeader(node);
  }
  if (options_.observer != nullptr) options_.observer->OnStatus(node.raft->GetStatus());
}

void Cluster::Persist(Node& node) {
  if (node.writes.empty()) return;
  Ready ready = std::move(node.writes.front().ready);
  node.writes.pop_front();
  if (ready.snapshot) {
    node.disk.Restore(*ready.snapshot);
    node.to_apply.clear();
    node.applied = node.flushed = ready.snapshot->index;
    node.conf = node.flushed_conf = ready.snapshot->conf;
    ++snapshots_installed_;
  }
  node.disk.Append(ready.entries);
  // Without a sync it may be lost in a crash, and here it always is.
  if (ready.hard_state) node.unsynced = *ready.hard_state;
  if (ready.must_sync && node.unsynced) node.hard_state = *std::exchange(node.unsynced, {});
  for (const Message& m : ready.persisted_messages) Post(m);
  node.raft->Persisted(ready.id);
  Drain(node);
}

void Cluster::ApplyOne(Node& node) {
  if (node.to_apply.empty()) return;
  // A snapshot on its way to disk replaces what would be applied.
  for (const Node::Write& write : node.writes) {
    if (write.ready.snapshot) return;
  }
  const Entry entry = std::move(node.to_apply.front());
  node.to_apply.pop_front();
  KEEL_CHECK(entry.index == node.applied + 1, "apply=", entry.index, " after=", node.applied);
  if (entry.type == EntryType::kConfChange) {
    const absl::StatusOr<ConfChange> change = DecodeConfChange(*entry.data);
    KEEL_CHECK(change.ok(), change.status().message());
    node.conf = node.raft->ApplyConfChange(*change);
    ++conf_changes_;
  }
  node.applied = entry.index;
  if (options_.observer != nullptr) options_.observer->OnApplied(node.id, entry, node.conf);
  node.raft->Applied(entry.index);
  Drain(node);
}

void Cluster::Flush(Node& node) {
  node.flushed = node.applied;
  node.flushed_conf = node.conf;
}

void Cluster::Compact(Node& node) {
  for (const Node::Write& write : node.writes) {
    if (write.ready.snapshot) return;
  }
  Flush(node);
  if (node.applied < node.log->FirstIndex()) return;
  const SnapshotMeta meta{node.applied, *node.log->TermAt(node.applied), node.conf};
  const Index keep = Random(10);
  for (MemoryLog* log : {node.log.get(), &node.disk}) {
    log->SetSnapshot(meta);
    if (meta.index > keep) log->Compact(meta.index - keep);
  }
  if (options_.observer != nullptr && meta.index > keep) {
    options_.observer->OnCompact(node.id, meta.index - keep);
  }
}

void Cluster::CheckLeader(Node& node) {
  const Term term = node.raft->term();
  const auto [at, fresh] = leaders_.emplace(term, node.id);
  KEEL_CHECK(at->second == node.id, "election safety: term ", term, " has leaders ", at->second,
             " and ", node.id);
  if (!fresh) return;
  // Leader completeness: what anybody has handed out as committed before this
  // term is in the new leader's log.
  for (const auto& [index, entry] : committed_) {
    if (index < node.log->FirstIndex() || entry.term >= term) continue;
    const absl::StatusOr<Term> mine = node.log->TermAt(index);
    KEEL_CHECK(mine.ok() && *mine == entry.term, "leader completeness: leader ", node.id,
               " of term ", term, " lacks committed entry ", index, " of term ", entry.term);
  }
}

void Cluster::CheckCommitted(Node& node, const Entry& entry) {
  const auto [at, fresh] = committed_.emplace(entry.index, Committed{entry.term, *entry.data});
  KEEL_CHECK(at->second.term == entry.term && at->second.data == *entry.data,
             "state machine safety: member ", node.id, " commits another entry at ", entry.index);
  const absl::StatusOr<Term> durable = node.disk.TermAt(entry.index);
  KEEL_CHECK(durable.ok() && *durable == entry.term, "member ", node.id, " commits entry ",
             entry.index, " before it is durable there");
}

void Cluster::CheckLogs() const {
  // Log matching: where two logs hold an entry of the same index and term they
  // are the same up to there.
  for (const auto& [a_id, a] : nodes_) {
    for (const auto& [b_id, b] : nodes_) {
      if (a_id >= b_id) continue;
      const Index low = std::max(a->disk.FirstIndex(), b->disk.FirstIndex());
      bool meets = false;
      for (Index i = std::min(a->disk.LastIndex(), b->disk.LastIndex()); i >= low; --i) {
        const Entry& x = a->disk.entries()[i - a->disk.FirstIndex()];
        const Entry& y = b->disk.entries()[i - b->disk.FirstIndex()];
        if (x.term == y.term) meets = true;
        if (!meets) continue;
        KEEL_CHECK(x.term == y.term && *x.data == *y.data, "log matching: members ", a_id, " and ",
                   b_id, " differ at ", i);
      }
    }
  }
}

Cluster::Node* Cluster::Leader() {
  Node* leader = nullptr;
  for (auto& [id, node] : nodes_) {
    if (node->raft == nullptr || node->raft->role() != Role::kLeader) continue;
    if (leader == nullptr || leader->raft->term() < node->raft->term()) leader = node.get();
  }
  return leader;
}

void Cluster::ProposeConfChange(Node& node) {
  ConfChange change;
  change.transition = static_cast<ConfChange::Transition>(Random(3));
  if (Chance(400)) {
    // Any set of voters in place of any other: quorums that have nothing in common.
    for (const auto& [id, other] : nodes_) {
      change.changes.push_back(
          {Chance(500) ? ConfChangeSingle::Type::kAddVoter : ConfChangeSingle::Type::kRemove, id});
    }
  } else {
    for (uint64_t i = Random(4); i > 0; --i) {
      change.changes.push_back({static_cast<ConfChangeSingle::Type>(Random(3)), Pick().id});
    }
  }
  node.raft->ProposeConfChange(change).IgnoreError();
}

void Cluster::Misbehave() {
  if (options_.depose && Chance(600)) {
    if (Node* leader = Leader(); leader != nullptr) {
      cut_.clear();
      for (const auto& [id, other] : nodes_) {
        if (id == leader->id) continue;
        cut_.insert({leader->id, id});
        cut_.insert({id, leader->id});
      }
      return;
    }
  }
  Node& node = Pick();
  switch (Random(7)) {
    case 3:
    case 4: {
      cut_.clear();
      // Two sides that hear nothing of each other, or one of which is heard.
      const bool one_way = Chance(300);
      std::set<NodeId> side;
      for (const auto& [id, other] : nodes_) {
        if (Chance(500)) side.insert(id);
      }
      for (const auto& [from, a] : nodes_) {
        for (const auto& [to, b] : nodes_) {
          if (side.contains(from) == side.contains(to)) continue;
          if (!one_way || side.contains(from)) cut_.insert({from, to});
        }
      }
      break;
    }
    case 0:
      if (node.raft != nullptr) {
        Crash(node);
      } else {
        Start(node);
      }
      break;
    case 1:
      Start(node.raft == nullptr ? node : (Crash(node), node));
      break;
    case 2:
    case 5:
      cut_.clear();
      break;
    default:
      // A partition of any shape: links are cut one way or both.
      for (auto& [id, other] : nodes_) {
        if (id == node.id) continue;
        if (Chance(600)) cut_.insert({node.id, id});
        if (Chance(600)) cut_.insert({id, node.id});
      }
  }
}

void Cluster::RandomStep() {
  if (chaos_ && Random(10000) < temper_.misbehave) Misbehave();
  uint64_t choice =
      Random(temper_.deliver + temper_.persist + temper_.apply + temper_.tick + temper_.other);
  if (choice < temper_.deliver) return Deliver();
  choice -= temper_.deliver;
  Node& node = Pick();
  if (node.raft == nullptr) return;
  if (choice < temper_.persist) return Persist(node);
  choice -= temper_.persist;
  if (choice < temper_.apply) return ApplyOne(node);
  choice -= temper_.apply;
  if (choice < temper_.tick) return Tick(node);
  Ask(node);
  Drain(node);
}

void Cluster::Tick(Node& node) {
  for (auto& [id, other] : nodes_) {
    if (other->raft == nullptr || !(options_.lockstep || id == node.id)) continue;
    other->raft->Tick();
    Drain(*other);
  }
}

void Cluster::Ask(Node& node) {
  const uint64_t action = Random(100);
  if (action < 55) {
    std::string data = "p" + std::to_string(next_proposal_++);
    node.raft->Propose(std::make_shared<const std::string>(std::move(data))).IgnoreError();
  } else if (action < 80) {
    const uint64_t context = next_read_++;
    if (node.raft->ReadIndex(context).ok()) node.reads[context] = committed();
  } else if (action < 85) {
    Flush(node);
  } else if (action < 90) {
    if (options_.compact) Compact(node);
  } else if (action < 94) {
    if (options_.change_membership && Chance(300)) ProposeConfChange(node);
  } else if (action < 97) {
    if (chaos_) node.raft->ReportUnreachable(Pick().id);
  } else if (options_.transfer && Chance(300)) {
    node.raft->TransferLeadership(Pick().id).IgnoreError();
  }
}

void Cluster::Run(int steps) {
  for (int i = 0; i < steps; ++i) {
    RandomStep();
    if (i % 256 == 0) CheckLogs();
  }
  CheckLogs();
}

void Cluster::Heal() {
  chaos_ = false;
  options_.change_membership = false;
  options_.transfer = false;
  cut_.clear();
  for (auto& [id, node] : nodes_) {
    if (node->raft == nullptr) Start(*node);
  }
}

bool Cluster::Agreed() {
  Node* leader = Leader();
  if (leader == nullptr) return false;
  const Status status = leader->raft->GetStatus();
  if (!status.conf.voters_outgoing.empty() && status.conf.auto_leave) return false;
  if (status.hard_state.term != leaders_.rbegin()->first) return false;
  for (const PeerProgress& peer : status.progress) {
    const Node& member = *nodes_.at(peer.id);
    if (member.applied != leader->applied || member.raft->commit() != leader->raft->commit()) {
      return false;
    }
  }
  return leader->applied == leader->raft->commit() && leader->applied == leader->log->LastIndex();
}

void Cluster::AwaitAgreement() {
  const Index before = committed();
  for (int round = 0; round < 20000; ++round) {
    if (committed() > before && Agreed()) return;
    if (Node* leader = Leader(); leader != nullptr && round % 200 == 199) Compact(*leader);
    for (auto& [id, node] : nodes_) {
      // Nobody ticks fast enough to outrun a round of messages.
      if (round % 8 == 0) node->raft->Tick();
      if (round % 40 == 0 && committed() <= before) {
        node->raft->Propose(std::make_shared<const std::string>("heal")).IgnoreError();
      }
      Drain(*node);
      for (int i = 0; i < 4; ++i) Persist(*node);
      for (int i = 0; i < 50; ++i) ApplyOne(*node);
    }
    for (size_t i = network_.size(); i > 0; --i) Deliver();
  }
  for (auto& [id, node] : nodes_) {
    const Status s = node->raft->GetStatus();
    std::string text = base::StrCat(
        "member ", id, " term=", s.hard_state.term, " role=", static_cast<int>(s.soft_state.role),
        " leader=", s.soft_state.leader, " commit=", s.hard_state.commit,
        " applied=", node->applied, " last=", node->log->LastIndex(), " conf:");
    for (NodeId v : s.conf.voters) text += base::StrCat(" ", v);
    text += " out:";
    for (NodeId v : s.conf.voters_outgoing) text += base::StrCat(" ", v);
    text += " learners:";
    for (NodeId v : s.conf.learners) text += base::StrCat(" ", v);
    for (const PeerProgress& p : s.progress) {
      text += base::StrCat(" [", p.id, " state=", static_cast<int>(p.state), " match=", p.match,
                           " next=", p.next, "]");
    }
    fprintf(stderr, "%s\n", text.c_str());
  }
  KEEL_CHECK(false, "no agreement; seed=", options_.seed);
}

}  // namespace keel::raft::testing
