#include "orchestrator/kinds/common/autoscaling.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/types.h"

namespace keel::orchestrator {
namespace {

void SetDefaults(json::object& object) {
  json::object* spec = ObjectIn(object, {"spec"});
  if (spec == nullptr) return;
  if (ArrayAt(*spec, {"metrics"}).empty()) {
    (*spec)["metrics"] = json::array{json::object{
        {"type", "Resource"},
        {"resource", json::object{{"name", "cpu"},
                                  {"target", json::object{{"type", "Utilization"},
                                                          {"averageUtilization", 80}}}}}}};
  }
}

json::value ReferenceCell(const json::object& object, absl::Time) {
  std::string out(StringAt(object, {"spec", "scaleTargetRef", "kind"}));
  out += "/";
  out += StringAt(object, {"spec", "scaleTargetRef", "name"});
  return json::value(out);
}

}  // namespace

Kind HorizontalPodAutoscalerKind() {
  return {
      .group = "autoscaling",
      .version = "v2",
      .kind = "HorizontalPodAutoscaler",
      .plural = "horizontalpodautoscalers",
      .short_names = {"hpa"},
      .categories = {"all"},
      .types = R"(
# Scales something by how much its pods have to do.
HorizontalPodAutoscaler {
  spec    HorizontalPodAutoscalerSpec    -- What is wanted.
  status  HorizontalPodAutoscalerStatus  -- What is.
}
# What is wanted of a HorizontalPodAutoscaler.
HorizontalPodAutoscalerSpec {
  scaleTargetRef!  CrossVersionObjectReference      -- What is scaled.
  minReplicas      int32 = 1                        -- The fewest replicas.
  maxReplicas!     int32                            -- The most replicas.
  metrics          [MetricSpec] atomic              -- What is measured; the largest answer counts.
  behavior         HorizontalPodAutoscalerBehavior  -- How fast it goes up and down.
}
# Something that is measured.
MetricSpec {
  type!              string                         -- Resource, ContainerResource, Pods, Object or External.
  object             ObjectMetricSource             -- Of one object.
  pods               PodsMetricSource               -- Of each pod.
  resource           ResourceMetricSource           -- A resource of each pod.
  containerResource  ContainerResourceMetricSource  -- A resource of one container of each pod.
  external           ExternalMetricSource           -- Of something outside.
}
# A metric of one object.
ObjectMetricSource {
  describedObject!  CrossVersionObjectReference  -- The object.
  target!           MetricTarget                 -- What is aimed at.
  metric!           MetricIdentifier             -- The metric.
}
# A metric of each pod.
PodsMetricSource {
  metric!  MetricIdentifier  -- The metric.
  target!  MetricTarget      -- What is aimed at.
}
# A resource of each pod.
ResourceMetricSource {
  name!    string        -- The resource.
  target!  MetricTarget  -- What is aimed at.
}
# A resource of one container of each pod.
ContainerResourceMetricSource {
  name!       string        -- The resource.
  target!     MetricTarget  -- What is aimed at.
  container!  string        -- The container.
}
# A metric of something outside.
ExternalMetricSource {
  metric!  MetricIdentifier  -- The metric.
  target!  MetricTarget      -- What is aimed at.
}
# Names a metric.
MetricIdentifier {
  name!     string         -- Its name.
  selector  LabelSelector  -- Which of its series.
}
# What is aimed at.
MetricTarget {
  type!               string    -- Utilization, Value or AverageValue.
  value               quantity  -- The amount.
  averageValue        quantity  -- The amount for each pod.
  averageUtilization  int32     -- The percentage of what pods ask for.
}
# How fast it goes up and down.
HorizontalPodAutoscalerBehavior {
  scaleUp    HPAScalingRules  -- Up.
  scaleDown  HPAScalingRules  -- Down.
}
# How fast it goes one way.
HPAScalingRules {
  stabilizationWindowSeconds  int32                      -- How long past answers count.
  selectPolicy                string enum(Disabled, Max, Min) -- Which policy counts.
  policies                    [HPAScalingPolicy] atomic  -- By how much at most.
  tolerance                   quantity                   -- Differences below this are ignored.
}
# By how much at most.
HPAScalingPolicy {
  type!           string enum(Percent, Pods) -- Pods or Percent.
  value!          int32   -- How many.
  periodSeconds!  int32   -- In this time.
}
# What is known of a HorizontalPodAutoscaler.
HorizontalPodAutoscalerStatus {
  observedGeneration  int64                    -- The generation that the status is about.
  lastScaleTime       time                     -- When it last scaled.
  currentReplicas     int32                    -- How many replicas there are.
  desiredReplicas!    int32                    -- How many it wants.
  currentMetrics      [MetricStatus] atomic nullable -- What was measured.
  conditions          [HorizontalPodAutoscalerCondition] key(type) dups -- Aspects of its state.
}
# What was measured.
MetricStatus {
  type!              string                         -- Resource, ContainerResource, Pods, Object or External.
  object             ObjectMetricStatus             -- Of one object.
  pods               PodsMetricStatus               -- Of each pod.
  resource           ResourceMetricStatus           -- A resource of each pod.
  containerResource  ContainerResourceMetricStatus  -- A resource of one container of each pod.
  external           ExternalMetricStatus           -- Of something outside.
}
# A metric of one object as it is.
ObjectMetricStatus {
  metric!           MetricIdentifier             -- The metric.
  current!          MetricValueStatus            -- Its value.
  describedObject!  CrossVersionObjectReference  -- The object.
}
# A metric of each pod as it is.
PodsMetricStatus {
  metric!   MetricIdentifier   -- The metric.
  current!  MetricValueStatus  -- Its value.
}
# A resource of each pod as it is.
ResourceMetricStatus {
  name!     string             -- The resource.
  current!  MetricValueStatus  -- Its value.
}
# A resource of one container of each pod as it is.
ContainerResourceMetricStatus {
  name!       string             -- The resource.
  current!    MetricValueStatus  -- Its value.
  container!  string             -- The container.
}
# A metric of something outside as it is.
ExternalMetricStatus {
  metric!   MetricIdentifier   -- The metric.
  current!  MetricValueStatus  -- Its value.
}
# The value of a metric.
MetricValueStatus {
  value               quantity  -- The amount.
  averageValue        quantity  -- The amount for each pod.
  averageUtilization  int32     -- The percentage of what pods ask for.
}
)" + ConditionType("HorizontalPodAutoscaler"),
      .columns = {CellColumn("Reference", "string", 0, ReferenceCell),
                  CellColumn("Targets", "string", 0,
                             [](const json::object& object, absl::Time) -> json::value {
                               return json::value(AutoscalerTargetsText(object));
                             }),
                  TextColumn("MinPods", {"spec", "minReplicas"}, "<unset>"),
                  IntColumn("MaxPods", {"spec", "maxReplicas"}),
                  IntColumn("Replicas", {"status", "currentReplicas"}), AgeColumn()},
      .has_status = true,
      .set_defaults = SetDefaults,
      .prepare =
          [](json::object& object, const json::object* before) {
            ResetStatus(object, before, {{"desiredReplicas", 0}, {"currentMetrics", nullptr}});
          },
      .check = CheckAutoscaler,
  };
}

}  // namespace keel::orchestrator
