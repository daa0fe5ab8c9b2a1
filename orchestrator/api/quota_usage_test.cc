#include "orchestrator/api/quota_usage.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

json::object Object(std::string_view text) { return ParseJson(text)->as_object(); }

std::string Text(const ResourceList& list) {
  std::string out;
  for (const auto& [name, quantity] : list) {
    out += base::StrCat(out.empty() ? "" : " ", name, "=", quantity.ToString());
  }
  return out;
}

TEST(QuotaUsage, TheResourceOfAName) {
  EXPECT_EQ(QuotaResourceOf("pods"), "pods");
  EXPECT_EQ(QuotaResourceOf("limits.memory"), "pods");
  EXPECT_EQ(QuotaResourceOf("requests.example.com/gpu"), "pods");
  EXPECT_EQ(QuotaResourceOf("cpu"), "pods");
  EXPECT_EQ(QuotaResourceOf("requests.storage"), "persistentvolumeclaims");
  EXPECT_EQ(QuotaResourceOf("gold.storageclass.storage.k8s.io/requests.storage"),
            "persistentvolumeclaims");
  EXPECT_EQ(QuotaResourceOf("services.nodeports"), "services");
  EXPECT_EQ(QuotaResourceOf("count/jobs.batch"), "jobs.batch");
  EXPECT_EQ(QuotaResourceOf("bananas"), "");
}

TEST(QuotaUsage, ThePartCountsAsTheWhole) {
  const std::pair<const char*, const char*> objects[] = {
      {"pods", R"({"metadata":{"name":"a"},"spec":{"overhead":{"cpu":"10m"},"nodeName":"n",
          "activeDeadlineSeconds":60,"priorityClassName":"high","containers":[{"name":"c",
          "image":"i","resources":{"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"2"}}}],
          "initContainers":[{"name":"s","restartPolicy":"Always","resources":{"requests":{
          "cpu":"3"}}}],"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
          [{"namespaces":["x"]}]}}},"status":{"phase":"Running"}})"},
      {"pods", R"({"spec":{"containers":[{"name":"c"}]},"status":{"phase":"Pending"}})"},
      {"pods", R"({"spec":{"containers":[{"resources":{"requests":{"cpu":"1"}}}]},
          "status":{"phase":"Succeeded"}})"},
      {"services", R"({"spec":{"type":"LoadBalancer","ports":[{"port":1},{"port":2}]}})"},
      {"services", R"({"spec":{"type":"LoadBalancer","ports":[{"port":1}],
          "allocateLoadBalancerNodePorts":false}})"},
      {"persistentvolumeclaims", R"({"spec":{"storageClassName":"gold","resources":{"requests":{
          "storage":"1Gi"}}}})"},
      {"jobs.batch", R"({"spec":{"template":{"spec":{"containers":[{"name":"c"}]}}}})"},
  };
  for (const auto& [resource, text] : objects) {
    const json::object whole = Object(text);
    const json::object part = QuotaPart(whole);
    EXPECT_EQ(Text(QuotaUsage(resource, part)), Text(QuotaUsage(resource, whole))) << text;
    for (const char* scope : {"Terminating", "NotTerminating", "BestEffort", "NotBestEffort",
                              "PriorityClass", "CrossNamespacePodAffinity"}) {
      const json::object quota{{"spec", {{"scopes", {scope}}}}};
      EXPECT_EQ(QuotaSelects(quota, resource, part), QuotaSelects(quota, resource, whole))
          << scope << " of " << text;
    }
  }
  // Names, images, nodes and labels make no difference.
  const json::object other = Object(R"({"metadata":{"name":"b","labels":{"x":"y"}},"spec":{
      "nodeName":"m","containers":[{"name":"other","image":"j"}]}})");
  EXPECT_EQ(QuotaPart(other), QuotaPart(Object(objects[1].second)));
}

}  // namespace
}  // namespace keel::orchestrator
