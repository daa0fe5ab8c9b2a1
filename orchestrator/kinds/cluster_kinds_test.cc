// Kinds of the cluster itself: nodes, namespaces, data, storage, rules, autoscaling.
#include "orchestrator/kinds/kinds_testing.h"

namespace keel::orchestrator {
namespace {

std::string Object(std::string_view version, std::string_view kind, std::string_view body) {
  return base::StrCat(R"({"apiVersion":")", version, R"(","kind":")", kind,
                      R"(","metadata":{"name":"x","namespace":"n"},)", body, "}");
}

std::string Wide(std::string_view version, std::string_view kind, std::string_view body) {
  return base::StrCat(R"({"apiVersion":")", version, R"(","kind":")", kind,
                      R"(","metadata":{"name":"x"},)", body, "}");
}

TEST(Namespace, IsActiveAndNamed) {
  json::object made = Parse(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x"}})");
  EXPECT_EQ(Admit(made), "");
  EXPECT_EQ(ToJson(made),
            R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x","labels":)"
            R"({"kubernetes.io/metadata.name":"x"}},"spec":{"finalizers":["kubernetes"]},)"
            R"("status":{"phase":"Active"}})");
  EXPECT_NE(Create(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a.b"}})")
                .find("RFC 1123 label"),
            std::string::npos);
}

TEST(Node, Columns) {
  EXPECT_EQ(
      Row(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n1",
          "creationTimestamp":"2023-11-14T21:00:00Z","labels":{"node-role.kubernetes.io/worker":"",
          "node-role.kubernetes.io/control-plane":"","kubernetes.io/role":"z"}},
          "spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"True"}],
          "addresses":[{"type":"InternalIP","address":"10.0.0.9"}],"nodeInfo":{"kubeletVersion":"v1"}}})"),
      "n1 | Ready,SchedulingDisabled | control-plane,worker,z | 73m | v1 | 10.0.0.9 | <none> | "
      "<unknown> | <unknown> | <unknown>");
  EXPECT_EQ(
      Row(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"},"status":{"conditions":[
                {"type":"Ready","status":"Unknown"}]}})")
          .substr(0, 22),
      "n1 | NotReady | <none>");
  EXPECT_EQ(
      Create(Wide("v1", "Node", R"("spec":{"taints":[{"key":"a","effect":"Never"}]})")),
      "spec.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoSchedule\", "
      "\"PreferNoSchedule\", \"NoExecute\"");
}

TEST(Event, Columns) {
  EXPECT_EQ(Row(R"({"apiVersion":"v1","kind":"Event","metadata":{"name":"e"},"type":"Normal",
                "reason":"Started","message":" up ","involvedObject":{"kind":"Pod","name":"p",
                "fieldPath":"spec.containers{c}"},"source":{"component":"kubelet","host":"n1"},
                "firstTimestamp":"2023-11-14T22:13:00Z","lastTimestamp":"2023-11-14T22:13:10Z","count":3})"),
            "10s | Normal | Started | pod/p | spec.containers{c} | kubelet, n1 | up | 20s | 3 | e");
  EXPECT_EQ(Create(Object("v1", "Event", R"("involvedObject":{"namespace":"m"})")),
            "involvedObject.namespace: Invalid value: \"m\": does not match event.namespace");
}

