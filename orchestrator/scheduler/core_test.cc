// The cycle as a whole: what is kept equals what would be computed anew, what is remembered says
// what a full evaluation says, nothing is overcommitted, and preemption takes only lesser pods.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

#include "orchestrator/scheduler/testing/world.h"

namespace keel::orchestrator::sched {
namespace {

TEST(Core, SaysThatThereAreNoNodes) {
  World w;
  EXPECT_EQ(w.Schedule(w.Pod("p")), "");
  EXPECT_EQ(w.message(), "no nodes available to schedule pods");
}

TEST(Core, SpreadsOneClassOverNodesAndRemembersItsFailure) {
  World w;
  for (int i = 0; i < 10; ++i) w.Node(base::StrCat("n", i));
  std::map<std::string, int> on;
  for (int i = 0; i < 40; ++i) {
    if (i == 20) {
      for (int n = 0; n < 10; ++n) EXPECT_EQ(on[base::StrCat("n", n)], 2) << n;
    }
    ++on[w.ScheduleAndPlace(w.Pod(base::StrCat("p", i), World::Requests("1", "1Gi")))];
  }
  for (int i = 0; i < 10; ++i) EXPECT_EQ(on[base::StrCat("n", i)], 4) << i;
  EXPECT_EQ(w.Schedule(w.Pod("late", World::Requests("1", "1Gi"))), "");
  EXPECT_EQ(w.last.evaluated, 10u);
  EXPECT_EQ(w.Schedule(w.Pod("later", World::Requests("1", "1Gi"))), "");
  EXPECT_EQ(w.last.evaluated, 0u);
  w.cluster.Remove("default/p7");
  EXPECT_NE(w.ScheduleAndPlace(w.Pod("later", World::Requests("1", "1Gi"))), "");
  EXPECT_EQ(w.Schedule(w.Pod("last", World::Requests("1", "1Gi"))), "");
}

TEST(Core, WorkOfACycleStaysFlatAsNodesGrow) {
  for (int nodes : {200, 2000}) {
    World w;
    for (int i = 0; i < nodes; ++i) w.Node(base::StrCat("n", i));
    size_t evaluated = 0;
    for (int i = 0; i < 400; ++i) {
      ASSERT_NE(w.ScheduleAndPlace(w.Pod(base::StrCat("p", i), World::Requests("10m", "1Mi"))), "");
      evaluated += w.last.evaluated;
    }
    EXPECT_LE(evaluated / 400, 5u) << nodes;
  }
}

TEST(Core, NominatedPodsHoldTheirPlaceAgainstLesserOnes) {
  World w;
  w.Node("n1", "", "", R"("cpu":"1","memory":"1Gi","pods":"10")");
  const PodPtr high = w.Pod("high", base::StrCat(R"("priority":10,)", World::Requests("1", "1Mi")));
  w.cluster.Nominate(high, "n1");
  EXPECT_EQ(w.Schedule(w.Pod("low", World::Requests("1", "1Mi"))), "");
  EXPECT_EQ(w.reasons(), "0/1 nodes are available: 1 Insufficient cpu.");
  EXPECT_EQ(w.Schedule(high), "n1");
  EXPECT_EQ(
      w.Schedule(w.Pod("higher", base::StrCat(R"("priority":11,)", World::Requests("1", "1Mi")))),
      "n1");
  w.cluster.Nominate(high, "");
  EXPECT_EQ(w.Schedule(w.Pod("low", World::Requests("1", "1Mi"))), "n1");
}

std::string Priority(int priority, std::string_view cpu) {
  return base::StrCat(R"("priority":)", priority, ",", World::Requests(cpu, "1Mi"));
}

TEST(Preemption, TakesTheLeastLoss) {
  World w;
  for (const char* n : {"n1", "n2", "n3"}) {
    w.Node(n, "", "", R"("cpu":"2","memory":"8Gi","pods":"10")");
  }
  w.Place("a", "n1", Priority(5, "2"));
  w.Place("b1", "n2", Priority(3, "1"));
  w.Place("b2", "n2", Priority(3, "1"));
  w.Place("c1", "n3", Priority(3, "1"));
  w.Place("c2", "n3", Priority(2, "1"));
  // One pod of priority 2 rather than one of 3.
  EXPECT_EQ(w.Schedule(w.Pod("p", Priority(10, "1"))), "");
  ASSERT_NE(w.last.victims, nullptr);
  EXPECT_EQ(w.cluster.node(w.last.victims->node).name, "n3");
  ASSERT_EQ(w.last.victims->pods.size(), 1u);
  EXPECT_EQ(w.last.victims->pods[0]->name, "c2");
  EXPECT_EQ(w.message(), "0/3 nodes are available: 3 Insufficient cpu.");
  // A budget makes that one dear.
  w.core.preemption().SetBudgets(
      {{.ns = w.words.symbols.Of("default"), .selector = {}, .allowed = 0}});
  EXPECT_EQ(w.Schedule(w.Pod("p", Priority(10, "1"))), "");
  EXPECT_EQ(w.last.victims->pods[0]->name, "c2");
  // Equal priority is not enough.
  EXPECT_EQ(w.Schedule(w.Pod("q", Priority(2, "1"))), "");
  EXPECT_EQ(w.last.victims, nullptr);
  // Nor may a pod that never preempts.
  EXPECT_EQ(
      w.Schedule(w.Pod("n", base::StrCat(R"("preemptionPolicy":"Never",)", Priority(10, "1")))),
      "");
  EXPECT_EQ(w.last.victims, nullptr);
  EXPECT_EQ(w.message(),
            "0/3 nodes are available: 3 Insufficient cpu. preemption: not eligible due to "
            "preemptionPolicy=Never.");
}

TEST(Preemption, SparesWhatABudgetProtects) {
  World w;
  w.Node("n1", "", "", R"("cpu":"2","memory":"8Gi","pods":"10")");
  w.Place("guarded", "n1", Priority(1, "1"), R"("app":"db")");
  w.Place("free", "n1", Priority(1, "1"));
  DisruptionBudget budget{.ns = w.words.symbols.Of("default"), .allowed = 0};
  const json::value selector = World::Json(R"({"matchLabels":{"app":"db"}})");
  budget.selector = ParseLabelSelector(&selector, w.words.symbols);
  w.core.preemption().SetBudgets({budget});
  EXPECT_EQ(w.Schedule(w.Pod("p", Priority(10, "1"))), "");
  ASSERT_EQ(w.last.victims->pods.size(), 1u);
  EXPECT_EQ(w.last.victims->pods[0]->name, "free");
}

// ---- Properties over random histories.

struct PodShape {
  std::string spec, labels;
};
std::vector<PodShape> Shapes() {
  const auto anti = [](std::string_view key) {
    return base::StrCat(
        R"("affinity":{"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[)"
        R"({"topologyKey":")",
        key, R"(","labelSelector":{"matchLabels":{"app":"web"}}}]}})");
  };
  const std::string near =
      R"("affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[)"
      R"({"topologyKey":"zone","labelSelector":{"matchLabels":{"app":"db"}}}]}})";
  const std::string spread =
      R"("topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone",)"
      R"("whenUnsatisfiable":"DoNotSchedule","labelSelector":{"matchLabels":{"app":"db"}}}])";
  const std::string web = R"("app":"web")", db = R"("app":"db")";
  return {{World::Requests("500m", "1Gi"), ""},
          {World::Requests("1", "100Mi"), web},
          {Priority(5, "700m"), db},
          {base::StrCat(anti("host"), ",", World::Requests("100m", "1Mi")), web},
          {base::StrCat(anti("zone"), ",", World::Requests("100m", "1Mi")), ""},
          {base::StrCat(near, ",", World::Requests("200m", "1Mi")), ""},
          {base::StrCat(spread, ",", World::Requests("200m", "1Mi")), db},
          {base::StrCat(R"("nodeSelector":{"zone":"a"},)", World::Requests("300m", "1Mi")), ""},
          {R"("containers":[{"ports":[{"hostPort":80}]}])", ""},
          {Priority(9, "2"), ""}};
}

