#include "kvstore/mvcc/database.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/coding.h"
#include "kvstore/mvcc/drop_filter.h"
#include "rocksdb/cache.h"
#include "rocksdb/convenience.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/listener.h"
#include "rocksdb/slice_transform.h"
#include "rocksdb/sst_file_manager.h"
#include "rocksdb/sst_file_reader.h"
#include "rocksdb/table.h"
#include "rocksdb/utilities/table_properties_collectors.h"

namespace keel::kvstore {

namespace {

constexpr std::string_view kFormatKey = "format";
constexpr uint64_t kFormat = 2;  // 1: `events` held one in each entry

constexpr const char* kNames[kFamilies] = {"default", "latest", "history",
                                           "events",  "lease",  "lease_keys"};

bool HasLz4() {
  for (const rocksdb::CompressionType type : rocksdb::GetSupportedCompressions()) {
    if (type == rocksdb::kLZ4Compression) return true;
  }
  return false;
}

// What RocksDB says goes to our log, for those who debug: what matters of it reaches its callers
// as a status. Its own LOG file would stand in the way of a full disk: the first line that
// cannot be written there ends a process whose RocksDB was built with assertions, as Debian's is.
class EngineLog final : public rocksdb::Logger {
 public:
  explicit EngineLog(std::string path) : Logger(rocksdb::WARN_LEVEL), path_(std::move(path)) {}

  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char text[1024];
    std::vsnprintf(text, sizeof(text), format, arguments);
    base::Log().debug("store engine path={} says=\"{}\"", path_, text);
  }

 private:
  const std::string path_;
};

rocksdb::ColumnFamilyOptions FamilyOptions(
    Family family, const StoreOptions& options, rocksdb::BlockBasedTableOptions table,
    const std::shared_ptr<std::atomic<int64_t>>& drop_revision) {
  rocksdb::ColumnFamilyOptions result;
  // Of the others no single key is ever asked for.
  if (family == Family::kLatest || family == Family::kHistory) {
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  }
  result.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  result.write_buffer_size = options.write_buffer_bytes / 2;
  result.max_write_buffer_number = 4;
  result.arena_block_size = 256 << 10;
  // A burst may run ahead of compaction by so many files of level 0 before RocksDB slows it down.
  // Those of events do not overlap: they cost a reader nothing, and sink without being rewritten.
  result.level0_slowdown_writes_trigger = family == Family::kEvents ? 200 : 48;
  result.level0_stop_writes_trigger = family == Family::kEvents ? 400 : 96;
  result.level_compaction_dynamic_level_bytes = true;
  if (HasLz4()) {
    result.compression_per_level = {rocksdb::kNoCompression, rocksdb::kNoCompression,
                                    rocksdb::kLZ4Compression};
  }
  if (family == Family::kLatest) {
    // A put looks its key up first, and most keys are not in the memtables.
    result.memtable_whole_key_filtering = true;
    result.memtable_prefix_bloom_size_ratio = 0.05;
  }
  if (family == Family::kEvents) {
    // Revisions only grow: each insert starts where the last one ended.
    result.memtable_insert_with_hint_prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(1));
  }
  if (family == Family::kLatest || family == Family::kLeaseKeys) {
    // Queues delete as much as they put: long runs of tombstones slow every scan.
    result.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(1024, 512));
  }
  if (family == Family::kHistory || family == Family::kEvents) {
    result.compaction_filter_factory =
        std::make_shared<DropFilterFactory>(family == Family::kEvents, drop_revision);
  }
  return result;
}

// Threads that flush and compact give way to those that answer: on few processors a flush, which
// all members begin at the same entry, otherwise holds up every put. Not to the last: what they do
// not get done, writes wait for in the end.
constexpr int kFlushNice = 5;
constexpr int kCompactionNice = 10;

// Where the file system discards what it frees, an fdatasync of the Raft log waits for that: 10 to
// 40 ms for a file of 64 MB. So files shrink bit by bit, and however much there is of them.
constexpr int64_t kDeleteBytesPerSecond = 256 << 20;
constexpr uint64_t kDeleteChunkBytes = 4 << 20;
constexpr double kTrashRatio = 1e6;

