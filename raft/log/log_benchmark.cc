// Append throughput and latency of the log, beside a bare fdatasync loop on a
// file of the same kind: what the log costs above the disk.
//
//   raft_log_benchmark            # in a folder under $TMPDIR or /tmp
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "base/asio_loop.h"
#include "base/log.h"
#include "base/manual_loop.h"
#include "base/strings.h"
#include "raft/log/log.h"

namespace keel::raft {
namespace {

std::string Dir() {
  const char* base = std::getenv("TMPDIR");
  return std::string(base != nullptr ? base : "/tmp") + "/keel_log_benchmark_" +
         std::to_string(::getpid());
}

// One write and fdatasync at a time, on zero-filled space.
void BM_BareFdatasync(benchmark::State& state) {
  const std::string dir = Dir();
  std::filesystem::create_directories(dir);
  constexpr uint64_t kFileBytes = 64 << 20;
  const auto bytes = static_cast<uint64_t>(state.range(0));
  auto& fs = base::PosixFileSystem();
  if (!SegmentPool::Fill(fs, dir + "/bare", kFileBytes).ok()) std::abort();
  auto file = *fs.Open(dir + "/bare", base::FileSystem::Mode::kReadWrite);
  const std::string data(bytes, 'x');
  uint64_t at = 0;
  for (auto _ : state) {
    if (at + bytes > kFileBytes) at = 0;
    if (!file->Write(at, data).ok() || !file->Sync().ok()) std::abort();
    at += bytes;
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  std::filesystem::remove_all(dir);
}
BENCHMARK(BM_BareFdatasync)->Arg(256)->Arg(4096)->Arg(65536)->UseRealTime();

// The log alone against the disk alone, in this thread: a bare write and
// fdatasync, then an append of the same size, in turns, so that both see the
// same machine. The counters are medians and tenth percentiles (an idle moment), in microseconds.
void BM_LogAgainstDisk(benchmark::State& state) {
  const std::string dir = Dir();
  constexpr uint64_t kFileBytes = 64 << 20;
  const auto bytes = static_cast<uint64_t>(state.range(0));
  base::ManualLoop loop;
  LogOptions options;
  options.dir = dir;
  options.loop = options.write_loop = options.fill_loop = &loop;
  options.random = [] { return 1; };
  options.on_error = [](absl::Status) { std::abort(); };
  auto log = *Log::Open(options);
  loop.RunUntilIdle();  // the spare segments are filled
  auto& fs = base::PosixFileSystem();
  if (!SegmentPool::Fill(fs, dir + "/bare", kFileBytes).ok()) std::abort();
  auto file = *fs.Open(dir + "/bare", base::FileSystem::Mode::kReadWrite);
  const Payload data = std::make_shared<const std::string>(bytes, 'x');
  uint64_t at = 0;
  Index durable = 0;
  std::vector<double> bare_us, log_us;
  const auto now = [] { return std::chrono::steady_clock::now(); };
  for (auto _ : state) {
    const auto start = now();
    if (at + bytes > kFileBytes) at = 0;
    if (!file->Write(at, *data).ok() || !file->Sync().ok()) std::abort();
    at += bytes;
    const auto middle = now();
    LogWrite write;
    write.entries.push_back({1, durable + 1, EntryType::kNormal, data});
    log->Append(std::move(write), [&] { ++durable; });
    loop.RunUntilIdle();
    bare_us.push_back(std::chrono::duration<double, std::micro>(middle - start).count());
    log_us.push_back(std::chrono::duration<double, std::micro>(now() - middle).count());
  }
  if (durable != static_cast<Index>(state.iterations())) std::abort();
  const auto percentile = [](std::vector<double>& values, int percent) {
    const auto wanted = values.begin() + static_cast<ptrdiff_t>(values.size()) * percent / 100;
    std::nth_element(values.begin(), wanted, values.end());
    return *wanted;
  };
  for (const auto& [name, percent] : {std::pair("p10", 10), std::pair("p50", 50)}) {
    const double bare = percentile(bare_us, percent);
    const double log_time = percentile(log_us, percent);
    state.counters[base::StrCat("bare_", name, "_us")] = bare;
    state.counters[base::StrCat("log_", name, "_us")] = log_time;
    state.counters[base::StrCat("ratio_", name)] = log_time / bare;
  }
  log.reset();
  loop.RunUntilIdle();
  std::filesystem::remove_all(dir);
}
BENCHMARK(BM_LogAgainstDisk)->Arg(256)->Arg(4096)->Arg(65536)->Iterations(500)->UseRealTime();

// `inflight` appends of one entry each under way at any time.
void BM_LogAppend(benchmark::State& state) {
  const std::string dir = Dir();
  const auto bytes = static_cast<size_t>(state.range(0));
  const auto inflight_max = static_cast<int>(state.range(1));
  base::AsioLoop loop("loop"), writer("writer"), filler("filler");
  LogOptions options;
  options.dir = dir;
  options.loop = &loop;
  options.write_loop = &writer;
  options.fill_loop = &filler;
  options.random = [] { return 1; };
  options.on_error = [](absl::Status) { std::abort(); };
  auto log = *Log::Open(options);
  loop.Start();
  writer.Start();
  filler.Start();

  std::mutex mu;
  std::condition_variable cv;
  int inflight = 0;
  const Payload data = std::make_shared<const std::string>(bytes, 'x');
  Index next = 1;
  for (auto _ : state) {
    {
      std::unique_lock lock(mu);
      cv.wait(lock, [&] { return inflight < inflight_max; });
      ++inflight;
    }
    loop.Post([&, index = next++] {
      LogWrite write;
      write.entries.push_back({1, index, EntryType::kNormal, data});
      log->Append(std::move(write), [&, index] {
        if (index % 100000 == 0) log->Truncate(index);
        std::lock_guard lock(mu);
        --inflight;
        cv.notify_one();
      });
    });
  }
  {
    std::unique_lock lock(mu);
    cv.wait(lock, [&] { return inflight == 0; });
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
  state.SetItemsProcessed(state.iterations());
  loop.Stop();
  writer.Stop();
  filler.Stop();
  log.reset();
  std::filesystem::remove_all(dir);
}
BENCHMARK(BM_LogAppend)
    ->ArgsProduct({{256, 4096, 65536}, {1, 64, 1024}})
    ->ArgNames({"bytes", "inflight"})
    ->UseRealTime();

// Opening a log of 256 MB that the system's cache holds, by the size of its entries.
void BM_LogOpen(benchmark::State& state) {
  const std::string dir = Dir();
  constexpr uint64_t kLogBytes = 256 << 20;
  const auto bytes = static_cast<uint64_t>(state.range(0));
  if (!base::SetLogLevel("warning").ok()) std::abort();  // it says so each time
  base::ManualLoop loop;
  LogOptions options;
  options.dir = dir;
  options.loop = options.write_loop = options.fill_loop = &loop;
  options.random = [] { return 1; };
  options.on_error = [](absl::Status) { std::abort(); };
  {
    auto log = *Log::Open(options);
    const Payload data = std::make_shared<const std::string>(bytes, 'x');
    const Index last = kLogBytes / bytes;
    for (Index index = 1; index <= last;) {
      LogWrite write;
      for (uint64_t batch = 0; batch < (1 << 20) && index <= last; batch += bytes) {
        write.entries.push_back({1, index++, EntryType::kNormal, data});
      }
      log->Append(std::move(write), nullptr);
      loop.RunUntilIdle();
    }
  }
  for (auto _ : state) {
    auto log = Log::Open(options);
    if (!log.ok()) std::abort();
    state.PauseTiming();  // a spare segment is made ready
    loop.RunUntilIdle();
    log->reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kLogBytes));
  std::filesystem::remove_all(dir);
}
BENCHMARK(BM_LogOpen)->Arg(256)->Arg(4096)->Arg(400 << 10)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace keel::raft
