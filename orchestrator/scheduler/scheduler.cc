#include "orchestrator/scheduler/scheduler.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "base/strings.h"

namespace keel::orchestrator::sched {
namespace {

// How long events that may make pods fit are gathered.
constexpr base::Duration kGatherEvents = std::chrono::milliseconds(20);
// With so many nodes changed at once each waiting pod is simply tried again.
constexpr size_t kManyNodes = 64;

double Seconds(base::Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

Scheduler::Scheduler(ApiClient& client, SchedulerOptions options)
    : client_(client),
      loop_(client.loop()),
      options_(std::move(options)),
      events_(client, "default-scheduler", options_.now),
      core_(cluster_, {.seed = options_.seed}),
      queue_(options_.queue) {}

Scheduler::~Scheduler() { alive_.reset(); }

void Scheduler::Start() {
  StartFeeds();
  for (const Feed& f : feeds_) feeds_to_sync_ += f.needed ? 1 : 0;
  for (const Feed& f : feeds_) {
    f.feed->Start([this, needed = f.needed] {
      if (!needed || --feeds_to_sync_ > 0) return;
      synced_ = true;
      base::Log().info("caches hold what there is nodes={} pods={} pending={}",
                       cluster_.node_count(), cluster_.pod_count(),
                       queue_.size(SchedulingQueue::State::kActive));
      Wake();
    });
  }
}

void Scheduler::AddFeed(Resource resource, InformerOptions options, ObjectFeed::OnObject on_object,
                        ObjectFeed::OnGone on_gone, bool needed) {
  feeds_.push_back({std::make_unique<ObjectFeed>(client_, std::move(resource), std::move(options),
                                                 std::move(on_object), std::move(on_gone)),
                    needed});
}

void Scheduler::StartFeeds() {
  const auto change = [this] { VolumesChanged(); };
  AddFeed(
      {"", "v1", "nodes"}, {}, [this](const json::object& node) { NodeIs(node); },
      [this](const ObjectKey& key) {
        cluster_.RemoveNode(key.name);
        MayFitByOthers();
      },
      true);
  // Finished pods take no room: their end reads as their deletion.
  AddFeed(
      {"", "v1", "pods"}, {.field_selector = "status.phase!=Succeeded,status.phase!=Failed"},
      [this](const json::object& pod) { PodIs(parser_.Parse(pod)); },
      [this](const ObjectKey& key) { PodIsGone(key.ToString()); }, true);
  AddFeed(
      {"", "v1", "namespaces"}, {},
      [this](const json::object& ns) {
        cluster_.SetNamespace(StringAt(ns, {"metadata", "name"}),
                              ObjectAt(ns, {"metadata", "labels"}));
        MayFitByOthers();
      },
      [this](const ObjectKey& key) { cluster_.SetNamespace(key.name, {}); }, false);
  AddFeed(
      {"", "v1", "persistentvolumeclaims"}, {},
      [this, change](const json::object& claim) {
        cluster_.volumes().SetClaim(KeyOf(claim).ToString(), ParseClaim(claim));
        change();
      },
      [this, change](const ObjectKey& key) {
        cluster_.volumes().RemoveClaim(key.ToString());
        change();
      },
      false);
  AddFeed(
      {"", "v1", "persistentvolumes"}, {},
      [this, change](const json::object& volume) {
        cluster_.volumes().SetVolume(KeyOf(volume).name, ParseVolume(volume, words_.symbols));
        change();
      },
      [this, change](const ObjectKey& key) {
        cluster_.volumes().RemoveVolume(key.name);
        change();
      },
      false);
  AddFeed(
      {"storage.k8s.io", "v1", "storageclasses"}, {},
      [this, change](const json::object& cls) {
        cluster_.volumes().SetWaits(KeyOf(cls).name,
                                    StringAt(cls, {"volumeBindingMode"}) == "WaitForFirstConsumer");
        change();
      },
      [this](const ObjectKey& key) { cluster_.volumes().SetWaits(key.name, false); }, false);
  AddFeed(
      {"policy", "v1", "poddisruptionbudgets"}, {},
      [this](const json::object& budget) {
        const ObjectKey key = KeyOf(budget);
        budgets_[key.ToString()] = {
            .ns = words_.symbols.Of(key.ns),
            .selector = ParseLabelSelector(Find(budget, {"spec", "selector"}), words_.symbols),
            .allowed = IntAt(budget, {"status", "disruptionsAllowed"})};
        SetBudgets();
      },
      [this](const ObjectKey& key) {
        budgets_.erase(key.ToString());
        SetBudgets();
      },
      false);
}

void Scheduler::SetBudgets() {
  std::vector<DisruptionBudget> budgets;
  for (const auto& [key, budget] : budgets_) budgets.push_back(budget);
  core_.preemption().SetBudgets(std::move(budgets));
}

void Scheduler::NodeIs(const json::object& node) {
  NodeSpec spec = ParseNode(node, words_);
  const std::string name = spec.name;
  if (!cluster_.SetNode(std::move(spec))) return;
  if (const NodeInfo* info = cluster_.FindNode(name)) MayFitOn(info->index);
}

void Scheduler::VolumesChanged() {
  cluster_.VolumesChanged();
  MayFitByOthers();
}

void Scheduler::PodIs(const PodPtr& pod) {
  const std::string key = pod->Key();
  if (pod->finished) return PodIsGone(key);
  if (!pod->node.empty()) {
    if (auto found = assumed_.find(key); found != assumed_.end()) {
      if (!found->second.answered && found->second.node == pod->node) CountBound(found->second);
      assumed_.erase(found);
    }
    queue_.Remove(key);
    const Cluster::Placed* placed = cluster_.FindPod(key);
    const bool is_new = placed == nullptr || placed->pod->cls != pod->cls;
    cluster_.Nominate(pod, "");
    cluster_.Place(pod, pod->node);
    if (is_new) MayFitByOthers();
    return;
  }
  if (!pod->ours) return;
  if (pod->terminating) {
    // It will never run: what is under way for it is refused by the API server.
    queue_.Remove(key);
    cluster_.Nominate(pod, "");
    return;
  }
  if (auto found = assumed_.find(key); found != assumed_.end()) {
    // What the watch tells is older than the bind.
    if (found->second.pod->uid == pod->uid) return;
    assumed_.erase(found);
  }
  // Another of the same name had a place: it has gone.
  if (const Cluster::Placed* placed = cluster_.FindPod(key)) {
    const NodeIndex node = placed->node;
    cluster_.Remove(key);
    MayFitOn(node);
  }
  if (!pod->nominated.empty()) cluster_.Nominate(pod, pod->nominated);
  queue_.Add(pod, loop_.Now());
  Wake();
}

void Scheduler::PodIsGone(const std::string& key) {
  assumed_.erase(key);
  if (const SchedulingQueue::Entry* entry = queue_.Find(key)) {
    cluster_.Nominate(entry->pod, "");
    queue_.Remove(key);
  }
  const Cluster::Placed* placed = cluster_.FindPod(key);
  if (placed == nullptr) return;
  const NodeIndex node = placed->node;
  cluster_.Remove(key);
  MayFitOn(node);
}

void Scheduler::MayFitOn(NodeIndex node) {
  if (queue_.size(SchedulingQueue::State::kUnschedulable) == 0) return;
  if (dirty_nodes_.size() < kManyNodes) dirty_nodes_.push_back(node);
  dirty_others_ = true;
  TellQueue();
}

void Scheduler::MayFitByOthers() {
  if (queue_.size(SchedulingQueue::State::kUnschedulable) == 0) return;
  dirty_others_ = true;
  TellQueue();
}

void Scheduler::TellQueue() {
  if (std::exchange(tell_posted_, true)) return;
  loop_.After(kGatherEvents, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    tell_posted_ = false;
    const std::vector<NodeIndex> nodes = std::exchange(dirty_nodes_, {});
    const bool others = std::exchange(dirty_others_, false);
    const size_t moved = queue_.OnEvent(loop_.Now(), [&](const PodPtr& pod, const FitError& error) {
      if (error.nodes == 0 || nodes.size() >= kManyNodes) return true;
      for (int plugin : error.plugins) {
        if (others && !core_.evaluator().plugin(plugin).RejectsByNodeAlone()) return true;
      }
      const bool may_preempt =
          !pod->cls->never_preempts && cluster_.HasPodBelow(pod->cls->priority);
      return std::any_of(nodes.begin(), nodes.end(), [&](NodeIndex node) {
        return cluster_.IsPresent(node) && (may_preempt || core_.Fits(pod, node));
      });
    });
    if (moved > 0) Wake();
  });
}

void Scheduler::SetFlushTimer() {
  const base::TimePoint next = queue_.NextFlush();
  if (next == base::TimePoint::max()) return;
  if (flush_timer_ != 0 && flush_at_ <= next) return;
  loop_.Cancel(flush_timer_);
  flush_at_ = next;
  const base::Duration delay =
      std::max<base::Duration>(next - loop_.Now(), std::chrono::milliseconds(10));
  flush_timer_ = loop_.After(delay, [this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    flush_timer_ = 0;
    queue_.Flush(loop_.Now());
    Wake();
  });
}

void Scheduler::Wake() {
  SetFlushTimer();
  if (!synced_ || queue_.size(SchedulingQueue::State::kActive) == 0) return;
  if (binds_ >= options_.max_binds || std::exchange(turn_posted_, true)) return;
  loop_.Post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) Turn();
  });
}

