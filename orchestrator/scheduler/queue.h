// Pods that wait for a node: those to be tried now (by priority, then age), those that were tried
// and wait out a delay (1 s, doubled with each failure up to 10 s), those that fit nowhere until
// something happens, and those with scheduling gates.
//
//   SchedulingQueue queue;
//   queue.Add(pod, now);
//   while (auto entry = queue.Pop(now)) {
//     ... queue.Done(entry->pod->Key());                        // it has a node
//     ... queue.Unschedulable(entry->pod->Key(), error, now);   // or waits for an event
//     ... queue.Retry(entry->pod->Key(), now);                  // or for its delay
//   }
//   queue.OnEvent(now, [&](const PodPtr& pod, const FitError& error) { return may fit now; });
//
// Time is passed in. One thread only.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/loop.h"
#include "orchestrator/scheduler/core.h"

namespace keel::orchestrator::sched {

struct QueueOptions {
  base::Duration first_backoff = std::chrono::seconds(1);
  base::Duration longest_backoff = std::chrono::seconds(10);
  // A pod that fits nowhere is tried again after this long, whatever happened.
  base::Duration longest_wait = std::chrono::minutes(5);
};

class SchedulingQueue {
 public:
  enum class State : uint8_t { kActive, kBackoff, kUnschedulable, kGated, kInFlight };
  struct Entry {
    PodPtr pod{};
    State state = State::kActive;
    int attempts = 0;
    base::TimePoint added{};    // first
    base::TimePoint changed{};  // when it was last put aside
    base::TimePoint backoff_until{};
    uint64_t number = 0;  // in the order of Add
    std::shared_ptr<const FitError> error{};
    std::string told{};  // the last message about it
  };

  explicit SchedulingQueue(QueueOptions options = {}) : options_(options) {}

  // A new pod, or another state of a known one: that is tried again when what decides where it may
  // run has changed.
  void Add(PodPtr pod, base::TimePoint now);
  void Remove(const std::string& key);
  // The next pod, which is in flight then. Null when none is active. Valid until its key is
  // removed.
  Entry* Pop(base::TimePoint now);
  Entry* Find(const std::string& key);

  // Of pods in flight.
  void Done(const std::string& key) { Remove(key); }
  void Unschedulable(const std::string& key, std::shared_ptr<const FitError> error,
                     base::TimePoint now);
  void Retry(const std::string& key, base::TimePoint now);

  // Asks once per class of pods (and per error) that fit nowhere; of those with a yes all are
  // active again, or wait out their delay first. Returns how many.
  using MayFit = std::function<bool(const PodPtr& pod, const FitError& error)>;
  size_t OnEvent(base::TimePoint now, const MayFit& may_fit);
  // Moves what has waited out its delay.
  void Flush(base::TimePoint now);
  // When Flush has something to do; TimePoint::max() when nothing waits.
  base::TimePoint NextFlush() const;

  size_t size(State state) const { return sizes_[static_cast<size_t>(state)]; }

 private:
  void Leave(Entry& entry);
  void Enter(Entry& entry, State state);
  void Activate(Entry& entry, base::TimePoint now);
  base::Duration BackoffOf(const Entry& entry) const;

  struct ByImportance {
    bool operator()(const Entry* a, const Entry* b) const {
      if (a->pod->cls->priority != b->pod->cls->priority) {
        return a->pod->cls->priority > b->pod->cls->priority;
      }
      return a->number < b->number;
    }
  };
  struct ByBackoff {
    bool operator()(const Entry* a, const Entry* b) const {
      return a->backoff_until != b->backoff_until ? a->backoff_until < b->backoff_until
                                                  : a->number < b->number;
    }
  };
  struct ByChange {
    bool operator()(const Entry* a, const Entry* b) const {
      return a->changed != b->changed ? a->changed < b->changed : a->number < b->number;
    }
  };

  const QueueOptions options_;
  absl::flat_hash_map<std::string, std::unique_ptr<Entry>> entries_;
  std::set<Entry*, ByImportance> active_;
  std::set<Entry*, ByBackoff> backoff_;
  std::set<Entry*, ByChange> waiting_;                                  // kUnschedulable
  absl::flat_hash_map<uint64_t, std::set<Entry*, ByChange>> by_class_;  // the same, by class
  size_t sizes_[5] = {};
  uint64_t next_number_ = 1;
};

}  // namespace keel::orchestrator::sched
