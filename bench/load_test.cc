// The load itself, against a server that answers as the test wants.
#include <gtest/gtest.h>

#include <thread>

#include "base/check.h"
#include "bench/json_text.h"
#include "bench/lease_load.h"
#include "bench/pages_load.h"
#include "bench/report.h"
#include "bench/unary_load.h"
#include "bench/watch_load.h"
#include "rpc/server.h"

namespace keel::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class LoadTest : public ::testing::Test {
 protected:
  LoadTest() : loop_("server"), server_({&loop_}) {
    loop_.Start();
    server_.RegisterUnary("/etcdserverpb.Maintenance/Status",
                          [](rpc::ServerCallPtr call) { call->Reply(std::string()); });
    server_.RegisterUnary("/etcdserverpb.KV/Put", [this](rpc::ServerCallPtr call) {
      ++puts_;
      if (!failure_.ok()) return call->Finish(failure_);
      // Once, the server stalls: everything behind waits.
      if (puts_ == stall_at_) std::this_thread::sleep_for(stall_);
      call->Reply(std::string());
    });
    server_.RegisterUnary("/etcdserverpb.KV/Range",
                          [this](rpc::ServerCallPtr call) { call->Reply(Page(call->request())); });
    const auto port = server_.Listen("127.0.0.1", 0);
    KEEL_CHECK(port.ok(), port.status().ToString());
    options_.endpoints = {"127.0.0.1:" + std::to_string(*port)};
    options_.connections = 2;
    options_.streams = 4;
  }
  ~LoadTest() override {
    server_.Stop();
    loop_.Stop();
  }

  template <typename L = UnaryLoad>
  Found RunFor(std::chrono::nanoseconds time) {
    bench::Run run(options_);
    L load(run, 0);
    const absl::Status prepared = load.Prepare();
    KEEL_CHECK(prepared.ok(), prepared.ToString());
    run.from_ns = 0;
    load.Start();
    if (options_.total == 0) {
      std::this_thread::sleep_for(time);
    } else {
      while (run.completed.load() < options_.total) std::this_thread::sleep_for(milliseconds(1));
    }
    run.to_ns = NowNs();
    run.stop = true;
    load.Stop();
    return load.found();
  }

  // A store of the keys 0 to stored_keys_ - 1 at revision 7, and what it was asked.
  std::string Page(std::string_view bytes) {
    etcdserverpb::RangeRequest request;
    KEEL_CHECK(request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    asked_.push_back(request);
    etcdserverpb::RangeResponse response;
    response.mutable_header()->set_revision(7);
    for (uint64_t i = 0; i < stored_keys_; ++i) {
      const std::string key = KeyAt(options_, i);
      if (key < request.key()) continue;
      response.set_count(response.count() + 1);
      if (response.kvs_size() < request.limit()) response.add_kvs()->set_key(key);
    }
    response.set_more(response.count() > response.kvs_size());
    return response.SerializeAsString();
  }

  Options options_;
  uint64_t stored_keys_ = 0;
  std::vector<etcdserverpb::RangeRequest> asked_;  // of the loop; read it after a run
  base::AsioLoop loop_;
  rpc::Server server_;
  std::atomic<uint64_t> puts_ = 0;
  uint64_t stall_at_ = 0;
  std::chrono::nanoseconds stall_{};
  absl::Status failure_;
};

TEST_F(LoadTest, DoesAsManyOperationsAsAsked) {
  options_.total = 500;
  const Found found = RunFor({});
  EXPECT_EQ(found.latency_ns.count(), 500u);
  EXPECT_EQ(puts_, 500u);
  EXPECT_TRUE(found.errors.empty());
}

TEST_F(LoadTest, ClosedLoopSeesAStallOnceForEachClient) {
  stall_at_ = 100;
  stall_ = milliseconds(500);
  options_.total = 2000;
  const Found found = RunFor({});
  EXPECT_GE(found.latency_ns.max(), 500'000'000);
  // At most the 8 calls that were under way.
  EXPECT_LT(found.latency_ns.Percentile(99), 400'000'000);
}

// The point of the open loop: all calls that were due during the stall count
// with the time they had to wait, though only 8 could be under way.
TEST_F(LoadTest, OpenLoopCountsEveryCallThatWasDueDuringAStall) {
  stall_at_ = 100;
  stall_ = milliseconds(1000);
  options_.rate = 1000;
  options_.total = 2000;
  const Found found = RunFor({});
  EXPECT_EQ(found.latency_ns.count(), 2000u);
  // Half of all calls were due within that second, spread over it.
  EXPECT_GE(found.latency_ns.Percentile(75), 300'000'000);
  EXPECT_GE(found.latency_ns.max(), 990'000'000);
}

TEST_F(LoadTest, OpenLoopOffersTheRateAskedFor) {
  options_.rate = 20000;
  const Found found = RunFor(seconds(1));
  EXPECT_NEAR(static_cast<double>(found.latency_ns.count() + found.unstarted), 20000, 4000);
}

TEST_F(LoadTest, CountsErrorsByTextAndNotAsOperations) {
  failure_ = absl::ResourceExhaustedError("etcdserver: too many requests");
  options_.total = 20;
  const Found found = RunFor({});
  EXPECT_EQ(found.latency_ns.count(), 0u);
  ASSERT_EQ(found.errors.size(), 1u);
  EXPECT_EQ(found.errors.begin()->first, "RESOURCE_EXHAUSTED: etcdserver: too many requests");
  EXPECT_EQ(found.errors.begin()->second, 20u);
}

TEST_F(LoadTest, ReadsAListInPagesAtOneRevision) {
  stored_keys_ = 100;
  options_.connections = options_.streams = 1;
  options_.range_keys = 25;
  options_.page_keys = 10;
  options_.total = 1;
  const Found found = RunFor<PagesLoad>({});
  EXPECT_EQ(found.latency_ns.count(), 1u);
  ASSERT_EQ(asked_.size(), 3u);
  EXPECT_EQ(asked_[0].key(), options_.prefix);
  EXPECT_EQ(asked_[0].range_end(), EndOfPrefix(options_.prefix));
  EXPECT_EQ(asked_[0].revision(), 0);
  EXPECT_EQ(asked_[1].key(), KeyAt(options_, 9) + std::string(1, '\0'));
  EXPECT_EQ(asked_[1].revision(), 7);
  EXPECT_EQ(asked_[2].limit(), 5) << "no more than the list still wants";
}

TEST_F(LoadTest, AListThatEndsEarlyIsAnError) {
  stored_keys_ = 20;
  options_.connections = options_.streams = 1;
  options_.range_keys = 25;
  options_.total = 1;
  const Found found = RunFor<PagesLoad>({});
  EXPECT_EQ(found.latency_ns.count(), 0u);
  ASSERT_EQ(found.errors.size(), 1u);
  EXPECT_EQ(found.errors.begin()->first,
            "NOT_FOUND: the list ended 5 keys early: fill more of them");
}

// No watcher ever sees a put here, so the window stays full.
TEST_F(LoadTest, PutsWaitForTheWatchersInAClosedLoop) {
  options_.workload = Workload::kWatch;
  options_.window = 5;
  const Found found = RunFor(milliseconds(100));
  EXPECT_EQ(found.latency_ns.count(), 5u);
}

TEST(Fill, EndOfPrefixIsTheNextPrefix) {
  EXPECT_EQ(EndOfPrefix("a/"), "a0");
  EXPECT_EQ(EndOfPrefix("a\xff"), "b");
  EXPECT_EQ(EndOfPrefix(""), std::string(1, '\0'));
}

TEST(JsonText, WritesNumbersAsPeopleDo) {
  const boost::json::value value = {{"rate", 21499.3}, {"whole", 2.0},   {"small", 0.0004},
                                    {"count", 12},     {"name", "a\"b"}, {"list", {1.5, -0.0}}};
  EXPECT_EQ(JsonText(value),
            R"({"rate":21499.3,"whole":2,"small":0,"count":12,"name":"a\"b","list":[1.5,0]})");
  EXPECT_EQ(JsonText(boost::json::object()), "{}");
}

