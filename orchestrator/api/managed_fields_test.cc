#include "orchestrator/api/managed_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/strings.h"
#include "orchestrator/api/apply_walk.h"
#include "orchestrator/api/schema_testing.h"

namespace keel::orchestrator {
namespace {

using ::testing::HasSubstr;

const Schema& Thing() {
  static const Schema& schema = TopSchema(R"(
    ObjectMeta {
      name string  uid string  labels {string}  annotations {string}
      managedFields any
      finalizers [string] set
    }
    Thing { spec Spec  status Status }
    Spec {
      replicas   int32
      paused     bool
      selector   Selector
      containers [Container] key(name)
      args       [string]
      ports      [Port] key(port, protocol)
      strategy   Strategy
    }
    Selector atomic { matchLabels {string} }
    Strategy { type string  rollingUpdate Rolling }
    Rolling { maxSurge intstr }
    Container { name string  image string  env [Env] key(name) }
    Env { name string  value string }
    Port { port int32  protocol string = "TCP"  name string }
    Status { ready int32 }
  )",
                                          "Thing");
  return schema;
}

FieldManager By(std::string_view name, std::string_view time = "2024-01-01T00:00:00Z") {
  return {.name = std::string(name), .api_version = "apps/v1", .time = std::string(time)};
}

json::value Apply(const json::value& live, std::string_view config, const FieldManager& who,
                  bool force = false) {
  auto now = ApplyConfiguration(Thing(), live, Json(config), who, force);
  EXPECT_TRUE(now.ok()) << now.status();
  return now.ok() ? *std::move(now) : live;
}

ApiError ApplyError(const json::value& live, std::string_view config, const FieldManager& who) {
  auto now = ApplyConfiguration(Thing(), live, Json(config), who, false);
  EXPECT_FALSE(now.ok()) << config;
  return now.ok() ? ApiError() : ApiErrorOf(now.status());
}

json::value Update(const json::value& before, std::string_view members, const FieldManager& who) {
  json::value now = before;
  const json::value put = Json(members);
  for (const auto& member : put.get_object()) now.get_object()[member.key()] = member.value();
  EXPECT_TRUE(TrackUpdate(Thing(), before, now, who).ok());
  return now;
}

json::value Spec(const json::value& object) { return *Find(object, {"spec"}); }

// The fields of one manager, "" if it has none.
std::string Owned(const json::value& object, std::string_view manager) {
  for (const json::value& entry : ArrayAt(object, {"metadata", "managedFields"})) {
    if (StringAt(entry, {"manager"}) == manager) return ToJson(*Find(entry, {"fieldsV1"}));
  }
  return "";
}

TEST(Apply, CreatesAndOwnsWhatItSays) {
  const json::value now = Apply(nullptr, R"({"apiVersion":"apps/v1","kind":"Thing",
      "metadata":{"name":"x","labels":{"a":"1"}},
      "spec":{"replicas":2,"selector":{"matchLabels":{"a":"1"}},"args":["x"],
              "containers":[{"name":"a","image":"i"}],"ports":[{"port":80}],"strategy":{}}})",
                                By("helm"));
  EXPECT_EQ(Json(ToJson(*Find(now, {"metadata", "managedFields"}))), Json(R"([{
      "manager":"helm","operation":"Apply","apiVersion":"apps/v1","time":"2024-01-01T00:00:00Z",
      "fieldsType":"FieldsV1","fieldsV1":{
        "f:metadata":{"f:labels":{"f:a":{}}},
        "f:spec":{"f:args":{},
          "f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{},"f:name":{}}},
          "f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}},
          "f:replicas":{},"f:selector":{},"f:strategy":{}}}}])"));
  EXPECT_EQ(StringAt(now, {"metadata", "name"}), "x");
}

TEST(Apply, RemovesWhatOnlyItOwnedAndLeavesOut) {
  json::value live = Apply(nullptr, R"({"metadata":{"labels":{"a":"1","b":"2"}},
      "spec":{"replicas":2,"containers":[{"name":"a","image":"i"},{"name":"b","image":"j"}],
              "strategy":{"rollingUpdate":{"maxSurge":1}}}})",
                           By("helm"));
  live = Apply(live, R"({"metadata":{"labels":{"a":"1"}},
      "spec":{"containers":[{"name":"b"}],"replicas":2}})",
               By("helm", "2024-01-02T00:00:00Z"));
  EXPECT_EQ(Spec(live), Json(R"({"replicas":2,"containers":[{"name":"b"}]})"));
  EXPECT_EQ(*Find(live, {"metadata", "labels"}), Json(R"({"a":"1"})"));
  EXPECT_EQ(Owned(live, "helm"),
            R"({"f:metadata":{"f:labels":{"f:a":{}}},"f:spec":{"f:containers":)"
            R"({"k:{\"name\":\"b\"}":{"f:name":{},".":{}}},"f:replicas":{}}})");
}

