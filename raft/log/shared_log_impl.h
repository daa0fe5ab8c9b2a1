// The inside of SharedLog.
//
// Two views of every group are kept, as Log does for its one: what the log is
// with all that is on its way (SharedGroup::state, last, cache), and what is
// durable (locations), which the writer's answers move along in their order.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "raft/core/queue.h"
#include "raft/core/spares.h"
#include "raft/log/segment_pool.h"
#include "raft/log/shared_log.h"
#include "raft/log/shared_recovery.h"
#include "raft/log/shared_writer.h"

namespace keel::raft {

class SharedLogImpl final : public SharedLog {
 public:
  explicit SharedLogImpl(SharedLogOptions options);
  ~SharedLogImpl() override;
  absl::Status Open();

  // SharedLog.
  std::vector<GroupId> Groups() const override;
  bool Contains(GroupId group) const override { return groups_.contains(group); }
  absl::StatusOr<std::unique_ptr<GroupLog>> OpenGroup(GroupId group,
                                                      const ConfState& initial_conf) override;
  absl::Status RemoveGroup(GroupId group, absl::AnyInvocable<void()> done) override;
  SharedLogStats stats() const override;

  // For SharedGroupLog.
  absl::StatusOr<Term> TermAt(const SharedGroup& group, Index index) const;
  absl::Status ReadEntries(const SharedGroup& group, Index low, Index high, uint64_t max_bytes,
                           std::vector<Entry>* entries) const;
  void Append(const std::shared_ptr<SharedGroup>& group, LogWrite write,
              absl::AnyInvocable<void()> durable);
  void Truncate(const std::shared_ptr<SharedGroup>& group, Index index);
  std::vector<Entry> SpareEntries() { return spares_.Entries(); }
  void Close(SharedGroup* group);

 private:
  // A write on its way to disk.
  struct Pending {
    std::shared_ptr<SharedGroup> group;  // null: a horizon
    uint64_t generation = 0;
    Index first = 0;  // of its entries
    size_t entries = 0;
    uint32_t state_bytes = 0;  // of its group record; 0: none
    bool moved = false;
    bool reset = false;
    bool removed = false;
    bool unwritten = false;  // nothing for the writer: ends with the one before
    uint64_t horizon = 0;
    absl::AnyInvocable<void()> durable;
  };

  void Fail(absl::Status status);
  void Enqueue(const std::shared_ptr<SharedGroup>& group, SharedWrite write,
               absl::AnyInvocable<void()> durable);
  void OnWritten(std::vector<SharedWrite>& writes, const SharedWritten& written);
  void Settle(const Pending& pending, const SharedWritten& written, size_t* at, size_t* state_at);
  void FreeSegments(uint64_t before_sequence);
  void Clean();
  void MoveSome();
  absl::Status Move(const std::shared_ptr<SharedGroup>& group, uint64_t limit, uint64_t* bytes,
                    bool* whole);
  absl::Status ReadRun(const SharedGroup& group, Index low, Index high,
                       std::vector<Entry>* out) const;
  absl::StatusOr<base::File*> FileOf(uint64_t sequence) const;
  void List(SharedGroup* group);
  void Unlist(SharedGroup* group);
  void Evict();

  SharedLogOptions options_;
  std::unique_ptr<base::FileLock> lock_;
  std::shared_ptr<SegmentPool> pool_;
  std::shared_ptr<SharedWriter> writer_;
  uint64_t salt_ = 0;
  SharedGroups groups_;
  SharedIndex index_;
  Queue<Pending> pending_;
  std::vector<Pending> settled_;  // of OnWritten, kept for its memory
  Spares spares_;
  bool failed_ = false;
  SharedLogStats stats_;  // the counters among them

  // Freeing the oldest segment.
  size_t clean_at_ = 0;  // in its list of groups
  uint64_t moving_ = 0;  // writes on their way
  bool horizon_queued_ = false;

  // Groups with entries in memory, by last append.
  SharedGroup* newest_ = nullptr;
  SharedGroup* oldest_ = nullptr;
  uint64_t cached_bytes_ = 0;
  mutable absl::flat_hash_map<uint64_t, std::unique_ptr<base::File>> files_;  // for reading
};

// What OpenGroup gives out.
class SharedGroupLog final : public GroupLog {
 public:
  SharedGroupLog(SharedLogImpl* log, std::shared_ptr<SharedGroup> group)
      : log_(log), group_(std::move(group)) {}
  ~SharedGroupLog() override { log_->Close(group_.get()); }

  const HardState& hard_state() const override { return group_->state.hard_state; }
  const ConfState& initial_conf() const override { return group_->state.initial_conf; }
  Index FirstIndex() const override { return group_->state.base.index + 1; }
  Index LastIndex() const override { return group_->last; }
  absl::StatusOr<Term> TermAt(Index index) const override { return log_->TermAt(*group_, index); }
  absl::Status ReadEntries(Index low, Index high, uint64_t max_bytes,
                           std::vector<Entry>* entries) const override {
    return log_->ReadEntries(*group_, low, high, max_bytes, entries);
  }
  Index IndexWithin(uint64_t bytes) const override {
    size_t count = group_->locations.size();
    for (uint64_t sum = 0; count > 0; --count) {
      sum += RecordBytes(group_->locations[count - 1].body_bytes);
      if (sum > bytes) break;
    }
    return group_->state.base.index + count;
  }
  void Append(LogWrite write, absl::AnyInvocable<void()> durable) override {
    log_->Append(group_, std::move(write), std::move(durable));
  }
  std::vector<Entry> SpareEntries() override { return log_->SpareEntries(); }
  void Truncate(Index index) override { log_->Truncate(group_, index); }

 private:
  SharedLogImpl* const log_;
  const std::shared_ptr<SharedGroup> group_;
};

}  // namespace keel::raft
