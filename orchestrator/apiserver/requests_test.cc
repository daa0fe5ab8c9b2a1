// The pure parts that requests pass: paths, negotiation, options, bodies, rules of deletion.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "orchestrator/api/error.h"
#include "orchestrator/apiserver/crd_columns.h"
#include "orchestrator/apiserver/delete_rules.h"
#include "orchestrator/apiserver/negotiation.h"
#include "orchestrator/apiserver/read_options.h"
#include "orchestrator/apiserver/request_info.h"
#include "orchestrator/apiserver/yaml.h"

namespace keel::orchestrator {
namespace {

std::string Described(std::string_view method, std::string_view path, std::string_view query = "") {
  const RequestInfo info = *ParseRequestInfo(method, path, query);
  return info.verb + " " + info.group + "/" + info.version + "/" + info.resource + "/" +
         info.subresource + " " + info.ns + ":" + info.name;
}

TEST(RequestInfoTest, TakesPathsApart) {
  EXPECT_EQ(Described("GET", "/api/v1/namespaces/default/pods/web/log"),
            "get /v1/pods/log default:web");
  EXPECT_EQ(Described("GET", "/apis/apps/v1/deployments"), "list apps/v1/deployments/ :");
  EXPECT_EQ(Described("GET", "/api/v1/pods", "watch=1"), "watch /v1/pods/ :");
  EXPECT_EQ(Described("GET", "/api/v1/watch/namespaces/a/pods"), "watch /v1/pods/ a:");
  EXPECT_EQ(Described("GET", "/api/v1/namespaces/default"), "get /v1/namespaces/ default:default");
  EXPECT_EQ(Described("PUT", "/api/v1/namespaces/default/finalize"),
            "update /v1/namespaces/finalize default:default");
  EXPECT_EQ(Described("DELETE", "/api/v1/namespaces/a/pods"), "deletecollection /v1/pods/ a:");
  EXPECT_EQ(Described("GET", "/api/v1/pods", "fieldSelector=metadata.name%3Dweb"),
            "list /v1/pods/ :web");
  EXPECT_EQ(Described("GET", "/healthz/etcd"),
            "get ///"
            " :");
  EXPECT_FALSE(ParseRequestInfo("GET", "/api/v1/pods/a%00b", "").ok());
}

TEST(RequestInfoTest, ReadsQueries) {
  const QueryParams query("a=1&b=x%20y+z&a=2&flag&n=abc");
  EXPECT_EQ(query.Get("b"), "x y z");
  EXPECT_EQ(query.All("a").size(), 2u);
  EXPECT_TRUE(query.Flag("flag"));
  EXPECT_FALSE(query.Flag("none"));
  EXPECT_EQ(*query.Number("a", 9), 1);
  EXPECT_EQ(*query.Number("none", 9), 9);
  EXPECT_FALSE(query.Number("n", 9).ok());
}

TEST(NegotiationTest, ChoosesWhatIsSpoken) {
  EXPECT_TRUE(NegotiateOutput("")->plain());
  EXPECT_TRUE(NegotiateOutput("application/vnd.kubernetes.protobuf,application/json")->plain());
  EXPECT_TRUE(NegotiateOutput("application/yaml")->yaml);
  const auto table = NegotiateOutput(
      "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s."
      "io,application/json");
  EXPECT_EQ(table->as, OutputAs::kTable);
  EXPECT_EQ(table->as_version, "v1");
  EXPECT_EQ(NegotiateOutput("application/json;q=0.5,application/yaml;q=0.9")->yaml, true);
  EXPECT_EQ(ApiErrorOf(NegotiateOutput("application/vnd.kubernetes.protobuf").status()).code, 406);
  EXPECT_EQ(ApiErrorOf(NegotiateOutput("text/html").status()).code, 406);
  EXPECT_EQ(
      NegotiateOutput("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", true)
          ->as,
      OutputAs::kDiscovery);
  EXPECT_EQ(*NegotiateBody("application/json; charset=utf-8"), BodyType::kJson);
  EXPECT_EQ(*NegotiateBody("application/vnd.kubernetes.protobuf"), BodyType::kProtobuf);
  EXPECT_EQ(ApiErrorOf(NegotiateBody("text/plain").status()).code, 415);
}

TEST(ReadOptionsTest, TokensComeBack) {
  const ContinueToken token{.revision = 42, .ns = "default", .name = "web"};
  const auto back = ContinueToken::Decode(token.Encode());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->revision, 42);
  EXPECT_EQ(back->ns + "/" + back->name, "default/web");
  for (const char* bad : {"", "x", "e30", "%%%"}) EXPECT_FALSE(ContinueToken::Decode(bad).ok());
}

TEST(ReadOptionsTest, RefusesWhatDoesNotFit) {
  auto code = [](std::string_view query, bool watch) {
    const auto options = ReadOptions::Parse(QueryParams(query), watch);
    return options.ok() ? 200 : ApiErrorOf(options.status()).code;
  };
  EXPECT_EQ(code("resourceVersion=5&resourceVersionMatch=Exact", false), 200);
  EXPECT_EQ(code("resourceVersionMatch=Exact", false), 422);
  EXPECT_EQ(code("resourceVersion=0&resourceVersionMatch=Exact", false), 422);
  EXPECT_EQ(code("resourceVersion=abc", false), 422);
  EXPECT_EQ(code("limit=x", false), 400);
  EXPECT_EQ(code("sendInitialEvents=true", true), 422);
  EXPECT_EQ(code("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", true), 200);
  EXPECT_EQ(code("continue=zzz", false), 400);
}

Kind PodKindForTest() { return {.version = "v1", .kind = "Pod", .plural = "pods"}; }
Kind OtherKind() {
  return {.group = "apps", .version = "v1", .kind = "ReplicaSet", .plural = "replicasets"};
}
json::object ObjectOf(std::string_view text) { return ParseJson(text)->as_object(); }

TEST(DeleteRulesTest, PodsThatRunAreGivenTime) {
  const absl::Time now = absl::FromUnixSeconds(1'000'000);
  json::object pod = ObjectOf(R"({"metadata":{"name":"p"},"spec":{"nodeName":"n",
      "terminationGracePeriodSeconds":20}})");
  MarkDeleted(PodKindForTest(), {}, now, pod);
  EXPECT_EQ(StringAt(pod, {"metadata", "deletionTimestamp"}), "1970-01-12T13:47:00Z");
  EXPECT_EQ(IntAt(pod, {"metadata", "deletionGracePeriodSeconds"}), 20);
  EXPECT_FALSE(GoesNow(PodKindForTest(), pod));
  // Only sooner, never later.
  MarkDeleted(PodKindForTest(), {.grace_period_seconds = 100}, now, pod);
  EXPECT_EQ(IntAt(pod, {"metadata", "deletionGracePeriodSeconds"}), 20);
  MarkDeleted(PodKindForTest(), {.grace_period_seconds = 0}, now, pod);
  EXPECT_TRUE(GoesNow(PodKindForTest(), pod));

  json::object unbound = ObjectOf(R"({"metadata":{"name":"p"},"spec":{}})");
  MarkDeleted(PodKindForTest(), {}, now, unbound);
  EXPECT_TRUE(GoesNow(PodKindForTest(), unbound));
}

