#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/api/openapi_schema.h"
#include "orchestrator/api/schema_testing.h"

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kCronTab[] = R"({"type":"object","description":"Ticks.","properties":{
  "spec":{"type":"object","required":["cron"],"properties":{
    "cron":{"type":"string","pattern":"^\\S+$","maxLength":20},
    "replicas":{"type":"integer","format":"int32","minimum":1,"maximum":10,"default":1},
    "port":{"x-kubernetes-int-or-string":true},
    "mode":{"type":"string","enum":["A","B"],"default":"A"},
    "level":{"type":"integer","enum":[1,3]},
    "ratio":{"type":"number","minimum":0,"exclusiveMinimum":true},
    "maybe":{"type":"string","nullable":true},
    "host":{"type":"string","format":"hostname"},
    "labels":{"type":"object","additionalProperties":{"type":"string"},"x-kubernetes-map-type":"atomic"},
    "steps":{"type":"array","maxItems":3,"x-kubernetes-list-type":"map",
      "x-kubernetes-list-map-keys":["name","port"],
      "items":{"type":"object","required":["name"],"properties":{
        "name":{"type":"string"},"port":{"type":"integer","default":80}}}},
    "tags":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}},
    "free":{"type":"object","x-kubernetes-preserve-unknown-fields":true,
      "properties":{"known":{"type":"object","properties":{"a":{"type":"string"}}}}},
    "anything":{"x-kubernetes-preserve-unknown-fields":true},
    "pod":{"type":"object","x-kubernetes-embedded-resource":true,
      "properties":{"spec":{"type":"object"}}},
    "nested":{"type":"object","default":{},"properties":{"on":{"type":"boolean","default":true}}}}}}})";

const Schema& CronTab() {
  static const std::shared_ptr<const Schema>& schema = *new std::shared_ptr<const Schema>([] {
    FieldErrors errors;
    auto made = SchemaFromOpenApi(Json(kCronTab).get_object(), "", errors);
    EXPECT_THAT(Lines(errors), IsEmpty());
    return made;
  }());
  return *schema;
}

TEST(SchemaFromOpenApi, DefaultsAndPrunes) {
  json::value value = Json(R"({"spec":{"cron":"*","steps":[{"name":"a"}],"nope":1,"maybe":null,
      "mode":null,"free":{"x":1,"known":{"a":"b","c":1}},"anything":[{"deep":null}],
      "pod":{"apiVersion":"v1","kind":"Pod","metadata":{},"other":1}}})");
  std::vector<std::string> unknown;
  PruneUnknown(CronTab(), value, &unknown);
  ApplyDefaults(CronTab(), value);
  EXPECT_THAT(unknown, ElementsAre("spec.nope", "spec.free.known.c", "spec.pod.other"));
  EXPECT_EQ(value, Json(R"({"spec":{"cron":"*","steps":[{"name":"a","port":80}],"maybe":null,
      "free":{"x":1,"known":{"a":"b"}},"anything":[{"deep":null}],
      "pod":{"apiVersion":"v1","kind":"Pod","metadata":{}},
      "replicas":1,"mode":"A","nested":{"on":true}}})"));
}

std::vector<std::string> SpecErrors(std::string_view members) {
  FieldErrors errors;
  CheckSchema(CronTab(), Json(R"({"spec":{"cron":"*")" + std::string(members) + "}}"), "", errors);
  return Lines(errors);
}

TEST(SchemaFromOpenApi, Checks) {
  EXPECT_THAT(SpecErrors(R"(,"replicas":2,"port":"http","level":3,"ratio":0.1,"tags":["a"],
      "labels":{"a":"b"},"steps":[{"name":"a","port":1},{"name":"a","port":2}])"),
              IsEmpty());
  EXPECT_THAT(SpecErrors(R"(,"port":8080,"maybe":null,"anything":1)"), IsEmpty());
  for (const char* bad :
       {R"("replicas":11)", R"("replicas":"1")", R"("port":1.5)", R"("mode":"C")", R"("mode":"")",
        R"("level":2)", R"("ratio":0)", R"("host":null)", R"("labels":{"a":1})",
        R"("steps":[{"port":1}])", R"("steps":[{"name":"a","port":1},{"name":"a","port":1}])",
        R"("tags":["a","a"])", R"("tags":{})", R"("cron":"a b")"}) {
    const bool null_is_absent = std::string_view(bad) == R"("host":null)";
    EXPECT_EQ(SpecErrors(std::string(",") + bad).size(), null_is_absent ? 0u : 1u) << bad;
  }
  FieldErrors errors;
  CheckSchema(CronTab(), Json(R"({"spec":{}})"), "", errors);
  EXPECT_THAT(Lines(errors), ElementsAre("spec.cron: Required value"));
  // An empty text is a text here.
  FieldErrors none;
  CheckSchema(CronTab(), Json(R"({"spec":{"cron":"*","host":""}})"), "", none);
  EXPECT_TRUE(none.empty());
}

