#include "bench/pods/pod_load.h"

#include <gtest/gtest.h>

#include "base/manual_loop.h"
#include "orchestrator/client/testing/fake_api.h"

namespace keel::bench {
namespace {

using orchestrator::Ensure;
using orchestrator::FakeApi;
using orchestrator::IntAt;
using std::chrono::milliseconds;
using std::chrono::seconds;
namespace json = orchestrator::json;

const orchestrator::Resource kPods{"", "v1", "pods"};

class PodLoadTest : public testing::Test {
 protected:
  void Run(PodLoadOptions options) {
    for (uint32_t i = 0; i < options.namespaces; ++i) {
      api_.Put({"", "v1", "serviceaccounts"},
               R"({"metadata":{"name":"default","namespace":"load-)" + std::to_string(i) + "\"}}");
    }
    load_.emplace(api_, options);
    load_->Start([this](absl::Status status) { done_ = status; });
    loop_.RunUntilIdle();
  }
  void Step(bool running) {
    for (const json::object& pod : api_.All(kPods)) {
      const json::object& meta = pod.at("metadata").as_object();
      api_.Edit(kPods, meta.at("namespace").as_string().c_str(),
                meta.at("name").as_string().c_str(), [running](json::object& object) {
                  *Ensure(object, {"spec", "nodeName"}) = "n";
                  if (running) *Ensure(object, {"status", "phase"}) = "Running";
                });
    }
    loop_.RunUntilIdle();
  }
  double At(std::initializer_list<std::string_view> path) {
    const json::object report = load_->Report();
    const json::value* found = orchestrator::Find(report, path);
    return found == nullptr ? -1 : found->to_number<double>();
  }

  base::ManualLoop loop_;
  FakeApi api_{loop_};
  std::optional<PodLoad> load_;
  std::optional<absl::Status> done_;
};

TEST_F(PodLoadTest, MeasuresUntilAllPodsRun) {
  Run({.pods = 20, .concurrency = 5, .namespaces = 2});
  EXPECT_EQ(api_.All(kPods).size(), 20u);
  EXPECT_FALSE(done_.has_value());
  loop_.Advance(milliseconds(100));
  Step(false);
  EXPECT_FALSE(done_.has_value());
  loop_.Advance(milliseconds(100));
  Step(true);
  ASSERT_TRUE(done_.has_value());
  EXPECT_TRUE(done_->ok());
  EXPECT_NEAR(At({"until_bound", "p50_ms"}), 100, 2);
  EXPECT_NEAR(At({"until_running", "p99_ms"}), 200, 4);
}

TEST_F(PodLoadTest, ARateIsKeptWhateverTheServerDoes) {
  Run({.pods = 100, .rate = 50, .until = PodLoad::Until::kCreated});
  loop_.Advance(seconds(1));
  EXPECT_NEAR(static_cast<double>(api_.All(kPods).size()), 50, 1);
  loop_.Advance(seconds(1));
  ASSERT_TRUE(done_.has_value());
  EXPECT_NEAR(At({"creates_per_s"}), 50, 2);
}

TEST_F(PodLoadTest, SaysWhyItCouldNot) {
  api_.fail = [](const FakeApi::Request& request) {
    return request.resource.plural == "pods" && request.verb == "create"
               ? orchestrator::Internal("broken")
               : absl::OkStatus();
  };
  Run({.pods = 5});
  ASSERT_TRUE(done_.has_value());
  EXPECT_FALSE(done_->ok());
}

TEST_F(PodLoadTest, GivesUpAfterTheTimeout) {
  Run({.pods = 5, .timeout = seconds(3)});
  loop_.Advance(seconds(3));
  ASSERT_TRUE(done_.has_value());
  EXPECT_TRUE(absl::IsDeadlineExceeded(*done_));
}

TEST_F(PodLoadTest, ObservesPodsOfOthers) {
  Run({.pods = 10, .until = PodLoad::Until::kCreated});
  load_.reset();
  done_.reset();
  Run({.pods = 10, .create = false, .until = PodLoad::Until::kBound});
  EXPECT_FALSE(done_.has_value());
  Step(false);
  ASSERT_TRUE(done_.has_value());
  EXPECT_TRUE(done_->ok());
}

TEST_F(PodLoadTest, PodsBelowTheFirstAreOfARunBefore) {
  Run({.pods = 10, .until = PodLoad::Until::kCreated});
  load_.reset();
  done_.reset();
  Run({.pods = 4, .create = false, .first = 6, .until = PodLoad::Until::kBound});
  Step(false);
  ASSERT_TRUE(done_.has_value());
  EXPECT_EQ(At({"bound"}), 4);
}

}  // namespace
}  // namespace keel::bench
