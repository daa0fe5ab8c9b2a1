#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "orchestrator/api/patch.h"
#include "orchestrator/api/schema_testing.h"

namespace keel::orchestrator {
namespace {

using ::testing::HasSubstr;

const Schema& Deployment() {
  static const Schema& schema = TopSchema(R"(
    ObjectMeta { name string  labels {string}  finalizers [string] set merge }
    Deployment { spec Spec }
    Spec {
      replicas int32
      selector Selector
      strategy Strategy retainkeys
      template Template
      args     [string]
    }
    Selector atomic { matchLabels {string} }
    Strategy { type string  rollingUpdate RollingUpdate }
    RollingUpdate { maxSurge intstr }
    Template { containers [Container] key(name)  volumes [Volume] key(name) }
    Container {
      name  string
      image string
      env   [Env] key(name)
      ports [Port] key(port, protocol)
      command [string]
    }
    Env { name string  value string }
    Port { port int32  protocol string }
    Volume { name string  emptyDir any  secret any }
  )",
                                          "Deployment");
  return schema;
}

json::value Patched(std::string_view object, std::string_view patch) {
  json::value value = Json(object);
  const absl::Status status = ApplyStrategicMergePatch(Deployment(), value, Json(patch));
  EXPECT_TRUE(status.ok()) << status;
  return value;
}

std::string ErrorOf(std::string_view object, std::string_view patch) {
  json::value value = Json(object);
  const absl::Status status = ApplyStrategicMergePatch(Deployment(), value, Json(patch));
  EXPECT_FALSE(status.ok()) << patch;
  if (status.ok()) return "";
  EXPECT_EQ(ApiErrorOf(status).code, 400);
  return std::string(base::ToStd(status.message()));
}

// Objects and patches that are about the containers.
std::string Containers(std::string_view list, std::string_view more = "") {
  return base::StrCat(R"({"spec":{"template":{"containers":)", list, more, "}}}");
}

TEST(StrategicPatch, MergesObjectsAndDeletesWithNull) {
  EXPECT_EQ(Patched(R"({"metadata":{"labels":{"a":"1","b":"2"}},"spec":{"replicas":1}})",
                    R"({"metadata":{"labels":{"a":null,"c":"3","d":null}},"spec":{"replicas":2}})"),
            Json(R"({"metadata":{"labels":{"b":"2","c":"3"}},"spec":{"replicas":2}})"));
  EXPECT_EQ(Patched("{}", R"({"metadata":{"labels":{"a":null,"b":"2"}}})"),
            Json(R"({"metadata":{"labels":{"b":"2"}}})"));
  // What server-side apply owns whole is merged here all the same.
  EXPECT_EQ(Patched(R"({"spec":{"selector":{"matchLabels":{"a":"1"}}}})",
                    R"({"spec":{"selector":{"matchLabels":{"b":"2"}}}})"),
            Json(R"({"spec":{"selector":{"matchLabels":{"a":"1","b":"2"}}}})"));
}

TEST(StrategicPatch, MergesItemsByTheirKey) {
  EXPECT_EQ(
      Patched(Containers(R"([{"name":"a","image":"x","command":["1","2"]},{"name":"b"}])"),
              Containers(R"([{"name":"b","image":"y"},{"name":"a","image":"z","command":["3"]}])")),
      Json(Containers(R"([{"name":"b","image":"y"},{"name":"a","image":"z","command":["3"]}])")));
  EXPECT_EQ(Patched(Containers(R"([{"name":"a","env":[{"name":"X","value":"1"}]}])"),
                    Containers(R"([{"name":"a","env":[{"name":"X","value":null},
                                   {"name":"Y","value":"2"}]}])")),
            Json(Containers(R"([{"name":"a","env":[{"name":"X"},{"name":"Y","value":"2"}]}])")));
  // By the first key alone, as Kubernetes merges ports.
  EXPECT_EQ(Patched(Containers(R"([{"name":"a","ports":[{"port":1,"protocol":"TCP"}]}])"),
                    Containers(R"([{"name":"a","ports":[{"port":1,"protocol":"UDP"}]}])")),
            Json(Containers(R"([{"name":"a","ports":[{"port":1,"protocol":"UDP"}]}])")));
}

