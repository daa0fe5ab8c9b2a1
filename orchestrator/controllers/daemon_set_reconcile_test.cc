#include "orchestrator/controllers/daemon_set_reconcile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "orchestrator/controllers/testing/plan_world.h"

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

struct DaemonWorld {
  PlanWorld world;
  std::vector<NodeInfo> nodes;
  json::object set = ParseJson(R"({"metadata":{"name":"s","namespace":"d","uid":"su",
      "generation":1},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":
      {"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i1"}]}}}})")
                         ->as_object();

  void AddNode(std::string name) { nodes.push_back({.name = std::move(name), .ready = "True"}); }
  Plan Reconcile() {
    std::vector<const json::object*> revisions;
    for (json::object* each : world.All("controllerrevisions")) revisions.push_back(each);
    std::vector<const NodeInfo*> pointers;
    for (const NodeInfo& node : nodes) pointers.push_back(&node);
    return ReconcileDaemonSet({.set = set,
                               .pods = world.PodPointers(),
                               .revisions = revisions,
                               .nodes = pointers,
                               .now = world.now});
  }
  bool Settle(int times = 60) {
    for (int i = 0; i < times; ++i) {
      Plan plan = Reconcile();
      if (plan.empty()) return true;
      world.Apply(std::move(plan), set);
    }
    return false;
  }
  // Binds and runs what waits, and ends what is being deleted.
  void Work() {
    for (const PodInfo* pod : std::vector(world.PodPointers()))
      Work(*world.Find("pods", pod->name));
  }
  void Work(json::object& pod) {
    if (!StringAt(pod, {"metadata", "deletionTimestamp"}).empty()) return world.Gone(pod);
    if (StringAt(pod, {"status", "phase"}) != "Pending") return;
    pod["spec"].as_object()["nodeName"] = PodInfo::Parse(pod).target_node;
    world.SetPhase(pod, "Running");
  }
  void Converge() {
    for (int i = 0; i < 60; ++i) {
      world.Apply(Reconcile(), set);
      Work();
      world.now += absl::Seconds(10);
    }
  }
  std::vector<std::string> Images() {
    std::vector<std::string> images;
    for (json::object* pod : world.All("pods")) {
      images.emplace_back(StringAt(ArrayAt(*pod, {"spec", "containers"})[0], {"image"}));
    }
    return images;
  }
  void SetImage(std::string_view image) {
    *Ensure(ArrayOf(), {"image"}) = image;
    *Ensure(set, {"metadata", "generation"}) = IntAt(set, {"metadata", "generation"}) + 1;
  }
  json::value& ArrayOf() {
    return Find(set, {"spec", "template", "spec", "containers"})->get_array()[0];
  }
  int64_t Status(std::string_view name) { return IntAt(set, {"status", name}); }
};

TEST(DaemonSet, PutsAPodOnEachFittingNode) {
  DaemonWorld w;
  for (const char* name : {"n1", "n2", "n3", "n4", "n5"}) w.AddNode(name);
  w.nodes[1].taints = {{"k", "v", "NoSchedule"}};
  w.nodes[2].taints = {{"node.kubernetes.io/unschedulable", "", "NoSchedule"},
                       {"node.kubernetes.io/unreachable", "", "NoExecute"}};
  w.nodes[3].labels = {{"x", "y"}};
  w.nodes[4].taints = {{"k", "v", "PreferNoSchedule"}};
  ASSERT_TRUE(w.Settle());
  std::vector<std::string> targets;
  for (const PodInfo* pod : w.world.PodPointers()) targets.push_back(pod->target_node);
  EXPECT_THAT(targets, UnorderedElementsAre("n1", "n3", "n4", "n5"));
  const json::object& pod = *w.world.All("pods")[0];
  EXPECT_THAT(ArrayAt(pod, {"spec", "tolerations"}), SizeIs(6));
  EXPECT_NE(StringAt(pod, {"metadata", "labels", "controller-revision-hash"}), "");
  EXPECT_EQ(StringAt(pod, {"metadata", "labels", "pod-template-generation"}), "1");
  EXPECT_EQ(w.Status("desiredNumberScheduled"), 4);
  EXPECT_EQ(w.Status("currentNumberScheduled"), 4);
  EXPECT_EQ(w.Status("numberReady"), 0);
  w.Work();
  ASSERT_TRUE(w.Settle());
  EXPECT_EQ(w.Status("numberReady"), 4);
  EXPECT_EQ(w.Status("numberAvailable"), 4);
  EXPECT_EQ(Find(w.set, {"status", "numberUnavailable"}), nullptr);
  // A selector that fits one node only.
  *Ensure(w.set, {"spec", "template", "spec", "nodeSelector"}) = json::object{{"x", "y"}};
  w.Converge();
  EXPECT_EQ(w.Status("desiredNumberScheduled"), 1);
  EXPECT_THAT(w.world.All("pods"), SizeIs(1));
}

