#include <gtest/gtest.h>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/pod_resources.h"
#include "orchestrator/api/quota_usage.h"
#include "orchestrator/apiserver/access/default_roles.h"
#include "orchestrator/apiserver/access/fake_view.h"
#include "orchestrator/apiserver/access/gates.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

class AdmissionTest : public testing::Test {
 protected:
  AdmissionTest() {
    view_.Put("namespaces", R"({"metadata":{"name":"x"}})");
    view_.Put("serviceaccounts", R"({"metadata":{"name":"default","namespace":"x"}})");
    Open({});
  }
  void Open(std::vector<std::string> disabled) {
    gates_ = Gates::Create({.disable_admission_plugins = std::move(disabled)}, view_).value();
  }
  struct Outcome {
    std::string error;  // empty: admitted
    json::object object;
    std::vector<SideWrite> side_writes;
  };
  // As the server does: mutations first, then checks.
  Outcome Admit(const std::string& resource, std::string_view text, std::string ns = "x",
                std::string group = "", bool dry_run = false) {
    Outcome out;
    out.object = ParseJson(text)->as_object();
    auto kind = std::make_shared<Kind>();
    kind->group = group;
    kind->version = "v1";
    kind->plural = resource;
    AdmissionRequest request{
        .attributes = Ask(Someone("root", {"system:masters"}), "create", resource, std::move(ns),
                          std::string(StringAt(out.object, {"metadata", "name"})), group),
        .kind = kind,
        .dry_run = dry_run,
        .object = &out.object};
    absl::Status status = gates_->admission().Mutate(request);
    if (status.ok()) status = gates_->admission().Validate(request);
    if (!status.ok()) out.error = ApiErrorOf(status).message;
    out.side_writes = std::move(request.side_writes);
    return out;
  }
  Outcome Pod(std::string_view spec) {
    return Admit("pods", StrCat(R"({"metadata":{"name":"p","namespace":"x"},"spec":)", spec, "}"));
  }
  // What a server does with a pod that was admitted.
  void Commit(const Outcome& outcome, const std::string& name) {
    json::object pod = outcome.object;
    *Ensure(pod, {"metadata", "name"}) = name;
    view_.Put("pods", std::move(pod));
    for (const SideWrite& write : outcome.side_writes) {
      view_.Put("resourcequotas", write.value);
    }
  }

  FakeView view_;
  std::unique_ptr<Gates> gates_;
};

constexpr char kPlainPod[] = R"({"containers":[{"name":"c"}]})";

TEST_F(AdmissionTest, NamespacesMustBeThereAndStay) {
  EXPECT_EQ(Pod(kPlainPod).error, "");
  EXPECT_EQ(Admit("configmaps", R"({"metadata":{"name":"c"}})", "y").error,
            "namespaces \"y\" not found");
  EXPECT_EQ(Admit("namespaces", R"({"metadata":{"name":"y"}})", "").error, "");
  view_.Put("namespaces",
            R"({"metadata":{"name":"z","deletionTimestamp":"2026-01-01T00:00:00Z"}})");
  EXPECT_EQ(Admit("configmaps", R"({"metadata":{"name":"c"}})", "z").error,
            "configmaps \"c\" is forbidden: unable to create new content in namespace z because "
            "it is being terminated");
  const auto remove = [&](const std::string& name) {
    AdmissionRequest request{.attributes = Ask(Someone("root"), "delete", "namespaces", "", name)};
    const absl::Status status = gates_->admission().Validate(request);
    return status.ok() ? "ok" : ApiErrorOf(status).message;
  };
  EXPECT_EQ(remove("kube-system"),
            "namespaces \"kube-system\" is forbidden: this namespace may not be deleted");
  EXPECT_EQ(remove("x"), "ok");
}

