// Append throughput and latency of the log, beside a bare fdatasync loop on a
// file of the same kind: what the log costs above the disk.
//
//   raft_log_benchmark            # in a folder under $TMPDIR or /tmp
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>

#include "base/asio_loop.h"
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

}  // namespace
}  // namespace keel::raft