void SetNode(World& w, int node, int variant) {
  const char* zones[] = {"a", "b", "c"};
  const std::string name = base::StrCat("n", node);
  w.Node(name,
         base::StrCat(R"("labels":{"host":")", name, R"(","zone":")", zones[variant % 3], R"("})"),
         variant % 7 == 6 ? R"("unschedulable":true)" : "",
         R"("cpu":"4","memory":"8Gi","pods":"8")");
}

// All that may be asked of a cluster, as text.
std::string Dump(const World& w) {
  std::map<std::string, std::string> lines;
  for (NodeIndex i : w.cluster.order()) {
    const NodeInfo& node = w.cluster.node(i);
    std::set<std::string> pods;
    for (const PodPtr& pod : node.pods) pods.insert(pod->Key());
    std::string line = base::StrCat(node.requested.Get(kCpu), " ", node.requested.Get(kMemory), " ",
                                    node.score_cpu, " ", node.used_ports.size());
    for (const std::string& pod : pods) absl::StrAppend(&line, " ", pod);
    lines[node.name] = line;
  }
  std::string out;
  for (const auto& [name, line] : lines) absl::StrAppend(&out, name, ": ", line, "\n");
  return out;
}

class History {
 public:
  History() : w_({.seed = 7}), shapes_(Shapes()) {}