TEST_F(AdmissionTest, PodsRunAsServiceAccounts) {
  const Outcome out = Pod(R"({"containers":[{"name":"c"},{"name":"own","volumeMounts":[
      {"name":"mine","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}],
      "initContainers":[{"name":"i"}]})");
  ASSERT_EQ(out.error, "");
  EXPECT_EQ(StringAt(out.object, {"spec", "serviceAccountName"}), "default");
  EXPECT_EQ(StringAt(out.object, {"spec", "serviceAccount"}), "default");
  const json::array& volumes = ArrayAt(out.object, {"spec", "volumes"});
  ASSERT_EQ(volumes.size(), 1u);
  const std::string name(StringAt(volumes[0], {"name"}));
  EXPECT_TRUE(name.starts_with("kube-api-access-")) << name;
  EXPECT_EQ(name.size(), std::string_view("kube-api-access-xxxxx").size());
  EXPECT_EQ(
      ToJson(volumes[0].at("projected")),
      R"({"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},)"
      R"({"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},)"
      R"({"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1",)"
      R"("fieldPath":"metadata.namespace"}}]}}],"defaultMode":420})");
  const json::value& first = ArrayAt(out.object, {"spec", "containers"})[0];
  EXPECT_EQ(ToJson(first.at("volumeMounts")),
            StrCat(R"([{"name":")", name,
                   R"(","readOnly":true,"mountPath":)"
                   R"("/var/run/secrets/kubernetes.io/serviceaccount"}])"));
  EXPECT_EQ(ArrayAt(ArrayAt(out.object, {"spec", "containers"})[1], {"volumeMounts"}).size(), 1u);
  EXPECT_EQ(ArrayAt(ArrayAt(out.object, {"spec", "initContainers"})[0], {"volumeMounts"}).size(),
            1u);

  EXPECT_EQ(Pod(R"({"serviceAccountName":"robot","containers":[]})").error,
            "pods \"p\" is forbidden: error looking up service account x/robot: serviceaccount "
            "\"robot\" not found");
  const Outcome without = Pod(R"({"automountServiceAccountToken":false,"containers":[{}]})");
  EXPECT_TRUE(ArrayAt(without.object, {"spec", "volumes"}).empty());
  view_.Put("serviceaccounts", R"({"metadata":{"name":"robot","namespace":"x"},
      "automountServiceAccountToken":false,"imagePullSecrets":[{"name":"pull"}]})");
  const Outcome robot = Pod(R"({"serviceAccountName":"robot","containers":[{}]})");
  EXPECT_TRUE(ArrayAt(robot.object, {"spec", "volumes"}).empty());
  EXPECT_EQ(ToJson(*Find(robot.object, {"spec", "imagePullSecrets"})), R"([{"name":"pull"}])");
}

TEST_F(AdmissionTest, PrioritiesComeFromClasses) {
  EXPECT_EQ(IntAt(Pod(kPlainPod).object, {"spec", "priority"}, -1), 0);
  EXPECT_EQ(
      IntAt(Pod(R"({"priorityClassName":"system-node-critical"})").object, {"spec", "priority"}),
      2000001000);
  EXPECT_EQ(Pod(R"({"priorityClassName":"high"})").error,
            "pods \"p\" is forbidden: no PriorityClass with name high was found");
  view_.Put("priorityclasses.scheduling.k8s.io",
            R"({"metadata":{"name":"high"},"value":1000,"preemptionPolicy":"Never"})");
  const Outcome high = Pod(R"({"priorityClassName":"high"})");
  EXPECT_EQ(IntAt(high.object, {"spec", "priority"}), 1000);
  EXPECT_EQ(StringAt(high.object, {"spec", "preemptionPolicy"}), "Never");
  EXPECT_NE(Pod(R"({"priorityClassName":"high","priority":5})").error.find("(5) must not be"),
            std::string::npos);
  view_.Put("priorityclasses.scheduling.k8s.io",
            R"({"metadata":{"name":"usual"},"value":7,"globalDefault":true})");
  const Outcome usual = Pod(kPlainPod);
  EXPECT_EQ(StringAt(usual.object, {"spec", "priorityClassName"}), "usual");
  EXPECT_EQ(IntAt(usual.object, {"spec", "priority"}), 7);
  EXPECT_NE(Admit("priorityclasses", R"({"metadata":{"name":"b"},"value":8,"globalDefault":true})",
                  "", "scheduling.k8s.io")
                .error.find("PriorityClass usual is already marked as default"),
            std::string::npos);
}

TEST_F(AdmissionTest, TolerationsAndStorageGetTheirDefaults) {
  EXPECT_EQ(ToJson(*Find(Pod(R"({"tolerations":[{"key":"node.kubernetes.io/not-ready",
                               "effect":"NoExecute","tolerationSeconds":5}]})")
                             .object,
                         {"spec", "tolerations"})),
            R"([{"key":"node.kubernetes.io/not-ready","effect":"NoExecute","tolerationSeconds":5},)"
            R"({"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute",)"
            R"("tolerationSeconds":300}])");
  const auto tolerates_all = Pod(R"({"tolerations":[{"operator":"Exists"}]})");
  EXPECT_EQ(ArrayAt(tolerates_all.object, {"spec", "tolerations"}).size(), 1u);

  const auto claim = [&](std::string_view spec) {
    return Admit("persistentvolumeclaims",
                 StrCat(R"({"metadata":{"name":"c","namespace":"x"},"spec":)", spec, "}"))
        .object;
  };
  EXPECT_EQ(Find(claim("{}"), {"spec", "storageClassName"}), nullptr);
  EXPECT_EQ(ToJson(*Find(claim("{}"), {"metadata", "finalizers"})),
            R"(["kubernetes.io/pvc-protection"])");
  for (const auto& [name, created] :
       {std::pair{"old", "2025-01-01T00:00:00Z"}, std::pair{"new", "2026-01-01T00:00:00Z"}}) {
    view_.Put(
        "storageclasses.storage.k8s.io",
        StrCat(R"({"metadata":{"name":")", name, R"(","creationTimestamp":")", created,
               R"(","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}}})"));
  }
  EXPECT_EQ(StringAt(claim("{}"), {"spec", "storageClassName"}), "new");
  EXPECT_EQ(StringAt(claim(R"({"storageClassName":""})"), {"spec", "storageClassName"}), "");
}

