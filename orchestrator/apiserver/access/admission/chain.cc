#include <algorithm>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/apiserver/access/admission/plugin.h"
#include "orchestrator/apiserver/access/escalation.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

class RbacEscalation final : public AdmissionPlugin {
 public:
  RbacEscalation(RbacAuthorizer& rbac, UnionAuthorizer& authorizer)
      : rbac_(rbac), authorizer_(authorizer) {}
  absl::Status Validate(AdmissionRequest& request) override {
    return CheckEscalation(request, rbac_, authorizer_);
  }

 private:
  RbacAuthorizer& rbac_;
  UnionAuthorizer& authorizer_;
};

class Chain final : public Admission {
 public:
  explicit Chain(std::vector<std::unique_ptr<AdmissionPlugin>> plugins)
      : plugins_(std::move(plugins)) {}

  absl::Status Mutate(AdmissionRequest& request) override {
    for (const auto& plugin : plugins_) KEEL_RETURN_IF_ERROR(plugin->Mutate(request));
    return absl::OkStatus();
  }
  absl::Status Validate(AdmissionRequest& request) override {
    for (const auto& plugin : plugins_) KEEL_RETURN_IF_ERROR(plugin->Validate(request));
    return absl::OkStatus();
  }

 private:
  const std::vector<std::unique_ptr<AdmissionPlugin>> plugins_;
};

bool IsOf(const AdmissionRequest& request, std::string_view verb, std::string_view resource,
          std::string_view group) {
  const Attributes& a = request.attributes;
  return request.object != nullptr && a.verb == verb && a.resource == resource &&
         a.group == group && a.subresource.empty();
}

}  // namespace

bool Creates(const AdmissionRequest& request, std::string_view resource, std::string_view group) {
  return IsOf(request, "create", resource, group);
}

bool Updates(const AdmissionRequest& request, std::string_view resource, std::string_view group) {
  return IsOf(request, "update", resource, group) || IsOf(request, "patch", resource, group);
}

absl::Status ForbiddenHere(const AdmissionRequest& request, std::string_view detail) {
  const Attributes& a = request.attributes;
  std::string_view name = a.name;
  if (name.empty() && request.object != nullptr) {
    name = StringAt(*request.object, {"metadata", "name"});
    if (name.empty()) name = StringAt(*request.object, {"metadata", "generateName"});
  }
  return Forbidden(a.group.empty() ? a.resource : StrCat(a.resource, ".", a.group), name, detail);
}

json::array& EnsureArray(json::object& in, JsonPath path) {
  json::value* value = Ensure(in, path);
  if (!value->is_array()) *value = json::array();
  return value->get_array();
}

std::unique_ptr<AdmissionPlugin> MakeRbacEscalation(RbacAuthorizer& rbac,
                                                    UnionAuthorizer& authorizer) {
  return std::make_unique<RbacEscalation>(rbac, authorizer);
}

absl::StatusOr<std::unique_ptr<Admission>> MakeAdmission(ObjectView& view, RbacAuthorizer* rbac,
                                                         UnionAuthorizer& authorizer,
                                                         const std::vector<std::string>& disabled) {
  std::vector<std::pair<std::string_view, std::unique_ptr<AdmissionPlugin>>> all;
  all.emplace_back("NamespaceLifecycle", MakeNamespaceLifecycle(view));
  all.emplace_back("LimitRanger", MakeLimitRanger(view));
  all.emplace_back("ServiceAccount", MakeServiceAccount(view));
  all.emplace_back("NodeRestriction", MakeNodeRestriction(view));
  all.emplace_back("Priority", MakePriority(view));
  all.emplace_back("DefaultTolerationSeconds", MakeDefaultTolerationSeconds());
  all.emplace_back("DefaultStorageClass", MakeDefaultStorageClass(view));
  all.emplace_back("StorageObjectInUseProtection", MakeStorageObjectInUseProtection());
  // Last, so that nothing is counted that another plugin refuses.
  all.emplace_back("ResourceQuota", MakeResourceQuota(view));
  for (const std::string& name : disabled) {
    if (std::none_of(all.begin(), all.end(), [&](const auto& one) { return one.first == name; })) {
      return absl::InvalidArgumentError(
          StrCat("--disable-admission-plugins: unknown admission plugin: ", name));
    }
  }
  std::vector<std::unique_ptr<AdmissionPlugin>> plugins;
  if (rbac != nullptr) plugins.push_back(MakeRbacEscalation(*rbac, authorizer));
  for (auto& [name, plugin] : all) {
    if (std::find(disabled.begin(), disabled.end(), name) == disabled.end()) {
      plugins.push_back(std::move(plugin));
    }
  }
  return std::make_unique<Chain>(std::move(plugins));
}

}  // namespace keel::orchestrator
