#include "kvstore/mvcc/store.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/coding.h"
#include "rocksdb/utilities/checkpoint.h"

namespace keel::kvstore {

namespace {

constexpr std::string_view kPrefix = "db-";
constexpr absl::Duration kFullDiskRetry = absl::Seconds(1);
// A flush for less than one part in so many of what has come since the last can wait for the next:
// its small files would have RocksDB merge level 0 twice as often.
constexpr uint64_t kFlushSkipFactor = 8;
constexpr size_t kCopyBytes = 1 << 20;

std::string DatabaseName(uint64_t number) {
  char name[32];
  std::snprintf(name, sizeof name, "db-%06llu", static_cast<unsigned long long>(number));
  return name;
}

absl::Status SetCurrent(base::FileSystem& fs, const std::string& dir, uint64_t number) {
  return base::WriteFileAtomic(fs, dir + "/CURRENT", DatabaseName(number) + "\n");
}

absl::Status CopyFile(base::FileSystem& fs, const std::string& from, const std::string& to) {
  KEEL_ASSIGN_OR_RETURN(const auto source, fs.Open(from, base::FileSystem::Mode::kRead));
  KEEL_ASSIGN_OR_RETURN(const auto target, fs.Open(to, base::FileSystem::Mode::kCreateEmpty));
  for (uint64_t offset = 0;;) {
    KEEL_ASSIGN_OR_RETURN(const std::string bytes, source->Read(offset, kCopyBytes));
    if (bytes.empty()) break;
    KEEL_RETURN_IF_ERROR(target->Write(offset, bytes));
    offset += bytes.size();
  }
  return target->Sync();
}

// Moves the files of `from` into the new folder `to`; across file systems by copying.
absl::Status MoveFolder(base::FileSystem& fs, const std::string& from, const std::string& to) {
  if (fs.Rename(from, to).ok()) return absl::OkStatus();
  KEEL_RETURN_IF_ERROR(fs.RemoveAll(to));
  KEEL_RETURN_IF_ERROR(fs.CreateDirs(to));
  KEEL_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.List(from));
  for (const std::string& name : names) {
    KEEL_RETURN_IF_ERROR(CopyFile(fs, from + "/" + name, to + "/" + name));
  }
  fs.RemoveAll(from).IgnoreError();  // all that matters is in place
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const StoreOptions& options) {
  base::FileSystem& fs = options.fs();
  std::unique_ptr<Store> store(new Store(options));
  const std::string& dir = options.dir;
  KEEL_RETURN_IF_ERROR(fs.CreateDirs(dir));
  KEEL_ASSIGN_OR_RETURN(store->lock_, fs.Lock(dir + "/LOCK"));

  bool create = false;
  if (fs.Exists(dir + "/CURRENT")) {
    KEEL_ASSIGN_OR_RETURN(std::string name, base::ReadFile(fs, dir + "/CURRENT"));
    while (!name.empty() && name.back() == '\n') name.pop_back();
    store->number_ =
        std::strtoull(name.c_str() + std::min(name.size(), kPrefix.size()), nullptr, 10);
    if (store->number_ == 0 || name != DatabaseName(store->number_)) {
      return absl::DataLossError(
          base::StrCat("store ", dir, "/CURRENT is damaged: it names \"", name, "\""));
    }
    if (!fs.Exists(dir + "/" + name)) {
      return absl::DataLossError(
          base::StrCat("store ", dir, "/", name, " is missing, though ", dir, "/CURRENT names it"));
    }
  } else {
    store->number_ = 1;
    create = true;
  }
  const std::string name = DatabaseName(store->number_);
  KEEL_ASSIGN_OR_RETURN(const std::vector<std::string> entries, fs.List(dir));
  for (const std::string& entry : entries) {
    // With no CURRENT nothing was ever promised: a first start that crashed begins anew.
    if (std::string_view(entry).substr(0, kPrefix.size()) != kPrefix || (!create && entry == name))
      continue;
    KEEL_RETURN_IF_ERROR(fs.RemoveAll(dir + "/" + entry));
  }
  KEEL_ASSIGN_OR_RETURN(std::shared_ptr<Database> database,
                        Database::Open(dir + "/" + name, options, create));
  if (create) KEEL_RETURN_IF_ERROR(SetCurrent(fs, dir, store->number_));
  KEEL_RETURN_IF_ERROR(store->Adopt(std::move(database)));
  return store;
}

Store::~Store() {
  std::shared_ptr<HistoryCompactor> compactor;
  {
    base::MutexLock lock(&mutex_);
    compactor = std::move(compactor_);
  }
}

// Makes `database` the one in force, for all but the disk.
absl::Status Store::Adopt(std::shared_ptr<Database> database) {
  KEEL_ASSIGN_OR_RETURN(applied_, ReadAppliedMeta(*database, /*durable=*/false));
  durable_index_ = 0;
  sealed_index_ = 0;
  flush_asked_at_ = applied_.index;
  writer_ = std::make_unique<Writer>(database, applied_.revision, applied_.compact_revision);
  auto view = std::make_shared<const DbView>(database, applied_.revision, applied_.compact_revision,
                                             applied_.index);
  auto compactor = std::make_shared<HistoryCompactor>(database);
  base::MutexLock lock(&mutex_);
  database_.swap(database);
  view_.swap(view);
  compactor_.swap(compactor);
  sizes_at_ns_ = 0;
  return absl::OkStatus();
}

std::shared_ptr<Database> Store::database() const {
  base::MutexLock lock(&mutex_);
  return database_;
}

absl::Status Store::Commit(uint64_t index, uint64_t term) {
  KEEL_CHECK(index >= applied_.index && term >= applied_.term, "index=", index, " term=", term);
  absl::Status status = writer_->Commit(index, term);
  const absl::Time give_up = absl::Now() + absl::Milliseconds(options_.full_disk_wait_ms);
  if (absl::IsResourceExhausted(status)) {
    base::Log().warn("store waits for room on its disk status={}", status.ToString());
  }
  while (absl::IsResourceExhausted(status) && absl::Now() < give_up) {
    absl::SleepFor(kFullDiskRetry);
    // A failure to resume is the same news again; the write will tell.
    database()->Resume().IgnoreError();
    status = writer_->Commit(index, term);
  }
  KEEL_RETURN_IF_ERROR(status);
  if (database()->ConsumeSealed()) sealed_index_ = applied_.index;
  applied_ = {index, term, writer_->revision(), writer_->compact_revision()};
  return absl::OkStatus();
}

void Store::Publish() {
  auto view = std::make_shared<const DbView>(database(), applied_.revision,
                                             applied_.compact_revision, applied_.index);
  base::MutexLock lock(&mutex_);
  view_.swap(view);  // the old one goes outside of the lock
}

std::shared_ptr<const DbView> Store::view() const {
  base::MutexLock lock(&mutex_);
  return view_;
}

absl::StatusOr<bool> Store::GetMeta(std::string_view key, std::string* value) const {
  rocksdb::PinnableSlice slice;
  KEEL_ASSIGN_OR_RETURN(const bool found, database()->Get(Family::kMeta, nullptr, key, &slice));
  if (found) value->assign(slice.data(), slice.size());
  return found;
}

absl::Status Store::ScanMeta(
    std::string_view prefix,
    absl::FunctionRef<void(std::string_view, std::string_view)> visit) const {
  const std::shared_ptr<Database> database = this->database();
  const auto iterator = database->NewIterator(Family::kMeta, nullptr, nullptr);
  for (iterator->Seek(ToSlice(prefix));
       iterator->Valid() && iterator->key().starts_with(ToSlice(prefix)); iterator->Next()) {
    visit(ToView(iterator->key()).substr(prefix.size()), ToView(iterator->value()));
  }
  return ToStatus(iterator->status(), base::StrCat("read store ", database->path()));
}

absl::Status Store::ScanLeases(absl::FunctionRef<void(int64_t, int64_t, int64_t)> visit) const {
  const std::shared_ptr<Database> database = this->database();
  const auto iterator = database->NewIterator(Family::kLease, nullptr, nullptr);
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    std::string_view value = ToView(iterator->value());
    int64_t granted = 0, remaining = 0;
    if (iterator->key().size() != 8 || !ReadVarint(&value, &granted) ||
        !ReadVarint(&value, &remaining)) {
      return DamagedRecord(*database, Family::kLease);
    }
    visit(static_cast<int64_t>(LoadBig64(iterator->key().data())), granted, remaining);
  }
  return ToStatus(iterator->status(), base::StrCat("read store ", database->path()));
}

