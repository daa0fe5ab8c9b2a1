#include "orchestrator/controllers/node_lifecycle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/strings.h"
#include "orchestrator/controllers/pod_gc.h"

namespace keel::orchestrator {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

const absl::Time kStart = absl::FromUnixSeconds(1'800'000'000);

struct Nodes {
  std::vector<NodeInfo> nodes;
  NodeLifecycle lifecycle{NodeLifecycleOptions{}};
  absl::Time now = kStart;

  NodeInfo& Add(std::string name, std::string_view zone = "") {
    NodeInfo node{.name = std::move(name), .ready = "True"};
    node.ready_heartbeat = node.ready_since = now;
    if (!zone.empty()) node.labels = {{"topology.kubernetes.io/zone", std::string(zone)}};
    nodes.push_back(std::move(node));
    return nodes.back();
  }
  void Renew(std::string_view name) { lifecycle.SawLease(name, now, now); }
  // Ticks, and does what it asks.
  std::vector<NodeLifecycle::Action> Tick() {
    std::vector<const NodeInfo*> all;
    for (const NodeInfo& node : nodes) all.push_back(&node);
    auto actions = lifecycle.Tick(all, now);
    for (const auto& action : actions) {
      for (NodeInfo& node : nodes) {
        if (node.name != action.node) continue;
        if (action.mark_unknown) {
          node.ready = "Unknown";
          node.ready_since = now;
        }
        if (action.set_taints) node.taints = action.taints;
      }
    }
    return actions;
  }
  size_t Evicting() const {
    return static_cast<size_t>(std::count_if(nodes.begin(), nodes.end(), [](const NodeInfo& node) {
      return std::any_of(node.taints.begin(), node.taints.end(),
                         [](const Taint& taint) { return taint.effect == "NoExecute"; });
    }));
  }
};

TEST(NodeLifecycle, AMissedLeaseMakesANodeUnknownAndTaintsIt) {
  Nodes w;
  w.Add("n1");
  w.Add("n2");
  for (int second = 0; second <= 40; second += 5) {
    w.now = kStart + absl::Seconds(second);
    w.Renew("n2");
    if (second == 0) w.Renew("n1");
    EXPECT_THAT(w.Tick(), IsEmpty()) << second;
  }
  w.now += absl::Seconds(5);
  w.Renew("n2");
  auto actions = w.Tick();
  ASSERT_THAT(actions, SizeIs(1));
  EXPECT_EQ(actions[0].node, "n1");
  EXPECT_TRUE(actions[0].mark_unknown);
  EXPECT_FALSE(actions[0].never_posted);
  w.Tick();
  ASSERT_THAT(w.nodes[0].taints, SizeIs(2));
  EXPECT_EQ(w.nodes[0].taints[0],
            (Taint{"node.kubernetes.io/unreachable", "", "NoSchedule", w.now}));
  EXPECT_EQ(w.nodes[0].taints[1],
            (Taint{"node.kubernetes.io/unreachable", "", "NoExecute", w.now}));
  EXPECT_THAT(w.Tick(), IsEmpty());
  // It comes back, not well at first.
  w.nodes[0].ready = "False";
  w.nodes[0].ready_heartbeat = w.now;
  w.Tick();
  EXPECT_EQ(w.nodes[0].taints[0].key, "node.kubernetes.io/not-ready");
  EXPECT_EQ(w.nodes[0].taints[1].key, "node.kubernetes.io/not-ready");
  w.nodes[0].ready = "True";
  w.Tick();
  EXPECT_THAT(w.nodes[0].taints, IsEmpty());
}

TEST(NodeLifecycle, ANodeThatNeverSpokeHasLonger) {
  Nodes w;
  w.nodes.push_back({.name = "n1"});
  w.Tick();
  w.now += absl::Seconds(60);
  EXPECT_THAT(w.Tick(), IsEmpty());
  w.now += absl::Seconds(1);
  const auto actions = w.Tick();
  ASSERT_THAT(actions, SizeIs(1));
  EXPECT_TRUE(actions[0].never_posted);
}

TEST(NodeLifecycle, KeepsTaintsOfOthersAndDerivesItsOwn) {
  NodeInfo node{.name = "n", .unschedulable = true, .ready = "True"};
  node.taints = {{"mine", "v", "NoSchedule"},
                 {"node.kubernetes.io/disk-pressure", "", "NoSchedule"}};
  node.pressures = {"MemoryPressure"};
  const std::vector<Taint> taints = WithNoScheduleTaints(node, kStart);
  ASSERT_THAT(taints, SizeIs(3));
  EXPECT_EQ(taints[0].key, "mine");
  EXPECT_EQ(taints[1].key, "node.kubernetes.io/unschedulable");
  EXPECT_EQ(taints[2].key, "node.kubernetes.io/memory-pressure");
}

TEST(NodeLifecycle, ZoneStates) {
  const NodeLifecycleOptions options;
  EXPECT_EQ(StateOfZone(0, 1, options), ZoneState::kFullDisruption);
  EXPECT_EQ(StateOfZone(1, 2, options), ZoneState::kNormal);
  EXPECT_EQ(StateOfZone(2, 3, options), ZoneState::kPartialDisruption);
  EXPECT_EQ(StateOfZone(3, 3, options), ZoneState::kNormal);
  EXPECT_EQ(StateOfZone(0, 0, options), ZoneState::kNormal);
}

TEST(NodeLifecycle, EvictsSlowlyAndNotWhenAllIsDown) {
  Nodes w;
  for (int i = 0; i < 10; ++i) w.Add(base::StrCat("n", i));
  for (int i = 0; i < 5; ++i) w.nodes[static_cast<size_t>(i)].ready = "False";
  for (int second = 0; second < 40; second += 5) {
    w.Tick();
    w.now += absl::Seconds(5);
  }
  EXPECT_EQ(w.Evicting(), 4u) << "one in ten seconds, the first at once";
  // More than half are down: a small zone stops.
  for (int i = 0; i < 6; ++i) w.nodes[static_cast<size_t>(i)].ready = "False";
  w.now += absl::Minutes(5);
  w.Tick();
  EXPECT_EQ(w.Evicting(), 4u);
  for (NodeInfo& node : w.nodes) node.ready = "Unknown";
  w.Tick();
  EXPECT_EQ(w.Evicting(), 0u);
  for (const NodeInfo& node : w.nodes) {
    ASSERT_THAT(node.taints, SizeIs(1)) << "no new pods there, all the same";
    EXPECT_EQ(node.taints[0].effect, "NoSchedule");
  }
}

RC_GTEST_PROP(NodeLifecycleProperty, NeverFasterThanItsRate, ()) {
  Nodes w;
  const size_t zones = *rc::gen::inRange<size_t>(1, 4);
  for (size_t i = 0; i < 12; ++i) w.Add(base::StrCat("n", i), base::StrCat("z", i % zones));
  absl::Time begin = w.now;
  size_t added = 0;
  for (int step = 0; step < 60; ++step) {
    w.nodes[*rc::gen::inRange<size_t>(0, 12)].ready =
        *rc::gen::element<std::string>("True", "False", "Unknown");
    std::vector<std::vector<Taint>> had;
    for (const NodeInfo& node : w.nodes) had.push_back(node.taints);
    w.Tick();
    for (size_t i = 0; i < 12; ++i) {
      const auto evicts = [](const std::vector<Taint>& taints) {
        return std::any_of(taints.begin(), taints.end(),
                           [](const Taint& taint) { return taint.effect == "NoExecute"; });
      };
      added += evicts(w.nodes[i].taints) && !evicts(had[i]);
      if (w.nodes[i].ready == "True") RC_ASSERT(w.nodes[i].taints.empty());
    }
    const double seconds = absl::ToDoubleSeconds(w.now - begin);
    RC_ASSERT(static_cast<double>(added) <= static_cast<double>(zones) * (1.001 + 0.1 * seconds));
    w.now += absl::Seconds(*rc::gen::inRange(0, 10));
  }
}

TEST(TaintEviction, TimesByTolerations) {
  const absl::Time added = kStart - absl::Seconds(100);
  const std::vector<Taint> taints = {{"k", "", "NoExecute", added}, {"q", "", "NoSchedule", added}};
  struct Case {
    const char* tolerations;
    absl::Time due;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"([])", absl::InfinitePast()},
           {R"([{"key":"k","operator":"Exists"}])", absl::InfiniteFuture()},
           {R"([{"key":"k","operator":"Exists","tolerationSeconds":300}])",
            added + absl::Seconds(300)},
           {R"([{"operator":"Exists","tolerationSeconds":300},
                {"key":"k","operator":"Exists","tolerationSeconds":30}])",
            added + absl::Seconds(30)},
           {R"([{"key":"k","operator":"Exists","tolerationSeconds":-5}])", added},
           {R"([{"key":"other","operator":"Exists"}])", absl::InfinitePast()},
       }) {
    EXPECT_EQ(EvictionTime(ParseJson(c.tolerations)->as_array(), taints, kStart), c.due)
        << c.tolerations;
  }
  EXPECT_EQ(EvictionTime({}, {taints[1]}, kStart), absl::InfiniteFuture());
}