TEST(Apply, LeavesWhatOthersOwn) {
  json::value live = Apply(nullptr, R"({"spec":{"replicas":2,"paused":true}})", By("a"));
  live = Apply(live, R"({"spec":{"replicas":2}})", By("b"));  // the same value: both own it
  live = Apply(live, R"({"spec":{}})", By("a"));
  EXPECT_EQ(Spec(live), Json(R"({"replicas":2})"));
  // Alone now.
  live = Apply(live, R"({"metadata":{"labels":{"x":"y"}}})", By("b"));
  EXPECT_EQ(Find(live, {"spec", "replicas"}), nullptr);
}

TEST(Apply, ConflictsWithOthersUnlessForced) {
  json::value live = Apply(
      nullptr, R"({"spec":{"replicas":2,"containers":[{"name":"a","image":"i"}]}})", By("helm"));
  live = Update(live, R"({"spec":{"replicas":3,"containers":[{"name":"a","image":"i"}]}})",
                By("kubectl-scale"));
  EXPECT_EQ(Owned(live, "kubectl-scale"), R"({"f:spec":{"f:replicas":{}}})");
  EXPECT_THAT(Owned(live, "helm"), ::testing::Not(HasSubstr("replicas")));

  const ApiError error = ApplyError(live, R"({"spec":{"replicas":2}})", By("helm"));
  EXPECT_EQ(error.code, 409);
  EXPECT_EQ(error.reason, "Conflict");
  EXPECT_EQ(error.message,
            "Apply failed with 1 conflict: conflict with \"kubectl-scale\" using apps/v1: "
            ".spec.replicas");
  EXPECT_EQ(json::value(error.details), Json(R"({"causes":[{"reason":"FieldManagerConflict",
      "message":"conflict with \"kubectl-scale\" using apps/v1","field":".spec.replicas"}]})"));

  const ApiError two = ApplyError(
      live, R"({"spec":{"replicas":4,"containers":[{"name":"a","image":"j"}]}})", By("other"));
  EXPECT_EQ(two.message,
            "Apply failed with 2 conflicts: conflicts with \"helm\":\n"
            "- .spec.containers[name=\"a\"].image\n"
            "conflicts with \"kubectl-scale\" using apps/v1:\n- .spec.replicas");

  live = Apply(live, R"({"spec":{"replicas":5}})", By("helm"), true);
  EXPECT_EQ(IntAt(live, {"spec", "replicas"}), 5);
  EXPECT_EQ(Owned(live, "kubectl-scale"), "");
}

TEST(Apply, ChangesNothingWhenThereIsNothingToChange) {
  const char* config = R"({"apiVersion":"apps/v1","metadata":{"name":"x","labels":{"a":"1"}},
      "spec":{"containers":[{"name":"a"}],"ports":[{"port":1}]}})";
  const json::value live = Apply(nullptr, config, By("helm"));
  EXPECT_EQ(Apply(live, config, By("helm", "2030-01-01T00:00:00Z")), live);
}

TEST(Apply, MergesListsInTheOrderOfTheConfiguration) {
  json::value live = Json(R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b"},
      {"name":"c"}]},"metadata":{"finalizers":["x","y"]}})");
  live = Apply(live, R"({"spec":{"containers":[{"name":"c"},{"name":"n"},{"name":"a"}]},
      "metadata":{"finalizers":["z","y"]}})",
               By("m"));
  EXPECT_EQ(*Find(live, {"spec", "containers"}),
            Json(R"([{"name":"c"},{"name":"n"},{"name":"b"},{"name":"a","image":"1"}])"));
  EXPECT_EQ(*Find(live, {"metadata", "finalizers"}), Json(R"(["z","x","y"])"));
}

TEST(Apply, AtomicFieldsHaveOneOwner) {
  json::value live =
      Apply(nullptr, R"({"spec":{"selector":{"matchLabels":{"a":"1"}},"args":["x"]}})", By("a"));
  const ApiError error =
      ApplyError(live, R"({"spec":{"selector":{"matchLabels":{"b":"2"}}}})", By("b"));
  EXPECT_THAT(error.message, HasSubstr("conflict with \"a\": .spec.selector"));
  live = Apply(live, R"({"spec":{"selector":{"matchLabels":{"b":"2"}}}})", By("b"), true);
  EXPECT_EQ(*Find(live, {"spec", "selector"}), Json(R"({"matchLabels":{"b":"2"}})"));
}

