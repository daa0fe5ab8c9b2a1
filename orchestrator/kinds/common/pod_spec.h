// What the API server makes of the spec of a pod, or of a template of pods.
#pragma once

#include <string_view>

#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// Defaults that depend on other fields: the pull policy on the image's tag, host ports on the
// host's network, volumes without a source, the older name of the service account.
void SetPodSpecDefaults(json::object& spec);
// The same for a template: `template` is the object that holds metadata and spec.
void SetPodTemplateDefaults(json::object& object, JsonPath template_path);
// Pods only, never templates: what is limited and not asked for is asked for as limited.
void SetRequestsFromLimits(json::object& spec);

// "Guaranteed", "Burstable" or "BestEffort".
std::string_view QosClassOf(const json::object& spec);

}  // namespace keel::orchestrator
