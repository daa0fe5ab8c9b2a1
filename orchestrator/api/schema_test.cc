#include "orchestrator/api/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "orchestrator/api/schema_testing.h"

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const char kTypes[] = R"(
  ObjectMeta { name string  labels {string}  annotations {string} }
  Thing {
    spec!    Spec
    status   Status
  }
  Spec {
    replicas    int32 = 1 min(0) max(1000)
    selector    Selector immutable
    strategy    Strategy = {}
    containers! [Container] key(name) min(1)
    volumes     [Volume] key(name)
    finalizers  [string] set
    limits      {quantity}
    port        intstr
    data        bytes
    when        time
    tick        microtime
    big         int64
    ratio       number
    on          bool
    extra       any
    maybe       string nullable
    id          string maxlen(5) minlen(2) pattern("^[a-zé]+$")
  }
  Selector atomic { matchLabels {string} }
  Strategy { type string = "RollingUpdate" enum(Recreate, RollingUpdate) }
  Container {
    name!  string
    image  string
    ports  [Port] key(port, protocol)
    env    [Env] key(name) dups
  }
  Port { port! int32  protocol string = "TCP" }
  Env { name! string  value string }
  Volume { name! string  kind string immutable }
  Status { ready int32 }
)";

const Schema& Thing() {
  static const Schema& schema = TopSchema(kTypes, "Thing");
  return schema;
}

json::value Defaulted(std::string_view text) {
  json::value value = Json(text);
  ApplyDefaults(Thing(), value);
  return value;
}

std::vector<std::string> ErrorsOf(std::string_view text) {
  FieldErrors errors;
  CheckSchema(Thing(), Json(text), "", errors);
  std::vector<std::string> out;
  for (const FieldErrors::Cause& cause : errors.causes()) {
    out.push_back(cause.field + ": " + cause.message);
  }
  return out;
}

// What is wrong with one field of an otherwise right spec.
std::vector<std::string> SpecErrors(std::string_view members) {
  return ErrorsOf(R"({"spec":{"containers":[{"name":"a"}],)" + std::string(members) + "}}");
}

TEST(Defaults, GoWhereSomethingIsMissing) {
  EXPECT_EQ(Defaulted(R"({"spec":{}})"),
            Json(R"({"spec":{"replicas":1,"strategy":{"type":"RollingUpdate"}}})"));
  EXPECT_EQ(Defaulted(R"({"spec":{"replicas":0,"strategy":{"type":"Recreate"},"containers":[
                {"name":"a","ports":[{"port":1},{"port":1,"protocol":"UDP"}]}]}})"),
            Json(R"({"spec":{"replicas":0,"strategy":{"type":"Recreate"},"containers":[
                {"name":"a","ports":[{"port":1,"protocol":"TCP"},{"port":1,"protocol":"UDP"}]}]}})"));
  // Null is nothing; and no spec, no defaults in it.
  EXPECT_EQ(IntAt(Defaulted(R"({"spec":{"replicas":null}})"), {"spec", "replicas"}), 1);
  EXPECT_EQ(Defaulted("{}"), Json("{}"));
}

TEST(Defaults, LeaveWrongTypesAlone) {
  for (const char* text : {R"("x")", "[1]", R"({"spec":[]})", R"({"spec":"x"})"}) {
    EXPECT_EQ(Defaulted(text), Json(text));
  }
  EXPECT_EQ(StringAt(Defaulted(R"({"spec":{"containers":"x"}})"), {"spec", "containers"}), "x");
}

TEST(Prune, RemovesAndNamesTheUnknown) {
  json::value value = Json(R"({"apiVersion":"v1","kind":"Thing","foo":1,
      "metadata":{"name":"x","nope":{},"labels":{"any":"thing"},"annotations":null},
      "spec":{"containers":[{"name":"a","bar":1},{"name":"b","env":[{"vaule":"x"}]}],
              "extra":{"is":{"kept":null}},"maybe":null,"replicas":null}})");
  std::vector<std::string> unknown;
  PruneUnknown(Thing(), value, &unknown);
  EXPECT_THAT(unknown, ElementsAre("foo", "metadata.nope", "spec.containers[0].bar",
                                   "spec.containers[1].env[0].vaule"));
  EXPECT_EQ(value, Json(R"({"apiVersion":"v1","kind":"Thing",
      "metadata":{"name":"x","labels":{"any":"thing"}},
      "spec":{"containers":[{"name":"a"},{"name":"b","env":[{}]}],
              "extra":{"is":{"kept":null}},"maybe":null}})"));
}