TEST(Apply, KeepsWhatWasThereBeforeTheFirstApply) {
  json::value live =
      Json(R"({"metadata":{"name":"x","uid":"1"},"spec":{"replicas":1,"paused":true}})");
  EXPECT_THAT(ApplyError(live, R"({"spec":{"replicas":2}})", By("helm")).message,
              HasSubstr("conflict with \"before-first-apply\" using apps/v1: .spec.replicas"));
  live = Apply(live, R"({"spec":{"replicas":1}})", By("helm"));
  live = Apply(live, R"({"metadata":{"labels":{"a":"b"}}})", By("helm"));
  EXPECT_EQ(IntAt(live, {"spec", "replicas"}), 1);
}

TEST(Apply, TakesOverFromClientSideApply) {
  json::value live = Json(R"({"metadata":{"name":"x","annotations":{
      "kubectl.kubernetes.io/last-applied-configuration":
      "{\"metadata\":{\"annotations\":{},\"name\":\"x\"},\"spec\":{\"replicas\":1,\"paused\":true}}"}},
      "spec":{"replicas":1,"paused":true,"args":["set by another"]}})");
  // No conflict about the replicas, and what the annotation named and is named no more goes.
  live = Apply(live, R"({"spec":{"replicas":7}})", By("kubectl"));
  EXPECT_EQ(Spec(live), Json(R"({"replicas":7,"args":["set by another"]})"));
  EXPECT_EQ(Owned(live, "before-first-apply"), R"({"f:spec":{"f:args":{}}})");
}

TEST(Apply, RefusesBadConfigurations) {
  EXPECT_EQ(ApplyError(nullptr, "[]", By("m")).code, 400);
  EXPECT_THAT(ApplyError(nullptr, R"({"spec":{"nope":1}})", By("m")).message,
              HasSubstr(".spec.nope: field not declared in schema"));
  EXPECT_THAT(ApplyError(nullptr, R"({"spec":{"containers":[{"image":"x"}]}})", By("m")).message,
              HasSubstr("lacks its key \"name\""));
  EXPECT_THAT(ApplyError(nullptr, R"({"spec":{"containers":[{"name":"a"},{"name":"a"}]}})", By("m"))
                  .message,
              HasSubstr("duplicate entries"));
  EXPECT_THAT(ApplyError(nullptr, R"({"metadata":{"managedFields":[{}]}})", By("m")).message,
              HasSubstr("managedFields must be nil"));
  EXPECT_EQ(
      ApplyError(Json(R"({"metadata":{"managedFields":[{"operation":"X"}]}})"), "{}", By("m")).code,
      400);
}

TEST(TrackUpdate, DoesNothingForObjectsThatNobodyApplied) {
  const json::value before = Json(R"({"spec":{"replicas":1}})");
  const json::value now = Update(before, R"({"spec":{"replicas":2}})", By("kubectl-edit"));
  EXPECT_EQ(now, Json(R"({"spec":{"replicas":2}})"));
}

TEST(TrackUpdate, TakesObjectsAsTheyAre) {
  json::value live = Apply(nullptr, R"({"spec":{"replicas":2}})", By("helm"));
  json::object now = live.get_object();
  *Ensure(now, {"spec", "replicas"}) = 3;
  ASSERT_TRUE(TrackUpdate(Thing(), &live.get_object(), now, By("edit")).ok());
  EXPECT_EQ(Owned(now, "edit"), R"({"f:spec":{"f:replicas":{}}})");
  json::object made = Json(R"({"metadata":{"managedFields":[]}})").get_object();
  ASSERT_TRUE(TrackUpdate(Thing(), nullptr, made, By("edit")).ok());
  EXPECT_EQ(json::value(made), Json(R"({"metadata":{}})"));
}

TEST(TrackUpdate, FollowsEachChange) {
  json::value live = Apply(nullptr, R"({"metadata":{"labels":{"a":"1"}},"spec":{"replicas":2,
      "containers":[{"name":"a","env":[{"name":"E","value":"1"}]}]}})",
                           By("helm"));
  live =
      Update(live, R"({"spec":{"replicas":2,"containers":[{"name":"a"},{"name":"b","image":"i"}]},
      "status":{"ready":1}})",
             By("edit", "2024-03-03T00:00:00Z"));
  EXPECT_EQ(Json(Owned(live, "edit")), Json(R"({"f:spec":{"f:containers":{
      "k:{\"name\":\"b\"}":{".":{},"f:name":{},"f:image":{}}}},"f:status":{"f:ready":{}}})"));
  EXPECT_EQ(Json(Owned(live, "helm")), Json(R"({"f:metadata":{"f:labels":{"f:a":{}}},
      "f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:name":{}}},"f:replicas":{}}})"));
  // Another subresource is another manager.
  FieldManager status = By("edit");
  status.subresource = "status";
  live = Update(live, R"({"status":{"ready":2}})", status);
  EXPECT_EQ(ArrayAt(live, {"metadata", "managedFields"}).size(), 3u);
}