TEST(StrategicPatch, NewItemsComeFirstUnlessOrdered) {
  EXPECT_EQ(Patched(Containers(R"([{"name":"a"},{"name":"b"}])"), Containers(R"([{"name":"c"}])")),
            Json(Containers(R"([{"name":"c"},{"name":"a"},{"name":"b"}])")));
  EXPECT_EQ(Patched(Containers(R"([{"name":"a"},{"name":"b"}])"),
                    Containers(R"([{"name":"c"}])",
                               R"(,"$setElementOrder/containers":[{"name":"a"},{"name":"c"}])")),
            // b, which the patch does not know, stays behind a.
            Json(Containers(R"([{"name":"a"},{"name":"c"},{"name":"b"}])")));
  EXPECT_EQ(Patched(Containers(R"([{"name":"a"},{"name":"b"},{"name":"c"}])"),
                    R"({"spec":{"template":{"$setElementOrder/containers":
                        [{"name":"c"},{"name":"a"}]}}})"),
            // b was before c.
            Json(Containers(R"([{"name":"b"},{"name":"c"},{"name":"a"}])")));
  EXPECT_THAT(ErrorOf(Containers("[]"),
                      Containers(R"([{"name":"c"},{"name":"a"}])",
                                 R"(,"$setElementOrder/containers":[{"name":"a"},{"name":"c"}])")),
              HasSubstr("doesn't match $setElementOrder"));
  EXPECT_THAT(ErrorOf(Containers("[]"),
                      Containers(R"([{"name":"c"}])", R"(,"$setElementOrder/containers":[])")),
              HasSubstr("doesn't match $setElementOrder"));
}

TEST(StrategicPatch, DirectivesInItems) {
  EXPECT_EQ(
      Patched(Containers(R"([{"name":"a","image":"x"},{"name":"b"}])"),
              Containers(R"([{"name":"a","$patch":"delete"},{"name":"no","$patch":"delete"}])")),
      Json(Containers(R"([{"name":"b"}])")));
  EXPECT_EQ(Patched(Containers(R"([{"name":"a","image":"x"},{"name":"b"}])"),
                    Containers(R"([{"$patch":"replace"},{"name":"c"}])")),
            Json(Containers(R"([{"name":"c"}])")));
  EXPECT_EQ(Patched(Containers(R"([{"name":"a"}])"),
                    Containers(R"([{"$patch":"merge","name":"a","image":"y"}])")),
            Json(Containers(R"([{"name":"a","image":"y"}])")));
  // Delete and merge in one, with the order that kubectl sends along.
  EXPECT_EQ(Patched(Containers(R"([{"name":"a"},{"name":"b"}])"),
                    Containers(R"([{"name":"c"},{"$patch":"delete","name":"a"}])",
                               R"(,"$setElementOrder/containers":[{"name":"b"},{"name":"c"}])")),
            Json(Containers(R"([{"name":"b"},{"name":"c"}])")));
  // Where there was no list, directives leave nothing behind.
  EXPECT_EQ(
      Patched("{}", Containers(R"([{"$patch":"delete","name":"a"},{"name":"b","image":null}])")),
      Json(Containers(R"([{"name":"b"}])")));
}

TEST(StrategicPatch, DirectivesInObjects) {
  EXPECT_EQ(Patched(R"({"spec":{"strategy":{"type":"A","rollingUpdate":{"maxSurge":1}}}})",
                    R"({"spec":{"strategy":{"$patch":"replace","type":"Recreate","x":null}}})"),
            Json(R"({"spec":{"strategy":{"type":"Recreate"}}})"));
  EXPECT_EQ(Patched(R"({"spec":{"strategy":{"type":"A"}}})",
                    R"({"spec":{"strategy":{"$patch":"delete"}}})"),
            Json(R"({"spec":{"strategy":{}}})"));
  EXPECT_EQ(Patched(R"({"spec":{"strategy":{"type":"A","rollingUpdate":{"maxSurge":1}}}})",
                    R"({"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate",
                        "rollingUpdate":null}}})"),
            Json(R"({"spec":{"strategy":{"type":"Recreate"}}})"));
  EXPECT_EQ(
      Patched(R"({"spec":{"template":{"volumes":[{"name":"v","emptyDir":{}}]}}})",
              R"({"spec":{"template":{"volumes":[{"$retainKeys":["name","secret"],"name":"v",
                        "secret":{"secretName":"s"}}]}}})"),
      Json(R"({"spec":{"template":{"volumes":[{"name":"v","secret":{"secretName":"s"}}]}}})"));
}

