// The scheduler: caches fed by the API server, the queue, the cycle, and binds.
//
//   Scheduler scheduler(client, {.now = [] { return absl::Now(); }});
//   scheduler.Start();        // when this instance leads
//
// A pod that was given a node counts as there at once; the bind (POST pods/NAME/binding) is sent
// and others are scheduled meanwhile, many binds in flight. One that fails takes the pod off again
// and tries it later. What the API server refuses (the pod is bound or gone) is settled by what the
// watch says. It may be killed at any moment: the API server holds all state.
//
// Thread-safety: on the client's loop only. Destroyed: no callback runs after.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "orchestrator/client/event_recorder.h"
#include "orchestrator/scheduler/core.h"
#include "orchestrator/scheduler/metrics.h"
#include "orchestrator/scheduler/object_feed.h"
#include "orchestrator/scheduler/queue.h"

namespace keel::orchestrator::sched {

struct SchedulerOptions {
  std::function<absl::Time()> now{};  // wall clock
  uint64_t seed = 1;
  size_t max_binds = 256;     // in flight
  size_t pods_per_turn = 32;  // of the loop, so that watches are read between
  QueueOptions queue{};
};

class Scheduler {
 public:
  Scheduler(ApiClient& client, SchedulerOptions options);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Reads what there is, then schedules. Once.
  void Start();

  bool synced() const { return synced_; }
  const SchedulingQueue& queue() const { return queue_; }
  const Cluster& cluster() const { return cluster_; }
  const Metrics& metrics() const { return metrics_; }
  std::string MetricsText(bool leading) const;

 private:
  struct Binding {
    PodPtr pod;
    std::string node;
    base::TimePoint added{}, sent{};
    int attempts = 0;
    bool answered = false;  // bound; the watch has not told yet
  };

  // What the API server says.
  void StartFeeds();
  void AddFeed(Resource resource, InformerOptions options, ObjectFeed::OnObject on_object,
               ObjectFeed::OnGone on_gone, bool needed);
  void PodIs(const PodPtr& pod);
  void PodIsGone(const std::string& key);
  void NodeIs(const json::object& node);
  void VolumesChanged();
  void SetBudgets();

  // Events that may make pods fit, told to the queue together.
  void MayFitOn(NodeIndex node);
  void MayFitByOthers();
  void TellQueue();

  // Scheduling.
  void Wake();
  void Turn();
  void ScheduleOne(SchedulingQueue::Entry& entry);
  void SetFlushTimer();

  // Writes to the API server (scheduler_writes.cc).
  void Bind(const SchedulingQueue::Entry& entry, const std::string& node);
  void CountBound(const Binding& binding);
  void BindEnded(const std::string& key, const std::string& uid, const absl::Status& status);
  void Report(SchedulingQueue::Entry& entry, const FitError& error, const std::string& nominated);
  void Evict(const PodPtr& pod, const Victims& victims);
  void PatchStatus(const PodInfo& pod, std::string_view body);

  ApiClient& client_;
  base::Loop& loop_;
  const SchedulerOptions options_;
  EventRecorder events_;
  Vocabulary words_;
  PodParser parser_{words_};
  Cluster cluster_{words_};
  Core core_;
  SchedulingQueue queue_;
  Metrics metrics_;
  struct Feed {
    std::unique_ptr<ObjectFeed> feed;
    bool needed = false;  // nothing is scheduled before it holds what there is
  };
  std::vector<Feed> feeds_;
  size_t feeds_to_sync_ = 0;
  bool synced_ = false;
  // Pods that have a node here and are not known to have it there, by key.
  absl::flat_hash_map<std::string, Binding> assumed_;
  size_t binds_ = 0;  // requests in flight
  absl::flat_hash_map<std::string, DisruptionBudget> budgets_;
  std::vector<NodeIndex> dirty_nodes_;
  bool dirty_others_ = false;
  bool tell_posted_ = false;
  bool turn_posted_ = false;
  base::TimerId flush_timer_ = 0;
  base::TimePoint flush_at_{};
  // Callbacks hold a weak pointer to it.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace keel::orchestrator::sched
