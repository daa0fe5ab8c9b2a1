// The parts of the check of a pod's spec, by noun; pod_check.h is what kinds use.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/names.h"

namespace keel::orchestrator {

// Adds each complaint about a name.
inline void AddComplaints(const Complaints& complaints, std::string_view field,
                          const json::value& value, FieldErrors& errors) {
  for (const std::string& wrong : complaints) errors.InvalidValue(field, value, wrong);
}
// Required, if it is not there or empty. True when it is there.
bool RequireText(const json::value& in, std::string_view member, std::string_view path,
                 FieldErrors& errors, std::string_view detail = "");
// A number of that member below `least`.
void CheckAtLeast(const json::value& in, std::string_view member, int64_t least,
                  std::string_view detail, std::string_view path, FieldErrors& errors);

// Limits and requests, of a container or of a whole pod.
void CheckResources(const json::value& resources, const std::string& path, FieldErrors& errors);

// All containers of a member of the spec; `names` are those that are taken, `volumes` the pod's.
void CheckContainers(const json::object& spec, std::string_view path, std::string_view member,
                     const std::set<std::string_view>& volumes, std::set<std::string_view>& names,
                     FieldErrors& errors);

// The pod's volumes; returns their names.
std::set<std::string_view> CheckVolumes(const json::object& spec, std::string_view path,
                                        FieldErrors& errors);
// A fieldRef or resourceFieldRef of a variable or file.
void CheckFieldRef(const json::value& ref, const std::string& path, bool in_volume,
                   FieldErrors& errors);
void CheckResourceFieldRef(const json::value& ref, const std::string& path, bool in_volume,
                           FieldErrors& errors);

void CheckAffinity(const json::value& affinity, const std::string& path, FieldErrors& errors);
// Terms that select nodes, as affinity and persistent volumes have them.
void CheckNodeSelector(const json::value& selector, const std::string& path, FieldErrors& errors);
void CheckTolerations(const json::array& tolerations, const std::string& path, FieldErrors& errors);
void CheckTopologySpread(const json::array& constraints, const std::string& path,
                         FieldErrors& errors);

}  // namespace keel::orchestrator