TEST(PodGc, FindsWhatNobodyElseRemoves) {
  PodInfo bound{.ns = "d", .name = "bound", .node = "n1"};
  PodInfo orphan{.ns = "d", .name = "orphan", .node = "gone"};
  PodInfo waiting{.ns = "d", .name = "waiting"};
  PodInfo ending{.ns = "d", .name = "ending", .deleting = true};
  PodInfo old{.ns = "d", .name = "old", .node = "n1", .phase = PodPhase::kSucceeded};
  old.created = kStart;
  PodInfo older = old;
  older.name = "older";
  older.created = kStart - absl::Seconds(1);
  const std::vector<const PodInfo*> pods = {&bound, &orphan, &waiting, &ending, &old, &older};
  const auto has_node = [](std::string_view node) { return node == "n1"; };
  std::vector<std::string> found;
  for (const PodGarbage& each : FindPodGarbage(pods, has_node, 1)) {
    found.emplace_back(each.pod->name);
  }
  EXPECT_THAT(found, ::testing::UnorderedElementsAre("orphan", "ending", "older"));
  EXPECT_THAT(FindPodGarbage(pods, has_node, 2), SizeIs(2));
  EXPECT_THAT(FindPodGarbage(pods, has_node, 0), SizeIs(2));
}

}  // namespace
}  // namespace keel::orchestrator
