#include "orchestrator/kinds/kinds_testing.h"

namespace keel::orchestrator {
namespace {

constexpr char kDeployment[] =
    R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","namespace":"n"},"spec":{
        "selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
        "spec":{"containers":[{"name":"c","image":"i:1"}]}}}})";
constexpr char kJob[] =
    R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j","namespace":"n","uid":"u"},
        "spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}})";
constexpr char kCronJob[] =
    R"({"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"j","namespace":"n"},"spec":{
        "schedule":"@hourly","jobTemplate":{"spec":{"template":{"spec":{"restartPolicy":"Never",
        "containers":[{"name":"c","image":"i"}]}}}}}})";

std::string Of(std::string_view base, std::string_view kind) {
  std::string text(base);
  text.replace(text.find("Deployment"), 10, kind);
  return text;
}

json::object Defaulted(std::string_view base, std::string_view patch = "{}") {
  json::object object = Merged(Parse(base), Parse(patch)).as_object();
  EXPECT_EQ(Admit(object), "");
  return object;
}

TEST(Deployment, Defaults) {
  const json::object made = Defaulted(kDeployment);
  json::object spec = ObjectAt(made, {"spec"});
  EXPECT_EQ(ToJson(spec.at("template").at("metadata")), R"({"labels":{"a":"b"}})");
  EXPECT_EQ(StringAt(spec, {"template", "spec", "dnsPolicy"}), "ClusterFirst");
  spec.erase("template");
  spec.erase("selector");
  EXPECT_EQ(json::value(spec),
            *ParseJson(R"({"replicas":1,"strategy":{"type":"RollingUpdate","rollingUpdate":
               {"maxUnavailable":"25%","maxSurge":"25%"}},"revisionHistoryLimit":10,
               "progressDeadlineSeconds":600})"));
  const json::object recreate =
      Defaulted(kDeployment, R"({"spec":{"strategy":{"type":"Recreate"}}})");
  EXPECT_EQ(ToJson(*Find(recreate, {"spec", "strategy"})), R"({"type":"Recreate"})");
}

TEST(Deployment, Checks) {
  auto spec = [](std::string_view members) {
    return Create(kDeployment, base::StrCat(R"({"spec":{)", members, "}}"));
  };
  EXPECT_EQ(spec(R"("replicas":-1)"),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0");
  EXPECT_EQ(
      spec(R"("selector":{"matchLabels":{"a":"c"}})"),
      "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match "
      "template `labels`");
  EXPECT_EQ(spec(R"("selector":{"matchLabels":null})"),
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment");
  EXPECT_EQ(spec(R"("selector":null)"), "spec.selector: Required value");
  EXPECT_EQ(spec(R"("template":{"spec":{"restartPolicy":"Never"}})"),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: "
            "\"Always\"");
  EXPECT_EQ(spec(R"("template":{"spec":{"containers":[{"name":"c","image":""}]}})"),
            "spec.template.spec.containers[0].image: Required value");
  EXPECT_EQ(spec(R"("strategy":{"rollingUpdate":{"maxUnavailable":0,"maxSurge":"0%"}})"),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when "
            "`maxSurge` is 0");
  EXPECT_EQ(
      spec(R"("strategy":{"rollingUpdate":{"maxUnavailable":"many"}})"),
      "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"many\": a valid percent "
      "string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex "
      "used for validation is '[0-9]+%')");
  EXPECT_EQ(spec(R"("strategy":{"rollingUpdate":{"maxUnavailable":"101%"}})"),
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"101%\": must not be "
            "greater than 100%");
  EXPECT_EQ(spec(R"("strategy":{"type":"Recreate","rollingUpdate":{}})"),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is "
            "'Recreate'");
  EXPECT_EQ(spec(R"("minReadySeconds":700)"),
            "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than "
            "minReadySeconds");
}

TEST(Deployment, SelectorCannotChange) {
  EXPECT_EQ(Update(kDeployment, R"({"spec":{"replicas":5}})"), "");
  EXPECT_NE(Update(kDeployment, R"({"spec":{"selector":{"matchLabels":{"a":"b","c":"d"}}}})")
                .find("field is immutable"),
            std::string::npos);
}

TEST(Deployment, StatusIsNotTheClients) {
  json::object object =
      Merged(Parse(kDeployment), Parse(R"({"status":{"replicas":9}})")).as_object();
  EXPECT_EQ(Admit(object), "");
  EXPECT_EQ(ToJson(object.at("status")), "{}");
  json::object before = object;
  before["status"] = json::object{{"replicas", 2}};
  json::object after = before;
  after["status"] = json::object{{"replicas", 7}};
  EXPECT_EQ(Admit(after, &before), "");
  EXPECT_EQ(ToJson(after.at("status")), R"({"replicas":2})");
}

TEST(Workloads, Columns) {
  constexpr char kBody[] =
      R"(,"metadata":{"name":"w","creationTimestamp":"2023-11-14T22:10:20Z"},"spec":{"replicas":3,
          "selector":{"matchLabels":{"a":"b"}},
          "template":{"spec":{"containers":[{"name":"c","image":"i"},{"name":"d","image":"j"}]}}},
          "status":{"replicas":3,"readyReplicas":2,"updatedReplicas":1,"availableReplicas":2,
                    "desiredNumberScheduled":4,"currentNumberScheduled":3,"numberReady":2,
                    "updatedNumberScheduled":1,"numberAvailable":1}})";
  auto row = [&](std::string_view version, std::string_view kind) {
    return Row(base::StrCat(R"({"apiVersion":")", version, R"(","kind":")", kind, "\"", kBody));
  };
  EXPECT_EQ(row("apps/v1", "Deployment"), "w | 2/3 | 1 | 2 | 3m | c,d | i,j | a=b");
  EXPECT_EQ(row("apps/v1", "ReplicaSet"), "w | 3 | 3 | 2 | 3m | c,d | i,j | a=b");
  EXPECT_EQ(row("apps/v1", "StatefulSet"), "w | 2/3 | 3m | c,d | i,j");
  EXPECT_EQ(row("apps/v1", "DaemonSet"), "w | 4 | 3 | 2 | 1 | 1 | <none> | 3m | c,d | i,j | a=b");
  EXPECT_EQ(row("v1", "ReplicationController").substr(0, 32), "w | 3 | 3 | 2 | 3m | c,d | i,j |");
}