TEST(Event, HasAnotherShapeInItsOwnGroup) {
  constexpr char kEvent[] = R"({"apiVersion":"events.k8s.io/v1","kind":"Event",
      "metadata":{"name":"e","namespace":"n"},"eventTime":"2023-11-14T22:13:00.000000Z",
      "regarding":{"kind":"Pod","name":"p","namespace":"n","fieldPath":"f"},"type":"Normal",
      "reportingController":"example.com/c","reportingInstance":"c-1","action":"Act","reason":"R",
      "note":"up"})";
  EXPECT_EQ(Create(kEvent), "");
  EXPECT_EQ(Row(kEvent), "20s | Normal | R | pod/p | f | example.com/c, c-1 | up | 20s | 1 | e");
  EXPECT_EQ(Create(kEvent, R"({"eventTime":null,"type":"Odd","deprecatedCount":3})"),
            "eventTime: Required value\n"
            "type: Invalid value: \"\": has invalid value: Odd\n"
            "count: Invalid value: \"\": needs to be unset");
  EXPECT_EQ(Create(kEvent, R"({"action":null,"reportingInstance":null})"),
            "reportingInstance: Required value\naction: Required value");
  EXPECT_EQ(Create(kEvent, R"({"regarding":{"namespace":"m"}})"),
            "involvedObject.namespace: Invalid value: \"m\": does not match event.namespace");
  EXPECT_EQ(
      Update(kEvent, R"({"series":{"count":1,"lastObservedTime":"2023-11-14T22:13:10.000000Z"}})"),
      "series.count: Invalid value: \"\": should be at least 2");
  EXPECT_EQ(
      Update(kEvent, R"({"series":{"count":2,"lastObservedTime":"2023-11-14T22:13:10.000000Z"}})"),
      "");
  EXPECT_EQ(Update(kEvent, R"({"note":"down"})"),
            "message: Invalid value: \"down\": field is immutable");

  // Every field comes back from the store as it went there.
  json::object event = Parse(kEvent);
  const json::object before = event;
  const auto kind = KindOf(event);
  kind->to_stored(event);
  EXPECT_EQ(StringAt(event, {"involvedObject", "name"}), "p");
  EXPECT_EQ(StringAt(event, {"message"}), "up");
  EXPECT_EQ(StringAt(event, {"reportingComponent"}), "example.com/c");
  kind->from_stored(event);
  EXPECT_EQ(event, before);
  EXPECT_EQ(Registry().Stored(*kind)->group, "");
  EXPECT_EQ(kind->stored_resource(), "events");
  // Selectors go by position.
  const auto& stored = Registry().Stored(*kind)->selectable_fields;
  ASSERT_LE(kind->selectable_fields.size(), stored.size());
  json::object probe;
  for (size_t i = 0; i < kind->selectable_fields.size(); ++i) {
    const std::string& name = kind->selectable_fields[i];
    const size_t dot = name.find('.');
    probe[name.substr(0, dot)] = json::value(static_cast<int64_t>(i));
    json::object converted = probe;
    kind->to_stored(converted);
    EXPECT_TRUE(converted.contains(stored[i].substr(0, stored[i].find('.')))) << name;
    probe.clear();
  }
}

TEST(PodTemplate, HoldsATemplate) {
  constexpr char kTemplates[] = R"({"apiVersion":"v1","kind":"PodTemplate",
      "metadata":{"name":"t","namespace":"n"},"template":{"metadata":{"labels":{"a":"b"}},
      "spec":{"containers":[{"name":"c","image":"i"}]}}})";
  EXPECT_EQ(Create(kTemplates), "");
  EXPECT_EQ(Row(kTemplates), "t | c | i | a=b");
  EXPECT_EQ(Create(kTemplates, R"({"template":null})"), "template: Required value");
  EXPECT_EQ(
      Create(kTemplates, R"({"template":{"spec":{"containers":[{"image":null}]}}})").substr(0, 27),
      "template.spec.containers[0]");
}

TEST(Data, IsCheckedAndMayBeImmutable) {
  EXPECT_NE(Create(Object("v1", "ConfigMap", R"("data":{"a/b":"c"})"))
                .find("data[a/b]: Invalid value: \"a/b\": a valid config key must consist of"),
            std::string::npos);
  EXPECT_EQ(Create(Object("v1", "ConfigMap", R"("data":{"a":"b"},"binaryData":{"a":"eA=="})")),
            "binaryData[a]: Invalid value: \"a\": duplicate of key present in data");
  EXPECT_EQ(Create(Object("v1", "ConfigMap",
                          base::StrCat(R"("data":{"a":")", std::string(1 << 20, 'x'), "y\"}"))),
            ": Too long: may not be more than 1048576 bytes");
  const std::string fixed = Object("v1", "ConfigMap", R"("data":{"a":"b"},"immutable":true)");
  EXPECT_EQ(Update(fixed, R"({"metadata":{"labels":{"a":"b"}}})"), "");
  EXPECT_EQ(Update(fixed, R"({"data":{"a":"c"}})"),
            "data: Forbidden: field is immutable when `immutable` is set");
  EXPECT_EQ(Row(fixed), "x | 1 | <unknown>");
}