TEST(DaemonSet, FollowsNodesThatComeAndGo) {
  DaemonWorld w;
  w.AddNode("n1");
  w.Converge();
  w.AddNode("n2");
  w.Converge();
  EXPECT_EQ(w.Status("numberReady"), 2);
  w.nodes.erase(w.nodes.begin());
  w.Converge();
  EXPECT_THAT(w.world.All("pods"), SizeIs(1));
  // A taint that daemons do not tolerate ends them; one that only keeps new ones away does not.
  w.nodes[0].taints = {{"k", "", "NoSchedule"}};
  w.Converge();
  EXPECT_THAT(w.world.All("pods"), SizeIs(1));
  EXPECT_EQ(w.Status("numberMisscheduled"), 1);
  w.nodes[0].taints = {{"k", "", "NoExecute"}};
  w.Converge();
  EXPECT_THAT(w.world.All("pods"), IsEmpty());
}

TEST(DaemonSet, ReplacesAPodThatFailed) {
  DaemonWorld w;
  w.AddNode("n1");
  w.Converge();
  const std::string name(NameOf(*w.world.All("pods")[0]));
  w.world.SetPhase(*w.world.All("pods")[0], "Failed");
  w.Converge();
  ASSERT_THAT(w.world.All("pods"), SizeIs(1));
  EXPECT_NE(NameOf(*w.world.All("pods")[0]), name);
  EXPECT_EQ(w.Status("numberReady"), 1);
  EXPECT_THAT(w.world.notes,
              ::testing::Contains(Note{true, "FailedDaemonPod",
                                       base::StrCat("Found failed daemon pod d/", name,
                                                    " on node n1, will try to kill it")}));
}

TEST(DaemonSet, OnDeleteUpdatesWhatIsDeleted) {
  DaemonWorld w;
  *Ensure(w.set, {"spec", "updateStrategy", "type"}) = "OnDelete";
  w.AddNode("n1");
  w.AddNode("n2");
  w.Converge();
  w.SetImage("i2");
  w.Converge();
  EXPECT_THAT(w.Images(), ElementsAre("i1", "i1"));
  EXPECT_EQ(w.Status("updatedNumberScheduled"), 0);
  *Ensure(*w.world.All("pods")[0], {"metadata", "deletionTimestamp"}) = "2026-11-23T07:00:00Z";
  w.Converge();
  EXPECT_THAT(w.Images(), UnorderedElementsAre("i1", "i2"));
}

TEST(DaemonSet, KeepsTheHistoryOfItsTemplate) {
  DaemonWorld w;
  *Ensure(w.set, {"spec", "revisionHistoryLimit"}) = 1;
  w.AddNode("n1");
  for (const char* image : {"i1", "i2", "i3", "i1"}) {
    w.SetImage(image);
    w.Converge();
    EXPECT_THAT(w.Images(), ElementsAre(image));
  }
  std::vector<int64_t> numbers;
  for (json::object* each : w.world.All("controllerrevisions")) {
    numbers.push_back(IntAt(*each, {"revision"}));
  }
  // i1 had gone from the history: it is new again.
  EXPECT_THAT(numbers, UnorderedElementsAre(3, 4));
}

