#include "kvstore/mvcc/history_compactor.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/coding.h"
#include "kvstore/mvcc/writer.h"
#include "rocksdb/convenience.h"

namespace keel::kvstore {

namespace {

// Local, not replicated: how far this disk is clean.
constexpr std::string_view kPhysicalKey = "physical";
// Passes nobody waits for take at most a fifth of the time.
constexpr int kRestFactor = 4;
constexpr absl::Duration kRestMax = absl::Minutes(1);
// Less in files than this is not worth a rewriting.
constexpr uint64_t kGiveBackBytesMin = 1 << 20;

}  // namespace

HistoryCompactor::HistoryCompactor(std::shared_ptr<Database> database)
    : database_(std::move(database)) {
  // What is durable may be dropped from the start, by any rewriting RocksDB does.
  if (auto durable = ReadAppliedMeta(*database_, /*durable=*/true); durable.ok()) {
    database_->set_drop_revision(durable->compact_revision);
    target_ = durable->compact_revision;
  }
  rocksdb::PinnableSlice value;
  if (auto found = database_->Get(Family::kMeta, nullptr, kPhysicalKey, &value);
      found.ok() && *found) {
    std::string_view bytes = ToView(value);
    int64_t physical = 0;
    if (ReadVarint(&bytes, &physical)) done_ = physical;
  }
  if (database_->host() == nullptr) {
    thread_ = std::thread([this] { Run(); });
    return;
  }
  base::MutexLock lock(&mutex_);
  if (target_ > done_) StepOnHost();
}

HistoryCompactor::~HistoryCompactor() {
  cancel_.store(true);
  {
    base::MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  for (Waiter& waiter : waiters_) waiter.done(absl::CancelledError("the store is closing"));
}

void HistoryCompactor::Schedule(int64_t revision) {
  base::MutexLock lock(&mutex_);
  target_ = std::max(target_, revision);
  changed_.NotifyAll();
  if (database_->host() != nullptr) StepOnHost();
}

void HistoryCompactor::WhenDone(int64_t revision, absl::AnyInvocable<void(absl::Status)> done) {
  base::MutexLock lock(&mutex_);
  waiters_.push_back({revision, std::move(done)});
  changed_.NotifyAll();
  if (database_->host() != nullptr) StepOnHost();
}

void HistoryCompactor::StepOnHost() {
  if (step_coming_) return;
  step_coming_ = true;
  database_->host()->RunLater([this, weak = std::weak_ptr<bool>(alive_)] {
    if (weak.expired()) return;
    {
      base::MutexLock lock(&mutex_);
      step_coming_ = false;
    }
    const absl::Status status = Step();
    base::MutexLock lock(&mutex_);
    // An error that stays would keep the host busy for ever.
    if (!waiters_.empty() || (status.ok() && target_ > done_)) StepOnHost();
  });
}

void HistoryCompactor::Run() {
  absl::Duration rest = absl::ZeroDuration();
  while (true) {
    {
      base::MutexLock lock(&mutex_);
      // Rests, but for a waiter.
      const absl::Time until = absl::Now() + rest;
      while (!stopping_ && waiters_.empty() && absl::Now() < until) {
        changed_.WaitFor(&mutex_, absl::ToChronoNanoseconds(until - absl::Now()));
      }
      while (!stopping_ && waiters_.empty() && target_ <= done_) changed_.Wait(&mutex_);
      if (stopping_) return;
    }
    const absl::Time begin = absl::Now();
    const absl::Status status = Step();
    rest = std::min(kRestFactor * (absl::Now() - begin), kRestMax);
    if (!status.ok()) rest = std::max(rest, absl::Seconds(1));
  }
}

absl::Status HistoryCompactor::Step() {
  bool needed = false;
  {
    base::MutexLock lock(&mutex_);
    needed = target_ > done_;
  }
  absl::Status status;
  if (needed) {
    absl::StatusOr<int64_t> clean = Pass();
    base::MutexLock lock(&mutex_);
    if (clean.ok()) {
      done_ = std::max(done_, *clean);
    } else {
      status = clean.status();
      if (!stopping_) base::Log().warn("physical compaction status={}", status.ToString());
    }
  }
  std::vector<Waiter> served;
  {
    base::MutexLock lock(&mutex_);
    auto waiting = std::partition(waiters_.begin(), waiters_.end(), [&](const Waiter& waiter) {
      return status.ok() && waiter.revision > done_;
    });
    std::move(waiting, waiters_.end(), std::back_inserter(served));
    waiters_.erase(waiting, waiters_.end());
    // A waiter for what nobody scheduled would keep this spinning.
    for (const Waiter& waiter : waiters_) target_ = std::max(target_, waiter.revision);
  }
  for (Waiter& waiter : served) waiter.done(status);
  return status;
}

absl::StatusOr<int64_t> HistoryCompactor::Pass() {
  KEEL_RETURN_IF_ERROR(database_->Flush(/*wait=*/true));
  KEEL_ASSIGN_OR_RETURN(const AppliedMeta durable, ReadAppliedMeta(*database_, /*durable=*/true));
  const int64_t revision = durable.compact_revision;
  database_->set_drop_revision(revision);

  const HostCall call(database_->host());
  rocksdb::CompactRangeOptions options;
  // On a host one thing happens at a time, or the order would be anybody's guess.
  options.exclusive_manual_compaction = database_->host() != nullptr;
  options.canceled = &cancel_;
  // Whole files of old events go without being read; the edge is rewritten.
  char bound[kEventKeySize];
  StoreEventKey(std::max<int64_t>(revision, 0), 0, bound);
  const rocksdb::Slice limit(bound, kEventKeySize);
  const std::string what = base::StrCat("compact store ", database_->path());
  KEEL_RETURN_IF_ERROR(
      ToStatus(rocksdb::DeleteFilesInRange(database_->db(), database_->family(Family::kEvents),
                                           nullptr, &limit,
                                           /*include_end=*/false),
               what));
  KEEL_RETURN_IF_ERROR(ToStatus(
      database_->db()->CompactRange(options, database_->family(Family::kEvents), nullptr, &limit),
      what));
  KEEL_RETURN_IF_ERROR(ToStatus(
      database_->db()->CompactRange(options, database_->family(Family::kHistory), nullptr, nullptr),
      what));

  for (const Family family : {Family::kLatest, Family::kLeaseKeys}) {
    KEEL_RETURN_IF_ERROR(GiveBack(family, options));
  }

  std::string value;
  AppendVarint(static_cast<uint64_t>(revision), &value);
  rocksdb::WriteBatch batch;
  batch.Put(database_->family(Family::kMeta), ToSlice(kPhysicalKey), value);
  KEEL_RETURN_IF_ERROR(database_->Write(&batch));
  return revision;
}

// RocksDB rewrites files by their number and size, and for the sake of many deletions in a row:
// some that hid large values give it no reason to.
absl::Status HistoryCompactor::GiveBack(Family family,
                                        const rocksdb::CompactRangeOptions& options) {
  rocksdb::ColumnFamilyHandle* const handle = database_->family(family);
  uint64_t files = 0, live = 0;
  database_->db()->GetIntProperty(handle, rocksdb::DB::Properties::kLiveSstFilesSize, &files);
  database_->db()->GetIntProperty(handle, rocksdb::DB::Properties::kEstimateLiveDataSize, &live);
  if (files < kGiveBackBytesMin || files / 2 < live) return absl::OkStatus();
  return ToStatus(database_->db()->CompactRange(options, handle, nullptr, nullptr),
                  base::StrCat("compact store ", database_->path()));
}

}  // namespace keel::kvstore