TEST(Check, AcceptsWhatIsRight) {
  EXPECT_THAT(ErrorsOf(R"({"apiVersion":"v1","kind":"Thing","metadata":{"name":"x"},"spec":{
      "replicas":3,"containers":[{"name":"a","ports":[{"port":1,"protocol":"TCP"},
      {"port":1,"protocol":"UDP"}],"env":[{"name":"A"},{"name":"A"}]},{"name":"b"}],
      "finalizers":["a","b"],"limits":{"cpu":"100m","memory":"1.5Gi","n":2,"e":"1e3"},
      "port":"http","data":"aGk=","when":"2024-02-29T01:02:03Z","tick":"2024-02-29T01:02:03.5+01:00",
      "big":9007199254740993,"ratio":0.5,"on":true,"extra":[1,null],"maybe":null,"id":"aé"}})"),
              IsEmpty());
}

TEST(Check, NamesEachMistake) {
  EXPECT_THAT(ErrorsOf("{}"), ElementsAre("spec: Required value"));
  EXPECT_THAT(ErrorsOf(R"({"spec":{}})"), ElementsAre("spec.containers: Required value"));
  EXPECT_THAT(ErrorsOf(R"({"spec":{"containers":[]}})"),
              ElementsAre("spec.containers: Required value"));
  EXPECT_THAT(ErrorsOf(R"({"spec":{"containers":[{"name":""},{"image":"x"}]}})"),
              ElementsAre("spec.containers[0].name: Required value",
                          "spec.containers[1].name: Required value"));
  EXPECT_THAT(ErrorsOf(R"({"spec":{"containers":[{"name":"a"},{"name":"b"},{"name":"a"}]}})"),
              ElementsAre(R"(spec.containers[2].name: Duplicate value: "a")"));
  EXPECT_THAT(
      ErrorsOf(R"({"spec":{"containers":[{"name":"a","ports":[{"port":1,"protocol":"TCP"},
                   {"protocol":"TCP","port":1}]}]}})"),
      ElementsAre(R"(spec.containers[0].ports[1]: Duplicate value: {"port":1,"protocol":"TCP"})"));
  EXPECT_THAT(SpecErrors(R"("replicas":"3")"),
              ElementsAre(R"(spec.replicas: Invalid value: "3": must be of type integer)"));
  EXPECT_THAT(SpecErrors(R"("replicas":-1)"),
              ElementsAre("spec.replicas: Invalid value: -1: must be greater than or equal to 0"));
  EXPECT_THAT(
      SpecErrors(R"("replicas":1001)"),
      ElementsAre("spec.replicas: Invalid value: 1001: must be less than or equal to 1000"));
  EXPECT_EQ(SpecErrors(R"("replicas":3000000000)").size(), 1u);
  EXPECT_EQ(SpecErrors(R"("replicas":1.5)").size(), 1u);
  EXPECT_THAT(
      SpecErrors(R"("strategy":{"type":"Replace"})"),
      ElementsAre(
          R"(spec.strategy.type: Unsupported value: "Replace": supported values: "Recreate", "RollingUpdate")"));
  EXPECT_THAT(SpecErrors(R"("finalizers":["a","a"])"),
              ElementsAre(R"(spec.finalizers[1]: Duplicate value: "a")"));
  EXPECT_EQ(SpecErrors(R"("limits":{"cpu":"much"})")[0].substr(0, 34),
            R"(spec.limits[cpu]: Invalid value: ")");
  for (const char* bad : {"1.2.3", "", ".", "1K", "1ee", "1e", "Gi", "--1", "1 Gi"}) {
    EXPECT_EQ(SpecErrors(R"("limits":{"cpu":")" + std::string(bad) + R"("})").size(), 1u) << bad;
  }
  EXPECT_EQ(SpecErrors(R"("port":1.5)").size(), 1u);
  EXPECT_EQ(SpecErrors(R"("data":"a=b=")").size(), 1u);
  EXPECT_EQ(SpecErrors(R"("data":"abc")").size(), 1u);
  for (const char* bad :
       {"2024-02-29", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00.Z",
        "2024-01-01 00:00:00Z", "2024-01-01T00:00:00+1"}) {
    EXPECT_EQ(SpecErrors(R"("when":")" + std::string(bad) + "\"").size(), 1u) << bad;
  }
  EXPECT_EQ(SpecErrors(R"("on":"true")").size(), 1u);
  EXPECT_EQ(SpecErrors(R"("ratio":"1")").size(), 1u);
  EXPECT_EQ(SpecErrors(R"("selector":[])").size(), 1u);
  EXPECT_EQ(SpecErrors(R"("volumes":{})").size(), 1u);
  EXPECT_EQ(SpecErrors(R"("id":"a")").size(), 1u);
  EXPECT_EQ(SpecErrors(R"("id":"abcdef")").size(), 1u);
  EXPECT_THAT(SpecErrors(R"("id":"a1")"),
              ElementsAre(R"(spec.id: Invalid value: "a1": should match '^[a-zé]+$')"));
}

