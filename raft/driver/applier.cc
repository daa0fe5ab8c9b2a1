#include "raft/driver/applier.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "raft/core/confchange.h"

namespace keel::raft {

namespace {
constexpr size_t kRunKept = 4096;  // entries' places kept in memory from one batch to the next
}  // namespace

Applier::Applier(StateMachine* state_machine, base::FileSystem* fs, base::Loop* loop,
                 base::Loop* apply_loop, AppliedState applied, OnApplied on_applied,
                 OnError on_error)
    : state_machine_(state_machine),
      fs_(*fs),
      loop_(loop),
      apply_loop_(apply_loop),
      on_applied_(std::move(on_applied)),
      on_error_(std::move(on_error)),
      applied_(std::move(applied)) {}

void Applier::Apply(std::vector<Entry>* entries) {
  {
    std::lock_guard lock(mu_);
    if (queued_.empty()) {
      queued_.swap(*entries);
    } else {
      std::move(entries->begin(), entries->end(), std::back_inserter(queued_));
      entries->clear();
    }
    // What else is queued until it runs joins the batch.
    if (std::exchange(apply_scheduled_, true)) return;
  }
  apply_loop_->Post([self = shared_from_this()] { self->ApplyQueued(); });
}

void Applier::ApplyQueued() {
  {
    std::lock_guard lock(mu_);
    apply_scheduled_ = false;
    applying_.swap(queued_);
  }
  if (!stopped_.load() && !failed_ && !applying_.empty()) {
    if (absl::Status status = ApplyEntries(); status.ok()) {
      ReportApplied();
      AnswerReads();
    } else {
      // Until the loop has heard of it, more may come: it must not follow what is missing.
      failed_ = true;
      Fail(std::move(status));
    }
  }
  applying_.clear();
}

void Applier::ReportApplied() {
  {
    std::lock_guard lock(mu_);
    done_index_ = applied_.index;
    if (std::exchange(report_scheduled_, true)) return;
  }
  ToLoop([self = shared_from_this()] {
    Index last;
    {
      std::lock_guard lock(self->mu_);
      self->report_scheduled_ = false;
      last = self->done_index_;
      self->changes_.swap(self->done_);
    }
    if (!self->stopped_.load()) self->on_applied_(last, self->changes_);
    self->changes_.clear();
  });
}

absl::Status Applier::ApplyEntries() {
  size_t count = 0;  // of run_
  const auto add = [&](Entry& entry) -> CommittedEntry& {
    if (count == run_.size()) run_.emplace_back();
    CommittedEntry& committed = run_[count++];
    committed.entry = std::move(entry);
    return committed;
  };
  Index next = applied_.index + 1;
  for (Entry& entry : applying_) {
    KEEL_CHECK(entry.index == next, "entry=", entry.index, " next=", next);
    ++next;
    if (entry.type != EntryType::kConfChange) {
      add(entry);
      continue;
    }
    // The state machine judges the change with everything before it applied.
    KEEL_RETURN_IF_ERROR(ApplyRun(std::exchange(count, 0)));
    CommittedEntry& committed = add(entry);
    committed.conf_after = applied_.conf;
    auto change = DecodeConfChange(*committed.entry.data);
    if (!change.ok()) continue;
    committed.change = *std::move(change);
    auto conf = ChangeConf(applied_.conf, committed.change);
    if (conf.ok() && state_machine_->AcceptConfChange(committed.entry, committed.change)) {
      committed.conf_after = *std::move(conf);
      std::lock_guard lock(mu_);
      done_.push_back(committed.change);
    }
  }
  KEEL_RETURN_IF_ERROR(ApplyRun(count));
  if (run_.size() > kRunKept) {
    run_.resize(kRunKept);
    run_.shrink_to_fit();
  }
  return absl::OkStatus();
}

// Applies the first `count` of run_.
absl::Status Applier::ApplyRun(size_t count) {
  if (count == 0) return absl::OkStatus();
  const std::span<CommittedEntry> run(run_.data(), count);
  KEEL_RETURN_IF_ERROR(state_machine_->Apply(run));
  applied_.index = run.back().entry.index;
  applied_.term = run.back().entry.term;
  for (CommittedEntry& committed : run) {
    if (committed.entry.type == EntryType::kConfChange) {
      applied_.conf = std::move(committed.conf_after);
      committed = CommittedEntry{};
    } else {
      committed.entry.data.reset();
    }
  }
  return absl::OkStatus();
}

void Applier::Fail(absl::Status status) {
  if (stopped_.load()) return;
  ToLoop([self = shared_from_this(), status = std::move(status)] {
    if (!self->stopped_.load()) self->on_error_(status);
  });
}

void Applier::Read(Index index, std::vector<ReadDone> reads) {
  apply_loop_->Post([self = shared_from_this(), index, reads = std::move(reads)]() mutable {
    if (self->stopped_.load()) return;
    for (ReadDone& read : reads) {
      if (index <= self->applied_.index) {
        read(self->applied_.index);
      } else {
        // Answers come in the order of their rounds, so nearly always at the end.
        auto at = self->waiting_.end();
        while (at != self->waiting_.begin() && std::prev(at)->index > index) --at;
        self->waiting_.insert(at, WaitingRead{index, std::move(read)});
      }
    }
  });
}

void Applier::AnswerReads() {
  while (!waiting_.empty() && waiting_.front().index <= applied_.index) {
    ReadDone done = std::move(waiting_.front().done);
    waiting_.pop_front();
    done(applied_.index);
  }
}

void Applier::FailReads(std::vector<ReadDone> reads, absl::Status status) {
  if (reads.empty()) return;
  apply_loop_->Post([self = shared_from_this(), reads = std::move(reads), status]() mutable {
    if (self->stopped_.load()) return;
    for (ReadDone& read : reads) read(status);
  });
}

void Applier::WriteSnapshot(std::string dir,
                            std::function<void(absl::StatusOr<SnapshotMeta>)> done) {
  apply_loop_->Post([self = shared_from_this(), dir = std::move(dir), done = std::move(done)] {
    if (self->stopped_.load() || self->failed_) return;
    const auto write = [&]() -> absl::StatusOr<SnapshotMeta> {
      KEEL_RETURN_IF_ERROR(self->fs_.RemoveAll(dir));
      KEEL_RETURN_IF_ERROR(self->fs_.CreateDirs(dir));
      KEEL_ASSIGN_OR_RETURN(AppliedState covered, self->state_machine_->WriteSnapshot(dir));
      // A state machine whose membership never changed may not know it.
      if (covered.conf == ConfState{}) covered.conf = self->applied_.conf;
      return SnapshotMeta{covered.index, covered.term, std::move(covered.conf)};
    };
    auto meta = write();
    if (!meta.ok()) {
      (void)self->fs_.RemoveAll(dir);
      self->ToLoop([self, done, meta = std::move(meta)]() mutable {
        if (!self->stopped_.load()) done(std::move(meta));
      });
      return;
    }
    self->state_machine_->CheckSnapshot(
        dir, [weak = self->weak_from_this(), dir, done,
              meta = *std::move(meta)](absl::Status status) mutable {
          const auto applier = weak.lock();
          if (!applier || applier->stopped_.load()) return;
          applier->ToLoop([applier, dir, done, status, meta = std::move(meta)]() mutable {
            if (applier->stopped_.load()) return;
            if (status.ok()) return done(std::move(meta));
            applier->RemoveFolder(dir);
            done(status);
            if (absl::IsDataLoss(status)) applier->on_error_(status);
          });
        });
  });
}

void Applier::Restore(std::string dir, SnapshotMeta meta, std::function<void(absl::Status)> done) {
  apply_loop_->Post([self = shared_from_this(), dir = std::move(dir), meta = std::move(meta),
                     done = std::move(done)] {
    if (self->stopped_.load()) return;
    // What was committed before comes first. Nothing behind the snapshot can be queued yet:
    // it is committed only once the snapshot is durable in the log.
    self->ApplyQueued();
    if (self->stopped_.load() || self->failed_) return;
    absl::Status status = self->state_machine_->RestoreSnapshot(dir, meta);
    if (status.ok()) {
      self->applied_ = {meta.index, meta.term, meta.conf};
      (void)self->fs_.RemoveAll(dir);  // Only space is lost when it stays.
    }
    self->ToLoop([self, done, status = std::move(status)] {
      if (!self->stopped_.load()) done(status);
    });
    self->AnswerReads();
  });
}

void Applier::Flush() {
  apply_loop_->Post([self = shared_from_this()] {
    if (!self->stopped_.load()) self->state_machine_->Flush();
  });
}

void Applier::GetDurableIndex(std::function<void(Index)> done) {
  apply_loop_->Post([self = shared_from_this(), done = std::move(done)] {
    if (self->stopped_.load()) return;
    self->ToLoop([self, done, index = self->state_machine_->DurableIndex()] {
      if (!self->stopped_.load()) done(index);
    });
  });
}

void Applier::RemoveFolder(std::string dir) {
  apply_loop_->Post([self = shared_from_this(), dir = std::move(dir)] {
    if (const absl::Status status = self->fs_.RemoveAll(dir); !status.ok()) {
      base::Log().warn("cannot remove snapshot path={} error=\"{}\"", dir, status.ToString());
    }
  });
}

void Applier::Stop(std::function<void()> done) {
  apply_loop_->Post([self = shared_from_this(), done = std::move(done)] {
    if (!self->stopped_.load()) {
      self->ApplyQueued();
      for (WaitingRead& read : self->waiting_) {
        read.done(absl::UnavailableError("the member is stopping"));
      }
      self->waiting_.clear();
      self->state_machine_->Flush();
      self->stopped_.store(true);
    }
    done();
  });
}

}  // namespace keel::raft