TEST(Secret, TakesTextsAndChecksItsType) {
  json::object made = Parse(Object("v1", "Secret", R"("stringData":{"a":"hello","b":""})"));
  EXPECT_EQ(Admit(made), "");
  EXPECT_EQ(ToJson(made.at("data")), R"({"a":"aGVsbG8=","b":""})");
  EXPECT_FALSE(made.contains("stringData"));
  EXPECT_EQ(StringAt(made, {"type"}), "Opaque");
  EXPECT_EQ(Create(Object("v1", "Secret", R"("type":"kubernetes.io/tls")")),
            "data[tls.crt]: Required value\ndata[tls.key]: Required value");
  EXPECT_EQ(Update(Object("v1", "Secret", R"("type":"a")"), R"({"type":"b"})"),
            "type: Invalid value: \"b\": field is immutable");
}

TEST(LimitRange, FillsItsDefaults) {
  json::object made = Parse(Object("v1", "LimitRange", R"("spec":{"limits":[
      {"type":"Container","max":{"cpu":"2"},"min":{"memory":"1Mi"}}]})"));
  EXPECT_EQ(Admit(made), "");
  EXPECT_EQ(ToJson(ArrayAt(made, {"spec", "limits"})[0]),
            R"({"type":"Container","max":{"cpu":"2"},"min":{"memory":"1Mi"},"default":{"cpu":"2"},)"
            R"("defaultRequest":{"cpu":"2","memory":"1Mi"}})");
  EXPECT_EQ(
      Create(Object("v1", "LimitRange", R"("spec":{"limits":[
                {"type":"Pod","max":{"cpu":"1"},"min":{"cpu":"2"}}]})")),
      "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1");
}

TEST(ResourceQuota, Columns) {
  EXPECT_EQ(
      Row(Object("v1", "ResourceQuota", R"("status":{"hard":{"pods":"5","limits.cpu":"4","cpu":"2"},
                "used":{"pods":"1","limits.cpu":"500m"}})")),
      "x | cpu: 0/2, pods: 1/5 | limits.cpu: 500m/4 | <unknown>");
  EXPECT_EQ(Create(Object("v1", "ResourceQuota", R"("spec":{"hard":{"pods":"1500m"}})")),
            "spec.hard[pods]: Invalid value: \"1500m\": must be an integer");
}

TEST(PriorityClass, Checks) {
  EXPECT_EQ(Create(Wide("scheduling.k8s.io/v1", "PriorityClass", R"("value":1000000001)")),
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000");
  EXPECT_EQ(Create(R"({"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass",
                       "metadata":{"name":"system-node-critical"},"value":2000001000})"),
            "");
  EXPECT_EQ(Update(Wide("scheduling.k8s.io/v1", "PriorityClass", R"("value":1)"), R"({"value":2})"),
            "value: Forbidden: may not be changed in an update.");
}

TEST(PodDisruptionBudget, TakesOneOfBoth) {
  EXPECT_EQ(
      Create(Object("policy/v1", "PodDisruptionBudget",
                    R"("spec":{"minAvailable":1,"maxUnavailable":"10%"})")),
      "spec: Invalid value: {\"minAvailable\":1,\"maxUnavailable\":\"10%\"}: minAvailable and "
      "maxUnavailable cannot be both set");
  EXPECT_EQ(Row(Object("policy/v1", "PodDisruptionBudget", R"("spec":{"maxUnavailable":"10%"})")),
            "x | N/A | 10% | 0 | <unknown>");
}