void Scheduler::Turn() {
  turn_posted_ = false;
  for (size_t i = 0; i < options_.pods_per_turn && binds_ < options_.max_binds; ++i) {
    SchedulingQueue::Entry* entry = queue_.Pop(loop_.Now());
    if (entry == nullptr) break;
    ScheduleOne(*entry);
  }
  Wake();
}

void Scheduler::ScheduleOne(SchedulingQueue::Entry& entry) {
  const PodPtr pod = entry.pod;
  const auto start = std::chrono::steady_clock::now();
  const Decision decision = core_.Schedule(pod);
  const double seconds = Seconds(std::chrono::steady_clock::now() - start);
  if (decision.node != kNoNode) {
    metrics_.Attempt(Result::kScheduled, seconds);
    const std::string node = cluster_.node(decision.node).name;
    cluster_.Nominate(pod, "");
    cluster_.Place(pod, node);
    Bind(entry, node);
    return;
  }
  metrics_.Attempt(Result::kUnschedulable, seconds);
  std::string nominated = pod->nominated;
  if (decision.victims != nullptr) {
    nominated = cluster_.node(decision.victims->node).name;
    cluster_.Nominate(pod, nominated);
    metrics_.Preempted(decision.victims->pods.size());
    Evict(pod, *decision.victims);
  } else if (!nominated.empty() && !decision.error->preemption.ends_with("nominated node.")) {
    nominated.clear();
    cluster_.Nominate(pod, "");
  }
  Report(entry, *decision.error, nominated);
  queue_.Unschedulable(pod->Key(), decision.error, loop_.Now());
}

std::string Scheduler::MetricsText(bool leading) const {
  using State = SchedulingQueue::State;
  return metrics_.Text({.active = queue_.size(State::kActive),
                        .backoff = queue_.size(State::kBackoff),
                        .unschedulable = queue_.size(State::kUnschedulable),
                        .gated = queue_.size(State::kGated),
                        .nodes = cluster_.node_count(),
                        .pods = cluster_.pod_count(),
                        .assumed = assumed_.size(),
                        .leading = leading});
}

}  // namespace keel::orchestrator::sched