void GiveWay(int by) {
  thread_local const int before = getpriority(PRIO_PROCESS, 0);  // of this thread: the process's
  thread_local int given = 0;  // Getting nicer is always allowed, the way back is not.
  if (given >= by) return;
  given = by;
  if (setpriority(PRIO_PROCESS, 0, before + by) != 0) {  // 19 is the most, whatever is asked
    base::Log().debug("store: cannot lower a thread's priority error=\"{}\"", std::strerror(errno));
  }
}

}  // namespace

absl::Status ToStatus(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = base::StrCat(what, ": ", status.ToString());
  if (status.IsCorruption()) return absl::DataLossError(text);
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit)
    return absl::ResourceExhaustedError(text);
  if (status.IsIOError() && text.find("LOCK") != std::string::npos) {
    return absl::UnavailableError(base::StrCat(text, ": another process holds it"));
  }
  return absl::InternalError(text);
}

class Database::Listener : public rocksdb::EventListener {
 public:
  explicit Listener(Database* owner) : owner_(owner) {}

  void OnMemTableSealed(const rocksdb::MemTableInfo&) override { ++owner_->memtables_sealed_; }
  void OnFlushBegin(rocksdb::DB*, const rocksdb::FlushJobInfo&) override {
    if (owner_->host_ == nullptr) GiveWay(kFlushNice);
  }
  void OnCompactionBegin(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override {
    if (owner_->host_ == nullptr) GiveWay(kCompactionNice);
  }
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override {
    owner_->flushed_.store(true, std::memory_order_release);
  }
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* status) override {
    const absl::Status translated = ToStatus(*status, base::StrCat("store ", owner_->path_));
    base::Log().error("store background error status={}", translated.ToString());
    if (reason == rocksdb::BackgroundErrorReason::kCompaction &&
        absl::IsResourceExhausted(translated)) {
      // RocksDB tries it again in any case. As an error of its own it would let flushes begin and
      // refuse to install them, and 7.8 then forgets to give their memtables back: the next flush
      // waits for ever (facebook/rocksdb#11872).
      *status = rocksdb::Status::OK();
    }
    base::MutexLock lock(&owner_->mutex_);
    if (status->ok() && !owner_->background_status_.ok() && !owner_->compaction_failed_) return;
    owner_->background_status_ = translated;
    owner_->compaction_failed_ = status->ok();
  }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo& info) override {
    if (!info.status.ok()) return;
    base::MutexLock lock(&owner_->mutex_);
    if (owner_->compaction_failed_) owner_->background_status_ = absl::OkStatus();
    owner_->compaction_failed_ = false;
  }
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) override {
    if (!info.new_bg_error.ok()) return;
    base::Log().info("store recovered from background error path={}", owner_->path_);
    base::MutexLock lock(&owner_->mutex_);
    owner_->background_status_ = absl::OkStatus();
  }

 private:
  Database* const owner_;
};

