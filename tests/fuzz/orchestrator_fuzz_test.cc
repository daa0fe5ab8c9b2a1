// What clients send to the API server, damaged: objects, patches, apply configurations, sets of
// fields, schemas of CRDs. Whatever comes is taken or refused, what was taken keeps its promises,
// and nothing falls over.
#include <gtest/gtest.h>

#include "orchestrator/api/managed_fields.h"
#include "orchestrator/api/openapi_schema.h"
#include "orchestrator/api/patch.h"
#include "orchestrator/api/schema_testing.h"
#include "tests/fuzz/mutator.h"

namespace keel::orchestrator {
namespace {

using fuzz::Mutator;

constexpr char kTypes[] = R"(
  # A thing.
  ObjectMeta { name string  labels {string}  finalizers [string] set merge  managedFields any }
  Thing { spec Spec  status any }
  Spec {
    replicas   int32 = 1 min(0)      -- How many
                                        there are.
    mode       string enum(A, "B")
    containers [Container] key(name)
    ports      [Port] key(port, protocol) dups
    strategy   Strategy = {} retainkeys
    selector   Selector immutable
    data       {bytes}
  }
  Selector atomic { matchLabels {string} }
  Strategy { type string = "X"  surge intstr }
  Container { name! string  image string  env [Env] key(name)  args [string] }
  Env { name! string  value string }
  Port { port int32  protocol string = "TCP" }
)";

constexpr char kObject[] =
    R"({"metadata":{"name":"x","labels":{"a":"1"},"finalizers":["f"]},"spec":{"replicas":2,)"
    R"("containers":[{"name":"a","image":"i","env":[{"name":"E","value":"1"}]},{"name":"b"}],)"
    R"("ports":[{"port":1,"protocol":"TCP"}],"strategy":{"type":"Y"},"data":{"k":"aGk="},)"
    R"("selector":{"matchLabels":{"a":"1"}}},"status":{"ready":1}})";

constexpr const char* kStrategicPatches[] = {
    R"({"spec":{"containers":[{"name":"a","image":"j"},{"name":"c","$patch":"delete"}],)"
    R"("$setElementOrder/containers":[{"name":"a"},{"name":"b"}]}})",
    R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["f"],"finalizers":["g"]}})",
    R"({"spec":{"strategy":{"$retainKeys":["type"],"type":"Z"},"ports":[{"$patch":"replace"}]}})"};
constexpr const char* kJsonPatches[] = {
    R"([{"op":"add","path":"/spec/containers/-","value":{"name":"z"}},)"
    R"({"op":"test","path":"/metadata/name","value":"x"},)"
    R"({"op":"move","from":"/spec/replicas","path":"/status/ready"}])",
    R"([{"op":"copy","from":"/spec","path":"/status/a~1b"},{"op":"remove","path":"/spec/ports/0"}])"};
constexpr const char* kConfigs[] = {
    R"({"spec":{"replicas":3,"containers":[{"name":"a","env":[{"name":"F"}]}],"strategy":{}}})",
    R"({"metadata":{"labels":{"b":"2"},"finalizers":["f","g"]},"spec":{"ports":[{"port":1}]}})"};
constexpr char kManaged[] =
    R"([{"manager":"m","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":)"
    R"({"f:spec":{"f:replicas":{},"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{}}}}}},)"
    R"({"manager":"u","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":)"
    R"({"f:metadata":{"f:finalizers":{"v:\"f\"":{}}}}}])";
constexpr char kCrd[] =
    R"({"type":"object","properties":{"a":{"type":"array","x-kubernetes-list-type":"map",)"
    R"("x-kubernetes-list-map-keys":["k"],"items":{"type":"object","required":["k"],"properties":)"
    R"({"k":{"type":"string","pattern":"^[a-z]+$"},"n":{"type":"integer","default":1}}}},)"
    R"("m":{"type":"object","additionalProperties":{"x-kubernetes-int-or-string":true}}}})";

const Schema& Thing() {
  static const Schema& schema = TopSchema(kTypes, "Thing");
  return schema;
}

template <size_t n>
std::string_view OneOf(Mutator& mutate, const char* const (&texts)[n]) {
  return texts[mutate.Draw(n)];
}

// Values swapped for others of any type, members and items dropped or said twice: JSON all the
// same.
void Disturb(Mutator& mutate, json::value& value) {
  if (mutate.Chance(6)) {
    static constexpr const char* kOthers[] = {"null", "{}",     "[]",           "1",   "\"a\"",
                                              "-1.5", "[null]", "{\"name\":1}", "true"};
    value = Json(OneOf(mutate, kOthers));
    return;
  }
  if (json::object* object = value.if_object()) {
    for (auto& member : *object) Disturb(mutate, member.value());
    if (!object->empty() && mutate.Chance(8)) object->erase(object->begin());
  } else if (json::array* array = value.if_array()) {
    for (json::value& item : *array) Disturb(mutate, item);
    if (!array->empty() && mutate.Chance(8)) array->push_back(json::value(array->front()));
  }
}