uint64_t Store::durable_index() {
  const std::shared_ptr<Database> database = this->database();
  if (database->ConsumeFlushed()) {
    auto durable = ReadAppliedMeta(*database, /*durable=*/true);
    if (durable.ok()) {
      durable_index_ = durable->index;
    } else {
      base::Log().error("store durable index status={}", durable.status().ToString());
    }
  }
  return durable_index_;
}

void Store::Rebase(uint64_t index, uint64_t term) {
  applied_.index = index;
  applied_.term = term;
}

absl::Status Store::StartFlush() {
  const uint64_t asked = std::exchange(flush_asked_at_, applied_.index);
  const uint64_t open = applied_.index - sealed_index_;
  if (open * kFlushSkipFactor < applied_.index - asked) return absl::OkStatus();
  KEEL_RETURN_IF_ERROR(database()->Flush(/*wait=*/false));
  sealed_index_ = applied_.index;
  return absl::OkStatus();
}

void Store::SchedulePhysicalCompaction(int64_t revision) {
  base::MutexLock lock(&mutex_);
  compactor_->Schedule(revision);
}

void Store::WhenPhysicallyCompacted(int64_t revision, absl::AnyInvocable<void(absl::Status)> done) {
  base::MutexLock lock(&mutex_);
  compactor_->WhenDone(revision, std::move(done));
}

