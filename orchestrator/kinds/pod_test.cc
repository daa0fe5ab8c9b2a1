#include "orchestrator/kinds/kinds_testing.h"

namespace keel::orchestrator {
namespace {

constexpr char kPod[] = R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n"},
    "spec":{"containers":[{"name":"c","image":"nginx"}]}})";

std::string Defaulted(std::string_view patch) {
  json::object object = Merged(Parse(kPod), Parse(patch)).as_object();
  EXPECT_EQ(Admit(object), "");
  return ToJson(object);
}

TEST(Pod, Defaults) {
  EXPECT_EQ(
      Defaulted("{}"),
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n"},"spec":{)"
      R"("containers":[{"name":"c","image":"nginx","resources":{},)"
      R"("terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File",)"
      R"("imagePullPolicy":"Always"}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,)"
      R"("dnsPolicy":"ClusterFirst","securityContext":{},"schedulerName":"default-scheduler",)"
      R"("enableServiceLinks":true},"status":{"phase":"Pending","qosClass":"BestEffort"}})");
}

TEST(Pod, DefaultsByOtherFields) {
  auto has = [](std::string_view patch, std::string_view part) {
    return Defaulted(patch).find(part) != std::string::npos;
  };
  for (const auto& [image, policy] : std::initializer_list<std::pair<const char*, const char*>>{
           {"a", "Always"},
           {"a:latest", "Always"},
           {"a:1", "IfNotPresent"},
           {"host:5000/a", "Always"},
           {"host:5000/a:1", "IfNotPresent"},
           {"a@sha256:00", "IfNotPresent"}}) {
    EXPECT_TRUE(
        has(base::StrCat(R"({"spec":{"containers":[{"name":"c","image":")", image, R"("}]}})"),
            base::StrCat(R"("imagePullPolicy":")", policy, "\"")))
        << image;
  }
  EXPECT_TRUE(has(R"({"spec":{"containers":[{"name":"c","image":"i","resources":
      {"limits":{"cpu":"1","memory":"1Gi"}}}]}})",
                  R"("requests":{"cpu":"1","memory":"1Gi"})"));
  EXPECT_TRUE(has(R"({"spec":{"containers":[{"name":"c","image":"i","resources":
      {"limits":{"cpu":"1","memory":"1Gi"}}}]}})",
                  R"("qosClass":"Guaranteed")"));
  EXPECT_TRUE(has(R"({"spec":{"containers":[{"name":"c","image":"i","resources":
      {"requests":{"cpu":"1"}}}]}})",
                  R"("qosClass":"Burstable")"));
  EXPECT_TRUE(has(R"({"spec":{"volumes":[{"name":"v"}]}})", R"({"name":"v","emptyDir":{}})"));
  EXPECT_TRUE(has(R"({"spec":{"volumes":[{"name":"v","secret":{"secretName":"s"}}]}})",
                  R"("defaultMode":420)"));
  EXPECT_TRUE(has(R"({"spec":{"serviceAccount":"sa"}})", R"("serviceAccountName":"sa")"));
  EXPECT_TRUE(has(R"({"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"i",
      "ports":[{"containerPort":80}]}]}})",
                  R"("hostPort":80)"));
  EXPECT_TRUE(has(R"({"spec":{"containers":[{"name":"c","image":"i",
      "livenessProbe":{"httpGet":{"port":80}}}]}})",
                  R"("livenessProbe":{"httpGet":{"port":80,"path":"/","scheme":"HTTP"},)"
                  R"("timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,)"
                  R"("failureThreshold":3})"));
}

std::string Container(std::string_view members) {
  return Create(kPod, base::StrCat(R"({"spec":{"containers":[{"name":"c","image":"i")",
                                   members.empty() ? "" : ",", members, "}]}}"));
}

std::string Spec(std::string_view members) {
  return Create(kPod, base::StrCat(R"({"spec":{)", members, "}}"));
}

