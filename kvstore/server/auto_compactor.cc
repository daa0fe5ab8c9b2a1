#include "kvstore/server/auto_compactor.h"

#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {

AutoCompactor::AutoCompactor(ServerContext* context, Proposals* proposals)
    : context_(context), proposals_(proposals) {
  const ServerConfig& config = context->config;
  if (config.auto_compaction_mode == AutoCompactionMode::kRevision) {
    if (config.auto_compaction_revisions > 0) interval_ = std::chrono::minutes(5);
  } else if (config.auto_compaction_period > base::Duration::zero()) {
    // etcd: a sample every tenth of the period, and of an hour at most.
    interval_ = std::min<base::Duration>(config.auto_compaction_period, std::chrono::hours(1)) / 10;
  }
}

void AutoCompactor::Tick() {
  if (interval_ == base::Duration::zero()) return;
  const base::TimePoint now = context_->loop->Now();
  if (now < next_) return;
  next_ = now + interval_;
  const ServerConfig& config = context_->config;
  const int64_t revision = context_->machine->view()->revision();
  if (config.auto_compaction_mode == AutoCompactionMode::kRevision) {
    return Compact(revision - config.auto_compaction_revisions);
  }
  samples_.push_back({now, revision});
  int64_t old_enough = 0;
  while (!samples_.empty() && samples_.front().at + config.auto_compaction_period <= now) {
    old_enough = samples_.front().revision;
    samples_.pop_front();
  }
  Compact(old_enough);
}

void AutoCompactor::Compact(int64_t revision) {
  if (revision <= last_revision_ || !context_->IsLeader()) return;
  if (revision <= context_->machine->view()->compact_revision()) return;
  last_revision_ = revision;
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  proposals_->Propose(CommandField::kCompaction, request.SerializeAsString(),
                      [revision](absl::Status error, ApplyResult* result) {
                        if (error.ok()) error = result->status;
                        if (error.ok()) {
                          base::Log().info("compacted automatically revision={}", revision);
                        } else {
                          base::Log().warn("automatic compaction failed revision={}: {}", revision,
                                           base::ToStd(error.message()));
                        }
                      });
}

}  // namespace keel::kvstore
