#include "orchestrator/api/value_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "orchestrator/api/openapi_schema.h"
#include "orchestrator/api/schema_testing.h"

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// What is wrong with `value` of a field `spec` of that schema.
std::vector<std::string> Wrong(std::string_view schema, std::string_view value) {
  FieldErrors errors;
  const auto made = SchemaFromOpenApi(
      Json(base::StrCat(R"({"type":"object","properties":{"spec":)", schema, "}}")).get_object(),
      "", errors);
  EXPECT_THAT(Lines(errors), IsEmpty());
  CheckSchema(*made, Json(base::StrCat(R"({"spec":)", value, "}")), "", errors);
  return Lines(errors);
}

TEST(ValueRules, MultiplesAndCounts) {
  constexpr char kFives[] = R"({"type":"integer","multipleOf":5})";
  EXPECT_THAT(Wrong(kFives, "-15"), IsEmpty());
  EXPECT_THAT(Wrong(kFives, "7"),
              ElementsAre("spec: Invalid value: 7: spec in body should be a multiple of 5"));
  constexpr char kTenths[] = R"({"type":"number","multipleOf":0.1})";
  EXPECT_THAT(Wrong(kTenths, "0.7"), IsEmpty());
  EXPECT_THAT(Wrong(kTenths, "0.75"),
              ElementsAre("spec: Invalid value: 7.5E-1: spec in body should be a multiple of 0.1"));
  constexpr char kSome[] = R"({"type":"object","minProperties":1,"maxProperties":2,
      "additionalProperties":{"type":"string"}})";
  EXPECT_THAT(Wrong(kSome, R"({"a":"b"})"), IsEmpty());
  EXPECT_THAT(
      Wrong(kSome, "{}"),
      ElementsAre("spec: Invalid value: 0: spec in body should have at least 1 properties"));
  EXPECT_THAT(Wrong(kSome, R"({"a":"","b":"","c":""})"),
              ElementsAre("spec: Too many: 3: must have at most 2 items"));
}

constexpr char kEither[] = R"({"type":"object","properties":{
    "a":{"type":"string"},"b":{"type":"string"}},
    "oneOf":[{"required":["a"]},{"required":["b"]}]})";

TEST(ValueRules, OneOf) {
  EXPECT_THAT(Wrong(kEither, R"({"a":"x"})"), IsEmpty());
  EXPECT_THAT(
      Wrong(kEither, "{}"),
      ElementsAre("<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema "
                  "(oneOf). Found none valid",
                  "spec.a: Required value"));
  EXPECT_THAT(
      Wrong(kEither, R"({"a":"x","b":"y"})"),
      ElementsAre("<nil>: Invalid value: \"\": \"spec\" must validate one and only one schema "
                  "(oneOf). Found 2 valid alternatives"));
}

TEST(ValueRules, AnyOf) {
  constexpr char kAny[] =
      R"({"type":"integer","anyOf":[{"maximum":3,"enum":[1,2]},{"minimum":10}]})";
  EXPECT_THAT(Wrong(kAny, "2"), IsEmpty());
  EXPECT_THAT(Wrong(kAny, "12"), IsEmpty());
  EXPECT_THAT(
      Wrong(kAny, "5"),
      ElementsAre("<nil>: Invalid value: \"\": \"spec\" must validate at least one schema (anyOf)",
                  "spec: Invalid value: 5: spec in body should be greater than or equal to 10"));
  // As CRDs of old say what x-kubernetes-int-or-string means.
  constexpr char kPort[] = R"({"x-kubernetes-int-or-string":true,
      "anyOf":[{"type":"integer"},{"type":"string"}],"allOf":[{"maximum":9}]})";
  EXPECT_THAT(Wrong(kPort, "8"), IsEmpty());
  EXPECT_THAT(Wrong(kPort, R"("http")"), IsEmpty());
  EXPECT_EQ(Wrong(kPort, "10").size(), 2u);
}

TEST(ValueRules, AllOfAndNot) {
  constexpr char kAll[] = R"({"type":"string","allOf":[{"minLength":2},{"pattern":"^x"}],
      "not":{"enum":["xyz"]}})";
  EXPECT_THAT(Wrong(kAll, R"("xy")"), IsEmpty());
  EXPECT_THAT(
      Wrong(kAll, R"("ab")"),
      ElementsAre("spec: Invalid value: \"ab\": spec in body should match '^x'",
                  "<nil>: Invalid value: \"\": \"spec\" must validate all the schemas (allOf)"));
  EXPECT_THAT(Wrong(kAll, R"("a")").back(),
              "<nil>: Invalid value: \"\": \"spec\" must validate all the schemas (allOf). None "
              "validated");
  EXPECT_THAT(
      Wrong(kAll, R"("xyz")"),
      ElementsAre("<nil>: Invalid value: \"\": \"spec\" must not validate the schema (not)"));
}

TEST(ValueRules, LookBelow) {
  constexpr char kDeep[] = R"({"type":"object","properties":{
      "kind":{"type":"string"},"list":{"type":"array","items":{"type":"integer"}}},
      "anyOf":[{"properties":{"kind":{"enum":["free"]}}},
               {"properties":{"list":{"maxItems":2,"items":{"maximum":5}}},"required":["list"]}]})";
  EXPECT_THAT(Wrong(kDeep, R"({"kind":"free","list":[9]})"), IsEmpty());
  EXPECT_THAT(Wrong(kDeep, R"({"kind":"tied","list":[1,2]})"), IsEmpty());
  const auto wrong = Wrong(kDeep, R"({"kind":"tied","list":[1,9]})");
  EXPECT_EQ(wrong.size(), 2u);
  // Also of the object itself, which has no field.
  FieldErrors errors;
  const auto root = SchemaFromOpenApi(
      Json(R"({"type":"object","properties":{"a":{"type":"string"}},"not":{"required":["a"]}})")
          .get_object(),
      "", errors);
  CheckSchema(*root, Json(R"({"a":"b"})").get_object(), "", errors);
  EXPECT_THAT(Lines(errors),
              ElementsAre("<nil>: Invalid value: \"\": \"\" must not validate the schema (not)"));
}

TEST(ValueRules, MustBeStructural) {
  FieldErrors errors;
  const json::value schema = Json(R"({"type":"object","properties":{"a":{"type":"string",
      "anyOf":[{"type":"string"},{"description":"d","nullable":true}],
      "not":{"default":"x","pattern":"("}}}})");
  SchemaFromOpenApi(schema.get_object(), "s", errors);
  EXPECT_THAT(
      Lines(errors),
      ElementsAre("s.properties[a].anyOf[0].type: Forbidden: must be empty to be structural",
                  "s.properties[a].anyOf[1].description: Forbidden: must be empty to be "
                  "structural",
                  "s.properties[a].anyOf[1].nullable: Forbidden: must be false to be structural",
                  "s.properties[a].not.default: Forbidden: must be undefined to be structural",
                  "s.properties[a].not.pattern: Invalid value: \"(\": must be a valid regular "
                  "expression"));
}

TEST(ValueRules, ArePublished) {
  FieldErrors errors;
  const auto schema = SchemaFromOpenApi(Json(kEither).get_object(), "", errors);
  EXPECT_EQ(*Find(ToOpenApi(*schema, {.version = 3, .scalar_references = false}), {"oneOf"}),
            *Find(Json(kEither), {"oneOf"}));
  EXPECT_EQ(Find(ToOpenApi(*schema, {.version = 2, .scalar_references = false}), {"oneOf"}),
            nullptr);
}

}  // namespace
}  // namespace keel::orchestrator
