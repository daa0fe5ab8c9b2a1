// Each plugin's yes, no and why, on clusters of a few nodes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/scheduler/amounts.h"
#include "orchestrator/scheduler/testing/world.h"

namespace keel::orchestrator::sched {
namespace {

TEST(Amounts, AreReadAsKubernetesReadsThem) {
  const auto amount = [](const char* text, int64_t scale) {
    return AmountOf(json::value(text), scale);
  };
  EXPECT_EQ(amount("500m", 1000), 500);
  EXPECT_EQ(amount("0.1", 1000), 100);
  EXPECT_EQ(amount("2", 1000), 2000);
  EXPECT_EQ(amount("1n", 1000), 1);  // rounded up
  EXPECT_EQ(amount("1Gi", 1), int64_t{1} << 30);
  EXPECT_EQ(amount("1.5Gi", 1), int64_t{3} << 29);
  EXPECT_EQ(amount("1e3", 1), 1000);
  EXPECT_EQ(amount("2E", 1), 2'000'000'000'000'000'000);
  EXPECT_EQ(AmountOf(json::value(4), 1000), 4000);
  EXPECT_EQ(amount("many", 1), 0);
  EXPECT_EQ(NormalizedImage("reg:5000/web"), "reg:5000/web:latest");
  EXPECT_EQ(NormalizedImage("web:1"), "web:1");
}

TEST(Requests, CountInitContainersSidecarsAndOverhead) {
  World w;
  const auto cpu = [&](std::string_view spec) { return w.Pod("p", spec)->cls->requests.Get(kCpu); };
  const std::string c = R"({"resources":{"requests":{"cpu":"1"}}})";
  const std::string init3 = R"({"resources":{"requests":{"cpu":"3"}}})";
  const std::string sidecar =
      R"({"restartPolicy":"Always","resources":{"requests":{"cpu":"500m"}}})";
  EXPECT_EQ(cpu(base::StrCat(R"("containers":[)", c, ",", c, "]")), 2000);
  // An init container runs alone.
  EXPECT_EQ(cpu(base::StrCat(R"("containers":[)", c, R"(],"initContainers":[)", init3, "]")), 3000);
  // Beside the sidecars that came before it.
  EXPECT_EQ(cpu(base::StrCat(R"("containers":[)", c, R"(],"initContainers":[)", sidecar, ",", init3,
                             "]")),
            3500);
  EXPECT_EQ(cpu(base::StrCat(R"("containers":[)", c, R"(],"initContainers":[)", init3, ",", sidecar,
                             "]")),
            3000);
  EXPECT_EQ(cpu(base::StrCat(R"("containers":[)", c, R"(],"initContainers":[)", sidecar, "]")),
            1500);
  EXPECT_EQ(cpu(base::StrCat(R"("overhead":{"cpu":"250m"},"containers":[)", c, "]")), 1250);
  // What the pod as a whole asks for stands instead.
  EXPECT_EQ(cpu(base::StrCat(R"("resources":{"requests":{"cpu":"700m"}},"containers":[)", c, "]")),
            700);
}

TEST(NodeResourcesFit, SaysWhatIsShort) {
  World w;
  w.Node("n1", "", "", R"("cpu":"2","memory":"1Gi","pods":"2","example.com/gpu":"1")");
  const auto ask = [&](std::string_view requests) {
    return w.Schedule(
        w.Pod("p", base::StrCat(R"("containers":[{"resources":{"requests":{)", requests, "}}}]")));
  };
  EXPECT_EQ(ask(R"("cpu":"2","memory":"1Gi","example.com/gpu":"1")"), "n1");
  EXPECT_EQ(ask(R"("cpu":"2001m")"), "");
  EXPECT_EQ(w.reasons(), "0/1 nodes are available: 1 Insufficient cpu.");
  EXPECT_EQ(ask(R"("cpu":"3","memory":"2Gi")"), "");
  EXPECT_EQ(w.reasons(), "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.");
  EXPECT_EQ(ask(R"("example.com/gpu":"2")"), "");
  EXPECT_EQ(w.message(),
            "0/1 nodes are available: 1 Insufficient example.com/gpu. preemption: 0/1 nodes are "
            "available: 1 Preemption is not helpful for scheduling.");
  w.Place("a", "n1");
  w.Place("b", "n1");
  EXPECT_EQ(ask(""), "");
  EXPECT_EQ(w.message(),
            "0/1 nodes are available: 1 Too many pods. preemption: 0/1 nodes are available: 1 No "
            "preemption victims found for incoming pod.");
  w.cluster.Remove("default/a");
  EXPECT_EQ(ask(""), "n1");
}

TEST(NodeResourcesFit, PrefersTheEmptier) {
  World w;
  w.Node("full");
  w.Node("empty");
  w.Place("a", "full", World::Requests("1", "2Gi"));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(w.Schedule(w.Pod("p", World::Requests("100m", "100Mi"))), "empty");
  }
}

struct NodeCase {
  std::string name, meta, spec, pod_spec, reason;  // an empty reason: fits
};
class OneNode : public testing::TestWithParam<NodeCase> {};
TEST_P(OneNode, FitsOrSaysWhy) {
  const NodeCase& c = GetParam();
  World w;
  w.Node("n1", c.meta, c.spec);
  EXPECT_EQ(w.Schedule(w.Pod("p", c.pod_spec)), c.reason.empty() ? "n1" : "");
  if (!c.reason.empty()) {
    EXPECT_EQ(w.reasons(), base::StrCat("0/1 nodes are available: ", c.reason, "."));
  }
}
const std::string kTaint = R"("taints":[{"key":"k","value":"v","effect":"NoSchedule"}])";
const std::string kLabels = R"("labels":{"disk":"ssd","cores":"8"})";
std::string Required(std::string_view term) {
  return base::StrCat(
      R"("affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":)",
      R"({"nodeSelectorTerms":[)", term, "]}}}");
}
std::string Expression(std::string_view key, std::string_view op, std::string_view values) {
  return base::StrCat(R"({"matchExpressions":[{"key":")", key, R"(","operator":")", op,
                      R"(","values":[)", values, "]}]}");
}
const std::string kNoAffinity = "1 node(s) didn't match Pod's node affinity/selector";
INSTANTIATE_TEST_SUITE_P(
    Nodes, OneNode,
    testing::Values(
        NodeCase{"cordoned", "", R"("unschedulable":true)", "", "1 node(s) were unschedulable"},
        NodeCase{
            "cordoned, tolerated", "", R"("unschedulable":true)",
            R"("tolerations":[{"key":"node.kubernetes.io/unschedulable","operator":"Exists"}])",
            ""},
        NodeCase{"taint", "", kTaint, "", "1 node(s) had untolerated taint {k: v}"},
        NodeCase{"taint, equal", "", kTaint,
                 R"("tolerations":[{"key":"k","operator":"Equal","value":"v"}])", ""},
        NodeCase{"taint, other value", "", kTaint, R"("tolerations":[{"key":"k","value":"w"}])",
                 "1 node(s) had untolerated taint {k: v}"},
        NodeCase{"taint, other effect", "", kTaint,
                 R"("tolerations":[{"key":"k","operator":"Exists","effect":"NoExecute"}])",
                 "1 node(s) had untolerated taint {k: v}"},
        NodeCase{"taint, everything", "", kTaint, R"("tolerations":[{"operator":"Exists"}])", ""},
        NodeCase{"taint, soft", "", R"("taints":[{"key":"k","effect":"PreferNoSchedule"}])", "",
                 ""},
        NodeCase{"taint without value", "",
                 R"("taints":[{"key":"node.kubernetes.io/not-ready","effect":"NoExecute"}])", "",
                 "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }"},
        NodeCase{"selector", kLabels, "", R"("nodeSelector":{"disk":"ssd"})", ""},
        NodeCase{"selector, other", kLabels, "", R"("nodeSelector":{"disk":"hdd"})", kNoAffinity},
        NodeCase{"in", kLabels, "", Required(Expression("disk", "In", R"("hdd","ssd")")), ""},
        NodeCase{"not in", kLabels, "", Required(Expression("disk", "NotIn", R"("ssd")")),
                 kNoAffinity},
        NodeCase{"exists", kLabels, "", Required(Expression("gpu", "Exists", "")), kNoAffinity},
        NodeCase{"greater", kLabels, "", Required(Expression("cores", "Gt", R"("7")")), ""},
        NodeCase{"less", kLabels, "", Required(Expression("cores", "Lt", R"("8")")), kNoAffinity},
        NodeCase{"any term", kLabels, "",
                 Required(base::StrCat(Expression("gpu", "Exists", ""), ",",
                                       Expression("disk", "Exists", ""))),
                 ""},
        NodeCase{"empty term", kLabels, "", Required("{}"), kNoAffinity},
        NodeCase{
            "named", "", "",
            Required(
                R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["n1"]}]})"),
            ""},
        NodeCase{
            "another named", "", "",
            Required(
                R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["n2"]}]})"),
            "1 node(s) didn't satisfy plugin(s) [NodeAffinity]"},
        NodeCase{"claim unknown", "", "",
                 R"("volumes":[{"name":"d","persistentVolumeClaim":{"claimName":"data"}}])",
                 "persistentvolumeclaim \"data\" not found"}),
    [](const auto& param) {
      std::string name = param.param.name;
      std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
      return name;
    });

