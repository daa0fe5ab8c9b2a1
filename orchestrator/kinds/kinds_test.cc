#include <map>

#include "orchestrator/kinds/kinds_testing.h"

namespace keel::orchestrator {
namespace {

constexpr char kTemplate[] =
    R"({"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}})";

std::string Workload(std::string_view version, std::string_view kind, std::string_view more = "") {
  return base::StrCat(R"({"apiVersion":")", version, R"(","kind":")", kind,
                      R"(","metadata":{"name":"x","namespace":"n"},"spec":{)"
                      R"("selector":{"matchLabels":{"a":"b"}},"template":)",
                      kTemplate, more, "}}");
}

std::string Simple(std::string_view version, std::string_view kind, std::string_view body,
                   std::string_view meta = R"("name":"x","namespace":"n")") {
  return base::StrCat(R"({"apiVersion":")", version, R"(","kind":")", kind, R"(","metadata":{)",
                      meta, "}", body.empty() ? "" : ",", body, "}");
}

// The least that each kind takes.
const std::vector<std::string>& Examples() {
  constexpr char kWide[] = R"("name":"x")";
  static const auto& examples = *new std::vector<std::string>{
      Simple("v1", "Namespace", "", kWide),
      Simple("v1", "Node", "", kWide),
      Simple("v1", "Pod", R"("spec":{"containers":[{"name":"c","image":"i"}]})"),
      Simple("v1", "ConfigMap", ""),
      Simple("v1", "Secret", ""),
      Simple("v1", "Service", R"("spec":{"ports":[{"port":80}]})"),
      Simple("v1", "Endpoints", ""),
      Simple("v1", "ServiceAccount", ""),
      Simple("v1", "Event", R"("involvedObject":{"namespace":"n"})"),
      Simple("events.k8s.io/v1", "Event",
             R"("eventTime":"2026-11-23T07:06:47.000001Z","regarding":{"namespace":"n"},)"
             R"("reportingController":"c","reportingInstance":"c-1","action":"a","reason":"R",)"
             R"("note":"n","type":"Normal")"),
      Simple("v1", "PodTemplate", base::StrCat(R"("template":)", kTemplate)),
      Simple("v1", "ReplicationController", base::StrCat(R"("spec":{"template":)", kTemplate, "}")),
      Simple("v1", "ResourceQuota", ""),
      Simple("v1", "LimitRange", R"("spec":{"limits":[{"type":"Container","max":{"cpu":"1"}}]})"),
      Simple("v1", "PersistentVolume",
             R"("spec":{"capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"],)"
             R"("hostPath":{"path":"/x"}})",
             kWide),
      Simple(
          "v1", "PersistentVolumeClaim",
          R"("spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}})"),
      Workload("apps/v1", "ReplicaSet"),
      Workload("apps/v1", "Deployment"),
      Workload("apps/v1", "DaemonSet"),
      Workload("apps/v1", "StatefulSet",
               R"(,"volumeClaimTemplates":[{"metadata":{"name":"d"},"spec":{}}])"),
      Simple("apps/v1", "ControllerRevision", R"("data":{},"revision":1)"),
      Simple(
          "batch/v1", "Job",
          R"("spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}})",
          R"("name":"x","namespace":"n","uid":"u")"),
      Simple("batch/v1", "CronJob",
             R"("spec":{"schedule":"*/5 * * * *","jobTemplate":{"spec":{"template":{"spec":)"
             R"({"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}})"),
      Simple("coordination.k8s.io/v1", "Lease", ""),
      Simple("discovery.k8s.io/v1", "EndpointSlice",
             R"("addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"]}])"),
      Simple("scheduling.k8s.io/v1", "PriorityClass", R"("value":5)", kWide),
      Simple("policy/v1", "PodDisruptionBudget", R"("spec":{"minAvailable":1})"),
      Simple("autoscaling/v2", "HorizontalPodAutoscaler",
             R"("spec":{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"d"}})"),
      Simple("autoscaling/v1", "HorizontalPodAutoscaler",
             R"("spec":{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"d"}})"),
      Simple("storage.k8s.io/v1", "StorageClass", R"("provisioner":"p")", kWide),
      Simple("networking.k8s.io/v1", "Ingress",
             R"("spec":{"rules":[{"http":{"paths":[{"path":"/","pathType":"Prefix","backend":)"
             R"({"service":{"name":"s","port":{"number":80}}}}]}}]})"),
      Simple("networking.k8s.io/v1", "IngressClass", "", kWide),
      Simple("networking.k8s.io/v1", "NetworkPolicy", R"("spec":{})"),
      Simple("rbac.authorization.k8s.io/v1", "Role",
             R"("rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])"),
      Simple("rbac.authorization.k8s.io/v1", "ClusterRole",
             R"("rules":[{"verbs":["get"],"nonResourceURLs":["/healthz"]}])", R"("name":"a:b")"),
      Simple("rbac.authorization.k8s.io/v1", "RoleBinding",
             R"("roleRef":{"kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"u"}])"),
      Simple("rbac.authorization.k8s.io/v1", "ClusterRoleBinding",
             R"("roleRef":{"kind":"ClusterRole","name":"r"})", kWide),
      Simple(
          "apiextensions.k8s.io/v1", "CustomResourceDefinition",
          R"("spec":{"group":"zoo.io","scope":"Namespaced","names":{"plural":"lions","kind":"Lion"},)"
          R"("versions":[{"name":"v1","served":true,"storage":true,)"
          R"("schema":{"openAPIV3Schema":{"type":"object"}}}]})",
          R"("name":"lions.zoo.io")"),
      Simple("metrics.k8s.io/v1beta1", "NodeMetrics",
             R"("timestamp":"2026-11-23T07:06:47Z","window":"30s","usage":{"cpu":"5m"})", kWide),
      Simple("metrics.k8s.io/v1beta1", "PodMetrics",
             R"("timestamp":"2026-11-23T07:06:47Z","window":"30s",)"
             R"("containers":[{"name":"c","usage":{"cpu":"5m"}}])"),
      Simple("authentication.k8s.io/v1", "TokenReview", R"("spec":{"token":"t"})", ""),
      Simple("authentication.k8s.io/v1", "SelfSubjectReview", "", ""),
      Simple("authorization.k8s.io/v1", "SubjectAccessReview", R"("spec":{"user":"u"})", ""),
      Simple("authorization.k8s.io/v1", "LocalSubjectAccessReview", R"("spec":{"user":"u"})",
             R"("namespace":"n")"),
      Simple("authorization.k8s.io/v1", "SelfSubjectAccessReview", R"("spec":{})", ""),
      Simple("authorization.k8s.io/v1", "SelfSubjectRulesReview", R"("spec":{"namespace":"n"})",
             ""),
  };
  return examples;
}

