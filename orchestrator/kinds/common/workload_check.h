// What the kinds that make pods from a template ask of their specs.
#pragma once

#include <string_view>

#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// "must be greater than or equal to 0", if there is a number at all.
void CheckNotNegative(const json::object& object, JsonPath path, FieldErrors& errors);

struct TemplateRule {
  bool selector_is_map = false;    // as replication controllers have
  bool restart_always = true;      // only restartPolicy Always makes sense
  bool deadline_forbidden = true;  // activeDeadlineSeconds
};
// spec.selector and spec.template: that the selector is none of everything and fits the template's
// labels, and the template's pods.
void CheckTemplate(const json::object& object, const TemplateRule& rule, FieldErrors& errors);

// maxUnavailable and maxSurge: numbers or percentages, not both zero.
void CheckRollingUpdate(const json::object& object, JsonPath path, FieldErrors& errors);

// A number that is not negative or a percentage ("25%"); `at_most_100`: of at most 100%.
void CheckIntOrPercent(const json::value& value, std::string_view field, bool at_most_100,
                       FieldErrors& errors);

std::string Dotted(JsonPath path);

}  // namespace keel::orchestrator