TEST(NodePorts, OfOneNodeAreTakenOnce) {
  World w;
  w.Node("n1");
  const auto port = [](std::string_view rest) {
    return base::StrCat(R"("containers":[{"ports":[{"containerPort":80,"hostPort":80)", rest,
                        "}]}]");
  };
  w.Place("a", "n1", port(R"(,"hostIP":"10.0.0.1")"));
  EXPECT_EQ(w.Schedule(w.Pod("p", port(""))), "");
  EXPECT_EQ(
      w.reasons(),
      "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.");
  EXPECT_EQ(w.Schedule(w.Pod("p", port(R"(,"hostIP":"10.0.0.2")"))), "n1");
  EXPECT_EQ(w.Schedule(w.Pod("p", port(R"(,"protocol":"UDP")"))), "n1");
  w.cluster.Remove("default/a");
  EXPECT_EQ(w.Schedule(w.Pod("p", port(""))), "n1");
}

std::string PodTerm(std::string_view kind, std::string_view key, std::string_view rest = "") {
  return base::StrCat(R"("affinity":{")", kind,
                      R"(":{"requiredDuringSchedulingIgnoredDuringExecution":[{"topologyKey":")",
                      key, R"(","labelSelector":{"matchLabels":{"app":"web"}})", rest, "}]}}");
}
const char kWeb[] = R"("app":"web")";