TEST(Storage, DefaultsAndColumns) {
  EXPECT_EQ(Row(R"({"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"std",
                "annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"p"})"),
            "std (default) | p | Delete | Immediate | false | <unknown>");
  EXPECT_EQ(Update(Wide("storage.k8s.io/v1", "StorageClass", R"("provisioner":"p")"),
                   R"({"provisioner":"q"})"),
            "provisioner: Forbidden: updates to provisioner are forbidden.");
  const std::string claim = Object("v1", "PersistentVolumeClaim", R"("spec":{"volumeName":"v",
      "storageClassName":"std","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}},
      "status":{"phase":"Bound","capacity":{"storage":"1024Mi"},"accessModes":["ReadWriteOnce","ReadOnlyMany"]})");
  EXPECT_EQ(Row(claim), "x | Bound | v | 1Gi | RWO,ROX | std | <unset> | <unknown> | <unset>");
  EXPECT_EQ(Create(Object("v1", "PersistentVolumeClaim", R"("spec":{})")),
            "spec.accessModes: Required value: at least 1 access mode is required\n"
            "spec.resources[storage]: Required value");
  EXPECT_EQ(Update(claim, R"({"spec":{"accessModes":["ReadOnlyMany"]}})"),
            "spec: Forbidden: spec is immutable after creation except resources.requests and "
            "volumeAttributesClassName for bound claims\n");
  EXPECT_EQ(Row(Wide("v1", "PersistentVolume", R"("spec":{"capacity":{"storage":"1Gi"},
                "accessModes":["ReadWriteMany"],"persistentVolumeReclaimPolicy":"Retain",
                "claimRef":{"namespace":"n","name":"c"}},"status":{"phase":"Bound"})")),
            "x | 1Gi | RWX | Retain | Bound | n/c |  | <unset> |  | <unknown> | <unset>");
  EXPECT_EQ(Create(Wide("v1", "PersistentVolume", R"("spec":{"capacity":{"storage":"1Gi"},
                "accessModes":["ReadWriteOnce"]})")),
            "spec: Required value: must specify a volume type");
}

TEST(Rbac, Checks) {
  EXPECT_EQ(Create(Object("rbac.authorization.k8s.io/v1", "Role", R"("rules":[{"verbs":[]},
                {"verbs":["get"],"nonResourceURLs":["/x"]}])")),
            "rules[0].verbs: Required value: verbs must contain at least one value\n"
            "rules[0].apiGroups: Required value: resource rules must supply at least one api "
            "group\nrules[0].resources: Required value: resource rules must supply at least one "
            "resource\nrules[1].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot "
            "apply to non-resource URLs");
  const std::string binding = Object("rbac.authorization.k8s.io/v1", "RoleBinding",
                                     R"("roleRef":{"kind":"Role","name":"r"},"subjects":[
      {"kind":"User","name":"u"},{"kind":"ServiceAccount","name":"s","namespace":"m"}])");
  json::object made = Parse(binding);
  EXPECT_EQ(Admit(made), "");
  EXPECT_EQ(StringAt(ArrayAt(made, {"subjects"})[0], {"apiGroup"}), "rbac.authorization.k8s.io");
  EXPECT_EQ(Row(binding), "x | Role/r | <unknown> | u |  | m/s");
  EXPECT_EQ(Create(binding, R"({"subjects":[{"kind":"Robot","name":"r"}]})"),
            "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", "
            "\"User\", \"Group\"");
  EXPECT_NE(Update(binding, R"({"roleRef":{"name":"other"}})").find("cannot change roleRef"),
            std::string::npos);
}

