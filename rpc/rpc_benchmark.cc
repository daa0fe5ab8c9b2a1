// What a unary call costs: CPU time of the server's thread and of the client's,
// over loopback. Both run in this process, each on a loop of its own.
//
//   rpc_benchmark --benchmark_counters_tabular=true
//
// Arguments: connections, calls in flight per connection, message bytes.
#include <benchmark/benchmark.h>
#include <pthread.h>
#include <time.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "rpc/client.h"
#include "rpc/server.h"

namespace keel::rpc {
namespace {

constexpr char kEcho[] = "/bench.Echo/Say";

double ThreadCpuSeconds(base::AsioLoop& loop) {
  std::promise<double> promise;
  loop.Post([&] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    promise.set_value(static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9);
  });
  return promise.get_future().get();
}

// Keeps `in_flight` calls under way on one channel until `left` runs out.
struct Generator {
  void Run(int in_flight) {
    for (int i = 0; i < in_flight; ++i) Next();
  }
  void Next() {
    if (left->fetch_sub(1, std::memory_order_relaxed) <= 0) return;
    channel->Call(kEcho, body, {.deadline = channel_loop->Now() + std::chrono::seconds(10)},
                  [this](absl::StatusOr<std::string> response) {
                    if (!response.ok() || response->size() != body.size()) std::abort();
                    if (done->fetch_add(1, std::memory_order_relaxed) + 1 == total)
                      finished->set_value();
                    Next();
                  });
  }

  Channel* channel;
  base::AsioLoop* channel_loop;
  std::string body;
  std::atomic<int64_t>* left;
  std::atomic<int64_t>* done;
  int64_t total;
  std::promise<void>* finished;
};

void BM_UnaryEcho(benchmark::State& state) {
  const auto connections = static_cast<size_t>(state.range(0));
  const int in_flight = static_cast<int>(state.range(1));
  const std::string body(static_cast<size_t>(state.range(2)), 'x');
  base::AsioLoop server_loop("server");
  base::AsioLoop client_loop("client");
  server_loop.Start();
  client_loop.Start();
  Server server({&server_loop});
  server.RegisterUnary(kEcho,
                       [](ServerCallPtr call) { call->Reply(std::string(call->request())); });
  const uint16_t port = server.Listen("127.0.0.1", 0).value();
  std::vector<std::unique_ptr<Channel>> channels;
  for (size_t i = 0; i < connections; ++i) {
    channels.push_back(std::make_unique<Channel>(client_loop, "127.0.0.1:" + std::to_string(port)));
  }
  constexpr int64_t kCallsPerIteration = 50'000;
  double server_seconds = 0;
  double client_seconds = 0;
  for (auto _ : state) {
    const double server_before = ThreadCpuSeconds(server_loop);
    const double client_before = ThreadCpuSeconds(client_loop);
    std::atomic<int64_t> left{kCallsPerIteration};
    std::atomic<int64_t> done{0};
    std::promise<void> finished;
    std::vector<Generator> generators;
    for (const auto& channel : channels) {
      generators.push_back(
          {channel.get(), &client_loop, body, &left, &done, kCallsPerIteration, &finished});
    }
    client_loop.Post([&] {
      for (Generator& generator : generators) generator.Run(in_flight);
    });
    finished.get_future().wait();
    // Also lets the client's turn that finished end before its state goes.
    client_seconds += ThreadCpuSeconds(client_loop) - client_before;
    server_seconds += ThreadCpuSeconds(server_loop) - server_before;
  }
  const auto calls = static_cast<double>(state.iterations() * kCallsPerIteration);
  state.counters["server_us"] = server_seconds / calls * 1e6;
  state.counters["client_us"] = client_seconds / calls * 1e6;
  state.counters["calls/s"] = benchmark::Counter(calls, benchmark::Counter::kIsRate);
}
BENCHMARK(BM_UnaryEcho)
    ->ArgNames({"connections", "in_flight", "bytes"})
    ->Args({10, 50, 64})
    ->Args({1, 500, 64})
    ->Args({100, 5, 64})
    ->Args({10, 1, 64})
    ->Args({1, 1, 64})
    ->Args({10, 50, 1024})
    ->Args({10, 10, 65536})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond)
    ->MinTime(2);

}  // namespace
}  // namespace keel::rpc