absl::StatusOr<std::shared_ptr<Database>> Database::Open(const std::string& path,
                                                         const StoreOptions& options, bool create) {
  std::shared_ptr<Database> database(new Database);
  database->path_ = path;
  database->host_ = options.host;
  database->crash_on_close_ = options.crash_on_close;
  database->counts_ = std::make_unique<CountIndex>(options.counts);
  database->drop_revision_ = std::make_shared<std::atomic<int64_t>>(-1);

  rocksdb::DBOptions db_options;
  db_options.create_if_missing = create;
  db_options.create_missing_column_families = create;
  db_options.atomic_flush = true;
  db_options.db_write_buffer_size = options.write_buffer_bytes;
  db_options.max_background_jobs = options.background_threads;
  db_options.avoid_flush_during_shutdown = options.crash_on_close;
  // One thread writes: the plain insert is cheaper than the concurrent one.
  db_options.allow_concurrent_memtable_write = false;
  db_options.enable_write_thread_adaptive_yield = false;
  db_options.max_open_files = 1000;
  db_options.bytes_per_sync = 1 << 20;
  // Where a burst that is slowed down begins; RocksDB's own 16 MB/s holds one write for seconds.
  db_options.delayed_write_rate = 64 << 20;
  db_options.info_log = std::make_shared<EngineLog>(path);
  db_options.stats_dump_period_sec = 0;
  db_options.stats_persist_period_sec = 0;
  db_options.listeners.push_back(std::make_shared<Listener>(database.get()));

  if (options.host == nullptr) {  // A thread of its own deletes.
    db_options.sst_file_manager.reset(rocksdb::NewSstFileManager(
        rocksdb::Env::Default(), db_options.info_log, /*trash_dir=*/"", kDeleteBytesPerSecond,
        /*delete_existing_trash=*/true, /*status=*/nullptr, kTrashRatio, kDeleteChunkBytes));
  } else {
    db_options.env = options.host->env();
    options.host->Tune(&db_options);
  }

  rocksdb::BlockBasedTableOptions table;
  // The index of a file of 64 MB takes 1 MB. In the default's shards of 2 MB each data block that
  // is read can push one out, and then each read of a key loads one again.
  rocksdb::LRUCacheOptions cache;
  cache.capacity = options.block_cache_bytes;
  cache.num_shard_bits = 2;
  cache.high_pri_pool_ratio = 0.5;
  table.block_cache = rocksdb::NewLRUCache(cache);
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;

  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (size_t i = 0; i < kFamilies; ++i) {
    families.emplace_back(
        kNames[i], FamilyOptions(static_cast<Family>(i), options, table, database->drop_revision_));
  }
  rocksdb::DB* raw = nullptr;
  rocksdb::Status opened;
  {
    const HostCall call(options.host);
    opened =
        options.read_only
            ? rocksdb::DB::OpenForReadOnly(db_options, path, families, &database->handles_, &raw)
            : rocksdb::DB::Open(db_options, path, families, &database->handles_, &raw);
  }
  database->db_.reset(raw);
  KEEL_RETURN_IF_ERROR(ToStatus(opened, base::StrCat("open store ", path)));

  rocksdb::PinnableSlice value;
  KEEL_ASSIGN_OR_RETURN(const bool found,
                        database->Get(Family::kMeta, nullptr, kFormatKey, &value));
  uint64_t format = 0;
  if (found) {
    std::string_view bytes = ToView(value);
    if (!ReadVarint(&bytes, &format)) {
      return absl::DataLossError(base::StrCat("store ", path, ": damaged format version"));
    }
    if (format > kFormat) {
      return absl::FailedPreconditionError(base::StrCat("store ", path, " has format ", format,
                                                        "; this program knows formats up to ",
                                                        kFormat, ": use a newer one"));
    }
  } else if (options.read_only) {
    return absl::DataLossError(base::StrCat("store ", path, " has no format version"));
  }
  if (format < kFormat && !options.read_only) {
    // Reaches the disk with or before whatever else is written from here on.
    std::string bytes;
    AppendVarint(kFormat, &bytes);
    rocksdb::WriteBatch batch;
    batch.Put(database->family(Family::kMeta), ToSlice(kFormatKey), bytes);
    KEEL_RETURN_IF_ERROR(database->Write(&batch));
  }
  return database;
}

absl::Status Database::Verify(const std::string& path, const StoreOptions& options,
                              const std::atomic<bool>& cancel) {
  rocksdb::Options settings;
  settings.max_open_files = 16;  // It is read once; the tables need not stay open.
  settings.info_log = std::make_shared<EngineLog>(path);
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  settings.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  if (options.host != nullptr) settings.env = options.host->env();
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : kNames) families.emplace_back(name, settings);

  const HostCall call(options.host);
  const std::string what = base::StrCat("check store ", path);
  rocksdb::DB* raw = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  KEEL_RETURN_IF_ERROR(
      ToStatus(rocksdb::DB::OpenForReadOnly(settings, path, families, &handles, &raw), what));
  const std::unique_ptr<rocksdb::DB> db(raw);
  std::vector<rocksdb::LiveFileMetaData> files;
  db->GetLiveFilesMetaData(&files);
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);

  rocksdb::ReadOptions read;
  read.readahead_size = 1 << 20;
  for (const rocksdb::LiveFileMetaData& file : files) {
    if (cancel.load()) return absl::CancelledError(what);
    rocksdb::SstFileReader reader(settings);
    KEEL_RETURN_IF_ERROR(ToStatus(reader.Open(path + file.name), what));
    KEEL_RETURN_IF_ERROR(ToStatus(reader.VerifyChecksum(read), what));
  }
  return absl::OkStatus();
}