TEST(ReplicationController, TakesSelectorAndLabelsFromItsTemplate) {
  const json::object made = Defaulted(
      R"({"apiVersion":"v1","kind":"ReplicationController","metadata":{"name":"r","namespace":"n"},
          "spec":{"template":{"metadata":{"labels":{"a":"b"}},
          "spec":{"containers":[{"name":"c","image":"i"}]}}}})");
  EXPECT_EQ(ToJson(*Find(made, {"spec", "selector"})), R"({"a":"b"})");
  EXPECT_EQ(ToJson(*Find(made, {"metadata", "labels"})), R"({"a":"b"})");
  EXPECT_EQ(ToJson(*Find(made, {"status"})), R"({"replicas":0})");
}

TEST(DaemonSet, Defaults) {
  const json::object made = Defaulted(Of(kDeployment, "DaemonSet"));
  EXPECT_EQ(ToJson(*Find(made, {"spec", "updateStrategy"})),
            R"({"type":"RollingUpdate","rollingUpdate":{"maxUnavailable":1,"maxSurge":0}})");
}

TEST(StatefulSet, DefaultsAndChanges) {
  const std::string base = Of(kDeployment, "StatefulSet");
  const json::object made = Defaulted(base);
  EXPECT_EQ(StringAt(made, {"spec", "podManagementPolicy"}), "OrderedReady");
  EXPECT_EQ(ToJson(*Find(made, {"spec", "updateStrategy"})),
            R"({"type":"RollingUpdate","rollingUpdate":{"partition":0}})");
  EXPECT_EQ(ToJson(*Find(made, {"spec", "persistentVolumeClaimRetentionPolicy"})),
            R"({"whenDeleted":"Retain","whenScaled":"Retain"})");
  EXPECT_EQ(Update(base, R"({"spec":{"replicas":4}})"), "");
  EXPECT_EQ(Update(base, R"({"spec":{"serviceName":"other"}})"),
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', "
            "'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
            "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
}

TEST(Job, DefaultsAndItsOwnSelector) {
  const json::object made = Defaulted(kJob);
  json::object spec = ObjectAt(made, {"spec"});
  EXPECT_EQ(ToJson(spec.at("selector")),
            R"({"matchLabels":{"batch.kubernetes.io/controller-uid":"u"}})");
  EXPECT_EQ(ToJson(*Find(spec, {"template", "metadata", "labels"})),
            R"({"controller-uid":"u","batch.kubernetes.io/controller-uid":"u","job-name":"j",)"
            R"("batch.kubernetes.io/job-name":"j"})");
  spec.erase("selector");
  spec.erase("template");
  EXPECT_EQ(json::value(spec),
            *ParseJson(R"({"completionMode":"NonIndexed","suspend":false,"completions":1,
               "parallelism":1,"backoffLimit":6,"podReplacementPolicy":"TerminatingOrFailed"})"));
  EXPECT_EQ(Find(Defaulted(kJob, R"({"spec":{"parallelism":3}})"), {"spec", "completions"}),
            nullptr);
}

TEST(Job, Checks) {
  EXPECT_EQ(Create(kJob, R"({"spec":{"template":{"spec":{"restartPolicy":"Always"}}}})"),
            "spec.template.spec.restartPolicy: Unsupported value: \"Always\": supported values: "
            "\"OnFailure\", \"Never\"");
  EXPECT_EQ(Create(kJob, R"({"spec":{"completionMode":"Indexed","parallelism":2}})"),
            "spec.completions: Required value: when completion mode is Indexed");
  EXPECT_EQ(Create(kJob, R"({"spec":{"backoffLimit":-1}})"),
            "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0");
  EXPECT_EQ(Update(kJob, R"({"spec":{"parallelism":2,"suspend":true}})"), "");
  EXPECT_EQ(Update(kJob, R"({"spec":{"completions":2}})"),
            "spec.completions: Invalid value: 2: field is immutable");
  EXPECT_NE(Update(kJob, R"({"spec":{"template":{"spec":{"hostname":"x"}}}})")
                .find("spec.template: Invalid value: {"),
            std::string::npos);
}

TEST(Job, Columns) {
  auto row = [](std::string_view spec, std::string_view status) {
    return Row(base::StrCat(R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j",)"
                            R"("creationTimestamp":"2023-11-14T22:13:10Z"},"spec":{)",
                            spec, R"(},"status":{)", status, "}}"));
  };
  EXPECT_EQ(row(R"("completions":3)", R"("succeeded":1,"startTime":"2023-11-14T22:13:15Z")"),
            "j | Running | 1/3 | 5s | 10s |  |  | <none>");
  EXPECT_EQ(row(R"("parallelism":2)",
                R"("conditions":[{"type":"Complete","status":"True"}],
                   "startTime":"2023-11-14T22:13:10Z","completionTime":"2023-11-14T22:13:13Z")"),
            "j | Complete | 0/1 of 2 | 3s | 10s |  |  | <none>");
}

TEST(CronJob, ChecksItsSchedule) {
  auto schedule = [](std::string_view text) {
    return Create(kCronJob, base::StrCat(R"({"spec":{"schedule":")", text, R"("}})"));
  };
  for (const char* good : {"* * * * *", "*/5 0-12/2 1,15 jan-mar MON", "@daily", "0 0 ? * 0"}) {
    EXPECT_EQ(schedule(good), "") << good;
  }
  EXPECT_EQ(schedule("* * *"),
            "spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3: [* * *]");
  EXPECT_EQ(
      schedule("60 * * * *"),
      "spec.schedule: Invalid value: \"60 * * * *\": end of range (60) above maximum (59): 60");
  EXPECT_EQ(schedule("@sometimes"),
            "spec.schedule: Invalid value: \"@sometimes\": unrecognized descriptor: @sometimes");
  EXPECT_EQ(schedule("x * * * *"),
            "spec.schedule: Invalid value: \"x * * * *\": failed to parse int from x");
  EXPECT_EQ(schedule("*/0 * * * *"),
            "spec.schedule: Invalid value: \"*/0 * * * *\": step of range should be a positive "
            "number: */0");
  EXPECT_EQ(schedule("TZ=UTC * * * * *"),
            "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in "
            "schedule, use timeZone field instead");
  EXPECT_EQ(Row(kCronJob),
            "j | @hourly | <none> | False | 0 | <none> | <unknown> | c | i | <none>");
}

}  // namespace
}  // namespace keel::orchestrator
