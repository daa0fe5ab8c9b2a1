#include "orchestrator/controllers/autoscaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/strings.h"
#include "orchestrator/controllers/autoscaler_controller.h"
#include "orchestrator/controllers/testing/controller_rig.h"

namespace keel::orchestrator {
namespace {

using ::testing::HasSubstr;

struct World {
  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  std::vector<PodInfo> pods;
  absl::flat_hash_map<std::string, PodUsage> usage;
  bool has_usage = true;
  int64_t replicas = 0;
  AutoscalerMemory memory;
  json::object hpa = ParseJson(R"({"metadata":{"name":"h","namespace":"d"},"spec":{
      "minReplicas":1,"maxReplicas":100,"metrics":[{"type":"Resource","resource":{"name":"cpu",
      "target":{"type":"Utilization","averageUtilization":50}}}]}})")
                         ->as_object();

  // Pods that have run for an hour, with a request of 1000m each.
  void Pods(int count, int64_t cpu_milli) {
    pods.clear();
    usage.clear();
    for (int i = 0; i < count; ++i) {
      PodInfo pod{.name = base::StrCat("p", i), .phase = PodPhase::kRunning, .ready = true};
      pod.started = pod.ready_since = now - absl::Hours(1);
      pod.cpu_request_milli = 1000;
      pod.memory_request_bytes = 1 << 20;
      pods.push_back(std::move(pod));
      usage[base::StrCat("p", i)] = {cpu_milli, 1 << 19};
    }
    replicas = count;
  }
  AutoscalerState State() {
    AutoscalerState state{
        .hpa = hpa, .spec_replicas = replicas, .status_replicas = replicas, .now = now};
    for (const PodInfo& pod : pods) state.pods.push_back(&pod);
    if (has_usage) state.usage = usage;
    return state;
  }
  int64_t Propose(bool by_value = false, int64_t target = 50) {
    const auto proposal = ProposeByResource(State(), true, by_value, target);
    return proposal.ok() ? proposal->replicas : -1;
  }
  Autoscaled Run() {
    Autoscaled result = ReconcileAutoscaler(State(), memory);
    if (result.plan.status.has_value()) hpa["status"] = *result.plan.status;
    return result;
  }
  std::string Reason(std::string_view type) {
    const json::object* found = ConditionOf(hpa, type);
    return found == nullptr ? "" : std::string(StringAt(*found, {"reason"}));
  }
};

TEST(Autoscaler, ProposesWhatBringsTheMetricToItsTarget) {
  World w;
  w.Pods(4, 1000);
  EXPECT_EQ(w.Propose(), 8);
  w.Pods(4, 540);
  EXPECT_EQ(w.Propose(), 4) << "within a tenth";
  w.Pods(4, 560);
  EXPECT_EQ(w.Propose(), 5);
  w.Pods(4, 100);
  EXPECT_EQ(w.Propose(), 1);
  w.Pods(4, 300);
  EXPECT_EQ(w.Propose(/*by_value=*/true, 100), 12);
}

TEST(Autoscaler, MissingAndUnreadyPodsSlowTheChange) {
  World w;
  // Growing: one without metrics is taken to use nothing.
  w.Pods(4, 1000);
  w.usage.erase("p3");
  EXPECT_EQ(w.Propose(), 6);
  // Shrinking: to use all that it requested.
  w.Pods(4, 100);
  w.usage.erase("p3");
  EXPECT_EQ(w.Propose(), 3);
  // Growing: those that are not ready yet use nothing either.
  w.Pods(4, 1000);
  w.pods[3].ready = false;
  w.pods[3].started = w.now - absl::Seconds(10);
  EXPECT_EQ(w.Propose(), 6);
  // And never reverse it: two that are busy, six without metrics.
  w.Pods(8, 600);
  for (int i = 2; i < 8; ++i) w.usage.erase(base::StrCat("p", i));
  EXPECT_EQ(w.Propose(), 8);
}

TEST(Autoscaler, SaysWhatIsMissing) {
  World w;
  w.Pods(2, 100);
  w.pods[1].cpu_request_milli = 0;
  w.Run();
  EXPECT_EQ(w.Reason("ScalingActive"), "FailedGetResourceMetric");
  EXPECT_THAT(std::string(StringAt(*ConditionOf(w.hpa, "ScalingActive"), {"message"})),
              HasSubstr("missing request for cpu in pod p1"));
  w.has_usage = false;
  EXPECT_FALSE(w.Run().replicas.has_value());
  *Ensure(w.hpa, {"spec", "metrics"}) = json::array{json::object{{"type", "External"}}};
  w.Run();
  EXPECT_EQ(w.Reason("ScalingActive"), "FailedGetExternalMetric");
  w.replicas = 0;
  w.Run();
  EXPECT_EQ(w.Reason("ScalingActive"), "ScalingDisabled");
}

