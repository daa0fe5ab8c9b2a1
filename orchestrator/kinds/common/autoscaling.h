// What the versions of HorizontalPodAutoscaler share.
#pragma once

#include <string>

#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

extern const char kAutoscalingTypes[];  // CrossVersionObjectReference

// Of the version in which they are stored (autoscaling/v2).
std::string AutoscalerTargetsText(const json::object& autoscaler);
void CheckAutoscaler(const json::object& autoscaler, FieldErrors& errors);

}  // namespace keel::orchestrator