TEST(InterPodAffinity, FollowsPodsThroughTheirZones) {
  World w;
  w.Node("a1", R"("labels":{"zone":"a"})");
  w.Node("a2", R"("labels":{"zone":"a"})");
  w.Node("b1", R"("labels":{"zone":"b"})");
  w.Node("x1");
  const std::string near = PodTerm("podAffinity", "zone"),
                    away = PodTerm("podAntiAffinity", "zone");
  // Nobody to be near to, and not one of them itself.
  EXPECT_EQ(w.Schedule(w.Pod("p", near)), "");
  EXPECT_EQ(w.reasons(), "0/4 nodes are available: 4 node(s) didn't match pod affinity rules.");
  // The first of its own group goes anywhere with the key.
  EXPECT_NE(w.Schedule(w.Pod("p", near, kWeb)), "");
  EXPECT_NE(w.Schedule(w.Pod("p", near, kWeb)), "x1");

  w.Place("web", "b1", "", kWeb);
  EXPECT_EQ(w.Schedule(w.Pod("p", near)), "b1");
  EXPECT_EQ(w.Schedule(w.Pod("p", near, kWeb)), "b1");
  // Other namespaces' pods do not count unless asked for.
  EXPECT_EQ(w.Schedule(w.Pod("p", near, "", "other")), "");
  EXPECT_EQ(w.Schedule(w.Pod("p", PodTerm("podAffinity", "zone", R"(,"namespaces":["default"])"),
                             "", "other")),
            "b1");
  EXPECT_EQ(w.Schedule(w.Pod("p", PodTerm("podAffinity", "zone", R"(,"namespaceSelector":{})"), "",
                             "other")),
            "b1");
  const std::string team =
      PodTerm("podAffinity", "zone", R"(,"namespaceSelector":{"matchLabels":{"team":"x"}})");
  EXPECT_EQ(w.Schedule(w.Pod("p", team, "", "other")), "");
  w.cluster.SetNamespace("default", World::Json(R"({"team":"x"})"));
  EXPECT_EQ(w.Schedule(w.Pod("p", team, "", "other")), "b1");

  for (int i = 0; i < 20; ++i) EXPECT_NE(w.Schedule(w.Pod("p", away)), "b1");
  w.Place("web2", "a1", "", kWeb);
  EXPECT_EQ(w.Schedule(w.Pod("p", away)), "x1");
  w.cluster.RemoveNode("x1");
  EXPECT_EQ(w.Schedule(w.Pod("p", away)), "");
  EXPECT_EQ(w.reasons(),
            "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.");
}