TEST_F(AdmissionTest, LimitRangesFillInAndBound) {
  view_.Put("limitranges", R"({"metadata":{"name":"l","namespace":"x"},"spec":{"limits":[
      {"type":"Container","default":{"cpu":"500m"},"defaultRequest":{"cpu":"100m","memory":"64Mi"},
       "min":{"cpu":"50m"},"max":{"cpu":"1"},"maxLimitRequestRatio":{"cpu":"8"}},
      {"type":"Pod","max":{"cpu":"1500m"}},
      {"type":"PersistentVolumeClaim","min":{"storage":"1Gi"},"max":{"storage":"10Gi"}}]}})");
  const Outcome out = Pod(kPlainPod);
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(ToJson(*Find(ArrayAt(out.object, {"spec", "containers"})[0], {"resources"})),
            R"({"requests":{"cpu":"100m","memory":"64Mi"},"limits":{"cpu":"500m"}})");
  EXPECT_EQ(StringAt(out.object, {"metadata", "annotations", "kubernetes.io/limit-ranger"}),
            "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container "
            "c");
  const auto pod = [&](const char* requests, const char* limits) {
    return Pod(StrCat(R"({"containers":[{"name":"c","resources":{"requests":{"cpu":")", requests,
                      R"("},"limits":{"cpu":")", limits, R"("}}}]})"))
        .error;
  };
  EXPECT_EQ(pod("100m", "800m"), "");
  EXPECT_EQ(pod("20m", "100m"),
            "pods \"p\" is forbidden: minimum cpu usage per Container is 50m, but request is 20m");
  EXPECT_EQ(pod("1", "1200m"),
            "pods \"p\" is forbidden: maximum cpu usage per Container is 1, but limit is 1200m");
  EXPECT_EQ(pod("100m", "1"),
            "pods \"p\" is forbidden: cpu max limit to request ratio per Container is 8, but "
            "provided ratio is 10.000000");
  EXPECT_EQ(pod("1", "2"),
            "pods \"p\" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, "
            "maximum cpu usage per Pod is 1500m, but limit is 2]");
  const auto claim = [&](const char* storage) {
    return Admit("persistentvolumeclaims",
                 StrCat(R"({"metadata":{"name":"v"},"spec":{"resources":{"requests":{"storage":")",
                        storage, R"("}}}})"))
        .error;
  };
  EXPECT_EQ(claim("5Gi"), "");
  EXPECT_EQ(claim("500Mi"),
            "persistentvolumeclaims \"v\" is forbidden: minimum storage usage per "
            "PersistentVolumeClaim is 1Gi, but request is 500Mi");
  EXPECT_EQ(claim("20Gi"),
            "persistentvolumeclaims \"v\" is forbidden: maximum storage usage per "
            "PersistentVolumeClaim is 10Gi, but request is 20Gi");
}

TEST_F(AdmissionTest, QuotasCountWithoutARace) {
  view_.Put("resourcequotas",
            R"({"metadata":{"name":"q","namespace":"x"},"spec":{"hard":{"pods":"3"}}})");
  Commit(Pod(kPlainPod), "p1");
  Commit(Pod(kPlainPod), "p2");
  // Two at once, both on what was read before either was written.
  const Outcome third = Pod(kPlainPod), fourth = Pod(kPlainPod);
  EXPECT_EQ(third.error, "");
  EXPECT_EQ(fourth.error, "");
  ASSERT_EQ(third.side_writes.size(), 1u);
  ASSERT_EQ(fourth.side_writes.size(), 1u);
  const auto quota = view_.Get("resourcequotas", "x", "q");
  EXPECT_EQ(third.side_writes[0].key, quota->key);
  EXPECT_EQ(third.side_writes[0].mod_revision, quota->mod_revision);
  EXPECT_EQ(ToJson(*Find(*ParseJson(third.side_writes[0].value), {"status", "used"})),
            R"({"pods":"3"})");
  EXPECT_EQ(Find(*ParseJson(third.side_writes[0].value), {"metadata", "resourceVersion"}), nullptr);
  Commit(third, "p3");
  EXPECT_NE(view_.Get("resourcequotas", "x", "q")->mod_revision, fourth.side_writes[0].mod_revision)
      << "the fourth's transaction fails";
  EXPECT_EQ(Pod(kPlainPod).error,
            "pods \"p\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=3, limited: "
            "pods=3");
  // What was deleted is seen when the quota seems full.
  view_.Delete("pods", "x", "p2");
  const Outcome again = Pod(kPlainPod);
  EXPECT_EQ(again.error, "");
  EXPECT_EQ(ToJson(*Find(*ParseJson(again.side_writes[0].value), {"status", "used"})),
            R"({"pods":"3"})");
  EXPECT_TRUE(Admit("pods", R"({"metadata":{"name":"d"},"spec":{}})", "x", "", /*dry_run=*/true)
                  .side_writes.empty());
}