std::vector<std::string> ImmutableErrors(std::string_view now, std::string_view before) {
  FieldErrors errors;
  CheckImmutable(Thing(), Json(now), Json(before), "", errors);
  std::vector<std::string> out;
  for (const FieldErrors::Cause& cause : errors.causes()) {
    out.push_back(cause.field + ": " + cause.message);
  }
  return out;
}

TEST(Immutable, CannotChangeOnceSet) {
  EXPECT_THAT(ImmutableErrors(R"({"spec":{"selector":{"matchLabels":{"a":"b"}},"replicas":2}})",
                              R"({"spec":{"selector":{"matchLabels":{"a":"b"}},"replicas":1}})"),
              IsEmpty());
  EXPECT_THAT(
      ImmutableErrors(R"({"spec":{"selector":{"matchLabels":{"a":"b"}}}})", R"({"spec":{}})"),
      IsEmpty());
  EXPECT_THAT(
      ImmutableErrors(R"({"spec":{"selector":{"matchLabels":{"a":"c"}}}})",
                      R"({"spec":{"selector":{"matchLabels":{"a":"b"}}}})"),
      ElementsAre(
          R"(spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable)"));
  EXPECT_EQ(ImmutableErrors(R"({"spec":{}})", R"({"spec":{"selector":{}}})").size(), 1u);
}

TEST(Immutable, FollowsItemsByTheirKeys) {
  const char* before = R"({"spec":{"volumes":[{"name":"a","kind":"x"},{"name":"b","kind":"y"}]}})";
  EXPECT_THAT(
      ImmutableErrors(R"({"spec":{"volumes":[{"name":"b","kind":"y"},{"name":"a","kind":"x"}]}})",
                      before),
      IsEmpty());
  EXPECT_THAT(ImmutableErrors(R"({"spec":{"volumes":[{"name":"b","kind":"x"}]}})", before),
              ElementsAre(R"(spec.volumes[0].kind: Invalid value: "x": field is immutable)"));
}

TEST(Schema, TakesObjectsAsTheyAre) {
  json::object object = Json(R"({"spec":{"nope":1,"containers":[]},"x":null})").get_object();
  std::vector<std::string> unknown;
  PruneUnknown(Thing(), object, &unknown);
  EXPECT_THAT(unknown, ElementsAre("spec.nope", "x"));
  ApplyDefaults(Thing(), object);
  EXPECT_EQ(IntAt(object, {"spec", "replicas"}), 1);
  FieldErrors errors;
  CheckSchema(Thing(), object, "", errors);
  ASSERT_EQ(errors.causes().size(), 1u);
  EXPECT_EQ(errors.causes()[0].field, "spec.containers");
  json::object before = object;
  *Ensure(before, {"spec", "selector"}) = json::object();
  FieldErrors immutable;
  CheckImmutable(Thing(), object, before, "", immutable);
  ASSERT_EQ(immutable.causes().size(), 1u);
  EXPECT_EQ(immutable.causes()[0].field, "spec.selector");
}

// Any tree of JSON, some of it with names that the schema knows.
json::value Arbitrary(int depth) {
  static const std::vector<std::string> names = {
      "spec", "status",   "metadata", "containers", "name",   "ports", "port",       "protocol",
      "env",  "strategy", "type",     "replicas",   "limits", "extra", "finalizers", "zzz"};
  switch (*rc::gen::inRange(0, depth > 0 ? 7 : 4)) {
    case 0:
      return nullptr;
    case 1:
      return *rc::gen::inRange(-3, 5);
    case 2:
      return json::value(*rc::gen::elementOf(names));
    case 3:
      return true;
    case 4: {
      json::array array;
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) array.push_back(Arbitrary(depth - 1));
      return array;
    }
    default: {
      json::object object;
      for (int i = *rc::gen::inRange(0, 6); i > 0; --i) {
        object[*rc::gen::elementOf(names)] = Arbitrary(depth - 1);
      }
      return object;
    }
  }
}

RC_GTEST_PROP(Schema, EngineIsIdempotentOnAnything, ()) {
  json::value value{{"spec", Arbitrary(5)}, {"status", Arbitrary(2)}};
  PruneUnknown(Thing(), value, nullptr);
  std::vector<std::string> unknown;
  json::value again = value;
  PruneUnknown(Thing(), again, &unknown);
  RC_ASSERT(unknown.empty());
  RC_ASSERT(again == value);

  ApplyDefaults(Thing(), value);
  again = value;
  ApplyDefaults(Thing(), again);
  RC_ASSERT(again == value);
  // Defaults are known fields, and nothing differs from itself.
  PruneUnknown(Thing(), again, &unknown);
  RC_ASSERT(unknown.empty());
  FieldErrors errors;
  CheckImmutable(Thing(), value, value, "", errors);
  RC_ASSERT(errors.empty());
  CheckSchema(Thing(), value, "", errors);
}

}  // namespace
}  // namespace keel::orchestrator