TEST(Pod, ChecksContainers) {
  EXPECT_EQ(Spec(R"("containers":[])"), "spec.containers: Required value");
  EXPECT_EQ(Spec(R"("containers":null)"), "spec.containers: Required value");
  EXPECT_EQ(Spec(R"("containers":[{"name":"c"}])"), "spec.containers[0].image: Required value");
  EXPECT_EQ(Spec(R"("containers":[{"image":"i"}])"), "spec.containers[0].name: Required value");
  EXPECT_EQ(Spec(R"("initContainers":[{"name":"c","image":"i"}])"),
            "spec.initContainers[0].name: Duplicate value: \"c\"");
  EXPECT_EQ(Spec(R"("initContainers":[{"name":"d","image":"i","restartPolicy":"Never"}])"),
            "spec.initContainers[0].restartPolicy: Unsupported value: \"Never\": supported values: "
            "\"Always\"");
  EXPECT_EQ(Spec(R"("initContainers":[{"name":"d","image":"i","readinessProbe":
                    {"exec":{"command":["x"]}}}])"),
            "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers "
            "without restartPolicy=Always");
  EXPECT_EQ(Spec(R"("restartPolicy":"Sometimes")"),
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", "
            "\"OnFailure\", \"Never\"");
  EXPECT_EQ(Container(R"("ports":[{"containerPort":0}])"),
            "spec.containers[0].ports[0].containerPort: Required value");
  EXPECT_EQ(Container(R"("ports":[{"containerPort":65536}])"),
            "spec.containers[0].ports[0].containerPort: Invalid value: 65536: must be between 1 "
            "and 65535, inclusive");
  EXPECT_EQ(
      Container(R"("ports":[{"containerPort":1,"hostPort":5},{"containerPort":2,"hostPort":5}])"),
      "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//5\"");
}

TEST(Pod, ChecksEnvironment) {
  EXPECT_EQ(Container(R"("env":[{"name":"A=B"}])"),
            "spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid environment variable "
            "name must consist only of printable ASCII characters other than '='");
  EXPECT_EQ(Container(R"("env":[{"name":"A","valueFrom":{}}])"),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: "
            "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
  EXPECT_EQ(Container(R"("env":[{"name":"A","value":"x","valueFrom":
                         {"secretKeyRef":{"name":"s","key":"k"}}}])"),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when "
            "`value` is not empty");
  EXPECT_EQ(
      Container(R"("env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"spec.x"}}}])"),
      "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"spec.x\": "
      "supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", "
      "\"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", "
      "\"status.hostIPs\", \"status.podIP\", \"status.podIPs\"");
  EXPECT_EQ(Container(R"("env":[{"name":"A","valueFrom":
                         {"fieldRef":{"fieldPath":"metadata.labels['x']"}}}])"),
            "");
}

TEST(Pod, ChecksResources) {
  EXPECT_EQ(Container(R"("resources":{"limits":{"cpu":"1"},"requests":{"cpu":"2"}})"),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or "
            "equal to cpu limit of 1");
  EXPECT_EQ(Container(R"("resources":{"limits":{"cpu":"-1"}})").substr(0, 97),
            "spec.containers[0].resources.limits[cpu]: Invalid value: \"-1\": must be greater than "
            "or equal to 0");
  EXPECT_EQ(Container(R"("resources":{"requests":{"gold":"1"}})"),
            "spec.containers[0].resources.requests[gold]: Invalid value: \"gold\": must be a "
            "standard resource for containers");
  EXPECT_EQ(Container(R"("resources":{"requests":{"example.com/gpu":"1"}})"),
            "spec.containers[0].resources.limits: Required value: Limit must be set for non "
            "overcommitable resources");
  EXPECT_NE(Container(R"("resources":{"requests":{"cpu":"fast"}})").find("quantities must match"),
            std::string::npos);
}

