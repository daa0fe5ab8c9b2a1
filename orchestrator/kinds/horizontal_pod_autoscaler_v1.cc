#include "orchestrator/kinds/common/autoscaling.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"

namespace keel::orchestrator {
namespace {

// What version 1 has no fields for travels in annotations, so that nothing is lost on the way
// through it.
constexpr char kMetrics[] = "autoscaling.alpha.kubernetes.io/metrics";
constexpr char kBehavior[] = "autoscaling.alpha.kubernetes.io/behavior";
constexpr char kCurrent[] = "autoscaling.alpha.kubernetes.io/current-metrics";
constexpr char kConditions[] = "autoscaling.alpha.kubernetes.io/conditions";

bool IsCpuShare(const json::value& metric, const char* value) {
  return StringAt(metric, {"type"}) == "Resource" &&
         StringAt(metric, {"resource", "name"}) == "cpu" &&
         Find(metric, {"resource", value, "averageUtilization"}) != nullptr;
}

json::object CpuShare(const char* member, json::object value) {
  return {{"type", "Resource"},
          {"resource", json::object{{"name", "cpu"}, {member, std::move(value)}}}};
}

// The annotation's value as JSON, removed from the object; null when there is none.
json::value TakeAnnotation(json::object& object, const char* name) {
  const std::string text(StringAt(object, {"metadata", "annotations", name}));
  if (text.empty()) return nullptr;
  Remove(object, {"metadata", "annotations", name});
  if (ObjectAt(object, {"metadata", "annotations"}).empty()) {
    Remove(object, {"metadata", "annotations"});
  }
  auto parsed = ParseJson(text);
  return parsed.ok() ? *std::move(parsed) : json::value();
}

void PutAnnotation(json::object& object, const char* name, const json::value& value) {
  *Ensure(object, {"metadata", "annotations", name}) = ToJson(value);
}

void Append(json::array& to, const json::value& more) {
  if (const json::array* array = more.if_array()) to.insert(to.end(), array->begin(), array->end());
}

void ToStored(json::object& object) {
  object["apiVersion"] = "autoscaling/v2";
  const json::value metrics = TakeAnnotation(object, kMetrics);
  const json::value behavior = TakeAnnotation(object, kBehavior);
  const json::value current = TakeAnnotation(object, kCurrent);
  const json::value conditions = TakeAnnotation(object, kConditions);
  if (json::object* spec = ObjectIn(object, {"spec"})) {
    json::array all;
    if (const json::value* share = spec->if_contains("targetCPUUtilizationPercentage")) {
      all.push_back(CpuShare("target", {{"type", "Utilization"}, {"averageUtilization", *share}}));
      spec->erase("targetCPUUtilizationPercentage");
    }
    Append(all, metrics);
    if (!all.empty()) (*spec)["metrics"] = std::move(all);
    if (behavior.is_object()) (*spec)["behavior"] = behavior;
  }
  if (json::object* status = ObjectIn(object, {"status"})) {
    json::array all;
    if (const json::value* share = status->if_contains("currentCPUUtilizationPercentage")) {
      all.push_back(CpuShare("current", {{"averageUtilization", *share}}));
      status->erase("currentCPUUtilizationPercentage");
    }
    Append(all, current);
    if (!all.empty()) (*status)["currentMetrics"] = std::move(all);
    if (conditions.is_array()) (*status)["conditions"] = conditions;
  }
}

// Takes the share of CPU out of the metrics; the rest is returned.
json::array SplitMetrics(const json::array& metrics, const char* member, json::value* share) {
  json::array rest;
  for (const json::value& metric : metrics) {
    if (share->is_null() && IsCpuShare(metric, member)) {
      *share = *Find(metric, {"resource", member, "averageUtilization"});
    } else {
      rest.push_back(metric);
    }
  }
  return rest;
}

void FromStored(json::object& object) {
  object["apiVersion"] = "autoscaling/v1";
  if (json::object* spec = ObjectIn(object, {"spec"})) {
    json::value share;
    const json::array rest = SplitMetrics(ArrayAt(*spec, {"metrics"}), "target", &share);
    spec->erase("metrics");
    if (!share.is_null()) (*spec)["targetCPUUtilizationPercentage"] = share;
    if (!rest.empty()) PutAnnotation(object, kMetrics, rest);
    if (const json::value* found = spec->if_contains("behavior")) {
      const json::value behavior = *found;
      spec->erase("behavior");
      PutAnnotation(object, kBehavior, behavior);
    }
  }
  if (json::object* status = ObjectIn(object, {"status"})) {
    json::value share;
    const json::array rest = SplitMetrics(ArrayAt(*status, {"currentMetrics"}), "current", &share);
    status->erase("currentMetrics");
    SetDefault(*status, "currentReplicas", 0);
    if (!share.is_null()) (*status)["currentCPUUtilizationPercentage"] = share;
    if (!rest.empty()) PutAnnotation(object, kCurrent, rest);
    if (const json::value* found = status->if_contains("conditions")) {
      const json::value conditions = *found;
      status->erase("conditions");
      PutAnnotation(object, kConditions, conditions);
    }
  }
}

}  // namespace

Kind HorizontalPodAutoscalerV1Kind() {
  return {
      .group = "autoscaling",
      .version = "v1",
      .kind = "HorizontalPodAutoscaler",
      .plural = "horizontalpodautoscalers",
      .short_names = {"hpa"},
      .categories = {"all"},
      .types = R"(
# Scales something by how busy its pods' processors are.
HorizontalPodAutoscalerV1 {
  spec    HorizontalPodAutoscalerSpecV1    -- What is wanted.
  status  HorizontalPodAutoscalerStatusV1  -- What is.
}
# What is wanted of a HorizontalPodAutoscaler.
HorizontalPodAutoscalerSpecV1 {
  scaleTargetRef!                 CrossVersionObjectReference  -- What is scaled.
  minReplicas                     int32 = 1                    -- The fewest replicas.
  maxReplicas!                    int32                        -- The most replicas.
  targetCPUUtilizationPercentage  int32                        -- How busy pods should be, of what they ask for.
}
# What is known of a HorizontalPodAutoscaler.
HorizontalPodAutoscalerStatusV1 {
  observedGeneration               int64  -- The generation that the status is about.
  lastScaleTime                    time   -- When it last scaled.
  currentReplicas!                 int32  -- How many replicas there are.
  desiredReplicas!                 int32  -- How many it wants.
  currentCPUUtilizationPercentage  int32  -- How busy pods are.
}
)",
      .columns = {CellColumn(
                      "Reference", "string", 0,
                      [](const json::object& object, absl::Time) -> json::value {
                        std::string out(StringAt(object, {"spec", "scaleTargetRef", "kind"}));
                        out += "/";
                        out += StringAt(object, {"spec", "scaleTargetRef", "name"});
                        return json::value(out);
                      }),
                  CellColumn("Targets", "string", 0,
                             [](const json::object& object, absl::Time) -> json::value {
                               json::object stored = object;
                               ToStored(stored);
                               return json::value(AutoscalerTargetsText(stored));
                             }),
                  TextColumn("MinPods", {"spec", "minReplicas"}, "<unset>"),
                  IntColumn("MaxPods", {"spec", "maxReplicas"}),
                  IntColumn("Replicas", {"status", "currentReplicas"}), AgeColumn()},
      .has_status = true,
      .prepare =
          [](json::object& object, const json::object* before) {
            ResetStatus(object, before, {{"currentReplicas", 0}, {"desiredReplicas", 0}});
          },
      .check = CheckAutoscaler,
      .stored_version = "v2",
      .to_stored = ToStored,
      .from_stored = FromStored,
  };
}

}  // namespace keel::orchestrator