  void Step(int op, int what) {
    const int kind = op % 10;
    if (kind == 0) {
      const int node = what % 12;
      SetNode(w_, node, what);
      nodes_[node] = what;
    } else if (kind == 1 && !nodes_.empty() && what % 4 == 0) {
      const int node = nodes_.begin()->first;
      w_.cluster.RemoveNode(base::StrCat("n", node));
      nodes_.erase(node);
    } else if (kind <= 3 && !pods_.empty()) {
      auto pod = std::next(pods_.begin(), what % static_cast<int>(pods_.size()));
      w_.cluster.Remove("default/" + pod->first);
      pods_.erase(pod);
    } else {
      ScheduleOne(static_cast<size_t>(what) % shapes_.size());
    }
  }

  void ScheduleOne(size_t shape) {
    const std::string name = base::StrCat("p", next_++);
    const PodPtr pod = w_.Pod(name, shapes_[shape].spec, shapes_[shape].labels);
    World fresh({.remember = false, .sample_nodes = SIZE_MAX});
    Rebuild(fresh);
    const PodPtr same = fresh.Pod(name, shapes_[shape].spec, shapes_[shape].labels);
    std::set<std::string> fitting;
    for (NodeIndex i : fresh.cluster.order()) {
      if (fresh.core.Fits(same, i)) fitting.insert(fresh.cluster.node(i).name);
    }
    const std::string node = w_.Schedule(pod);
    RC_ASSERT(node.empty() == fitting.empty());
    RC_ASSERT(node.empty() || fitting.contains(node));
    if (node.empty()) {
      RC_ASSERT(fresh.Schedule(same).empty());
      // A refusal that is remembered keeps its reasons, though a node that another pod had ruled
      // out may have become too full meanwhile.
      if (w_.last.evaluated > 0) RC_ASSERT(w_.reasons() == fresh.reasons());
      if (w_.last.victims) {
        for (const PodPtr& victim : w_.last.victims->pods) {
          RC_ASSERT(victim->cls->priority < pod->cls->priority);
        }
        RC_ASSERT(!w_.last.victims->pods.empty());
      }
      RC_ASSERT((w_.last.victims == nullptr) == (fresh.last.victims == nullptr));
      return;
    }
    w_.cluster.Place(pod, node);
    pods_[name] = {node, shape};
  }