TEST(Pod, ChecksProbes) {
  EXPECT_EQ(Container(R"("livenessProbe":{})"),
            "spec.containers[0].livenessProbe: Required value: must specify a handler type");
  EXPECT_EQ(Container(R"("livenessProbe":{"exec":{"command":["x"]},"tcpSocket":{"port":1}})"),
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 "
            "handler type");
  EXPECT_EQ(Container(R"("livenessProbe":{"exec":{"command":["x"]},"successThreshold":2})"),
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1");
  EXPECT_EQ(Container(R"("readinessProbe":{"exec":{"command":["x"]},"periodSeconds":-1})"),
            "spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: must be greater "
            "than or equal to 0");
}

TEST(Pod, ChecksVolumes) {
  EXPECT_EQ(Container(R"("volumeMounts":[{"name":"v","mountPath":"/v"}])"),
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"");
  EXPECT_EQ(Spec(R"("volumes":[{"name":"v","emptyDir":{},"hostPath":{"path":"/x"}}])"),
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type");
  EXPECT_EQ(Spec(R"("volumes":[{"name":"V","emptyDir":{}}])").substr(0, 46),
            "spec.volumes[0].name: Invalid value: \"V\": a lo");
  EXPECT_EQ(Spec(R"("volumes":[{"name":"v","secret":{}}])"),
            "spec.volumes[0].secret.secretName: Required value");
  EXPECT_EQ(Spec(R"("volumes":[{"name":"v","configMap":{"name":"c","defaultMode":512}}])"),
            "spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 "
            "and 0777 (octal), both inclusive");
  EXPECT_EQ(Spec(R"("volumes":[{"name":"v","hostPath":{"path":"/a/../b"}}])"),
            "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'");
}

TEST(Pod, ChecksPlacement) {
  EXPECT_EQ(Spec(R"("tolerations":[{"value":"x"}])"),
            "spec.tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` "
            "is empty, which means \"match all values and all keys\"");
  EXPECT_EQ(Spec(R"("tolerations":[{"key":"a","operator":"Exists","tolerationSeconds":3}])"),
            "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when "
            "`tolerationSeconds` is set");
  EXPECT_EQ(Spec(R"("affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":
                    {"nodeSelectorTerms":[]}}})"),
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution."
            "nodeSelectorTerms: Required value: must have at least one node selector term");
  EXPECT_EQ(
      Spec(R"("affinity":{"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":
                    [{"weight":0,"podAffinityTerm":{"topologyKey":"z"}}]}})"),
      "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0]."
      "weight: Invalid value: 0: must be in the range 1-100");
  EXPECT_EQ(Spec(R"("topologySpreadConstraints":[{"maxSkew":0,"topologyKey":"z",
                    "whenUnsatisfiable":"DoNotSchedule"}])"),
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than 0");
  EXPECT_EQ(Spec(R"("nodeSelector":{"a":"b c"})").substr(0, 40),
            "spec.nodeSelector: Invalid value: \"b c\":");
}

TEST(Pod, LittleMayChange) {
  EXPECT_EQ(Update(kPod, R"({"metadata":{"labels":{"a":"b"}}})"), "");
  EXPECT_EQ(Update(kPod, R"({"spec":{"activeDeadlineSeconds":5}})"), "");
  EXPECT_EQ(Update(kPod, R"({"spec":{"tolerations":[{"operator":"Exists"}]}})"), "");
  EXPECT_EQ(Update(kPod, R"({"spec":{"hostname":"h"}})"),
            "spec: Forbidden: pod updates may not change fields other than "
            "`spec.containers[*].image`,`spec.initContainers[*].image`,"
            "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
            "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
            "previously negative)\n");
  constexpr char kDated[] =
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"n"},
    "spec":{"activeDeadlineSeconds":5,"tolerations":[{"key":"a","operator":"Exists"}],
            "containers":[{"name":"c","image":"nginx:1","imagePullPolicy":"Always"}]}})";
  EXPECT_EQ(Update(kDated, R"({"spec":{"activeDeadlineSeconds":6}})"),
            "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous "
            "value");
  EXPECT_EQ(Update(kDated, R"({"spec":{"activeDeadlineSeconds":null}})"),
            "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive "
            "integer to nil value");
  EXPECT_EQ(Update(kDated, R"({"spec":{"tolerations":null}})"),
            "spec.tolerations: Forbidden: existing toleration can not be modified except its "
            "tolerationSeconds");
  EXPECT_EQ(Update(kDated, R"({"spec":{"containers":[{"name":"c","image":"nginx:2",
                "imagePullPolicy":"Always"}]}})"),
            "");
  EXPECT_EQ(Update(kDated, R"({"spec":{"containers":[{"name":"c","image":"i"},
                {"name":"d","image":"i"}]}})"),
            "spec.containers: Forbidden: pod updates may not add or remove containers");
}