TEST_F(AdmissionTest, QuotasCountResourcesAndScopes) {
  view_.Put("resourcequotas", R"({"metadata":{"name":"compute","namespace":"x"},"spec":{"hard":{
      "requests.cpu":"1","limits.memory":"1Gi","count/deployments.apps":"1","secrets":"0"}}})");
  view_.Put("resourcequotas", R"({"metadata":{"name":"effortless","namespace":"x"},"spec":{
      "scopes":["BestEffort"],"hard":{"pods":"0"}}})");
  EXPECT_EQ(Pod(kPlainPod).error,
            "pods \"p\" is forbidden: failed quota: compute: must specify limits.memory for: c; "
            "requests.cpu for: c");
  const auto pod = [&](const char* cpu) {
    return Pod(StrCat(R"({"containers":[{"name":"c","resources":{"requests":{"cpu":")", cpu,
                      R"("},"limits":{"memory":"512Mi"}}}]})"));
  };
  const Outcome out = pod("600m");
  ASSERT_EQ(out.error, "") << "is not best effort";
  ASSERT_EQ(out.side_writes.size(), 1u);
  Commit(out, "p1");
  EXPECT_EQ(pod("600m").error,
            "pods \"p\" is forbidden: exceeded quota: compute, requested: requests.cpu=600m, used: "
            "requests.cpu=600m, limited: requests.cpu=1");
  EXPECT_EQ(Admit("deployments", R"({"metadata":{"name":"d"}})", "x", "apps").error, "");
  EXPECT_EQ(Admit("secrets", R"({"metadata":{"name":"s"}})").error,
            "secrets \"s\" is forbidden: exceeded quota: compute, requested: secrets=1, used: "
            "secrets=0, limited: secrets=0");
  Open({"ResourceQuota"});
  EXPECT_EQ(Admit("secrets", R"({"metadata":{"name":"s"}})").error, "");
}

TEST(QuotaUsageTest, CountsWhatObjectsAre) {
  const auto usage = [](std::string_view resource, std::string_view text) {
    std::string out;
    for (const auto& [name, quantity] : QuotaUsage(resource, ParseJson(text)->as_object())) {
      out += StrCat(name, "=", quantity.ToString(), " ");
    }
    return out;
  };
  EXPECT_EQ(usage("services", R"({"spec":{"type":"LoadBalancer","ports":[{},{}]}})"),
            "count/services=1 services=1 services.loadbalancers=1 services.nodeports=2 ");
  EXPECT_EQ(
      usage("persistentvolumeclaims",
            R"({"spec":{"storageClassName":"gold","resources":{"requests":{"storage":"2Gi"}}}})"),
      "count/persistentvolumeclaims=1 "
      "gold.storageclass.storage.k8s.io/persistentvolumeclaims=1 "
      "gold.storageclass.storage.k8s.io/requests.storage=2Gi persistentvolumeclaims=1 "
      "requests.storage=2Gi ");
  EXPECT_EQ(usage("pods", R"({"status":{"phase":"Succeeded"},"spec":{"containers":[
                  {"resources":{"requests":{"cpu":"1"}}}]}})"),
            "count/pods=1 ");
}

TEST(PodResourcesTest, InitContainersRunBeforeAndSidecarsBeside) {
  const json::object pod = ParseJson(R"({"spec":{"overhead":{"cpu":"10m"},
      "containers":[{"resources":{"requests":{"cpu":"100m"}}},
                    {"resources":{"requests":{"cpu":"200m"}}}],
      "initContainers":[{"restartPolicy":"Always","resources":{"requests":{"cpu":"50m"}}},
                        {"resources":{"requests":{"cpu":"400m"}}}]}})")
                               ->as_object();
  EXPECT_EQ(PodResources(pod, "requests").at("cpu").ToString(), "460m");
  EXPECT_TRUE(PodResources(pod, "limits").empty());
}

}  // namespace
}  // namespace keel::orchestrator
