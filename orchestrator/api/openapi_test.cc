#include "orchestrator/api/openapi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/api/openapi_proto.h"
#include "orchestrator/api/schema_testing.h"

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;

std::unique_ptr<KindRegistry> Registry() {
  Kind pod{.version = "v1", .kind = "Pod", .plural = "pods", .types = R"(
    # Runs containers.
    Pod {
    spec PodSpec -- What runs.
    }
  )"};
  Kind deployment{
      .group = "apps", .version = "v1", .kind = "Deployment", .plural = "deployments", .types = R"(
    Deployment {
    spec!  DeploymentSpec
    }
    DeploymentSpec {
      replicas  int32 = 1 min(0) -- How many.
      template! PodSpec = {}
      selector  LabelSelector
      mode      string enum(A, B)
    }
  )"};
  deployment.has_status = true;
  deployment.scale.spec_replicas = {"spec", "replicas"};
  auto registry = KindRegistry::Create({pod, deployment}, {R"(
    ObjectMeta { name string  labels {string}  finalizers [string] set merge }
    LabelSelector atomic { matchLabels {string} }
    PodSpec {
      containers [Container] key(name)
      volumes    [Volume] key(name) retainkeys
      limits     {quantity}
      start      time
    }
    Volume { name string }
    Container { name! string  port intstr  raw any  command [string] atomic }
  )"});
  EXPECT_TRUE(registry.ok()) << registry.status();
  return *std::move(registry);
}

json::value At(const json::value& in, std::initializer_list<std::string_view> path) {
  const json::value* found = Find(in, path);
  EXPECT_NE(found, nullptr) << *(path.end() - 1);
  return found == nullptr ? json::value() : *found;
}

TEST(OpenApi, V3DescribesOneGroupAndVersion) {
  const auto registry = Registry();
  OpenApi open_api(*registry);
  EXPECT_EQ(open_api.V3("apis/apps/v2"), nullptr);
  ASSERT_NE(open_api.V3("apis/apps/v1"), nullptr);
  const json::value document = Json(*open_api.V3("apis/apps/v1"));
  const json::value schemas = At(document, {"components", "schemas"});

  // Named as in Kubernetes: by the group, the core, or beside all groups.
  const json::value deployment = At(schemas, {"io.k8s.api.apps.v1.Deployment"});
  EXPECT_EQ(At(deployment, {"x-kubernetes-group-version-kind"}),
            Json(R"([{"group":"apps","kind":"Deployment","version":"v1"}])"));
  EXPECT_EQ(At(deployment, {"required"}), Json(R"(["spec"])"));
  EXPECT_EQ(At(deployment, {"properties", "spec"}),
            Json(R"({"$ref":"#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"})"));
  EXPECT_EQ(
      At(deployment, {"properties", "metadata", "allOf"}),
      Json(R"([{"$ref":"#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}])"));
  const json::value spec = At(schemas, {"io.k8s.api.apps.v1.DeploymentSpec", "properties"});
  EXPECT_EQ(At(spec, {"replicas"}), Json(R"({"type":"integer","format":"int32","minimum":0E0,
      "default":1,"description":"How many."})"));
  EXPECT_EQ(At(spec, {"mode", "enum"}), Json(R"(["A","B"])"));
  EXPECT_EQ(At(spec, {"template", "$ref"}), "#/components/schemas/io.k8s.api.core.v1.PodSpec");
  const json::value pod = At(schemas, {"io.k8s.api.core.v1.PodSpec", "properties"});
  EXPECT_EQ(At(pod, {"containers"}), Json(R"({"type":"array",
      "items":{"$ref":"#/components/schemas/io.k8s.api.core.v1.Container"},
      "x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],
      "x-kubernetes-patch-merge-key":"name","x-kubernetes-patch-strategy":"merge"})"));
  EXPECT_EQ(At(pod, {"volumes", "x-kubernetes-patch-strategy"}), "merge,retainKeys");
  EXPECT_EQ(
      At(schemas, {"io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector", "x-kubernetes-map-type"}),
      "atomic");
  EXPECT_EQ(At(schemas, {"io.k8s.api.apps.v1.DeploymentList", "properties", "items", "items"}),
            Json(R"({"$ref":"#/components/schemas/io.k8s.api.apps.v1.Deployment"})"));
  EXPECT_EQ(Find(schemas, {"io.k8s.api.core.v1.Pod"}), nullptr);
}

std::vector<std::string> QueryOf(const json::value& operation) {
  std::vector<std::string> names;
  for (const json::value& parameter : ArrayAt(operation, {"parameters"})) {
    if (StringAt(parameter, {"in"}) == "query") names.emplace_back(StringAt(parameter, {"name"}));
  }
  return names;
}

TEST(OpenApi, PathsSayWhatCanBeDone) {
  const auto registry = Registry();
  OpenApi open_api(*registry);
  const json::value paths = At(Json(*open_api.V3("apis/apps/v1")), {"paths"});
  std::vector<std::string> names;
  for (const auto& member : paths.get_object()) names.emplace_back(member.key());
  EXPECT_THAT(names, ElementsAre("/apis/apps/v1/namespaces/{namespace}/deployments",
                                 "/apis/apps/v1/deployments",
                                 "/apis/apps/v1/namespaces/{namespace}/deployments/{name}",
                                 "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/status",
                                 "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"));
  const json::value one = At(paths, {"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"});
  // kubectl looks for these to learn what the server can do.
  EXPECT_THAT(QueryOf(At(one, {"patch"})),
              ElementsAre("dryRun", "fieldManager", "fieldValidation", "force"));
  EXPECT_EQ(At(one, {"patch", "x-kubernetes-group-version-kind"}),
            Json(R"({"group":"apps","kind":"Deployment","version":"v1"})"));
  EXPECT_EQ(StringAt(one, {"patch", "operationId"}), "patchAppsV1NamespacedDeployment");
  EXPECT_EQ(At(one, {"put", "requestBody", "content", "application/json", "schema"}),
            Json(R"({"$ref":"#/components/schemas/io.k8s.api.apps.v1.Deployment"})"));
}

TEST(OpenApi, EveryReferenceLeadsSomewhere) {
  const auto registry = Registry();
  OpenApi open_api(*registry);
  for (const OpenApi::Document& text :
       {open_api.V2Json(), open_api.V3("apis/apps/v1"), open_api.V3("api/v1")}) {
    const json::value document = Json(*text);
    size_t references = 0;
    std::function<void(const json::value&)> visit = [&](const json::value& value) {
      if (const json::object* object = value.if_object()) {
        for (const auto& member : *object) {
          if (member.key() == "$ref") {
            ++references;
            json::error_code error;
            const std::string_view pointer = View(member.value().get_string());
            EXPECT_NE(document.find_pointer(
                          json::string_view(pointer.data() + 1, pointer.size() - 1), error),
                      nullptr)
                << pointer;
          }
          visit(member.value());
        }
      } else if (const json::array* array = value.if_array()) {
        for (const json::value& item : *array) visit(item);
      }
    };
    visit(document);
    EXPECT_GT(references, 10u);
  }
}

TEST(OpenApi, FollowsTheRegistry) {
  const auto registry = Registry();
  OpenApi open_api(*registry);
  const OpenApi::Document before = open_api.V3Index();
  const std::string hash = open_api.V3Hash("apis/apps/v1");
  EXPECT_EQ(open_api.V3Index(), before);
  EXPECT_NE(before->find("\"/openapi/v3/apis/apps/v1?hash=" + hash + "\""), std::string::npos);
  EXPECT_EQ(open_api.V3("apis/stable.example.com/v1"), nullptr);

  FieldErrors errors;
  Kind crontab{
      .group = "stable.example.com",
      .version = "v1",
      .kind = "CronTab",
      .plural = "crontabs",
      .own_schema = SchemaFromOpenApi(
          Json(R"({"type":"object","description":"Ticks.","properties":{"spec":{"type":"object",
                        "properties":{"cron":{"type":"string"}}}}})")
              .get_object(),
          "", errors)};
  registry->Add(crontab);
  ASSERT_NE(open_api.V3("apis/stable.example.com/v1"), nullptr);
  EXPECT_NE(open_api.V3Index()->find("stable.example.com"), std::string::npos);
  const json::value schema = At(Json(*open_api.V3("apis/stable.example.com/v1")),
                                {"components", "schemas", "com.example.stable.v1.CronTab"});
  EXPECT_EQ(At(schema, {"properties", "spec", "properties", "cron"}), Json(R"({"type":"string"})"));
  EXPECT_EQ(
      At(schema, {"properties", "metadata", "allOf"}),
      Json(R"([{"$ref":"#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}])"));
  EXPECT_EQ(open_api.V3Hash("apis/apps/v1"), hash);
}

// One field of a protobuf message: its number and its bytes or number.
std::vector<std::pair<int, std::string>> Decode(std::string_view bytes) {
  std::vector<std::pair<int, std::string>> fields;
  auto varint = [&bytes] {
    uint64_t value = 0;
    for (int shift = 0; !bytes.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (!bytes.empty()) {
    const uint64_t tag = varint();
    const int number = static_cast<int>(tag >> 3);
    if ((tag & 7) == 2) {
      const size_t size = varint();
      fields.emplace_back(number, std::string(bytes.substr(0, size)));
      bytes.remove_prefix(std::min(size, bytes.size()));
    } else if ((tag & 7) == 1) {
      fields.emplace_back(number, "double");
      bytes.remove_prefix(8);
    } else {
      fields.emplace_back(number, std::to_string(varint()));
    }
  }
  return fields;
}

std::string Get(std::string_view bytes, std::initializer_list<int> path) {
  std::string at(bytes);
  for (const int number : path) {
    std::string next;
    for (auto& [field, value] : Decode(at)) {
      if (field == number) {
        next = value;
        break;
      }
    }
    at = next;
  }
  return at;
}

TEST(OpenApiProto, HasTheFieldsOfGnosticsDocument) {
  const json::value document = Json(R"({"swagger":"2.0","info":{"title":"Keel","version":"v1"},
    "paths":{"/x/{name}":{
      "patch":{"operationId":"patchX","consumes":["a/b"],"parameters":[
          {"name":"dryRun","in":"query","type":"string"},
          {"name":"body","in":"body","required":true,"schema":{"$ref":"#/definitions/X"}}],
        "responses":{"200":{"description":"OK","schema":{"$ref":"#/definitions/X"}}},
        "x-kubernetes-group-version-kind":{"group":"","kind":"X","version":"v1"}},
      "parameters":[{"name":"name","in":"path","type":"string","required":true}]}},
    "definitions":{"X":{"type":"object","description":"An X.","required":["a"],
      "properties":{"a":{"type":"array","items":{"type":"string"},"minItems":1},
                    "m":{"type":"object","additionalProperties":{"type":"integer","minimum":0}},
                    "e":{"type":"string","enum":["A"],"default":"A"}},
      "x-kubernetes-group-version-kind":[{"group":"","kind":"X","version":"v1"}]}}})");
  const std::string bytes = OpenApiV2ToProto(document.get_object());
  EXPECT_EQ(Get(bytes, {1}), "2.0");
  EXPECT_EQ(Get(bytes, {2, 1}), "Keel");
  const std::string path = Get(bytes, {8, 2});
  EXPECT_EQ(Get(path, {1}), "/x/{name}");
  const std::string patch = Get(path, {2, 8});
  EXPECT_EQ(Get(patch, {5}), "patchX");
  EXPECT_EQ(Get(patch, {7}), "a/b");
  EXPECT_EQ(Get(patch, {8, 1, 2, 3, 4}), "dryRun");
  EXPECT_EQ(Get(patch, {8, 1, 2, 3, 6}), "string");
  EXPECT_EQ(Get(patch, {9, 1, 1}), "200");
  EXPECT_EQ(Get(patch, {9, 1, 2, 1, 2, 1, 1}), "#/definitions/X");
  EXPECT_EQ(Get(patch, {13, 1}), "x-kubernetes-group-version-kind");
  EXPECT_EQ(Json(Get(patch, {13, 2, 2})), Json(R"({"group":"","kind":"X","version":"v1"})"));
  EXPECT_EQ(Get(path, {2, 9, 1, 2, 4, 4}), "name");
  EXPECT_EQ(Get(path, {2, 9, 1, 2, 4, 1}), "1");
  const std::string definition = Get(bytes, {9, 1});
  EXPECT_EQ(Get(definition, {1}), "X");
  EXPECT_EQ(Get(definition, {2, 4}), "An X.");
  EXPECT_EQ(Get(definition, {2, 22, 1}), "object");
  EXPECT_EQ(Get(definition, {2, 19}), "a");
  EXPECT_EQ(Get(definition, {2, 25, 1, 2, 23, 1, 22, 1}), "string");
  EXPECT_EQ(Get(definition, {2, 25, 1, 2, 15}), "1");
  EXPECT_EQ(Get(definition, {2, 31, 1}), "x-kubernetes-group-version-kind");
  std::vector<std::string> properties;
  for (const auto& [field, property] : Decode(Get(definition, {2, 25}))) {
    properties.push_back(Get(property, {1}));
    if (properties.back() == "m") {
      EXPECT_EQ(Get(property, {2, 21, 1, 9}), "double");
    }
    if (properties.back() == "e") {
      EXPECT_EQ(Get(property, {2, 20, 2}), "\"A\"\n");
      EXPECT_EQ(Get(property, {2, 5, 2}), "\"A\"\n");
    }
  }
  EXPECT_THAT(properties, ElementsAre("a", "m", "e"));
}

}  // namespace
}  // namespace keel::orchestrator