std::string WithStatus(std::string_view status, std::string_view meta = "",
                       std::string_view spec = R"("containers":[{"name":"c"}])") {
  return Row(base::StrCat(
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","creationTimestamp":"2023-11-14T22:12:20Z")",
      meta, R"(},"spec":{)", spec, R"(},"status":{)", status, "}}"));
}

TEST(Pod, Columns) {
  EXPECT_EQ(WithStatus(R"("phase":"Pending")"),
            "p | 0/1 | Pending | 0 | 60s | <none> | <none> | <none> | <none>");
  EXPECT_EQ(WithStatus(R"("phase":"Running","podIP":"10.0.0.1","containerStatuses":[
                {"name":"c","ready":true,"restartCount":2,"state":{"running":{}},
                 "lastState":{"terminated":{"exitCode":1,"finishedAt":"2023-11-14T22:12:30Z"}}}])",
                       "", R"("nodeName":"n1","readinessGates":[{"conditionType":"x"}],
                             "containers":[{"name":"c"}])"),
            "p | 1/1 | Running | 2 (50s ago) | 60s | 10.0.0.1 | n1 | <none> | 0/1");
  EXPECT_EQ(WithStatus(R"("phase":"Running","containerStatuses":[{"name":"c","ready":false,
                "restartCount":1,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}])"),
            "p | 0/1 | CrashLoopBackOff | 1 | 60s | <none> | <none> | <none> | <none>");
  EXPECT_EQ(WithStatus(R"("phase":"Succeeded","containerStatuses":[{"name":"c","restartCount":0,
                "state":{"terminated":{"exitCode":0,"reason":"Completed"}}}])"),
            "p | 0/1 | Completed | 0 | 60s | <none> | <none> | <none> | <none>");
  EXPECT_EQ(WithStatus(R"("phase":"Failed","containerStatuses":[{"name":"c","restartCount":0,
                "state":{"terminated":{"exitCode":3}}}])"),
            "p | 0/1 | ExitCode:3 | 0 | 60s | <none> | <none> | <none> | <none>");
  EXPECT_EQ(WithStatus(R"("phase":"Failed","reason":"Evicted")"),
            "p | 0/1 | Evicted | 0 | 60s | <none> | <none> | <none> | <none>");
  EXPECT_EQ(WithStatus(R"("phase":"Running")", R"(,"deletionTimestamp":"2023-11-14T22:13:20Z")"),
            "p | 0/1 | Terminating | 0 | 60s | <none> | <none> | <none> | <none>");
  EXPECT_EQ(
      WithStatus(R"("phase":"Pending","initContainerStatuses":[
                {"name":"i","restartCount":0,"state":{"terminated":{"exitCode":0}}},
                {"name":"j","restartCount":0,"state":{"running":{}}}])",
                 "", R"("initContainers":[{"name":"i"},{"name":"j"}],"containers":[{"name":"c"}])"),
      "p | 0/1 | Init:1/2 | 0 | 60s | <none> | <none> | <none> | <none>");
  EXPECT_EQ(WithStatus(R"("phase":"Pending","initContainerStatuses":[
                {"name":"i","restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}])",
                       "", R"("initContainers":[{"name":"i"}],"containers":[{"name":"c"}])"),
            "p | 0/1 | Init:CrashLoopBackOff | 3 | 60s | <none> | <none> | <none> | <none>");
  // A sidecar counts among the containers.
  EXPECT_EQ(WithStatus(R"("phase":"Running","initContainerStatuses":[
                {"name":"i","started":true,"ready":true,"restartCount":1,"state":{"running":{}}}],
                "containerStatuses":[{"name":"c","ready":true,"restartCount":0,"state":{"running":{}}}])",
                       "", R"("initContainers":[{"name":"i","restartPolicy":"Always"}],
                              "containers":[{"name":"c"}])"),
            "p | 2/2 | Running | 1 | 60s | <none> | <none> | <none> | <none>");
}

}  // namespace
}  // namespace keel::orchestrator