RC_GTEST_PROP(DaemonSetProperty, UpdatesWithinItsBounds, (bool with_surge)) {
  DaemonWorld w;
  const int64_t nodes = *rc::gen::inRange(1, 9);
  const int64_t bound = *rc::gen::inRange(1, 4);
  for (int64_t i = 0; i < nodes; ++i) w.AddNode(base::StrCat("n", i));
  *Ensure(w.set, {"spec", "updateStrategy"}) = json::object{
      {"type", "RollingUpdate"},
      {"rollingUpdate",
       {{"maxUnavailable", with_surge ? 0 : bound}, {"maxSurge", with_surge ? bound : 0}}}};
  w.Converge();
  RC_ASSERT(w.Status("numberAvailable") == nodes);
  w.SetImage("i2");
  for (int step = 0; step < 300; ++step) {
    if (*rc::gen::inRange(0, 2) == 0) {
      w.world.Apply(w.Reconcile(), w.set, *rc::gen::inRange<size_t>(0, 8));
    } else if (const auto pods = w.world.All("pods"); !pods.empty()) {
      w.Work(*pods[*rc::gen::inRange<size_t>(0, pods.size())]);
    }
    std::set<std::string> served;
    int64_t all = 0;
    for (const PodInfo* pod : w.world.PodPointers()) {
      all += !pod->deleting;
      if (pod->ready && !pod->deleting) served.insert(pod->node);
    }
    RC_ASSERT(static_cast<int64_t>(served.size()) >= (with_surge ? nodes : nodes - bound));
    RC_ASSERT(all <= (with_surge ? nodes + bound : nodes));
  }
  w.Converge();
  RC_ASSERT(w.Status("updatedNumberScheduled") == nodes);
  RC_ASSERT(w.Status("numberAvailable") == nodes);
  RC_ASSERT(static_cast<int64_t>(w.world.All("pods").size()) == nodes);
  for (const std::string& image : w.Images()) RC_ASSERT(image == "i2");
}

TEST(NodeInfo, SelectorTermsAndTolerations) {
  NodeInfo node{.name = "n1", .labels = {{"cpu", "8"}, {"z", "a"}}};
  struct Case {
    const char* term;
    bool matches;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"({})", false},
           {R"({"matchExpressions":[{"key":"z","operator":"In","values":["a","b"]}]})", true},
           {R"({"matchExpressions":[{"key":"z","operator":"NotIn","values":["a"]}]})", false},
           {R"({"matchExpressions":[{"key":"q","operator":"NotIn","values":["a"]}]})", true},
           {R"({"matchExpressions":[{"key":"q","operator":"Exists"}]})", false},
           {R"({"matchExpressions":[{"key":"q","operator":"DoesNotExist"}]})", true},
           {R"({"matchExpressions":[{"key":"cpu","operator":"Gt","values":["4"]}]})", true},
           {R"({"matchExpressions":[{"key":"cpu","operator":"Lt","values":["4"]}]})", false},
           {R"({"matchExpressions":[{"key":"z","operator":"Gt","values":["4"]}]})", false},
           {R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["n1"]}]})", true},
           {R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["n2"]}]})", false},
       }) {
    json::object spec;
    *Ensure(spec, {"affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"}) =
        json::object{{"nodeSelectorTerms", json::array{*ParseJson(c.term)}}};
    EXPECT_EQ(NodeMatches(spec, node), c.matches) << c.term;
  }
  const Taint taint{"k", "v", "NoExecute"};
  for (const Case& c : std::initializer_list<Case>{
           {R"([])", false},
           {R"([{"operator":"Exists"}])", true},
           {R"([{"key":"k","operator":"Exists","effect":"NoSchedule"}])", false},
           {R"([{"key":"k","value":"v"}])", true},
           {R"([{"key":"k","value":"w"}])", false},
           {R"([{"key":"l","operator":"Exists"}])", false},
       }) {
    EXPECT_EQ(Tolerates(ParseJson(c.term)->as_array(), taint), c.matches) << c.term;
  }
}

}  // namespace
}  // namespace keel::orchestrator