TEST(DeleteRulesTest, FinalizersHold) {
  json::object object = ObjectOf(R"({"metadata":{"name":"r"}})");
  MarkDeleted(OtherKind(), {.propagation = "Foreground"}, absl::Now(), object);
  EXPECT_FALSE(GoesNow(OtherKind(), object));
  EXPECT_EQ(ToJson(*Find(object, {"metadata", "finalizers"})), R"(["foregroundDeletion"])");
  object["metadata"].as_object()["finalizers"] = json::array();
  EXPECT_TRUE(GoesNow(OtherKind(), object));
}

TEST(DeleteRulesTest, OptionsAndPreconditions) {
  EXPECT_FALSE(ParseDeletionOptions(*ParseJson(R"({"propagationPolicy":"X"})")).ok());
  EXPECT_FALSE(ParseDeletionOptions(*ParseJson(R"({"dryRun":["No"]})")).ok());
  const auto options = ParseDeletionOptions(*ParseJson(
      R"({"gracePeriodSeconds":5,"orphanDependents":true,"preconditions":{"uid":"u"}})"));
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->propagation, "Orphan");
  EXPECT_EQ(options->grace_period_seconds, 5);
  EXPECT_TRUE(IsReason(
      CheckDeletionPreconditions(OtherKind(), *options, ObjectOf(R"({"metadata":{"uid":"v"}})")),
      "Conflict"));
}

TEST(YamlTest, ReadsAndWrites) {
  const auto value = ParseYaml("a: 1\nb: [x, true, '7', null, 1.5]\nc:\n  d: {}\n");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(ToJson(*value), R"({"a":1,"b":["x",true,"7",null,1.5E0],"c":{"d":{}}})");
  EXPECT_EQ(*ParseYaml(ToYaml(*value)), *value);
  EXPECT_FALSE(ParseYaml("a: [1").ok());
  EXPECT_FALSE(ParseYaml(std::string(1000, '[')).ok());
}

TEST(CrdColumnsTest, FollowsPaths) {
  const json::object object = ObjectOf(
      R"({"spec":{"n":3,"ports":[{"name":"a"},{"name":"b"}]},"metadata":{"annotations":{"x.y":"z"}},
          "status":{"conditions":[{"type":"A","status":"1"},{"type":"Ready","status":"True"}]}})");
  auto first = [&](std::string_view path) {
    const auto query = JsonPathQuery::Parse(path);
    if (!query.ok()) return std::string("bad");
    const json::value* found = query->First(object);
    return found == nullptr ? std::string("none") : ToJson(*found);
  };
  EXPECT_EQ(first(".spec.n"), "3");
  EXPECT_EQ(first(".spec.ports[1].name"), R"("b")");
  EXPECT_EQ(first(".spec.ports[*].name"), R"("a")");
  EXPECT_EQ(first(R"(.status.conditions[?(@.type=="Ready")].status)"), R"("True")");
  EXPECT_EQ(first(R"(.metadata.annotations['x.y'])"), R"("z")");
  EXPECT_EQ(first(R"(.metadata.annotations.x\.y)"), R"("z")");
  EXPECT_EQ(first(".spec.none.deep"), "none");
  EXPECT_EQ(first("spec"), "bad");
  EXPECT_EQ(first(".a[?(@.b)]"), "bad");
}

}  // namespace
}  // namespace keel::orchestrator