TEST(StrategicPatch, ListsOfScalars) {
  EXPECT_EQ(Patched(R"({"metadata":{"finalizers":["a","b"]},"spec":{"args":["1"]}})",
                    R"({"metadata":{"finalizers":["c","a"]},"spec":{"args":["2"]}})"),
            Json(R"({"metadata":{"finalizers":["c","a","b"]},"spec":{"args":["2"]}})"));
  EXPECT_EQ(Patched(R"({"metadata":{"finalizers":["a","b","c"]}})",
                    R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["b"],
                        "$setElementOrder/finalizers":["c","a"]}})"),
            Json(R"({"metadata":{"finalizers":["c","a"]}})"));
  EXPECT_EQ(Patched(R"({})", R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["b"]}})"),
            Json(R"({"metadata":{}})"));
}

TEST(StrategicPatch, BadOnesAreRefused) {
  EXPECT_THAT(ErrorOf("{}", "[]"), HasSubstr("must be an object"));
  EXPECT_THAT(ErrorOf("{}", R"({"spec":{"$patch":"nope"}})"), HasSubstr("unknown patch type"));
  EXPECT_THAT(ErrorOf("{}", Containers(R"([{"image":"x"}])")),
              HasSubstr("does not contain declared merge key: name"));
  EXPECT_THAT(ErrorOf("{}", Containers(R"([{"$patch":"delete"}])")),
              HasSubstr("does not contain declared merge key: name"));
  EXPECT_THAT(ErrorOf("{}", Containers(R"(["x"])")), HasSubstr("expected objects"));
  EXPECT_THAT(ErrorOf("{}", Containers(R"([{"name":"a","$patch":"no"}])")),
              HasSubstr("unknown patch type found in list"));
  EXPECT_THAT(ErrorOf("{}", R"({"spec":{"strategy":{"$retainKeys":["a"],"type":"x"}}})"),
              HasSubstr("$retainKeys"));
  EXPECT_THAT(ErrorOf("{}", R"({"spec":{"strategy":{"$retainKeys":1}}})"), HasSubstr("retainKeys"));
  EXPECT_THAT(ErrorOf("{}", R"({"metadata":{"$deleteFromPrimitiveList/finalizers":1}})"),
              HasSubstr("primitive list"));
  EXPECT_THAT(ErrorOf(R"({"metadata":{"finalizers":["a"]}})",
                      R"({"metadata":{"$setElementOrder/finalizers":1}})"),
              HasSubstr("setElementOrder"));
  EXPECT_THAT(ErrorOf("{}", R"({"metadata":{"finalizers":[{}]}})"), HasSubstr("list of scalars"));
}

// What kubectl sends for `set image`, `scale` and `label`, on an object of the wrong shape.
TEST(StrategicPatch, WrongShapesGiveWay) {
  EXPECT_EQ(Patched(R"({"spec":"x"})", R"({"spec":{"replicas":2}})"),
            Json(R"({"spec":{"replicas":2}})"));
  EXPECT_EQ(Patched(Containers(R"("x")"), Containers(R"([{"name":"a"}])")),
            Json(Containers(R"([{"name":"a"}])")));
  EXPECT_EQ(Patched(Containers(R"(["x",1])"), Containers(R"([{"name":"a"}])")),
            Json(Containers(R"([{"name":"a"},"x",1])")));
}

}  // namespace
}  // namespace keel::orchestrator