constexpr char kScaler[] =
    R"({"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"h","namespace":"n"},
        "spec":{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"d"},"metrics":[
        {"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":50}}},
        {"type":"Pods","pods":{"metric":{"name":"qps"},"target":{"type":"AverageValue","averageValue":"1500m"}}}],
        "behavior":{"scaleUp":{"stabilizationWindowSeconds":3}}},
        "status":{"currentReplicas":2,"desiredReplicas":2,"currentMetrics":[
        {"type":"Resource","resource":{"name":"cpu","current":{"averageUtilization":7,"averageValue":"70m"}}}]}})";

TEST(HorizontalPodAutoscaler, Columns) {
  EXPECT_EQ(Row(kScaler),
            "h | Deployment/d | cpu: 7%/50%, <unknown>/1500m | <unset> | 3 | 2 | <unknown>");
  EXPECT_EQ(Create(kScaler, R"({"spec":{"minReplicas":5}})"),
            "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`");
}

TEST(HorizontalPodAutoscaler, GoesThroughVersion1Unchanged) {
  const auto v1 = Registry().FindByKind("autoscaling", "v1", "HorizontalPodAutoscaler");
  const json::object stored = Parse(kScaler);
  json::object object = stored;
  v1->from_stored(object);
  EXPECT_EQ(IntAt(object, {"spec", "targetCPUUtilizationPercentage"}), 50);
  EXPECT_EQ(IntAt(object, {"status", "currentCPUUtilizationPercentage"}), 7);
  EXPECT_EQ(StringAt(object, {"apiVersion"}), "autoscaling/v1");
  FieldErrors errors;
  CheckSchema(Registry().SchemaOf(*v1), object, "", errors);
  EXPECT_TRUE(errors.empty());
  v1->to_stored(object);
  json::object expected = stored;
  // Of a resource's current value only the share travels.
  Remove(expected["status"].at("currentMetrics").as_array()[0],
         {"resource", "current", "averageValue"});
  EXPECT_EQ(object, expected);
}

TEST(NetworkPolicy, SaysItsTypes) {
  json::object made = Parse(Object("networking.k8s.io/v1", "NetworkPolicy",
                                   R"("spec":{"podSelector":{},"egress":[{}]})"));
  EXPECT_EQ(Admit(made), "");
  EXPECT_EQ(ToJson(*Find(made, {"spec", "policyTypes"})), R"(["Ingress","Egress"])");
  EXPECT_EQ(Row(ToJson(made)), "x | <none> | <unknown>");
}

TEST(CustomResourceDefinition, Checks) {
  constexpr char kCrd[] =
      R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
          "metadata":{"name":"lions.zoo.io"},"spec":{"group":"zoo.io","scope":"Namespaced",
          "names":{"plural":"lions","kind":"Lion"},"versions":[{"name":"v1","served":true,"storage":true,
          "schema":{"openAPIV3Schema":{"type":"object"}}}]}})";
  json::object made = Parse(kCrd);
  EXPECT_EQ(Admit(made), "");
  EXPECT_EQ(ToJson(*Find(made, {"spec", "names"})),
            R"({"plural":"lions","kind":"Lion","singular":"lion","listKind":"LionList"})");
  EXPECT_EQ(ToJson(*Find(made, {"status", "storedVersions"})), R"(["v1"])");
  EXPECT_EQ(Create(kCrd, R"({"metadata":{"name":"tigers.zoo.io"}})"),
            "metadata.name: Invalid value: \"tigers.zoo.io\": must be spec.names.plural+\".\""
            "+spec.group");
  EXPECT_EQ(Create(kCrd, R"({"spec":{"versions":[{"name":"v1","served":true,"storage":false,
                "schema":{"openAPIV3Schema":{"type":"object"}}}]}})")
                .substr(0, 16),
            "spec.versions: I");
  EXPECT_EQ(Create(kCrd, R"({"spec":{"versions":[{"name":"v1","served":true,"storage":true}]}})"),
            "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required");
  EXPECT_EQ(Update(kCrd, R"({"spec":{"scope":"Cluster"}})"),
            "spec.scope: Invalid value: \"Cluster\": field is immutable");
}

}  // namespace
}  // namespace keel::orchestrator