TEST(TrackUpdate, TakesManagedFieldsOfTheClient) {
  const json::value live = Apply(nullptr, R"({"spec":{"replicas":2}})", By("helm"));
  json::value now = live;
  *Find(now, {"metadata", "managedFields"}) = Json("[{}]");
  ASSERT_TRUE(TrackUpdate(Thing(), live, now, By("m")).ok());
  EXPECT_FALSE(IsTracked(now));

  now = live;
  *Find(now, {"metadata", "managedFields"}) = Json(R"([{"manager":"other","operation":"Apply",
      "apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{}}}}])");
  ASSERT_TRUE(TrackUpdate(Thing(), live, now, By("m")).ok());
  EXPECT_EQ(Owned(now, "other"), R"({"f:spec":{"f:replicas":{}}})");
  EXPECT_EQ(Owned(now, "helm"), "");

  // The same manager twice is one.
  now = live;
  json::array& list = Find(now, {"metadata", "managedFields"})->get_array();
  list.push_back(list[0]);
  list[1].get_object()["fieldsV1"] = Json(R"({"f:spec":{"f:paused":{}}})");
  ASSERT_TRUE(TrackUpdate(Thing(), live, now, By("m")).ok());
  EXPECT_EQ(ArrayAt(now, {"metadata", "managedFields"}).size(), 1u);
  EXPECT_EQ(Json(Owned(now, "helm")), Json(R"({"f:spec":{"f:paused":{},"f:replicas":{}}})"));

  *Find(now, {"metadata", "managedFields"}) = Json(R"([{"manager":"x"}])");
  EXPECT_EQ(ApiErrorOf(TrackUpdate(Thing(), live, now, By("m"))).code, 400);

  // A client that read it before somebody's first apply sends none: the owners stay.
  now = live;
  Remove(now, {"metadata", "managedFields"});
  ASSERT_TRUE(TrackUpdate(Thing(), live, now, By("m")).ok());
  EXPECT_EQ(now, live);
}

// Configurations of little variety, so that managers meet.
json::value Config() {
  json::object spec;
  if (*rc::gen::inRange(0, 2) == 0) spec["replicas"] = *rc::gen::inRange(1, 3);
  if (*rc::gen::inRange(0, 3) == 0) spec["args"] = json::array{*rc::gen::inRange(1, 3)};
  json::array containers;
  for (const char* name : {"a", "b", "c"}) {
    if (*rc::gen::inRange(0, 2) == 0) continue;
    json::object container{{"name", name}};
    if (*rc::gen::inRange(0, 2) == 0) container["image"] = std::to_string(*rc::gen::inRange(0, 2));
    containers.push_back(std::move(container));
  }
  if (!containers.empty()) spec["containers"] = std::move(containers);
  json::object labels;
  for (const char* name : {"x", "y"}) {
    if (*rc::gen::inRange(0, 2) == 0) labels[name] = std::to_string(*rc::gen::inRange(0, 2));
  }
  return json::object{{"metadata", json::object{{"labels", std::move(labels)}}},
                      {"spec", std::move(spec)}};
}

// All fields of `config` have its values in `object`.
bool Holds(const json::value& object, const json::value& config) {
  json::value merged = object;
  MergeConfig(Thing(), merged, config);
  const Changes changes = Compare(Thing(), object, merged);
  return changes.changed.empty() && changes.removed.empty();
}

RC_GTEST_PROP(Apply, KeepsItsPromises, ()) {
  json::value live;
  for (int i = *rc::gen::inRange(1, 8); i > 0; --i) {
    const FieldManager who = By(*rc::gen::element("m1", "m2", "m3"));
    const json::value config = Config();
    const bool force = *rc::gen::inRange(0, 2) == 0;
    const auto now = ApplyConfiguration(Thing(), live, config, who, force);
    if (!now.ok()) {
      RC_ASSERT(!force && ApiErrorOf(now.status()).code == 409);
      continue;
    }
    RC_ASSERT(Holds(*now, config));
    // Doing it again changes nothing, whoever owns what.
    const auto again = ApplyConfiguration(Thing(), *now, config, who, false);
    RC_ASSERT(again.ok() && *again == *now);
    // Every field that somebody owns is there, and every field has an owner.
    auto entries = ParseManagedFields(*now);
    RC_ASSERT(entries.ok());
    FieldSet owned;
    for (const ManagedFieldsEntry& entry : *entries) owned = owned.Union(entry.fields);
    FieldSet there = SetOf(Thing(), *now);
    there.Erase({"f:metadata", "f:managedFields"});
    RC_ASSERT(there.Difference(owned).empty());
    live = *now;
  }
}

}  // namespace
}  // namespace keel::orchestrator