TEST(Autoscaler, GrowsAtMostTwofoldAndWithinItsBounds) {
  World w;
  w.Pods(10, 2000);
  EXPECT_EQ(w.Run().replicas, 20);
  EXPECT_EQ(w.Reason("ScalingLimited"), "ScaleUpLimit");
  EXPECT_EQ(w.Reason("AbleToScale"), "SucceededRescale");
  EXPECT_EQ(IntAt(w.hpa, {"status", "desiredReplicas"}), 20);
  *Ensure(w.hpa, {"spec", "maxReplicas"}) = 15;
  w.now += absl::Minutes(1);
  EXPECT_EQ(w.Run().replicas, 15);
  EXPECT_EQ(w.Reason("ScalingLimited"), "TooManyReplicas");
  w.replicas = 20;
  EXPECT_EQ(w.Run().replicas, 15);
}

TEST(Autoscaler, ShrinksAfterFiveMinutesOnly) {
  World w;
  w.Pods(10, 500);
  w.Run();
  w.Pods(10, 100);
  for (int i = 0; i < 19; ++i) {
    w.now += absl::Seconds(15);
    EXPECT_FALSE(w.Run().replicas.has_value()) << i;
    EXPECT_EQ(w.Reason("AbleToScale"), "ScaleDownStabilized");
  }
  w.now += absl::Seconds(30);
  EXPECT_EQ(w.Run().replicas, 2);
}

TEST(Autoscaler, PoliciesBoundEachPeriod) {
  World w;
  w.hpa["spec"].as_object()["behavior"] = *ParseJson(R"({"scaleUp":{"policies":[
      {"type":"Pods","value":2,"periodSeconds":60}]},"scaleDown":{"selectPolicy":"Disabled"}})");
  w.Pods(4, 2000);
  EXPECT_EQ(w.Run().replicas, 6);
  w.Pods(6, 2000);
  w.now += absl::Seconds(30);
  EXPECT_FALSE(w.Run().replicas.has_value()) << "two in a minute";
  w.now += absl::Seconds(31);
  EXPECT_EQ(w.Run().replicas, 8);
  w.Pods(8, 10);
  w.now += absl::Hours(1);
  EXPECT_FALSE(w.Run().replicas.has_value());
}

RC_GTEST_PROP(AutoscalerProperty, StaysWithinBoundsAndSettles, ()) {
  World w;
  const int64_t load = *rc::gen::inRange(10, 20000);  // shared by all pods
  int64_t replicas = *rc::gen::inRange(1, 30);
  *Ensure(w.hpa, {"spec", "minReplicas"}) = 2;
  *Ensure(w.hpa, {"spec", "maxReplicas"}) = 30;
  for (int i = 0; i < 100; ++i) {
    w.Pods(static_cast<int>(replicas), load / replicas);
    const auto wanted = w.Run().replicas;
    if (wanted.has_value()) {
      RC_ASSERT(*wanted >= 2 && *wanted <= 30);
      RC_ASSERT(*wanted <= std::max(replicas * 2, replicas + 4));
      replicas = *wanted;
    }
    w.now += absl::Seconds(15);
  }
  w.Pods(static_cast<int>(replicas), load / replicas);
  RC_ASSERT(!w.Run().replicas.has_value());
  const int64_t ideal = std::clamp<int64_t>((load + 499) / 500, 2, 30);
  RC_ASSERT(replicas >= ideal - ideal / 10 - 1 && replicas <= ideal + ideal / 5 + 1);
}

TEST(AutoscalerController, ScalesADeploymentByItsMetrics) {
  ControllerRig rig;
  AutoscalerController controller(rig.context);
  rig.Start(controller);
  rig.api.Put({"apps", "v1", "deployments"}, R"({"metadata":{"name":"web","namespace":"d"},
      "spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}}},"status":{"replicas":1}})");
  rig.SetPhase(rig.api.Put(kPods, R"({"metadata":{"name":"p","namespace":"d","labels":{"a":"b"}},
      "spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"100m"}}}]},
      "status":{"startTime":"2020-01-01T00:00:00Z"}})"),
               "Running");
  rig.api.Put({"autoscaling", "v2", "horizontalpodautoscalers"},
              R"({"metadata":{"name":"h","namespace":"d"},"spec":{"maxReplicas":5,
      "scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"metrics":[
      {"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization",
      "averageUtilization":50}}}]}})");
  rig.Settle();
  const auto hpa = [&] {
    return *rig.api.Stored({"autoscaling", "v2", "horizontalpodautoscalers"}, "d", "h");
  };
  EXPECT_EQ(StringAt(*ConditionOf(hpa(), "ScalingActive"), {"reason"}), "FailedGetResourceMetric");
  rig.api.Put({"metrics.k8s.io", "v1beta1", "pods"}, R"({"metadata":{"name":"p","namespace":"d",
      "labels":{"a":"b"}},"containers":[{"name":"c","usage":{"cpu":"150m","memory":"1Mi"}}]})");
  rig.Settle(std::chrono::seconds(20));
  EXPECT_EQ(IntAt(*rig.api.Stored({"apps", "v1", "deployments"}, "d", "web"), {"spec", "replicas"}),
            3);
  EXPECT_THAT(rig.Reasons("h"), ::testing::Contains("SuccessfulRescale"));
  rig.api.Erase({"apps", "v1", "deployments"}, "d", "web");
  rig.Settle(std::chrono::seconds(20));
  EXPECT_EQ(StringAt(*ConditionOf(hpa(), "AbleToScale"), {"reason"}), "FailedGetScale");
}

}  // namespace
}  // namespace keel::orchestrator