  // What was kept is what would be computed anew, on every node, for every shape of pod.
  void Check() {
    World fresh({.remember = false, .sample_nodes = SIZE_MAX});
    Rebuild(fresh);
    RC_ASSERT(Dump(w_) == Dump(fresh));
    for (const PodShape& shape : shapes_) {
      for (const auto& [node, variant] : nodes_) {
        const std::string name = base::StrCat("n", node);
        RC_ASSERT(w_.core.Fits(w_.Pod("probe", shape.spec, shape.labels),
                               w_.cluster.FindNode(name)->index) ==
                  fresh.core.Fits(fresh.Pod("probe", shape.spec, shape.labels),
                                  fresh.cluster.FindNode(name)->index));
      }
    }
    CheckRules();
  }

 private:
  void Rebuild(World& fresh) const {
    for (const auto& [node, variant] : nodes_) SetNode(fresh, node, variant);
    for (const auto& [name, placed] : pods_) {
      fresh.Place(name, placed.node, shapes_[placed.shape].spec, shapes_[placed.shape].labels);
    }
  }

  // Computed from nothing but the list of pods.
  void CheckRules() {
    for (NodeIndex i : w_.cluster.order()) {
      const NodeInfo& node = w_.cluster.node(i);
      RC_ASSERT(node.requested.Get(kCpu) <= node.allocatable.Get(kCpu));
      RC_ASSERT(node.requested.Get(kMemory) <= node.allocatable.Get(kMemory));
      RC_ASSERT(static_cast<int64_t>(node.pods.size()) <= node.max_pods);
    }
  }

  struct Placed {
    std::string node;
    size_t shape = 0;
  };
  World w_;
  const std::vector<PodShape> shapes_;
  std::map<int, int> nodes_;  // with variant
  std::map<std::string, Placed> pods_;
  int next_ = 0;
};

RC_GTEST_PROP(CoreProperty, WhatIsKeptAndRememberedEqualsFullEvaluation, ()) {
  History history;
  const auto steps = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 1000), rc::gen::inRange(0, 1000)));
  for (int i = 0; i < 4; ++i) history.Step(0, i);
  for (const auto& [op, what] : steps) history.Step(op, what);
  history.Check();
}

// Among nodes that stay as they are, no two pods that want to be apart are ever together.
RC_GTEST_PROP(CoreProperty, AntiAffinityIsNeverViolated, ()) {
  World w;
  const int nodes = *rc::gen::inRange(1, 9);
  for (int i = 0; i < nodes; ++i) SetNode(w, i, i % 3);
  const std::vector<PodShape> shapes = Shapes();
  const auto order = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 10));
  std::map<std::string, std::vector<size_t>> on_host, in_zone;
  int next = 0;
  for (int s : order) {
    const size_t shape = static_cast<size_t>(s);
    const std::string node = w.ScheduleAndPlace(
        w.Pod(base::StrCat("p", next++), shapes[shape].spec, shapes[shape].labels));
    if (node.empty()) continue;
    on_host[node].push_back(shape);
    in_zone[std::string(1, "abc"[std::stoi(node.substr(1)) % 3])].push_back(shape);
  }
  const auto is_web = [](size_t shape) { return shape == 1 || shape == 3; };
  for (const auto& [host, list] : on_host) {
    // Shape 3 keeps away from every "web" of its host, of which it is one.
    const auto anti = std::count(list.begin(), list.end(), 3u);
    RC_ASSERT(anti == 0 || std::count_if(list.begin(), list.end(), is_web) == 1);
  }
  for (const auto& [zone, list] : in_zone) {
    // Shape 4 keeps away from every "web" of its zone, and is none.
    const auto anti = std::count(list.begin(), list.end(), 4u);
    RC_ASSERT(anti == 0 || std::count_if(list.begin(), list.end(), is_web) == 0);
  }
}

}  // namespace
}  // namespace keel::orchestrator::sched
