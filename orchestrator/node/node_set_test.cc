#include "orchestrator/node/node_set.h"

#include <gtest/gtest.h>

#include "orchestrator/node/hollow_runtime.h"

namespace keel::orchestrator {
namespace {

TEST(NodeSetTest, NodesAreNumberedNamedAndSpreadOverZones) {
  const NodeSet nodes({.count = 4, .first = 10, .name_prefix = "n", .zones = 3});
  EXPECT_EQ(nodes.at(0).name, "n10");
  EXPECT_EQ(nodes.Find("n13"), 3u);
  EXPECT_EQ(nodes.Find("n9"), std::nullopt);
  const json::object first = nodes.NodeObject(0, absl::UnixEpoch());
  const json::object second = nodes.NodeObject(1, absl::UnixEpoch());
  const auto label = [](const json::object& node, std::string_view name) {
    return std::string(StringAt(node, {"metadata", "labels", name}));
  };
  EXPECT_EQ(label(first, "kubernetes.io/hostname"), "n10");
  EXPECT_EQ(label(first, "topology.kubernetes.io/zone"), "zone-1");
  EXPECT_EQ(label(second, "topology.kubernetes.io/zone"), "zone-2");
  EXPECT_EQ(StringAt(first, {"spec", "podCIDR"}), "10.128.10.0/24");
  EXPECT_EQ(StringAt(first, {"status", "capacity", "cpu"}), "8");
  EXPECT_EQ(StringAt(first, {"status", "allocatable", "memory"}), "33554432Ki");
  EXPECT_EQ(StringAt(first, {"status", "nodeInfo", "kubeletVersion"}), "v1.35.0+keel");
}

TEST(NodeSetTest, PodCidrsOfManyNodesDiffer) {
  EXPECT_EQ(HollowRuntime::PodCidr(0), "10.128.0.0/24");
  EXPECT_EQ(HollowRuntime::PodCidr(256), "10.129.0.0/24");
  EXPECT_EQ(HollowRuntime::PodCidr(5000), "10.147.136.0/24");
}

TEST(NodeSetTest, CountsWhatPodsTakeAndGiveBack) {
  NodeSet nodes({.count = 1, .capacity = {.cpu_milli = 1000, .memory_bytes = 1000, .pods = 2}});
  PodSpec spec;
  spec.requests = {.cpu_milli = 600, .memory_bytes = 100};
  EXPECT_FALSE(nodes.Admit(0, spec).has_value());
  EXPECT_EQ(nodes.Admit(0, spec)->reason, "OutOfcpu");
  spec.requests = {.cpu_milli = 100, .memory_bytes = 901};
  EXPECT_EQ(nodes.Admit(0, spec)->reason, "OutOfmemory");
  spec.requests = {};
  EXPECT_FALSE(nodes.Admit(0, spec).has_value());
  EXPECT_EQ(nodes.Admit(0, spec)->reason, "OutOfpods");
  nodes.Release(0, spec);
  EXPECT_FALSE(nodes.Admit(0, spec).has_value());
}

TEST(PodSpecTest, PodsThatAreAlikeShareOneSpec) {
  PodSpecs specs;
  const auto pod = [](std::string_view name, std::string_view image) {
    return ParseJson(R"({"metadata":{"name":")" + std::string(name) +
                     R"("},"spec":{"containers":[{"name":"c","image":")" + std::string(image) +
                     R"(","resources":{"requests":{"cpu":"100m","memory":"1Mi"}}}]}})")
        ->as_object();
  };
  const auto a = specs.Intern(pod("a", "nginx")), b = specs.Intern(pod("b", "nginx"));
  EXPECT_EQ(a, b);
  EXPECT_NE(a, specs.Intern(pod("c", "redis")));
  EXPECT_EQ(a->requests.cpu_milli, 100);
  EXPECT_EQ(a->requests.memory_bytes, 1 << 20);
}

TEST(PodSpecTest, SpecsThatNoPodHoldsAreForgotten) {
  PodSpecs specs;
  for (int i = 0; i < 10000; ++i) {
    specs.Intern(ParseJson(R"({"spec":{"containers":[{"name":"c","image":"i)" + std::to_string(i) +
                           R"("}]}})")
                     ->as_object());
  }
  EXPECT_LT(specs.size(), 200u);
}

}  // namespace
}  // namespace keel::orchestrator
