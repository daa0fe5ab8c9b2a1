#include "raft/driver/applier.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "raft/core/confchange.h"

namespace keel::raft {

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

void Applier::Apply(std::vector<Entry> entries) {
  apply_loop_->Post([self = shared_from_this(), entries = std::move(entries)]() mutable {
    if (self->queued_.empty()) {
      self->queued_ = std::move(entries);
    } else {
      self->queued_.insert(self->queued_.end(), std::make_move_iterator(entries.begin()),
                           std::make_move_iterator(entries.end()));
    }
    if (self->apply_scheduled_) return;
    // Behind what else is queued on the loop by now: that joins the batch.
    self->apply_scheduled_ = true;
    self->apply_loop_->Post([self] { self->ApplyQueued(); });
  });
}

void Applier::ApplyQueued() {
  apply_scheduled_ = false;
  std::vector<Entry> entries = std::exchange(queued_, {});
  if (stopped_.load() || entries.empty()) return;
  std::vector<ConfChange> changes;
  absl::Status status = ApplyEntries(entries, &changes);
  if (!status.ok()) return Fail(std::move(status));
  ToLoop(
      [self = shared_from_this(), last = applied_.index, changes = std::move(changes)]() mutable {
        if (!self->stopped_.load()) self->on_applied_(last, std::move(changes));
      });
  AnswerReads();
}

absl::Status Applier::ApplyEntries(std::vector<Entry>& entries, std::vector<ConfChange>* changes) {
  std::vector<CommittedEntry> run;
  run.reserve(entries.size());
  Index next = applied_.index + 1;
  for (Entry& entry : entries) {
    KEEL_CHECK(entry.index == next, "entry=", entry.index, " next=", next);
    ++next;
    CommittedEntry& committed = run.emplace_back();
    committed.entry = std::move(entry);
    if (committed.entry.type != EntryType::kConfChange) continue;
    // The state machine judges the change with everything before it applied.
    CommittedEntry conf_entry = std::move(run.back());
    run.pop_back();
    KEEL_RETURN_IF_ERROR(ApplyRun(&run));
    conf_entry.conf_after = applied_.conf;
    auto change = DecodeConfChange(*conf_entry.entry.data);
    if (change.ok()) {
      conf_entry.change = *std::move(change);
      const auto conf = ChangeConf(applied_.conf, conf_entry.change);
      if (conf.ok() && state_machine_->AcceptConfChange(conf_entry.entry, conf_entry.change)) {
        conf_entry.conf_after = *conf;
        changes->push_back(conf_entry.change);
      }
    }
    run.push_back(std::move(conf_entry));
  }
  return ApplyRun(&run);
}

absl::Status Applier::ApplyRun(std::vector<CommittedEntry>* run) {
  if (run->empty()) return absl::OkStatus();
  KEEL_RETURN_IF_ERROR(state_machine_->Apply(*run));
  const CommittedEntry& last = run->back();
  applied_.index = last.entry.index;
  applied_.term = last.entry.term;
  for (CommittedEntry& committed : *run) {
    if (committed.entry.type == EntryType::kConfChange) {
      applied_.conf = std::move(committed.conf_after);
    }
  }
  run->clear();
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
    if (self->stopped_.load()) return;
    const auto write = [&]() -> absl::StatusOr<SnapshotMeta> {
      KEEL_RETURN_IF_ERROR(self->fs_.RemoveAll(dir));
      KEEL_RETURN_IF_ERROR(self->fs_.CreateDirs(dir));
      KEEL_ASSIGN_OR_RETURN(AppliedState covered, self->state_machine_->WriteSnapshot(dir));
      // A state machine whose membership never changed may not know it.
      if (covered.conf == ConfState{}) covered.conf = self->applied_.conf;
      return SnapshotMeta{covered.index, covered.term, std::move(covered.conf)};
    };
    auto meta = write();
    if (!meta.ok()) (void)self->fs_.RemoveAll(dir);
    self->ToLoop([self, done, meta = std::move(meta)]() mutable {
      if (!self->stopped_.load()) done(std::move(meta));
    });
  });
}

void Applier::Restore(std::string dir, SnapshotMeta meta, std::function<void(absl::Status)> done) {
  apply_loop_->Post([self = shared_from_this(), dir = std::move(dir), meta = std::move(meta),
                     done = std::move(done)] {
    if (self->stopped_.load()) return;
    // What was committed before comes first; the order of the tasks is the order of Readys.
    self->ApplyQueued();
    if (self->stopped_.load()) return;
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
