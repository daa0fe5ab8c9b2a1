// A Store in memory, for tests: keeps its history, answers from the loop, and can be told to lose a
// race or to forget.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "orchestrator/apiserver/store.h"

namespace keel::orchestrator {

class FakeStore final : public Store {
 public:
  explicit FakeStore(base::Loop& loop) : loop_(loop) {}

  // What somebody else does.
  int64_t Put(const std::string& key, const std::string& value) {
    return Apply({StoreOp::Put(key, value)});
  }
  int64_t Delete(const std::string& key) { return Apply({StoreOp::Delete(key)}); }
  std::string Value(const std::string& key) const {
    auto found = now_.find(key);
    return found == now_.end() ? "" : found->second.value;
  }
  int64_t revision() const { return revision_; }
  int commits = 0;
  int revisions_asked = 0;
  // Events are kept back until ReleaseEvents.
  bool hold_events = false;
  void ReleaseEvents() {
    hold_events = false;
    Notify();
  }

  void Range(std::string from, std::string end, int64_t revision, int64_t limit,
             Done<StorePage> done) override {
    StorePage page{.revision = revision == 0 ? revision_ : revision};
    for (const auto& [key, record] : now_) {
      if (end.empty() ? key != from : key < from || key >= end) continue;
      ++page.count;
      if (limit > 0 && page.records.size() == static_cast<size_t>(limit)) {
        page.more = true;
        continue;
      }
      page.records.push_back(record);
    }
    loop_.Post(
        [page = std::move(page), done = std::move(done)]() mutable { done(std::move(page)); });
  }

  void Commit(StoreTxn txn, Done<StoreCommit> done) override {
    ++commits;
    StoreCommit commit{.succeeded = true};
    for (const StoreCompare& compare : txn.compares) {
      auto found = now_.find(compare.key);
      const int64_t at = found == now_.end() ? 0 : found->second.mod_revision;
      commit.succeeded = commit.succeeded && at == compare.mod_revision;
    }
    if (commit.succeeded) {
      Apply(txn.ops);
    } else if (auto found = now_.find(txn.read); found != now_.end()) {
      commit.found.push_back(found->second);
    }
    commit.revision = revision_;
    loop_.Post([commit = std::move(commit), done = std::move(done)]() mutable {
      done(std::move(commit));
    });
  }

  void Revision(Done<int64_t> done) override {
    ++revisions_asked;
    loop_.Post([at = revision_, done = std::move(done)]() mutable { done(at); });
  }

  std::unique_ptr<StoreWatch> Watch(std::string prefix, int64_t start_revision, OnEvents on_events,
                                    OnEnd on_end) override {
    class Handle final : public StoreWatch {
     public:
      explicit Handle(FakeStore& store) : store_(store) {}
      ~Handle() override { store_.on_events_ = nullptr; }
      void RequestProgress() override {
        if (!store_.hold_events && store_.on_events_) store_.on_events_({}, store_.revision_);
      }

     private:
      FakeStore& store_;
    };
    prefix_ = std::move(prefix);
    told_ = start_revision - 1;
    on_events_ = std::move(on_events);
    on_end_ = std::move(on_end);
    Notify();
    return std::make_unique<Handle>(*this);
  }
  // The watch ends as one does whose history was compacted.
  void BreakWatch() {
    on_events_ = nullptr;
    on_end_(absl::OutOfRangeError("compacted"));
  }

  void GrantLease(int64_t, Done<int64_t> done) override { done(7); }
  void Compact(int64_t revision, Done<int64_t> done) override { done(revision); }

 private:
  int64_t Apply(const std::vector<StoreOp>& ops) {
    ++revision_;
    for (const StoreOp& op : ops) {
      StoreEvent event{.deleted = op.deletes, .record = {.key = op.key, .mod_revision = revision_}};
      if (op.deletes) {
        now_.erase(op.key);
      } else {
        auto found = now_.find(op.key);
        event.record.value = op.value;
        event.record.create_revision =
            found == now_.end() ? revision_ : found->second.create_revision;
        now_[op.key] = event.record;
      }
      history_.push_back(event);
    }
    Notify();
    return revision_;
  }
  void Notify() {
    loop_.Post([this] {
      if (hold_events || !on_events_) return;
      std::vector<StoreEvent> events;
      for (const StoreEvent& event : history_) {
        if (event.record.mod_revision > told_ && event.record.key.starts_with(prefix_)) {
          events.push_back(event);
        }
      }
      told_ = revision_;
      if (!events.empty()) on_events_(std::move(events), revision_);
    });
  }

  base::Loop& loop_;
  int64_t revision_ = 1, told_ = 0;
  std::map<std::string, StoreRecord> now_;
  std::vector<StoreEvent> history_;
  std::string prefix_;
  OnEvents on_events_;
  OnEnd on_end_;
};

}  // namespace keel::orchestrator
