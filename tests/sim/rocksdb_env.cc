#include "tests/sim/rocksdb_env.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "rocksdb/env.h"
#include "rocksdb/options.h"
#include "rocksdb/sst_file_manager.h"
#include "rocksdb/system_clock.h"
#include "tests/sim/disk_node.h"
#include "tests/sim/job_queue.h"
#include "tests/sim/rocksdb_fs.h"

namespace keel::sim {

namespace {

constexpr uint64_t kEpochMicros = 1'700'000'000'000'000;  // when virtual time begins

// Where RocksDB's ids come from on this thread: those of the host whose call it is in.
thread_local DiskRandom* id_source = nullptr;

}  // namespace

class RocksDbHost::Clock final : public rocksdb::SystemClock {
 public:
  Clock(std::function<uint64_t()> now_ns, JobQueue* jobs)
      : now_ns_(std::move(now_ns)), jobs_(jobs) {}

  const char* Name() const override { return "SimClock"; }
  uint64_t NowMicros() override { return NowNanos() / 1000; }
  uint64_t NowNanos() override {
    return (kEpochMicros + slept_micros_.load()) * 1000 + (now_ns_ ? now_ns_() : 0);
  }
  // Whoever sleeps waits for time to pass; it has.
  void SleepForMicroseconds(int micros) override {
    slept_micros_.fetch_add(static_cast<uint64_t>(std::max(micros, 0)));
    jobs_->BackOff();
  }
  rocksdb::Status GetCurrentTime(int64_t* unix_time) override {
    *unix_time = static_cast<int64_t>(NowMicros() / 1'000'000);
    return rocksdb::Status::OK();
  }
  std::string TimeToString(uint64_t time) override { return std::to_string(time); }

 private:
  const std::function<uint64_t()> now_ns_;
  JobQueue* const jobs_;
  std::atomic<uint64_t> slept_micros_{0};
};

class RocksDbHost::Env final : public rocksdb::EnvWrapper {
 public:
  Env(const std::shared_ptr<rocksdb::FileSystem>& files, std::shared_ptr<Clock> clock,
      JobQueue* jobs, uint64_t seed)
      : EnvWrapper(rocksdb::NewCompositeEnv(files)),
        clock_(std::move(clock)),
        jobs_(jobs),
        ids_(seed) {
    system_clock_ = clock_;
  }

  const char* Name() const override { return "SimEnv"; }
  DiskRandom* ids() { return &ids_; }

  void Schedule(void (*run)(void*), void* argument, Priority priority, void* tag,
                void (*unscheduled)(void*)) override {
    jobs_->Schedule({run, argument, priority, tag, unscheduled});
  }
  int UnSchedule(void* tag, Priority priority) override { return jobs_->Unschedule(tag, priority); }
  unsigned int GetThreadPoolQueueLen(Priority) const override { return 0; }
  void SetBackgroundThreads(int, Priority) override {}
  int GetBackgroundThreads(Priority) override { return 1; }
  void IncBackgroundThreadsIfNeeded(int, Priority) override {}
  int ReserveThreads(int, Priority) override { return 0; }
  int ReleaseThreads(int, Priority) override { return 0; }

  uint64_t NowMicros() override { return clock_->NowMicros(); }
  uint64_t NowNanos() override { return clock_->NowNanos(); }
  uint64_t NowCPUNanos() override { return 0; }
  void SleepForMicroseconds(int micros) override { clock_->SleepForMicroseconds(micros); }
  rocksdb::Status GetCurrentTime(int64_t* unix_time) override {
    return clock_->GetCurrentTime(unix_time);
  }
  std::string TimeToString(uint64_t time) override { return clock_->TimeToString(time); }

  rocksdb::Status GetHostName(char* name, uint64_t size) override {
    std::strncpy(name, "sim", size);
    return rocksdb::Status::OK();
  }
  std::string GenerateUniqueId() override {
    std::string id;
    for (int i = 0; i < 36; ++i) id += "0123456789abcdef"[ids_.Below(16)];
    for (const size_t dash : {8, 13, 18, 23}) id[dash] = '-';
    return id;
  }

 private:
  const std::shared_ptr<Clock> clock_;
  JobQueue* const jobs_;
  DiskRandom ids_;
};

RocksDbHost::RocksDbHost(SimDisk& disk, RocksDbHostOptions options)
    : disk_(disk),
      jobs_(std::make_unique<JobQueue>()),
      clock_(std::make_shared<Clock>(std::move(options.now_ns), jobs_.get())),
      env_(std::make_unique<Env>(NewRocksDbFiles(disk), clock_, jobs_.get(), options.seed)) {
  // RocksDB points CURRENT at a new MANIFEST before it syncs the folder: it counts on a file
  // system that does not keep the one name without the other.
  disk.set_journaled(true);
}

RocksDbHost::~RocksDbHost() = default;

kvstore::StoreOptions RocksDbHost::Configure(const std::string& dir) {
  kvstore::StoreOptions options;
  options.dir = dir;
  options.block_cache_bytes = 1 << 20;
  options.write_buffer_bytes = 16 << 20;
  options.background_threads = 1;
  options.full_disk_wait_ms = 0;
  options.host = this;
  return options;
}

void RocksDbHost::Pump() {
  std::vector<absl::AnyInvocable<void()>> work;
  work.swap(work_);
  for (auto& one : work) one();
  jobs_->Pump();
}

bool RocksDbHost::busy() const { return !work_.empty() || jobs_->busy(); }
uint64_t RocksDbHost::jobs_run() const { return jobs_->jobs_run(); }

base::FileSystem& RocksDbHost::fs() { return disk_; }
rocksdb::Env* RocksDbHost::env() { return env_.get(); }

void RocksDbHost::Tune(rocksdb::DBOptions* options) {
  options->max_file_opening_threads = 1;
  options->skip_stats_update_on_db_open = true;
  options->allow_fallocate = false;
  // Its thread waits for a full disk to get room, by a real clock; the files it is given here
  // never say how much there is, so that it does not go on by itself.
  options->sst_file_manager.reset(
      rocksdb::NewSstFileManager(rocksdb::Env::Default(), env_->GetFileSystem()));
}

void RocksDbHost::BeginCall() {
  ++calls_;
  id_source = env_->ids();
  jobs_->BeginCall();
}

void RocksDbHost::EndCall() {
  jobs_->EndCall();
  if (--calls_ == 0) id_source = nullptr;
}

void RocksDbHost::Settle() { jobs_->Pump(); }

void RocksDbHost::RunLater(absl::AnyInvocable<void()> work) { work_.push_back(std::move(work)); }

}  // namespace keel::sim

// RocksDB writes the id of its session into every table file, and draws it from the machine's
// entropy; no Env is asked. The linker puts this function in the place of the library's
// (--wrap, CMakeLists.txt), which is a member of SemiStructuredUniqueIdGen.
extern "C" {
void __real__ZN7rocksdb25SemiStructuredUniqueIdGen12GenerateNextEPmS1_(void* self, uint64_t* upper,
                                                                       uint64_t* lower);
void __wrap__ZN7rocksdb25SemiStructuredUniqueIdGen12GenerateNextEPmS1_(void* self, uint64_t* upper,
                                                                       uint64_t* lower) {
  if (keel::sim::id_source == nullptr) {  // some other database
    return __real__ZN7rocksdb25SemiStructuredUniqueIdGen12GenerateNextEPmS1_(self, upper, lower);
  }
  *upper = keel::sim::id_source->Next();
  *lower = keel::sim::id_source->Next();
}
}
