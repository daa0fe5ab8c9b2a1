// Admission plugins: one rule of the cluster each, one file each.
//
//   class Priority final : public AdmissionPlugin { absl::Status Mutate(...) override; };
//   std::unique_ptr<AdmissionPlugin> MakePriority(ObjectView& view) { ... }
//
// They read the view and change or refuse the request's object; none keeps state of its own. On the
// API server's loop only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/api/error.h"
#include "orchestrator/apiserver/access.h"
#include "orchestrator/apiserver/access/authorizer.h"
#include "orchestrator/apiserver/access/rbac.h"

namespace keel::orchestrator {

class AdmissionPlugin {
 public:
  virtual ~AdmissionPlugin() = default;
  virtual absl::Status Mutate(AdmissionRequest& request) { return absl::OkStatus(); }
  virtual absl::Status Validate(AdmissionRequest& request) { return absl::OkStatus(); }
};

std::unique_ptr<AdmissionPlugin> MakeNamespaceLifecycle(ObjectView& view);
std::unique_ptr<AdmissionPlugin> MakeServiceAccount(ObjectView& view);
std::unique_ptr<AdmissionPlugin> MakeNodeRestriction(ObjectView& view);
std::unique_ptr<AdmissionPlugin> MakeLimitRanger(ObjectView& view);
std::unique_ptr<AdmissionPlugin> MakePriority(ObjectView& view);
std::unique_ptr<AdmissionPlugin> MakeDefaultTolerationSeconds();
std::unique_ptr<AdmissionPlugin> MakeDefaultStorageClass(ObjectView& view);
std::unique_ptr<AdmissionPlugin> MakeStorageObjectInUseProtection();
std::unique_ptr<AdmissionPlugin> MakeRbacEscalation(RbacAuthorizer& rbac,
                                                    UnionAuthorizer& authorizer);
std::unique_ptr<AdmissionPlugin> MakeResourceQuota(ObjectView& view);

// All in the order in which Kubernetes runs them, but those named in `disabled`. `rbac` may be
// null: roles are then nobody's business. InvalidArgument for a name that is no plugin's.
absl::StatusOr<std::unique_ptr<Admission>> MakeAdmission(ObjectView& view, RbacAuthorizer* rbac,
                                                         UnionAuthorizer& authorizer,
                                                         const std::vector<std::string>& disabled);

// Shared by the plugins.

// A creation (or an update) of the object itself, in the core group unless named.
bool Creates(const AdmissionRequest& request, std::string_view resource,
             std::string_view group = "");
bool Updates(const AdmissionRequest& request, std::string_view resource,
             std::string_view group = "");
// pods "x" is forbidden: detail
absl::Status ForbiddenHere(const AdmissionRequest& request, std::string_view detail);
// The member as an array, made (in place of what is none) if need be.
json::array& EnsureArray(json::object& in, JsonPath path);

}  // namespace keel::orchestrator
