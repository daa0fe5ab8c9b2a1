// Fakes for the tests and benchmarks of the watch hub: a loop that is turned
// by hand, a change feed with a model of the store, a sink that decodes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/loop.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/feed.h"
#include "watch/hub.h"
#include "watch/stream.h"

namespace keel::watch {

// Single-threaded: the caller is always "on the loop". Time moves by AdvanceTime.
class ManualLoop final : public base::Loop {
 public:
  void Post(base::Task task) override { tasks_.push_back(std::move(task)); }
  bool InLoop() const override { return true; }
  base::TimePoint Now() const override { return now_; }
  base::TimerId After(base::Duration delay, base::Task task) override {
    timers_.emplace(std::pair(now_ + delay, ++last_timer_), std::move(task));
    return last_timer_;
  }
  void Cancel(base::TimerId id) override {
    std::erase_if(timers_, [&](const auto& timer) { return timer.first.second == id; });
  }

  bool RunOne() {
    if (tasks_.empty()) return false;
    base::Task task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
    return true;
  }
  void AdvanceTime(base::Duration by) {
    const base::TimePoint until = now_ + by;
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
      now_ = timers_.begin()->first.first;
      base::Task task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      task();
    }
    now_ = until;
  }

 private:
  std::deque<base::Task> tasks_;
  std::map<std::pair<base::TimePoint, base::TimerId>, base::Task> timers_;
  base::TimePoint now_{};
  base::TimerId last_timer_ = 0;
};

inline void RunUntilIdle(std::initializer_list<ManualLoop*> loops) {
  for (bool ran = true; ran;) {
    ran = false;
    for (ManualLoop* loop : loops) {
      while (loop->RunOne()) ran = true;
    }
  }
}

// A store in memory that keeps every event. What is applied is published by
// Publish, as one batch, or skipped over by Reset. Thread-safe but for log().
class FakeFeed final : public kvstore::ChangeFeed {
 public:
  struct Write {
    std::string key;
    std::optional<std::string> value;  // none: delete
  };

  // One transaction; deletes of absent keys are no events. Returns the
  // revision, or 0 when there was no event.
  int64_t Apply(const std::vector<Write>& writes) {
    std::lock_guard lock(mu_);
    kvstore::RevisionEvents made{.revision = revision_ + 1, .events = {}};
    for (const Write& write : writes) {
      auto& current = state_[write.key];
      kvstore::Event event;
      event.prev = current;
      event.kv.key = write.key;
      event.kv.mod_revision = made.revision;
      if (write.value.has_value()) {
        event.kv.value = *write.value;
        event.kv.create_revision = current ? current->create_revision : made.revision;
        event.kv.version = current ? current->version + 1 : 1;
        current = std::make_shared<const kvstore::KeyValue>(event.kv);
      } else {
        if (current == nullptr) continue;
        event.type = kvstore::Event::Type::kDelete;
        current = nullptr;
      }
      made.events.push_back(std::move(event));
    }
    if (made.events.empty()) return 0;
    revision_ = made.revision;
    log_.push_back(std::move(made));
    return revision_;
  }
  int64_t Put(std::string key, std::string value) {
    return Apply({{std::move(key), std::move(value)}});
  }
  // Up to `through`, of what was not published yet.
  void Publish(int64_t through = INT64_MAX) {
    auto batch = std::make_shared<kvstore::FeedBatch>();
    {
      std::lock_guard lock(mu_);
      through = std::min(through, revision_);
      const auto after = [&](int64_t bound) {
        return std::partition_point(log_.begin(), log_.end(), [&](const auto& revision) {
          return revision.revision <= bound;
        });
      };
      batch->assign(after(published_), after(through));
      published_ = through;
    }
    if (subscriber_ != nullptr && !batch->empty()) subscriber_->OnRevisions(std::move(batch));
  }
  void Reset() {
    int64_t revision;
    {
      std::lock_guard lock(mu_);
      revision = published_ = revision_;
    }
    if (subscriber_ != nullptr) subscriber_->OnReset(revision);
  }
  // History below it is refused from now on (at or above it is whole).
  void Compact(int64_t revision) {
    std::lock_guard lock(mu_);
    compacted_ = std::max(compacted_, revision);
  }

  const kvstore::FeedBatch& log() const { return log_; }
  int64_t reads() const { return reads_; }
  void set_failing(bool failing) { failing_ = failing; }

