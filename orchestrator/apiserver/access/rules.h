// RBAC's rules: what one allows, and whether some of them cover others.
//
// Thread-safety: none needed; values and free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/api/json.h"
#include "orchestrator/apiserver/access.h"

namespace keel::orchestrator {

struct PolicyRule {
  std::vector<std::string> verbs{};
  std::vector<std::string> api_groups{};
  std::vector<std::string> resources{};  // "pods", "pods/log", "*", "*/scale"
  std::vector<std::string> resource_names{};
  std::vector<std::string> non_resource_urls{};  // "/healthz/*"

  bool operator==(const PolicyRule&) const = default;
  json::object ToJson() const;
};

using PolicyRules = std::vector<PolicyRule>;

// Of a role's `rules`.
PolicyRules ParseRules(const json::array& rules);
json::array RulesToJson(const PolicyRules& rules);

bool Allows(const PolicyRule& rule, const Attributes& attributes);

// Those parts of `wanted` that no rule of `held` covers, put together again where they belong
// together, sorted as Kubernetes prints them. Empty: all are covered.
std::vector<std::string> MissingRules(const PolicyRules& held, const PolicyRules& wanted);

// {APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}
std::string Describe(const PolicyRule& rule);

// ["a" "b"], as Go prints a list of quoted texts.
std::string QuotedList(const std::vector<std::string>& texts);

}  // namespace keel::orchestrator