Database::~Database() {
  if (db_ == nullptr) return;
  // Close flushes too, but goes on before the flush has cleaned up behind itself.
  if (host_ != nullptr && !crash_on_close_) Flush(/*wait=*/true).IgnoreError();
  const HostCall call(host_);
  for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  const bool remove = remove_on_close_.load();
  if (remove) {
    // Nobody will read it again: what is not flushed need not be.
    db_->SetDBOptions({{"avoid_flush_during_shutdown", "true"}}).PermitUncheckedError();
  }
  const rocksdb::Status closed = db_->Close();
  if (!closed.ok() && !remove) {
    base::Log().warn("store close path={} status={}", path_, closed.ToString());
  }
  db_.reset();
  if (remove) {  // what stays is removed at the next start
    base::FileSystem& fs = host_ != nullptr ? host_->fs() : base::PosixFileSystem();
    fs.RemoveAll(path_).IgnoreError();
  }
}

absl::StatusOr<bool> Database::Get(Family family, const rocksdb::Snapshot* snapshot,
                                   std::string_view key, rocksdb::PinnableSlice* value) const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  const rocksdb::Status status = db_->Get(options, this->family(family), ToSlice(key), value);
  if (status.ok()) return true;
  if (status.IsNotFound()) return false;
  return ToStatus(status, base::StrCat("read store ", path_));
}

void Database::MultiGet(Family family, std::span<const rocksdb::Slice> keys,
                        rocksdb::PinnableSlice* values, rocksdb::Status* statuses) const {
  db_->MultiGet({}, this->family(family), keys.size(), keys.data(), values, statuses);
}

absl::StatusOr<bool> Database::GetDurableMeta(std::string_view key,
                                              rocksdb::PinnableSlice* value) const {
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kPersistedTier;
  const rocksdb::Status status = db_->Get(options, family(Family::kMeta), ToSlice(key), value);
  if (status.ok()) return true;
  if (status.IsNotFound()) return false;
  return ToStatus(status, base::StrCat("read store ", path_));
}

std::unique_ptr<rocksdb::Iterator> Database::NewIterator(Family family,
                                                         const rocksdb::Snapshot* snapshot,
                                                         const rocksdb::Slice* upper) const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  options.iterate_upper_bound = upper;
  return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(options, this->family(family)));
}

absl::Status Database::Write(rocksdb::WriteBatch* batch) {
  const HostCall call(host_);
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  const uint64_t sealed = memtables_sealed_.load(std::memory_order_relaxed);
  const rocksdb::Status written = db_->Write(options, batch);
  // Before the batch was inserted, or behind it.
  if (memtables_sealed_.load(std::memory_order_relaxed) != sealed) sealed_ = true;
  return ToStatus(written, base::StrCat("write store ", path_));
}

absl::Status Database::Resume() {
  const HostCall call(host_);
  KEEL_RETURN_IF_ERROR(ToStatus(db_->Resume(), base::StrCat("resume store ", path_)));
  base::MutexLock lock(&mutex_);
  background_status_ = absl::OkStatus();
  compaction_failed_ = false;
  return absl::OkStatus();
}

absl::Status Database::Flush(bool wait) {
  // Of two flushes that wait for their turn the second finds families already flushed; if it then
  // fails in another, RocksDB built with assertions, as Debian's is, ends the process.
  if (host_ != nullptr) host_->Settle();
  const HostCall call(host_);
  rocksdb::FlushOptions options;
  options.wait = wait;
  options.allow_write_stall = !wait;
  return ToStatus(db_->Flush(options, handles_), base::StrCat("flush store ", path_));
}

absl::Status Database::background_status() const {
  base::MutexLock lock(&mutex_);
  return background_status_;
}

StoreSizes Database::sizes() const {
  StoreSizes sizes;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    uint64_t files = 0, memory = 0, live = 0;
    db_->GetIntProperty(handle, rocksdb::DB::Properties::kTotalSstFilesSize, &files);
    db_->GetIntProperty(handle, rocksdb::DB::Properties::kCurSizeAllMemTables, &memory);
    db_->GetIntProperty(handle, rocksdb::DB::Properties::kEstimateLiveDataSize, &live);
    sizes.db_bytes += static_cast<int64_t>(files + memory);
    sizes.in_use_bytes += static_cast<int64_t>(live + memory);
  }
  return sizes;
}

}  // namespace keel::kvstore