  int64_t Subscribe(kvstore::FeedSubscriber* subscriber) override {
    std::lock_guard lock(mu_);
    subscriber_ = subscriber;
    published_ = revision_;
    return revision_;
  }
  void Unsubscribe(kvstore::FeedSubscriber*) override { subscriber_ = nullptr; }
  int64_t current_revision() const override {
    std::lock_guard lock(mu_);
    return revision_;
  }
  int64_t compact_revision() const override {
    std::lock_guard lock(mu_);
    return compacted_;
  }

  absl::StatusOr<History> ReadHistory(const HistoryOptions& options) const override {
    std::lock_guard lock(mu_);
    ++reads_;
    if (failing_) return absl::InternalError("disk on fire");
    if (options.from_revision < compacted_) return absl::OutOfRangeError("compacted");
    const KeyRange range = KeyRange::FromRequest(options.key, options.range_end);
    History history;
    uint64_t bytes = 0, scanned = 0;
    auto from = std::partition_point(log_.begin(), log_.end(), [&](const auto& revision) {
      return revision.revision < options.from_revision;
    });
    for (; from != log_.end(); ++from) {
      const kvstore::RevisionEvents& revision = *from;
      if (bytes >= options.max_bytes || scanned >= options.max_scanned) return history;
      kvstore::RevisionEvents matching{.revision = revision.revision, .events = {}};
      for (const auto& event : revision.events) {
        ++scanned;
        if (!range.Contains(event.kv.key)) continue;
        bytes += event.kv.key.size() + event.kv.value.size();
        matching.events.push_back(event);
        if (!options.prev_kv) matching.events.back().prev = nullptr;
      }
      if (!matching.events.empty()) history.revisions.push_back(std::move(matching));
      history.next_revision = revision.revision + 1;
    }
    history.next_revision = revision_ + 1;
    return history;
  }

 private:
  mutable std::mutex mu_;
  std::map<std::string, std::shared_ptr<const kvstore::KeyValue>> state_;
  kvstore::FeedBatch log_;
  int64_t revision_ = 1;
  int64_t published_ = 1;
  int64_t compacted_ = -1;
  bool failing_ = false;
  mutable int64_t reads_ = 0;
  kvstore::FeedSubscriber* subscriber_ = nullptr;
};

// Decodes what it is sent with the generated classes. `full` once `bytes_max`
// bytes are queued, until Drain.
class RecordingSink final : public StreamSink {
 public:
  struct Received {
    int64_t watch_id = 0;
    int64_t revision = 0;  // of the header, of the progress, or compacted
    bool fragment = false;
    bool progress = false;
    bool compacted = false;
    size_t bytes = 0;
    std::vector<mvccpb::Event> events;
  };

  explicit RecordingSink(size_t bytes_max = SIZE_MAX) : bytes_max_(bytes_max) {}

  bool full() const override { return queued_bytes_ > bytes_max_; }
  void SendEvents(const EventsResponse& response) override {
    std::string bytes;
    for (const SharedBytes& part : response.events) bytes += *part;
    queued_bytes_ += bytes.size();
    queued_bytes_peak_ = std::max(queued_bytes_peak_, queued_bytes_);
    etcdserverpb::WatchResponse decoded;
    KEEL_CHECK(decoded.ParseFromString(bytes));
    Received received{.watch_id = response.watch_id,
                      .revision = response.revision,
                      .fragment = response.fragment,
                      .bytes = bytes.size()};
    received.events.assign(decoded.events().begin(), decoded.events().end());
    KEEL_CHECK(!received.events.empty());
    all.push_back(std::move(received));
  }
  void SendProgress(int64_t watch_id, int64_t revision) override {
    all.push_back({.watch_id = watch_id, .revision = revision, .progress = true});
  }
  void SendCompacted(int64_t watch_id, int64_t compact_revision) override {
    all.push_back({.watch_id = watch_id, .revision = compact_revision, .compacted = true});
  }

  void Drain(Stream& stream) {
    if (queued_bytes_ == 0) return;
    queued_bytes_ = 0;
    stream.OnDrained();
  }
  size_t queued_bytes_peak() const { return queued_bytes_peak_; }

  std::vector<Received> all;

 private:
  const size_t bytes_max_;
  size_t queued_bytes_ = 0;
  size_t queued_bytes_peak_ = 0;
};

}  // namespace keel::watch
