#include "orchestrator/controllers/node_controllers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/controllers/testing/controller_rig.h"

namespace keel::orchestrator {
namespace {

using ::testing::Contains;
using ::testing::SizeIs;

const Resource kNodes{"", "v1", "nodes"};
const Resource kLeases{"coordination.k8s.io", "v1", "leases"};

void PutNode(ControllerRig& rig, const std::string& name) {
  const std::string now = TimeText(rig.api.now());
  json::object node{{"metadata", {{"name", name}}}};
  *Ensure(node, {"status", "conditions"}) = json::array{json::object{{"type", "Ready"},
                                                                     {"status", "True"},
                                                                     {"lastHeartbeatTime", now},
                                                                     {"lastTransitionTime", now}}};
  rig.api.Put(kNodes, node);
}

void Renew(ControllerRig& rig, const std::string& name) {
  rig.api.Put(kLeases,
              json::object{{"metadata", {{"name", name}, {"namespace", "kube-node-lease"}}},
                           {"spec", {{"renewTime", MicroTimeText(rig.api.now())}}}});
}

json::object PodOn(const std::string& node, const std::string& name, int64_t toleration_seconds) {
  json::object pod{{"metadata", {{"name", name}, {"namespace", "d"}}},
                   {"spec", {{"nodeName", node}}}};
  *Ensure(pod, {"spec", "tolerations"}) =
      json::array{json::object{{"key", "node.kubernetes.io/unreachable"},
                               {"operator", "Exists"},
                               {"effect", "NoExecute"},
                               {"tolerationSeconds", toleration_seconds}}};
  *Ensure(pod, {"status"}) =
      *ParseJson(R"({"phase":"Running","conditions":[{"type":"Ready","status":"True"}]})");
  return pod;
}

TEST(NodeControllers, ANodeThatGoesSilentLosesItsPodsInTime) {
  ControllerRig rig;
  for (const char* name : {"n1", "n2", "n3"}) {
    PutNode(rig, name);
    Renew(rig, name);
  }
  rig.api.Put(kPods, PodOn("n1", "a", 30));
  rig.api.Put(kPods, PodOn("n2", "b", 30));
  NodeLifecycleController lifecycle(rig.context);
  TaintEvictionController eviction(rig.context);
  rig.Start(lifecycle);
  eviction.Start();
  const auto live = [&](int seconds) {
    for (int i = 0; i < seconds; i += 5) {
      rig.Settle(std::chrono::seconds(5));
      Renew(rig, "n2");
      Renew(rig, "n3");
    }
  };
  live(50);
  const json::object& node = *rig.api.Stored(kNodes, "", "n1");
  const json::object* ready = ConditionOf(node, "Ready");
  EXPECT_EQ(StringAt(*ready, {"status"}), "Unknown");
  EXPECT_EQ(StringAt(*ready, {"reason"}), "NodeStatusUnknown");
  EXPECT_THAT(ArrayAt(node, {"spec", "taints"}), SizeIs(2));
  EXPECT_THAT(rig.Reasons("n1"), Contains("NodeNotReady"));
  ASSERT_NE(rig.api.Stored(kPods, "d", "a"), nullptr);
  EXPECT_EQ(StringAt(*ConditionOf(*rig.api.Stored(kPods, "d", "a"), "Ready"), {"status"}), "False");
  live(40);
  EXPECT_EQ(rig.api.Stored(kPods, "d", "a"), nullptr);
  EXPECT_NE(rig.api.Stored(kPods, "d", "b"), nullptr);
  EXPECT_THAT(rig.Reasons("a"), Contains("TaintManagerEviction"));
}

TEST(NodeControllers, CordonTaintsAtOnce) {
  ControllerRig rig;
  PutNode(rig, "n1");
  NodeLifecycleController lifecycle(rig.context);
  rig.Start(lifecycle);
  rig.api.Edit(kNodes, "", "n1", [](json::object& node) {
    *Ensure(node, {"spec", "unschedulable"}) = true;
  });
  rig.Settle(std::chrono::milliseconds(100));
  const json::array& taints = ArrayAt(*rig.api.Stored(kNodes, "", "n1"), {"spec", "taints"});
  ASSERT_THAT(taints, SizeIs(1));
  EXPECT_EQ(StringAt(taints[0], {"key"}), "node.kubernetes.io/unschedulable");
  rig.api.Edit(kNodes, "", "n1", [](json::object& node) {
    *Ensure(node, {"spec", "unschedulable"}) = false;
  });
  rig.Settle(std::chrono::milliseconds(100));
  EXPECT_THAT(ArrayAt(*rig.api.Stored(kNodes, "", "n1"), {"spec", "taints"}), SizeIs(0));
}

TEST(NodeControllers, PodsOfANodeThatIsGoneAreCollected) {
  ControllerRig rig;
  PutNode(rig, "n1");
  rig.api.Put(kPods, PodOn("n1", "a", 30));
  rig.api.Put(kPods, PodOn("gone", "b", 30));
  PodGcController gc(rig.context);
  rig.Start(gc);
  rig.Settle(std::chrono::seconds(30));
  EXPECT_THAT(rig.api.All(kPods), SizeIs(2)) << "it may come back";
  rig.Settle(std::chrono::seconds(40));
  EXPECT_THAT(rig.api.All(kPods), SizeIs(1));
  EXPECT_NE(rig.api.Stored(kPods, "d", "a"), nullptr);
}

}  // namespace
}  // namespace keel::orchestrator
