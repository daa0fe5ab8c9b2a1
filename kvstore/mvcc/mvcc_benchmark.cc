// What one operation of the store costs, on the thread that does it.
//
//   build/release/benchmarks/mvcc_benchmark
//
// Apply is measured through the Writer, committed in batches as the apply loop does.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "base/check.h"
#include "kvstore/mvcc/store.h"

namespace keel::kvstore {
namespace {

constexpr int kKeys = 1'000'000;

std::string Key(uint64_t number) { return absl::StrFormat("/registry/pods/%08d", number); }

// A pseudo-random walk that needs no generator.
uint64_t Scatter(uint64_t number) { return number * 0x9e3779b97f4a7c15ull >> 20; }

class Bench {
 public:
  explicit Bench(int keys) {
    std::string name = (std::filesystem::temp_directory_path() / "keel-bench-XXXXXX").string();
    KEEL_CHECK(::mkdtemp(name.data()) != nullptr);
    dir_ = name;
    StoreOptions options;
    options.dir = dir_;
    options.block_cache_bytes = 512 << 20;
    auto opened = Store::Open(options);
    KEEL_CHECK(opened.ok(), opened.status().ToString());
    store_ = *std::move(opened);
    const std::string value(128, 'v');
    for (int i = 0; i < keys; ++i) {
      Put(Key(static_cast<uint64_t>(i)), value);
      if (i % 1000 == 999) Commit();
    }
    Commit();
  }
  ~Bench() {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  void Put(const std::string& key, const std::string& value) {
    store_->writer().Begin();
    KEEL_CHECK(store_->writer().Put(key, value, 0).ok());
    store_->writer().End();
    ++index_;
  }
  void Commit() {
    KEEL_CHECK(store_->Commit(index_, 1).ok());
    store_->Publish();
    store_->writer().TakeFeed();
  }
  Store& store() { return *store_; }

  // With kKeys keys; made once.
  static Bench& Full() {
    static Bench bench(kKeys);
    return bench;
  }

 private:
  std::string dir_;
  std::unique_ptr<Store> store_;
  uint64_t index_ = 0;
};

void BM_PutNew(benchmark::State& state) {
  Bench bench(0);
  const std::string value(256, 'v');
  uint64_t number = 0;
  for (auto _ : state) {
    bench.Put(Key(Scatter(++number) % 100'000'000), value);
    if (number % static_cast<uint64_t>(state.range(0)) == 0) bench.Commit();
  }
  bench.Commit();
}
BENCHMARK(BM_PutNew)->Arg(1)->Arg(16)->Arg(256);

void BM_PutOver(benchmark::State& state) {
  Bench& bench = Bench::Full();
  const std::string value(256, 'v');
  uint64_t number = 0;
  for (auto _ : state) {
    bench.Put(Key(Scatter(++number) % kKeys), value);
    if (number % static_cast<uint64_t>(state.range(0)) == 0) bench.Commit();
  }
  bench.Commit();
}

void BM_Get(benchmark::State& state) {
  Bench& bench = Bench::Full();
  const auto view = bench.store().view();
  uint64_t number = 0, bytes = 0;
  for (auto _ : state) {
    const std::string key = Key(Scatter(++number) % kKeys);
    RangeOptions options;
    options.key = key;
    KEEL_CHECK(
        view->Range(options, [&](const RecordView& record) { bytes += record.value.size(); }).ok());
  }
  benchmark::DoNotOptimize(bytes);
}
BENCHMARK(BM_Get);

// The first 100 keys at or behind a key, where 100 follow.
void BM_Range100(benchmark::State& state) {
  Bench& bench = Bench::Full();
  const auto view = bench.store().view();
  uint64_t number = 0, bytes = 0;
  for (auto _ : state) {
    const uint64_t from = Scatter(++number) % (kKeys - 100);
    const std::string key = Key(from), end = Key(from + 100);
    RangeOptions options;
    options.key = key;
    options.range_end = end;
    options.limit = 100;
    KEEL_CHECK(
        view->Range(options, [&](const RecordView& record) { bytes += record.value.size(); }).ok());
  }
  benchmark::DoNotOptimize(bytes);
}
BENCHMARK(BM_Range100);

// As Kubernetes lists: a page of a large prefix, whose count is wanted too.
void BM_PageOfAMillion(benchmark::State& state) {
  Bench& bench = Bench::Full();
  const auto view = bench.store().view();
  for (auto _ : state) {
    RangeOptions options;
    options.key = "/registry/pods/";
    options.range_end = "/registry/pods0";
    options.limit = 500;
    const auto result = view->Range(options, [](const RecordView&) {});
    KEEL_CHECK(result.ok() && result->count == kKeys && result->more);
  }
}
BENCHMARK(BM_PageOfAMillion)->Unit(benchmark::kMillisecond);

void BM_Count(benchmark::State& state) {
  Bench& bench = Bench::Full();
  const auto view = bench.store().view();
  for (auto _ : state) {
    RangeOptions options;
    options.key = std::string_view("\0", 1);
    options.range_end = std::string_view("\0", 1);
    options.count_only = true;
    const auto result = view->Range(options, [](const RecordView&) {});
    KEEL_CHECK(result.ok() && result->count == kKeys);
  }
}
BENCHMARK(BM_Count)->Unit(benchmark::kMillisecond);

void BM_Publish(benchmark::State& state) {
  Bench& bench = Bench::Full();
  for (auto _ : state) bench.store().Publish();
}
BENCHMARK(BM_Publish);

// Last: it leaves history behind.
BENCHMARK(BM_PutOver)->Arg(1)->Arg(16)->Arg(256);

void BM_GetHistorical(benchmark::State& state) {
  Bench& bench = Bench::Full();
  const auto view = bench.store().view();
  uint64_t number = 0;
  for (auto _ : state) {
    const std::string key = Key(Scatter(++number) % kKeys);
    RangeOptions options;
    options.key = key;
    options.revision = kKeys + 1;
    const auto result = view->Range(options, [](const RecordView&) {});
    KEEL_CHECK(result.ok() && result->count == 1);
  }
}
BENCHMARK(BM_GetHistorical);

}  // namespace
}  // namespace keel::kvstore
