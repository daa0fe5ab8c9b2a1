// A small cluster for tests, made of JSON as the API server would send it.
//
//   World w;
//   w.Node("n1", R"("labels":{"zone":"a"})");
//   w.Place("web", "n1", R"("spec":{...})");
//   EXPECT_EQ(w.Schedule(w.Pod("new")), "n1");
//   EXPECT_EQ(w.message(), "0/1 nodes are available: 1 Insufficient cpu.");
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "base/strings.h"
#include "orchestrator/scheduler/core.h"

namespace keel::orchestrator::sched {

class World {
 public:
  explicit World(CoreOptions options = {}) : core(cluster, options) {}

  static json::object Json(std::string_view text) {
    auto value = ParseJson(text);
    KEEL_CHECK(value.ok() && value->is_object(), text);
    return value->get_object();
  }

  // `meta` and `spec`: members of metadata and spec; `allocatable`: of status.allocatable.
  void Node(std::string_view name, std::string_view meta = "", std::string_view spec = "",
            std::string_view allocatable = R"("cpu":"4","memory":"8Gi","pods":"110")") {
    cluster.SetNode(ParseNode(NodeJson(name, meta, spec, allocatable), words));
  }
  static json::object NodeJson(std::string_view name, std::string_view meta, std::string_view spec,
                               std::string_view allocatable) {
    return Json(base::StrCat(R"({"metadata":{"name":")", name, "\"", meta.empty() ? "" : ",", meta,
                             R"(},"spec":{)", spec, R"(},"status":{"allocatable":{)", allocatable,
                             "}}}"));
  }
  // `spec` must name its containers if it wants any; `rest`: further members of the object.
  PodPtr Pod(std::string_view name, std::string_view spec = "", std::string_view labels = "",
             std::string_view ns = "default", std::string_view meta = "",
             std::string_view rest = "") {
    return parser.Parse(PodJson(name, spec, labels, ns, meta, rest));
  }
  static json::object PodJson(std::string_view name, std::string_view spec, std::string_view labels,
                              std::string_view ns = "default", std::string_view meta = "",
                              std::string_view rest = "") {
    return Json(base::StrCat(R"({"metadata":{"name":")", name, R"(","namespace":")", ns,
                             R"(","uid":"u-)", ns, "-", name, R"(","labels":{)", labels, "}",
                             meta.empty() ? "" : ",", meta, R"(},"spec":{)", spec, "}",
                             rest.empty() ? "" : ",", rest, "}"));
  }
  static std::string Requests(std::string_view cpu, std::string_view memory) {
    return base::StrCat(R"("containers":[{"resources":{"requests":{"cpu":")", cpu,
                        R"(","memory":")", memory, R"("}}}])");
  }
  void Place(std::string_view name, std::string_view node, std::string_view spec = "",
             std::string_view labels = "", std::string_view ns = "default",
             std::string_view meta = "") {
    cluster.Place(Pod(name, spec, labels, ns, meta), node);
  }
  // The node's name, "" if there is none; the pod is not placed.
  std::string Schedule(const PodPtr& pod) {
    last = core.Schedule(pod);
    return last.node == kNoNode ? "" : cluster.node(last.node).name;
  }
  std::string ScheduleAndPlace(const PodPtr& pod) {
    const std::string node = Schedule(pod);
    if (!node.empty()) cluster.Place(pod, node);
    return node;
  }
  std::string message() const { return last.error ? last.error->Message() : ""; }
  // Without what came of preemption.
  std::string reasons() const {
    const std::string all = message();
    return all.substr(0, all.find(" preemption:"));
  }

  Vocabulary words;
  Cluster cluster{words};
  PodParser parser{words};
  Core core;
  Decision last;
};

}  // namespace keel::orchestrator::sched