TEST(Kinds, AllHaveAnExample) {
  std::map<std::string, int> seen;
  for (const std::string& example : Examples()) {
    const json::object object = Parse(example);
    const auto kind = KindOf(object);
    ASSERT_NE(kind, nullptr) << example;
    ++seen[kind->resource() + "/" + kind->version];
  }
  for (const auto& kind : Registry().All()) {
    EXPECT_EQ(seen[kind->resource() + "/" + kind->version], 1) << kind->kind;
  }
}

TEST(Kinds, TakeTheirExamples) {
  for (const std::string& example : Examples()) {
    json::object object = Parse(example);
    EXPECT_EQ(Admit(object), "") << example;
    // And what they made of it, unchanged, as an update.
    json::object again = object;
    EXPECT_EQ(Admit(again, &object), "") << example;
    EXPECT_EQ(ToJson(again), ToJson(object));
  }
}

TEST(Kinds, DefaultsAreIdempotent) {
  for (const std::string& example : Examples()) {
    const auto kind = KindOf(Parse(example));
    auto defaulted = [&](json::value value) {
      ApplyDefaults(Registry().SchemaOf(*kind), value);
      if (kind->set_defaults) kind->set_defaults(value.as_object());
      return value;
    };
    const json::value once = defaulted(Parse(example));
    EXPECT_EQ(ToJson(defaulted(once)), ToJson(once)) << example;
  }
}

// All values within a value, itself first.
void Collect(json::value& value, std::vector<json::value*>& out) {
  out.push_back(&value);
  if (json::object* object = value.if_object()) {
    for (auto& [key, member] : *object) Collect(member, out);
  } else if (json::array* array = value.if_array()) {
    for (json::value& member : *array) Collect(member, out);
  }
}

