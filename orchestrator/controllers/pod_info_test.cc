#include "orchestrator/controllers/pod_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(PodInfo, ReadsWhatControllersNeed) {
  const json::value pod = *ParseJson(R"({
    "metadata": {"namespace": "d", "name": "a", "uid": "u1", "resourceVersion": "7",
      "labels": {"app": "x"}, "finalizers": ["f"], "creationTimestamp": "2026-11-23T07:00:00Z",
      "annotations": {"batch.kubernetes.io/job-completion-index": "3", "other": "no"},
      "ownerReferences": [{"kind": "X", "uid": "0"},
                          {"kind": "Job", "name": "j", "uid": "u0", "controller": true}]},
    "spec": {"nodeName": "n1", "restartPolicy": "Never", "volumes": [
        {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "w"}],
      "containers": [{"name": "m", "resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}},
                     {"name": "n", "resources": {"requests": {"cpu": 1}}}]},
    "status": {"phase": "Failed", "containerStatuses": [{"name": "m", "restartCount": 2,
      "state": {"terminated": {"exitCode": 42, "finishedAt": "2026-11-23T07:01:00Z"}}}],
      "conditions": [{"type": "Ready", "status": "False"},
                     {"type": "DisruptionTarget", "status": "True"}]}})");
  const PodInfo info = PodInfo::Parse(pod.as_object());
  EXPECT_EQ(info.owner, (OwnerInfo{"Job", "j", "u0"}));
  EXPECT_EQ(info.Label("app"), "x");
  EXPECT_EQ(info.Annotation("batch.kubernetes.io/job-completion-index"), "3");
  EXPECT_EQ(info.Annotation("other"), "");
  EXPECT_TRUE(info.terminal());
  EXPECT_FALSE(info.active());
  EXPECT_TRUE(info.disruption_target);
  EXPECT_EQ(info.restarts, 2);
  EXPECT_EQ(info.resource_version, 7u);
  EXPECT_THAT(info.exit_codes, ElementsAre(Pair("m", 42)));
  EXPECT_THAT(info.claims, ElementsAre("c"));
  EXPECT_EQ(info.cpu_request_milli, 1100);
  EXPECT_EQ(info.memory_request_bytes, 1 << 20);
  EXPECT_EQ(TimeText(info.finished), "2026-11-23T07:01:00Z");
}

TEST(PodInfo, QuantitiesRoundUp) {
  EXPECT_EQ(QuantityAt("0.1", 1000), 100);
  EXPECT_EQ(QuantityAt("1.5Gi", 1), 3 * (int64_t{1} << 29));
  EXPECT_EQ(QuantityAt("100u", 1000), 1);
  EXPECT_EQ(QuantityAt("2e3", 1), 2000);
  EXPECT_EQ(QuantityAt("x", 1), 0);
}

}  // namespace
}  // namespace keel::orchestrator
