// What jobs and cron jobs share: the spec of a job.
#pragma once

#include <string_view>

#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

extern const char kJobTypes[];  // JobSpec and its parts

void SetJobSpecDefaults(json::object& spec);
// `path` is that of the spec.
void CheckJobSpec(const json::object& spec, std::string_view path, FieldErrors& errors);

}  // namespace keel::orchestrator