// Whatever a client sends in place of a part of an object: it is taken or refused, on create, on
// update and through every conversion and column; nothing throws, and what was taken is taken
// again.
TEST(Kinds, SurviveAnyValueAnywhere) {
  const std::vector<json::value> strange = {nullptr,
                                            true,
                                            -1,
                                            0,
                                            65536,
                                            1e30,
                                            "",
                                            "x",
                                            "-1",
                                            "1e999999",
                                            "\xff\xfe",
                                            "a,b in (",
                                            json::array(),
                                            json::object(),
                                            json::array{nullptr},
                                            json::array{json::object()},
                                            json::array{"x", "x"},
                                            json::object{{"x", nullptr}},
                                            json::object{{"", json::array{1}}}};
  size_t taken = 0;
  size_t refused = 0;
  for (const std::string& example : Examples()) {
    json::object valid = Parse(example);
    ASSERT_EQ(Admit(valid), "");
    const auto kind = KindOf(valid);
    std::vector<json::value*> places;
    json::value counted = valid;
    Collect(counted, places);
    for (size_t place = 1; place < places.size(); ++place) {
      for (const json::value& value : strange) {
        json::value changed = valid;
        std::vector<json::value*> here;
        Collect(changed, here);
        *here[place] = value;
        json::object object = changed.as_object();
        if (KindOf(object) != kind) continue;
        for (const json::object* before : {static_cast<const json::object*>(nullptr),
                                           static_cast<const json::object*>(&valid)}) {
          json::object now = object;
          if (kind->to_stored) {
            json::object stored = object;
            kind->to_stored(stored);
            kind->from_stored(stored);
          }
          if (!Admit(now, before).empty()) {
            ++refused;
            continue;
          }
          ++taken;
          json::object again = now;
          ASSERT_EQ(Admit(again, &now), "") << ToJson(now);
          TableCells(*kind, now, absl::Now());  // reads any object without harm
        }
      }
    }
  }
  EXPECT_GT(taken, 1000u);
  EXPECT_GT(refused, 1000u);
}

TEST(Kinds, ShowARow) {
  for (const std::string& example : Examples()) {
    const auto kind = KindOf(Parse(example));
    json::object object = Parse(example);
    Admit(object);
    for (const json::object& one : {object, json::object{{"metadata", json::object()}}}) {
      EXPECT_EQ(TableCells(*kind, one, absl::Now()).size(), ColumnDefinitions(*kind).size());
    }
  }
}

TEST(Kinds, SelectableFieldsAndScalePathsAreFields) {
  for (const auto& kind : Registry().All()) {
    const Schema* schema = &Registry().SchemaOf(*kind);
    auto is_field = [&](const std::vector<std::string>& path) {
      const Schema* at = schema;
      for (const std::string& part : path) {
        const Field* field = at == nullptr ? nullptr : at->FindField(part);
        if (field == nullptr) return false;
        at = field->schema;
      }
      return true;
    };
    for (const auto& path :
         {kind->scale.spec_replicas, kind->scale.status_replicas, kind->scale.selector}) {
      EXPECT_TRUE(is_field(path)) << kind->kind;
    }
    EXPECT_EQ(kind->has_status && !kind->create_only,
              schema->FindField("status") != nullptr && !kind->create_only)
        << kind->kind;
  }
}

TEST(Kinds, HaveKubernetesShortNames) {
  std::map<std::string, std::string> short_names;
  std::string all;
  for (const auto& kind : Registry().All()) {
    for (const std::string& name : kind->short_names) {
      const std::string& before = short_names[name];
      EXPECT_TRUE(before.empty() || before == kind->stored_resource()) << name;
      short_names[name] = kind->stored_resource();
    }
    for (const std::string& category : kind->categories) {
      if (category == "all" && kind->version != "v2") all += kind->plural + " ";
    }
  }
  EXPECT_EQ(short_names["deploy"], "deployments.apps");
  EXPECT_EQ(short_names["po"], "pods");
  EXPECT_EQ(short_names["hpa"], "horizontalpodautoscalers.autoscaling");
  EXPECT_EQ(all,
            "pods replicationcontrollers services horizontalpodautoscalers daemonsets deployments "
            "replicasets statefulsets cronjobs jobs ");
}

}  // namespace
}  // namespace keel::orchestrator