TEST(SchemaFromOpenApi, GoesBackToOpenApi) {
  const json::object back = ToOpenApi(CronTab(), {.version = 3, .scalar_references = false});
  FieldErrors errors;
  const auto again = SchemaFromOpenApi(back, "", errors);
  EXPECT_THAT(Lines(errors), IsEmpty());
  EXPECT_EQ(ToOpenApi(*again, {.version = 3, .scalar_references = false}), back);
  // All that was written is there again; lists say that they are atomic, numbers are doubles.
  const json::value spec = *Find(back, {"properties", "spec"});
  EXPECT_EQ(*Find(spec, {"properties", "steps"}),
            Json(R"({"type":"array","maxItems":3,"x-kubernetes-list-type":"map",
      "x-kubernetes-list-map-keys":["name","port"],
      "items":{"type":"object","required":["name"],"properties":{
        "name":{"type":"string"},"port":{"type":"integer","format":"int64","default":80}}}})"));
  EXPECT_EQ(*Find(spec, {"properties", "free"}),
            *Find(Json(kCronTab), {"properties", "spec", "properties", "free"}));
  EXPECT_EQ(*Find(spec, {"properties", "host"}), Json(R"({"type":"string","format":"hostname"})"));
  EXPECT_EQ(*Find(spec, {"properties", "port"}), Json(R"({"x-kubernetes-int-or-string":true})"));
  EXPECT_EQ(*Find(spec, {"properties", "labels"}),
            *Find(Json(kCronTab), {"properties", "spec", "properties", "labels"}));
}

std::vector<std::string> Mistakes(std::string_view text) {
  FieldErrors errors;
  EXPECT_NE(SchemaFromOpenApi(Json(text).get_object(), "schema", errors), nullptr);
  return Lines(errors);
}

TEST(SchemaFromOpenApi, NamesWhatIsNotStructural) {
  EXPECT_THAT(Mistakes("{}"),
              ElementsAre("schema.type: Required value: must be object at the root"));
  EXPECT_THAT(Mistakes(R"({"type":"object","properties":{"a":{}}})"),
              ElementsAre("schema.properties[a].type: Required value: must not be empty for "
                          "specified object fields"));
  EXPECT_EQ(Mistakes(R"({"type":"object","properties":{"a":{"type":"text"}}})").size(), 1u);
  EXPECT_EQ(Mistakes(R"({"type":"object","properties":{"a":1}})").size(), 1u);
  EXPECT_THAT(Mistakes(R"({"type":"object","properties":{"a":{"type":"array"}}})"),
              ElementsAre("schema.properties[a].items: Required value: must be specified"));
  EXPECT_EQ(
      Mistakes(R"({"type":"object","properties":{"a":{"$ref":"#/x","type":"string"}}})").size(),
      1u);
  EXPECT_EQ(
      Mistakes(R"({"type":"object","properties":{"a":{"type":"string","pattern":"("}}})").size(),
      1u);
  EXPECT_THAT(
      Mistakes(R"({"type":"object","properties":{"a":{"type":"string","default":1}}})"),
      ElementsAre("schema.properties[a].default: Invalid value: 1: must be of type string"));
  EXPECT_EQ(
      Mistakes(R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"object"},
      "x-kubernetes-list-type":"map"}}})")
          .size(),
      1u);
  EXPECT_EQ(Mistakes(R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"object",
      "properties":{"k":{"type":"string"}}},"x-kubernetes-list-type":"map",
      "x-kubernetes-list-map-keys":["k"]}}})")
                .size(),
            1u);
  EXPECT_EQ(
      Mistakes(R"({"type":"object","properties":{"a":{"type":"array","items":{"type":"string"},
      "x-kubernetes-list-type":"bag"}}})")
          .size(),
      1u);
  EXPECT_EQ(Mistakes(R"({"type":"object","properties":{"x":{"type":"string"}},
      "additionalProperties":{"type":"string"}})")
                .size(),
            1u);

  std::string deep = R"({"type":"string"})";
  for (int i = 0; i < 150; ++i) deep = R"({"type":"object","properties":{"a":)" + deep + "}}";
  EXPECT_EQ(Mistakes(deep).size(), 1u);
}

}  // namespace
}  // namespace keel::orchestrator
