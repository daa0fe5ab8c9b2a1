// Keys that wait to be reconciled: each once, however often it was added; one that failed comes
// back later and later (Kubernetes' rate-limited work queue).
//
//   WorkQueue<ObjectKey> queue(loop, {.workers = 8}, [&](const ObjectKey& key,
//   WorkQueue<ObjectKey>::Done done) {
//     ... std::move(done)(absl::OkStatus());       // or an error: again after a delay
//   });
//   queue.Add(key);
//   queue.AddAfter(key, std::chrono::seconds(10));
//
// A key that is added while it is being worked on is worked on once more after. `workers` keys are
// worked on at once. Thread-safety: on its loop only; the work runs from the loop, never inside
// Add.
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/loop.h"

namespace keel::orchestrator {

struct WorkQueueOptions {
  size_t workers = 8;
  base::Duration first_delay = std::chrono::milliseconds(5);  // doubles with each failure
  base::Duration longest_delay = std::chrono::seconds(30);
};

template <typename Key>
class WorkQueue {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;
  // Calls `done` once, at any later time on the loop (also at once).
  using Work = std::function<void(const Key& key, Done done)>;

  WorkQueue(base::Loop& loop, WorkQueueOptions options, Work work)
      : state_(std::make_shared<State>(loop, options, std::move(work))) {}
  ~WorkQueue() { state_->Stop(); }  // Nothing runs after.

  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  void Add(const Key& key) { state_->Add(key); }
  // Like Add when `delay` has passed; adding earlier is not undone by it.
  void AddAfter(const Key& key, base::Duration delay) {
    state_->loop.After(delay, [weak = std::weak_ptr(state_), key] {
      if (auto state = weak.lock()) state->Add(key);
    });
  }
  // Nothing is worked on before the first Resume.
  void Resume() { state_->SetPaused(false); }
  void Pause() { state_->SetPaused(true); }

  size_t waiting() const { return state_->ready.size(); }
  size_t working() const { return state_->working; }

 private:
  struct Item {
    bool queued = false;
    bool working = false;
    bool again = false;  // added while worked on
    int failures = 0;
  };

  struct State : std::enable_shared_from_this<State> {
    State(base::Loop& l, WorkQueueOptions o, Work w) : loop(l), options(o), work(std::move(w)) {}

    void Stop() {
      stopped = true;
      work = nullptr;
    }
    void SetPaused(bool value) {
      paused = value;
      Schedule();
    }
    void Add(const Key& key) {
      if (stopped) return;
      Item& item = items[key];
      if (item.working) {
        item.again = true;
      } else if (!std::exchange(item.queued, true)) {
        ready.push_back(key);
        Schedule();
      }
    }
    void Schedule() {
      if (stopped || paused || scheduled || ready.empty() || working >= options.workers) return;
      scheduled = true;
      loop.Post([weak = this->weak_from_this()] {
        if (auto state = weak.lock()) state->Run();
      });
    }
    void Run() {
      scheduled = false;
      while (!stopped && !paused && !ready.empty() && working < options.workers) {
        const Key key = std::move(ready.front());
        ready.pop_front();
        Item& item = items[key];
        item.queued = false;
        item.working = true;
        ++working;
        const Work keep = work;  // Stop may drop it meanwhile.
        keep(key, [weak = this->weak_from_this(), key](absl::Status status) {
          if (auto state = weak.lock()) state->Finished(key, status);
        });
      }
    }
    void Finished(const Key& key, const absl::Status& status) {
      --working;
      Item& item = items[key];
      item.working = false;
      const bool again = std::exchange(item.again, false);
      if (!status.ok()) {
        const int doublings = std::min(item.failures++, 30);
        const base::Duration delay = std::min(
            options.longest_delay, options.first_delay * (int64_t{1} << std::min(doublings, 20)));
        loop.After(delay, [weak = this->weak_from_this(), key] {
          if (auto state = weak.lock()) state->Add(key);
        });
      } else {
        item.failures = 0;
      }
      if (again) {
        Add(key);
      } else if (status.ok()) {
        items.erase(key);
      }
      Schedule();
    }

    base::Loop& loop;
    const WorkQueueOptions options;
    Work work;
    bool stopped = false, paused = true, scheduled = false;
    size_t working = 0;
    std::deque<Key> ready;
    absl::flat_hash_map<Key, Item> items;
  };

  std::shared_ptr<State> state_;
};

}  // namespace keel::orchestrator
