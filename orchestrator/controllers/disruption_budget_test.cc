#include "orchestrator/controllers/disruption_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/strings.h"
#include "orchestrator/controllers/disruption_controller.h"
#include "orchestrator/controllers/testing/controller_rig.h"

namespace keel::orchestrator {
namespace {

json::object StatusOf(std::string_view spec, const std::vector<PodInfo>& pods, int64_t replicas,
                      std::string_view status = "{}") {
  json::object budget{{"spec", *ParseJson(spec)}, {"status", *ParseJson(status)}};
  std::vector<const PodInfo*> pointers;
  for (const PodInfo& pod : pods) pointers.push_back(&pod);
  const Plan plan =
      ReconcileBudget({.budget = budget,
                       .pods = pointers,
                       .scale_of = [&](const PodInfo& pod) -> std::optional<BudgetState::Scale> {
                         if (pod.owner.uid.empty()) return std::nullopt;
                         return BudgetState::Scale{std::string(pod.owner.uid), replicas};
                       },
                       .now = absl::FromUnixSeconds(1'800'000'000)});
  return plan.status.value_or(json::object());
}

std::vector<PodInfo> Pods(int ready, int not_ready) {
  std::vector<PodInfo> pods;
  for (int i = 0; i < ready + not_ready; ++i) {
    PodInfo pod{.name = base::StrCat("p", i), .ready = i < ready};
    pod.owner.uid = "u";
    pods.push_back(std::move(pod));
  }
  return pods;
}

TEST(DisruptionBudget, Counts) {
  struct Case {
    const char* spec;
    int ready, not_ready;
    int64_t replicas, allowed, desired, expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"({"minAvailable":2})", 3, 0, 3, 1, 2, 3},
           {R"({"minAvailable":2})", 1, 2, 3, 0, 2, 3},
           {R"({"minAvailable":0})", 3, 0, 3, 3, 0, 3},
           {R"({"minAvailable":"50%"})", 5, 0, 5, 2, 3, 5},
           {R"({"minAvailable":"100%"})", 5, 0, 5, 0, 5, 5},
           {R"({"maxUnavailable":1})", 3, 0, 3, 1, 2, 3},
           {R"({"maxUnavailable":1})", 2, 0, 3, 0, 2, 3},
           {R"({"maxUnavailable":"50%"})", 5, 0, 5, 3, 2, 5},
           {R"({"maxUnavailable":9})", 2, 1, 3, 2, 0, 3},
           {R"({"minAvailable":1})", 0, 0, 0, 0, 1, 0},
       }) {
    const json::object status = StatusOf(c.spec, Pods(c.ready, c.not_ready), c.replicas);
    EXPECT_EQ(IntAt(status, {"disruptionsAllowed"}), c.allowed) << c.spec << c.ready;
    EXPECT_EQ(IntAt(status, {"desiredHealthy"}), c.desired) << c.spec;
    EXPECT_EQ(IntAt(status, {"expectedPods"}), c.expected) << c.spec;
    EXPECT_EQ(IntAt(status, {"currentHealthy"}), c.ready) << c.spec;
    const json::value& condition = ArrayAt(status, {"conditions"}).at(0);
    EXPECT_EQ(StringAt(condition, {"reason"}),
              c.allowed > 0 ? "SufficientPods" : "InsufficientPods");
  }
}

TEST(DisruptionBudget, WithoutAControllerSharesCannotBeCounted) {
  std::vector<PodInfo> pods = Pods(2, 0);
  for (PodInfo& pod : pods) pod.owner = {};
  const json::object status = StatusOf(R"({"maxUnavailable":1})", pods, 2);
  EXPECT_EQ(IntAt(status, {"disruptionsAllowed"}), 0);
  EXPECT_EQ(StringAt(ArrayAt(status, {"conditions"}).at(0), {"reason"}), "SyncFailed");
}

TEST(DisruptionBudget, GrantedEvictionsCountUntilTheyAreSeen) {
  const json::object status = StatusOf(
      R"({"minAvailable":1})", Pods(3, 0), 3,
      R"({"disruptedPods":{"p0":"2027-01-15T07:59:59Z","p1":"2027-01-15T07:00:00Z","x":"2027-01-15T07:59:59Z"}})");
  EXPECT_EQ(IntAt(status, {"currentHealthy"}), 2);
  EXPECT_EQ(IntAt(status, {"disruptionsAllowed"}), 1);
  EXPECT_EQ(ObjectAt(status, {"disruptedPods"}).size(), 1u);
}

RC_GTEST_PROP(DisruptionBudgetProperty, NeverAllowsBelowWhatIsDesired, (bool percent, bool max)) {
  const int ready = *rc::gen::inRange(0, 12), other = *rc::gen::inRange(0, 6);
  const int n = *rc::gen::inRange(0, 101);
  const std::string spec =
      base::StrCat("{\"", max ? "maxUnavailable" : "minAvailable",
                   "\":", percent ? base::StrCat("\"", n, "%\"") : base::StrCat(n % 12), "}");
  const json::object status = StatusOf(spec, Pods(ready, other), ready + other);
  const int64_t allowed = IntAt(status, {"disruptionsAllowed"});
  RC_ASSERT(allowed >= 0 && allowed <= ready);
  if (allowed > 0) RC_ASSERT(ready - allowed >= IntAt(status, {"desiredHealthy"}));
}

TEST(DisruptionController, FindsTheDeploymentsScale) {
  ControllerRig rig;
  DisruptionController controller(rig.context);
  rig.Start(controller);
  const std::string deployment(
      UidOf(rig.api.Put({"apps", "v1", "deployments"},
                        R"({"metadata":{"name":"web","namespace":"d"},"spec":{"replicas":4}})")));
  const auto owned = [&](const char* kind, std::string_view name, std::string_view uid) {
    return json::array{
        json::object{{"kind", kind}, {"name", name}, {"uid", uid}, {"controller", true}}};
  };
  json::object set{{"metadata", {{"name", "web-1"}, {"namespace", "d"}}},
                   {"spec", {{"replicas", 2}}}};
  *Ensure(set, {"metadata", "ownerReferences"}) = owned("Deployment", "web", deployment);
  const std::string set_uid(UidOf(rig.api.Put({"apps", "v1", "replicasets"}, set)));
  for (const char* name : {"a", "b", "c"}) {
    json::object pod{{"metadata", {{"name", name}, {"namespace", "d"}, {"labels", {{"a", "b"}}}}}};
    *Ensure(pod, {"metadata", "ownerReferences"}) = owned("ReplicaSet", "web-1", set_uid);
    rig.SetPhase(rig.api.Put(kPods, pod), "Running");
  }
  rig.api.Put({"policy", "v1", "poddisruptionbudgets"},
              R"({"metadata":{"name":"pdb","namespace":"d"},"spec":{"maxUnavailable":"50%",
      "selector":{"matchLabels":{"a":"b"}}}})");
  rig.Settle();
  const json::object& budget =
      *rig.api.Stored({"policy", "v1", "poddisruptionbudgets"}, "d", "pdb");
  EXPECT_EQ(IntAt(budget, {"status", "expectedPods"}), 4);
  EXPECT_EQ(IntAt(budget, {"status", "disruptionsAllowed"}), 1);
}

}  // namespace
}  // namespace keel::orchestrator