TEST(InterPodAffinity, HoldsWhatPodsThatAreThereAskFor) {
  World w;
  w.Node("a1", R"("labels":{"zone":"a"})");
  w.Place("alone", "a1", PodTerm("podAntiAffinity", "zone"));
  EXPECT_EQ(w.Schedule(w.Pod("p", "", kWeb)), "");
  EXPECT_EQ(w.reasons(),
            "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.");
  EXPECT_EQ(w.Schedule(w.Pod("p", "", R"("app":"db")")), "a1");
  // The node's label goes, and with it the zone.
  w.Node("a1");
  EXPECT_EQ(w.Schedule(w.Pod("p", "", kWeb)), "a1");
}

TEST(InterPodAffinity, SeveralTermsAreMetByTheSamePods) {
  World w;
  w.Node("a1", R"("labels":{"zone":"a"})");
  const std::string both =
      R"("affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[)"
      R"({"topologyKey":"zone","labelSelector":{"matchLabels":{"app":"web"}}},)"
      R"({"topologyKey":"zone","labelSelector":{"matchLabels":{"tier":"1"}}}]}})";
  w.Place("web", "a1", "", kWeb);
  w.Place("tier", "a1", "", R"("tier":"1")");
  EXPECT_EQ(w.Schedule(w.Pod("p", both)), "");
  w.Place("full", "a1", "", R"("app":"web","tier":"1")");
  EXPECT_EQ(w.Schedule(w.Pod("p", both)), "a1");
}

TEST(InterPodAffinity, PreferencesDecideBetweenEquals) {
  World w;
  w.Node("a1", R"("labels":{"zone":"a"})");
  w.Node("b1", R"("labels":{"zone":"b"})");
  w.Place("web", "b1", "", kWeb);
  const auto preferred = [](std::string_view kind) {
    return base::StrCat(R"("affinity":{")", kind,
                        R"(":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,)"
                        R"("podAffinityTerm":{"topologyKey":"zone","labelSelector":{"matchLabels":)"
                        R"({"app":"web"}}}}]}})");
  };
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(w.Schedule(w.Pod("p", preferred("podAffinity"))), "b1");
    EXPECT_EQ(w.Schedule(w.Pod("p", preferred("podAntiAffinity"))), "a1");
  }
}

std::string Spread(std::string_view key, std::string_view rest = "") {
  return base::StrCat(R"("topologySpreadConstraints":[{"maxSkew":1,"topologyKey":")", key,
                      R"(","whenUnsatisfiable":"DoNotSchedule",)"
                      R"("labelSelector":{"matchLabels":{"app":"web"}})",
                      rest, "}]");
}

TEST(PodTopologySpread, KeepsDomainsEven) {
  World w;
  for (const char* zone : {"a", "b", "c"}) {
    for (const char* n : {"1", "2"}) {
      w.Node(base::StrCat(zone, n), base::StrCat(R"("labels":{"zone":")", zone, R"("})"));
    }
  }
  std::map<char, int> count;
  for (int i = 0; i < 30; ++i) {
    const std::string node = w.ScheduleAndPlace(w.Pod(base::StrCat("p", i), Spread("zone"), kWeb));
    ASSERT_NE(node, "") << w.message();
    ++count[node[0]];
    const auto [least, most] = std::minmax({count['a'], count['b'], count['c']});
    ASSERT_LE(most - least, 1);
  }
  // A node without the key is no domain, and takes none of them.
  w.Node("x1");
  w.Node("c1", R"("labels":{"zone":"c"})", R"("unschedulable":true)");
  w.Node("c2", R"("labels":{"zone":"c"})", R"("unschedulable":true)");
  EXPECT_NE(w.ScheduleAndPlace(w.Pod("q1", Spread("zone"), kWeb)), "");
  EXPECT_NE(w.ScheduleAndPlace(w.Pod("q2", Spread("zone"), kWeb)), "");
  EXPECT_EQ(w.ScheduleAndPlace(w.Pod("q3", Spread("zone"), kWeb)), "");
  EXPECT_EQ(w.reasons(),
            "0/7 nodes are available: 1 node(s) didn't match pod topology spread constraints "
            "(missing required label), 2 node(s) were unschedulable, 4 node(s) didn't match pod "
            "topology spread constraints.");
}

