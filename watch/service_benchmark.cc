// What the watch service costs per delivered event over loopback: one I/O loop
// serves, another reads and counts. "server_cpu_ns" is the serving loop's CPU
// time per delivered event.
#include <benchmark/benchmark.h>
#include <time.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/asio_loop.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "watch/service.h"
#include "watch/testing.h"

namespace keel::watch {
namespace {

struct FixedHeader final : HeaderSource {
  HeaderFields Header() const override {
    return {.cluster_id = 0xcdf818194e3a8c32, .member_id = 0x8e9e05c52164694d, .raft_term = 3};
  }
};

struct CountingHandler final : rpc::ClientStreamHandler {
  explicit CountingHandler(std::atomic<int64_t>& counter) : count(counter) {}
  void OnMessage(std::string_view) override { count.fetch_add(1, std::memory_order_relaxed); }
  void OnFinished(absl::Status) override {}
  std::atomic<int64_t>& count;
};

int64_t CpuOf(base::AsioLoop& loop) {
  std::promise<int64_t> answer;
  loop.Post([&] {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    answer.set_value(now.tv_sec * 1'000'000'000 + now.tv_nsec);
  });
  return answer.get_future().get();
}

void Await(const std::atomic<int64_t>& count, int64_t value) {
  while (count.load(std::memory_order_relaxed) < value) std::this_thread::yield();
}

// Single events to `watchers` of one prefix, on `streams` streams of 10
// connections. At most so many revisions are published before they were handed
// to the streams: with 1 each gets its own responses, with more they share.
void BM_ServiceFanOut(benchmark::State& state) {
  const int64_t watchers = state.range(0), stream_count = state.range(1),
                in_flight = state.range(2);
  constexpr int64_t kConnections = 10;
  base::AsioLoop io("io"), worker("worker"), client_loop("client");
  for (base::AsioLoop* loop : {&io, &worker, &client_loop}) loop->Start();
  FakeFeed feed;
  FixedHeader header;
  Hub hub(feed, worker);
  hub.Start();
  Service service(hub, header);
  rpc::Server server({&io});
  service.Register(server);
  const auto port = server.Listen("127.0.0.1", 0);
  if (!port.ok()) return state.SkipWithError("listen");

  std::atomic<int64_t> count{0};
  std::vector<std::unique_ptr<rpc::Channel>> channels;
  for (int64_t i = 0; i < kConnections; ++i) {
    channels.push_back(
        std::make_unique<rpc::Channel>(client_loop, "127.0.0.1:" + std::to_string(*port)));
  }
  auto handler = std::make_shared<CountingHandler>(count);
  std::vector<rpc::ClientStreamPtr> streams;
  for (int64_t i = 0; i < stream_count; ++i) {
    streams.push_back(
        channels[i % kConnections]->OpenStream("/etcdserverpb.Watch/Watch", {}, handler));
  }
  etcdserverpb::WatchRequest request;
  request.mutable_create_request()->set_key("/registry/pods/");
  request.mutable_create_request()->set_range_end("/registry/pods0");
  for (int64_t i = 0; i < watchers; ++i) {
    streams[i % stream_count]->Send(request.SerializeAsString());
  }
  Await(count, watchers);

  int64_t revision = 1;
  const int64_t cpu_before = CpuOf(io);
  for (auto _ : state) {
    // One batch a revision, as lone writes make them.
    auto batch = std::make_shared<kvstore::FeedBatch>(1);
    (*batch)[0].revision = ++revision;
    kvstore::Event& event = (*batch)[0].events.emplace_back();
    event.kv = {.key = "/registry/pods/default/a",
                .value = std::string(100, 'v'),
                .create_revision = 2,
                .mod_revision = revision,
                .version = revision - 1};
    hub.OnRevisions(std::move(batch));
    const int64_t sent_min = (revision - in_flight) * watchers;
    while (static_cast<int64_t>(hub.Stats().events_sent) < sent_min) std::this_thread::yield();
  }
  const int64_t cpu = CpuOf(io) - cpu_before;
  state.SetItemsProcessed(state.iterations() * watchers);
  state.counters["server_cpu_ns"] =
      static_cast<double>(cpu) / static_cast<double>(state.iterations() * watchers);
  for (auto& channel : channels) channel->Close();
  server.Stop();
  hub.Stop();
  for (base::AsioLoop* loop : {&io, &worker, &client_loop}) loop->Stop();
}
BENCHMARK(BM_ServiceFanOut)
    ->ArgNames({"watchers", "streams", "in_flight"})
    ->Args({1, 1, 1})
    ->Args({1000, 10, 1})
    ->Args({1000, 1000, 1})
    ->Args({1000, 1000, 20})
    ->UseRealTime();

}  // namespace
}  // namespace keel::watch