TEST(RequestMaker, MakesKeysOfTheSizeAndOrderAskedFor) {
  Options options;
  options.prefix = "p/";
  options.key_size_bytes = 10;
  EXPECT_EQ(KeyAt(options, 42), "p/00000042");
  EXPECT_EQ(KeyAt(options, 123456789012), "p/123456789012");
  options.order = KeyOrder::kSequential;
  options.keys = 3;
  KeySequence sequence;
  RequestMaker maker(options, sequence, 1);
  std::string keys;
  for (int i = 0; i < 5; ++i) {
    etcdserverpb::PutRequest put;
    ASSERT_TRUE(put.ParseFromString(maker.Next(7).bytes));
    EXPECT_EQ(put.value().size(), 256u);
    keys += put.key().back();
  }
  EXPECT_EQ(keys, "01201");
}

TEST(RequestMaker, WritesTheStartIntoTheValuesOfTheWatchWorkload) {
  Options options;
  options.workload = Workload::kWatch;
  KeySequence sequence;
  RequestMaker maker(options, sequence, 1);
  etcdserverpb::PutRequest put;
  ASSERT_TRUE(put.ParseFromString(maker.Next(123456789).bytes));
  EXPECT_EQ(RequestMaker::StartOf(put.value()), 123456789);
  EXPECT_EQ(RequestMaker::StartOf("short"), 0);
}

TEST(CpuMeter, CountsTheTimeOfAProcess) {
  CpuMeter meter;
  ASSERT_TRUE(meter.Start({getpid()}).ok());
  const auto until = std::chrono::steady_clock::now() + milliseconds(300);
  const double before_us = OwnCpuUs();
  while (std::chrono::steady_clock::now() < until || OwnCpuUs() - before_us < 100'000) {
  }
  const auto use = meter.Stop();
  ASSERT_TRUE(use.ok());
  EXPECT_NEAR((*use)[0].cpu_us, OwnCpuUs() - before_us, 30'000);
  EXPECT_GT((*use)[0].rss_bytes, 1 << 20);
  EXPECT_EQ(meter.Start({1 << 30}).code(), absl::StatusCode::kNotFound);
}

TEST(Report, HasTheFiguresInTextAndJson) {
  Options options;
  Report report;
  report.options = &options;
  report.seconds = 2;
  for (int i = 1; i <= 1000; ++i) report.found.latency_ns.Record(i * 1000);
  report.found.errors["UNAVAILABLE: x"] = 3;
  report.own_cpu_us = 2000;
  report.servers = {{.pid = 5, .cpu_us = 40000, .rss_bytes = 1 << 20, .rss_max_bytes = 2 << 20}};
  const std::string text = ToText(report);
  EXPECT_NE(text.find("1000 in 2.00 s: 500/s"), std::string::npos) << text;
  EXPECT_NE(text.find("40.00 us/op"), std::string::npos) << text;
  EXPECT_NE(text.find("3 x UNAVAILABLE: x"), std::string::npos) << text;
  EXPECT_NE(text.find("kvbench     2.00 us/op"), std::string::npos) << text;
  const std::string json = ToJson(report);
  EXPECT_NE(json.find("\"operations\":1000"), std::string::npos) << json;
  EXPECT_EQ(json.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace keel::bench