TEST(PodTopologySpread, CountsOnlyNodesThePodCouldUse) {
  World w;
  w.Node("a1", R"("labels":{"zone":"a","disk":"ssd"})");
  w.Node("b1", R"("labels":{"zone":"b"})");
  w.Place("w1", "a1", "", kWeb);
  EXPECT_EQ(w.Schedule(w.Pod("p", Spread("zone"), kWeb)), "b1");
  const std::string ssd = base::StrCat(R"("nodeSelector":{"disk":"ssd"},)", Spread("zone"));
  EXPECT_EQ(w.Schedule(w.Pod("p", ssd, kWeb)), "a1");
  const std::string ignore = base::StrCat(R"("nodeSelector":{"disk":"ssd"},)",
                                          Spread("zone", R"(,"nodeAffinityPolicy":"Ignore")"));
  EXPECT_EQ(w.Schedule(w.Pod("p", ignore, kWeb)), "");
  // Fewer domains than asked for count as if one were empty.
  EXPECT_EQ(w.Schedule(w.Pod("p", Spread("zone", R"(,"minDomains":3)"), kWeb)), "b1");
  w.Place("w2", "b1", "", kWeb);
  EXPECT_EQ(w.Schedule(w.Pod("p", Spread("zone", R"(,"minDomains":3)"), kWeb)), "");
  // Pods that are being deleted do not count.
  w.Place("w2", "b1", "", kWeb, "default", R"("deletionTimestamp":"2026-01-01T00:00:00Z")");
  EXPECT_EQ(w.Schedule(w.Pod("p", Spread("zone"), kWeb)), "b1");
}

TEST(ImageLocality, PrefersNodesThatHaveTheImage) {
  World w;
  w.Node("with");
  w.Node("without");
  json::object node = World::NodeJson("with", "", "", R"("cpu":"4","memory":"8Gi","pods":"110")");
  *Ensure(node, {"status", "images"}) =
      World::Json(R"({"a":[{"names":["big"],"sizeBytes":900000000}]})").at("a");
  w.cluster.SetNode(ParseNode(node, w.words));
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(w.Schedule(w.Pod("p", R"("containers":[{"image":"big:latest"}])")), "with");
  }
}

TEST(VolumeBinding, GoesWhereTheVolumeIs) {
  World w;
  w.Node("n1", R"("labels":{"topology.kubernetes.io/zone":"a"})");
  w.Node("n2", R"("labels":{"topology.kubernetes.io/zone":"b"})");
  const PodPtr pod =
      w.Pod("p", R"("volumes":[{"name":"d","persistentVolumeClaim":{"claimName":"data"}}])");
  const auto set_claim = [&](std::string_view volume, std::string_view storage_class) {
    w.cluster.volumes().SetClaim("default/data", {std::string(volume), std::string(storage_class)});
    w.cluster.VolumesChanged();
  };
  set_claim("", "slow");
  EXPECT_EQ(w.Schedule(pod), "");
  EXPECT_EQ(
      w.message(),
      "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: "
      "0/2 nodes are available: 2 Preemption is not helpful for scheduling.");
  w.cluster.volumes().SetWaits("late", true);
  set_claim("", "late");
  EXPECT_NE(w.Schedule(pod), "");
  w.cluster.volumes().SetVolume(
      "pv1", ParseVolume(World::Json(R"({"spec":{"nodeAffinity":{"required":{"nodeSelectorTerms":[)"
                                     R"({"matchFields":[{"key":"metadata.name","operator":"In",)"
                                     R"("values":["n2"]}]}]}}}})"),
                         w.words.symbols));
  set_claim("pv1", "slow");
  EXPECT_EQ(w.Schedule(pod), "n2");
  w.cluster.volumes().SetVolume(
      "pv1",
      ParseVolume(World::Json(R"({"metadata":{"labels":{"topology.kubernetes.io/zone":"c__a"}}})"),
                  w.words.symbols));
  w.cluster.VolumesChanged();
  EXPECT_EQ(w.Schedule(pod), "n1");
  w.Node("n1", R"("labels":{"topology.kubernetes.io/zone":"b"})");
  EXPECT_EQ(w.Schedule(pod), "");
  EXPECT_EQ(w.reasons(), "0/2 nodes are available: 2 node(s) had no available volume zone.");
}

TEST(TaintToleration, SoftTaintsCountAgainstANode) {
  World w;
  w.Node("soft", "", R"("taints":[{"key":"k","effect":"PreferNoSchedule"}])");
  w.Node("clean");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(w.Schedule(w.Pod("p")), "clean");
}

TEST(NodeAffinity, PreferencesDecideBetweenEquals) {
  World w;
  w.Node("n1");
  w.Node("n2", kLabels);
  const std::string prefer = base::StrCat(
      R"("affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":)",
      R"([{"weight":10,"preference":)", Expression("disk", "In", R"("ssd")"), "}]}}");
  for (int i = 0; i < 8; ++i) EXPECT_EQ(w.Schedule(w.Pod("p", prefer)), "n2");
}

}  // namespace
}  // namespace keel::orchestrator::sched
