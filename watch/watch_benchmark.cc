// What the hub costs per delivered event, without the network: each stream's
// sink builds the head of the response, as the service does, and drops it.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "rpc/message.h"
#include "watch/hub.h"
#include "watch/response_head.h"
#include "watch/testing.h"

namespace keel::watch {
namespace {

class DroppingSink final : public StreamSink {
 public:
  bool full() const override { return false; }
  void SendEvents(const EventsResponse& response) override {
    const HeaderFields header{
        .cluster_id = 0xcdf818194e3a8c32, .member_id = 0x8e9e05c52164694d, .raft_term = 3};
    rpc::Message message(
        EncodeResponseHead(header, {.revision = response.revision, .watch_id = response.watch_id}));
    message.shared = response.events;
    benchmark::DoNotOptimize(message);
  }
  void SendProgress(int64_t, int64_t) override {}
  void SendCompacted(int64_t, int64_t) override {}
};

// The same batch again and again, under new revisions.
class Publisher {
 public:
  explicit Publisher(Hub& hub) : hub_(hub) {}
  void Publish(const std::string& key, size_t revisions) {
    auto batch = std::make_shared<kvstore::FeedBatch>(revisions);
    for (auto& revision : *batch) {
      revision.revision = ++revision_;
      kvstore::Event& event = revision.events.emplace_back();
      event.kv = {.key = key,
                  .value = std::string(100, 'v'),
                  .create_revision = 2,
                  .mod_revision = revision_,
                  .version = revision_ - 1};
    }
    hub_.OnRevisions(std::move(batch));
  }

 private:
  Hub& hub_;
  int64_t revision_ = 1;
};

struct Setup {
  explicit Setup(size_t stream_count) : hub(feed, worker), publisher(hub) {
    hub.Start();
    for (size_t i = 0; i < stream_count; ++i) {
      sinks.push_back(std::make_unique<DroppingSink>());
      streams.push_back(hub.OpenStream(io, *sinks.back()));
    }
  }

  FakeFeed feed;
  ManualLoop io, worker;
  Hub hub;
  Publisher publisher;
  std::vector<std::unique_ptr<DroppingSink>> sinks;
  std::vector<std::unique_ptr<Stream>> streams;
};

// One event to `watchers` watchers of one prefix, on one or as many streams.
void BM_FanOut(benchmark::State& state) {
  const auto watchers = static_cast<size_t>(state.range(0));
  const auto stream_count = static_cast<size_t>(state.range(1));
  Setup setup(stream_count);
  for (size_t i = 0; i < watchers; ++i) {
    auto created = setup.streams[i % stream_count]->Create(
        {.range = KeyRange::FromRequest("/registry/pods/", "/registry/pods0")});
    if (!created.ok()) return state.SkipWithError("create");
  }
  for (auto _ : state) {
    setup.publisher.Publish("/registry/pods/default/a", 1);
    RunUntilIdle({&setup.io});
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_FanOut)
    ->ArgNames({"watchers", "streams"})
    ->Args({1, 1})
    ->Args({1000, 1})
    ->Args({1000, 1000});

// Batches of many revisions, all for one watcher.
void BM_OneWatcher(benchmark::State& state) {
  Setup setup(1);
  if (!setup.streams[0]->Create({.range = KeyRange::All()}).ok())
    return state.SkipWithError("create");
  for (auto _ : state) {
    setup.publisher.Publish("k", static_cast<size_t>(state.range(0)));
    RunUntilIdle({&setup.io});
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_OneWatcher)->ArgName("revisions")->Arg(1)->Arg(100);

// Events for one in a thousand of 100,000 watchers of one key each.
void BM_ExactKeys(benchmark::State& state) {
  constexpr size_t kWatchers = 100'000;
  Setup setup(100);
  for (size_t i = 0; i < kWatchers; ++i) {
    auto created = setup.streams[i % 100]->Create(
        {.range = KeyRange::FromRequest("/registry/pods/default/pod-" + std::to_string(i), "")});
    if (!created.ok()) return state.SkipWithError("create");
  }
  size_t key = 0;
  for (auto _ : state) {
    key = (key + 7919) % kWatchers;
    setup.publisher.Publish("/registry/pods/default/pod-" + std::to_string(key), 1);
    RunUntilIdle({&setup.io});
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ExactKeys);

// Events that match none of so many ranges.
void BM_RangesWithoutMatch(benchmark::State& state) {
  Setup setup(1);
  for (int64_t i = 0; i < state.range(0); ++i) {
    const std::string prefix = "/registry/kind-" + std::to_string(i);
    if (!setup.streams[0]
             ->Create({.range = KeyRange::FromRequest(prefix + "/", prefix + "0")})
             .ok()) {
      return state.SkipWithError("create");
    }
  }
  for (auto _ : state) {
    setup.publisher.Publish("/registry/kind-5x/default/a", 1);
    RunUntilIdle({&setup.io});
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_RangesWithoutMatch)->ArgName("ranges")->Arg(1)->Arg(100)->Arg(10'000);

}  // namespace
}  // namespace keel::watch