// Mostly still JSON, sometimes not: then nothing.
json::value Damaged(Mutator& mutate, std::string_view text) {
  if (mutate.Chance(30)) {
    auto parsed = ParseJson(mutate.Damage(std::string(text)));
    return parsed.ok() ? *std::move(parsed) : json::value();
  }
  json::value value = Json(text);
  Disturb(mutate, value);
  return value;
}

void Judge(const json::value& value) {
  json::value object = value;
  std::vector<std::string> unknown;
  PruneUnknown(Thing(), object, nullptr);
  PruneUnknown(Thing(), object, &unknown);
  EXPECT_TRUE(unknown.empty());
  ApplyDefaults(Thing(), object);
  json::value again = object;
  ApplyDefaults(Thing(), again);
  EXPECT_EQ(again, object);
  FieldErrors errors;
  CheckSchema(Thing(), object, "", errors);
  FieldErrors immutable;
  CheckImmutable(Thing(), object, object, "", immutable);
  EXPECT_TRUE(immutable.empty());
}

TEST(OrchestratorFuzz, Patches) {
  for (uint64_t seed = 0; seed < fuzz::Seeds(3000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    const json::value object = mutate.Chance(50) ? Json(kObject) : Damaged(mutate, kObject);
    json::value now = object;
    (void)ApplyStrategicMergePatch(Thing(), now, Damaged(mutate, OneOf(mutate, kStrategicPatches)));
    Judge(now);
    now = object;
    (void)ApplyJsonPatch(now, Damaged(mutate, OneOf(mutate, kJsonPatches)));
    Judge(now);
    now = object;
    const json::value patch = Damaged(mutate, kObject);
    if (ApplyMergePatch(now, patch).ok()) {
      json::value again = now;
      EXPECT_TRUE(ApplyMergePatch(again, patch).ok());
      EXPECT_EQ(again, now);
    }
    Judge(now);
  }
}

TEST(OrchestratorFuzz, Apply) {
  for (uint64_t seed = 0; seed < fuzz::Seeds(3000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    json::value live = mutate.Chance(70) ? Json(kObject) : Damaged(mutate, kObject);
    if (mutate.Chance(70) && live.is_object()) {
      *Ensure(live, {"metadata", "managedFields"}) = Damaged(mutate, kManaged);
    }
    const FieldManager who{.name = "m", .api_version = "v1", .time = "2024-01-01T00:00:00Z"};
    const json::value config = Damaged(mutate, OneOf(mutate, kConfigs));
    const auto now = ApplyConfiguration(Thing(), live, config, who, mutate.Chance(50));
    // When nobody owns anything any more, the next apply is a first one.
    if (now.ok() && IsTracked(*now)) {
      const auto again = ApplyConfiguration(Thing(), *now, config, who, false);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(*again, *now);
    }
    json::value updated = Damaged(mutate, kObject);
    if (updated.is_object()) (void)TrackUpdate(Thing(), live, updated, who);
  }
}

TEST(OrchestratorFuzz, FieldSets) {
  const json::value fields = *Find(Json(kManaged).get_array()[0], {"fieldsV1"});
  for (uint64_t seed = 0; seed < fuzz::Seeds(3000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    const auto set = FieldSet::FromFieldsV1(Damaged(mutate, ToJson(fields)));
    if (!set.ok()) continue;
    (void)set->Paths();
    const auto again = FieldSet::FromFieldsV1(set->ToFieldsV1());
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(*again == *set);
    EXPECT_TRUE(set->Difference(*set).empty());
  }
}

TEST(OrchestratorFuzz, Schemas) {
  for (uint64_t seed = 0; seed < fuzz::Seeds(3000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    TypeRegistry types;
    if (types.Add(mutate.Damage(kTypes)).ok()) (void)types.Resolve();

    const json::value open_api = Damaged(mutate, kCrd);
    if (!open_api.is_object()) continue;
    FieldErrors errors;
    const auto schema = SchemaFromOpenApi(open_api.get_object(), "", errors);
    ASSERT_NE(schema, nullptr);
    if (!errors.empty()) continue;
    const json::object told = ToOpenApi(*schema, {.version = 3, .scalar_references = false});
    FieldErrors again;
    (void)SchemaFromOpenApi(told, "", again);
    EXPECT_TRUE(again.empty()) << json::serialize(told);
    json::value value = Json(R"({"a":[{"k":"x"},{"k":1},null],"m":{"p":1,"q":null},"z":1})");
    PruneUnknown(*schema, value, nullptr);
    ApplyDefaults(*schema, value);
    CheckSchema(*schema, value, "", errors);
  }
}

}  // namespace
}  // namespace keel::orchestrator
