#include <string>
#include <vector>

#include "base/check.h"
#include "bench/guard/cases.h"
#include "rpc/message.h"
#include "watch/hub.h"
#include "watch/response_head.h"
#include "watch/testing.h"

namespace keel::bench {
namespace {

// Puts each response together as the service does, and drops it.
class DroppingSink final : public watch::StreamSink {
 public:
  bool full() const override { return false; }
  void SendEvents(const watch::EventsResponse& response) override {
    constexpr watch::HeaderFields kHeader{
        .cluster_id = 0xcdf818194e3a8c32, .member_id = 0x8e9e05c52164694d, .raft_term = 3};
    rpc::Message message(watch::EncodeResponseHead(
        kHeader, {.revision = response.revision, .watch_id = response.watch_id}));
    message.shared = response.events;
    bytes += message.size();
    ++responses;
  }
  void SendProgress(int64_t, int64_t) override {}
  void SendCompacted(int64_t, int64_t) override {}

  uint64_t bytes = 0;
  uint64_t responses = 0;
};

std::string Key(int number) { return "/registry/pods/default/pod-" + std::to_string(number); }

class HubUnderTest {
 public:
  explicit HubUnderTest(size_t streams) : hub_(feed_, worker_) {
    hub_.Start();
    for (size_t i = 0; i < streams; ++i) {
      sinks_.push_back(std::make_unique<DroppingSink>());
      streams_.push_back(hub_.OpenStream(io_, *sinks_.back()));
    }
  }
  void Watch(size_t stream, const std::string& key, const std::string& range_end) {
    const auto created =
        streams_[stream]->Create({.range = watch::KeyRange::FromRequest(key, range_end)});
    KEEL_CHECK(created.ok(), created.status().ToString());
  }
  // `revisions` puts of the key, in one hand-over.
  void Put(const std::string& key, int revisions) {
    auto batch = std::make_shared<kvstore::FeedBatch>(static_cast<size_t>(revisions));
    for (auto& revision : *batch) {
      revision.revision = ++revision_;
      kvstore::Event& event = revision.events.emplace_back();
      event.kv = {.key = key,
                  .value = std::string(256, 'v'),
                  .create_revision = 2,
                  .mod_revision = revision_,
                  .version = revision_ - 1};
    }
    hub_.OnRevisions(std::move(batch));
    watch::RunUntilIdle({&io_});
  }
  uint64_t events_sent() const { return hub_.Stats().events_sent; }
  uint64_t bytes() const {
    uint64_t total = 0;
    for (const auto& sink : sinks_) total += sink->bytes;
    return total;
  }

 private:
  watch::FakeFeed feed_;
  watch::ManualLoop io_, worker_;
  watch::Hub hub_;
  std::vector<std::unique_ptr<DroppingSink>> sinks_;
  std::vector<std::unique_ptr<watch::Stream>> streams_;
  int64_t revision_ = 1;
};

class FanOut final : public Workload {
 public:
  static constexpr int kWatchers = 1000;
  FanOut() : hub_(100) {
    for (int i = 0; i < kWatchers; ++i) {
      hub_.Watch(static_cast<size_t>(i) % 100, "/registry/pods/", "/registry/pods0");
    }
  }
  void Run(int operations) override {
    const uint64_t before = hub_.events_sent();
    for (int done = 0; done < operations; done += kWatchers) hub_.Put(Key(1), 1);
    KEEL_CHECK(hub_.events_sent() - before == static_cast<uint64_t>(operations));
    KEEL_CHECK(hub_.bytes() > 0);
  }

 private:
  HubUnderTest hub_;
};

class OneWatcher final : public Workload {
 public:
  static constexpr int kRevisions = 64;
  OneWatcher() : hub_(1) { hub_.Watch(0, "/registry/pods/", "/registry/pods0"); }
  void Run(int operations) override {
    const uint64_t before = hub_.events_sent();
    for (int done = 0; done < operations; done += kRevisions) hub_.Put(Key(1), kRevisions);
    KEEL_CHECK(hub_.events_sent() - before == static_cast<uint64_t>(operations));
  }

 private:
  HubUnderTest hub_;
};

// One of 2,000 watchers of one key each, among 500 ranges that do not match.
class Match final : public Workload {
 public:
  static constexpr int kWatchers = 2000;
  Match() : hub_(10) {
    for (int i = 0; i < kWatchers; ++i) hub_.Watch(static_cast<size_t>(i) % 10, Key(i), "");
    for (int i = 0; i < 500; ++i) {
      const std::string prefix = "/registry/kind-" + std::to_string(i);
      hub_.Watch(static_cast<size_t>(i) % 10, prefix + "/", prefix + "0");
    }
  }
  void Run(int operations) override {
    const uint64_t before = hub_.events_sent();
    for (int done = 0; done < operations; ++done) {
      hub_.Put(Key(next_), 1);
      next_ = (next_ + 7919) % kWatchers;
    }
    KEEL_CHECK(hub_.events_sent() - before == static_cast<uint64_t>(operations));
  }

 private:
  HubUnderTest hub_;
  int next_ = 0;
};

class EncodeEvent final : public Workload {
 public:
  EncodeEvent() {
    event_.kv = {.key = Key(1),
                 .value = std::string(256, 'v'),
                 .create_revision = 2'000'000,
                 .mod_revision = 3'000'000,
                 .version = 70'000};
  }
  void Run(int operations) override {
    constexpr watch::HeaderFields kHeader{
        .cluster_id = 0xcdf818194e3a8c32, .member_id = 0x8e9e05c52164694d, .raft_term = 3};
    for (int done = 0; done < operations; ++done) {
      std::string events;
      watch::AppendEventField(event_, false, &events);
      const std::string head =
          watch::EncodeResponseHead(kHeader, {.revision = 3'000'000 + done, .watch_id = 12});
      KEEL_CHECK(head.size() + events.size() > 256);
    }
  }

 private:
  kvstore::Event event_;
};

template <typename T>
std::unique_ptr<Workload> Make() {
  return std::make_unique<T>();
}

constexpr Case kCases[] = {
    {"watch/encode", "a watch response with one event of 256 bytes, encoded", 1, 10000,
     Make<EncodeEvent>},
    {"watch/fan-out", "an event handed to one of 1,000 watchers of one prefix on 100 streams",
     FanOut::kWatchers, 40000, Make<FanOut>},
    {"watch/one", "an event handed to the only watcher, 64 revisions at a time",
     OneWatcher::kRevisions, 6400, Make<OneWatcher>},
    {"watch/match", "an event for one of 2,000 watched keys, beside 500 ranges", 1, 2000,
     Make<Match>},
};

}  // namespace

std::span<const Case> WatchCases() { return kCases; }

}  // namespace keel::bench
