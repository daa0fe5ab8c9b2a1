// What the API server asks of the spec of a pod.
#pragma once

#include <string_view>

#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// `path` is that of the spec: "spec", "spec.template.spec".
void CheckPodSpec(const json::object& spec, std::string_view path, FieldErrors& errors);
// Labels, annotations and spec of a template.
void CheckPodTemplate(const json::value& pod_template, std::string_view path, FieldErrors& errors);
// What may change in a pod that exists: images, the deadline (shorter), tolerations (more) ...
void CheckPodUpdate(const json::object& now, const json::object& before, FieldErrors& errors);

}  // namespace keel::orchestrator