// RocksDB's Flush also returns OK, with nothing flushed, while an earlier attempt to recover from
// an error stands as failed (7.8: WaitForFlushMemTables stops waiting then). So what the files
// hold is read back.
absl::Status Store::FlushAll() {
  const std::shared_ptr<Database> database = this->database();
  for (bool resumed = false;; resumed = true) {
    KEEL_RETURN_IF_ERROR(database->Flush(/*wait=*/true));
    KEEL_ASSIGN_OR_RETURN(const AppliedMeta durable, ReadAppliedMeta(*database, /*durable=*/true));
    if (durable.index == applied_.index) return absl::OkStatus();
    if (resumed) {
      return absl::UnavailableError(
          base::StrCat("flush store ", database->path(), ": of the log up to ", applied_.index,
                       " the files hold only what is up to ", durable.index));
    }
    KEEL_RETURN_IF_ERROR(database->Resume());
  }
}

absl::Status Store::WriteCheckpoint(const std::string& dir) {
  KEEL_CHECK(!writer_->pending());
  const std::shared_ptr<Database> database = this->database();
  // RocksDB insists on making the folder itself.
  KEEL_RETURN_IF_ERROR(options_.fs().RemoveAll(dir));
  // Beforehand: nothing is left to flush while files are being linked, and nothing is missing.
  KEEL_RETURN_IF_ERROR(FlushAll());
  const HostCall call(options_.host);
  rocksdb::Checkpoint* raw = nullptr;
  KEEL_RETURN_IF_ERROR(ToStatus(rocksdb::Checkpoint::Create(database->db(), &raw), "checkpoint"));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
  return ToStatus(checkpoint->CreateCheckpoint(dir),
                  base::StrCat("checkpoint of ", database->path()));
}

void Store::CheckCheckpoint(const std::string& dir, absl::AnyInvocable<void(absl::Status)> done) {
  checker_->Check(dir, std::move(done));
}

absl::Status Store::ExportCheckpoint(const std::string& dir) {
  KEEL_CHECK(options_.host == nullptr);  // no other thread is the store's there
  const uint64_t wanted = view()->applied_index();
  const std::shared_ptr<Database> database = this->database();
  KEEL_RETURN_IF_ERROR(options_.fs().RemoveAll(dir));
  KEEL_RETURN_IF_ERROR(database->Flush(/*wait=*/true));
  KEEL_ASSIGN_OR_RETURN(const AppliedMeta durable, ReadAppliedMeta(*database, /*durable=*/true));
  if (durable.index < wanted) {  // see FlushAll
    return absl::UnavailableError(
        base::StrCat("flush store ", database->path(), ": of the log up to ", wanted,
                     " the files hold only what is up to ", durable.index));
  }
  rocksdb::Checkpoint* raw = nullptr;
  KEEL_RETURN_IF_ERROR(ToStatus(rocksdb::Checkpoint::Create(database->db(), &raw), "checkpoint"));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
  // What is in files is enough: another flush would only hold up those who write.
  return ToStatus(checkpoint->CreateCheckpoint(dir, /*log_size_for_flush=*/UINT64_MAX),
                  base::StrCat("checkpoint of ", database->path()));
}

absl::Status Store::Restore(const std::string& dir, uint64_t index) {
  KEEL_CHECK(!writer_->pending());
  const uint64_t number = number_ + 1;
  const std::string path = options_.dir + "/" + DatabaseName(number);
  base::FileSystem& fs = options_.fs();
  KEEL_RETURN_IF_ERROR(fs.RemoveAll(path));
  KEEL_RETURN_IF_ERROR(MoveFolder(fs, dir, path));
  KEEL_RETURN_IF_ERROR(fs.SyncDir(path));
  KEEL_ASSIGN_OR_RETURN(std::shared_ptr<Database> database,
                        Database::Open(path, options_, /*create=*/false));
  KEEL_ASSIGN_OR_RETURN(const AppliedMeta meta, ReadAppliedMeta(*database, /*durable=*/false));
  if (meta.index != index) {
    database->RemoveOnClose();
    return absl::FailedPreconditionError(
        base::StrCat("snapshot ", dir, " holds the log up to ", meta.index, ", not ", index));
  }
  KEEL_RETURN_IF_ERROR(fs.SyncDir(options_.dir));
  KEEL_RETURN_IF_ERROR(SetCurrent(fs, options_.dir, number));
  number_ = number;
  const std::shared_ptr<Database> old = this->database();
  KEEL_RETURN_IF_ERROR(Adopt(std::move(database)));
  old->RemoveOnClose();
  return absl::OkStatus();
}

int64_t Store::NowNanos() const {
  return options_.host != nullptr ? static_cast<int64_t>(options_.host->env()->NowNanos())
                                  : absl::GetCurrentTimeNanos();
}

StoreSizes Store::sizes(base::Duration max_age) const {
  std::shared_ptr<Database> database;
  const int64_t now = NowNanos();
  {
    base::MutexLock lock(&mutex_);
    if (sizes_at_ns_ != 0 && now - sizes_at_ns_ < max_age.count()) return sizes_;
    sizes_at_ns_ = now;
    database = database_;
  }
  const StoreSizes fresh = database->sizes();
  base::MutexLock lock(&mutex_);
  sizes_ = fresh;
  return fresh;
}

absl::Status Store::background_status() const { return database()->background_status(); }
absl::Status Store::Resume() { return database()->Resume(); }

}  // namespace keel::kvstore
