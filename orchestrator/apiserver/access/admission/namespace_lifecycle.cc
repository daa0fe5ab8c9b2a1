// Nothing new in a namespace that is not there or is being deleted; three namespaces stay for good.

#include "base/strings.h"
#include "orchestrator/apiserver/access/admission/plugin.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

class NamespaceLifecycle final : public AdmissionPlugin {
 public:
  explicit NamespaceLifecycle(ObjectView& view) : view_(view) {}

  // Before all others: what they look for is not there either.
  absl::Status Mutate(AdmissionRequest& request) override {
    const Attributes& a = request.attributes;
    if (a.verb != "create" || a.ns.empty() || a.resource == "namespaces" ||
        a.resource == "localsubjectaccessreviews") {
      return absl::OkStatus();
    }
    const auto ns = view_.Get("namespaces", "", a.ns);
    if (!ns.has_value()) return NotFound("namespaces", a.ns);
    if (StringAt(*ns->object, {"metadata", "deletionTimestamp"}).empty() &&
        StringAt(*ns->object, {"status", "phase"}) != "Terminating") {
      return absl::OkStatus();
    }
    ApiError error =
        ApiErrorOf(ForbiddenHere(request, StrCat("unable to create new content in namespace ", a.ns,
                                                 " because it is being terminated")));
    error.details["causes"] =
        json::array{json::object{{"reason", "NamespaceTerminating"},
                                 {"message", StrCat("namespace ", a.ns, " is being terminated")},
                                 {"field", "metadata.namespace"}}};
    return error.ToStatus();
  }

  absl::Status Validate(AdmissionRequest& request) override {
    const Attributes& a = request.attributes;
    const bool deletes = a.verb == "delete" && a.resource == "namespaces" && a.group.empty() &&
                         a.subresource.empty();
    if (deletes && (a.name == "default" || a.name == "kube-system" || a.name == "kube-public")) {
      return ForbiddenHere(request, "this namespace may not be deleted");
    }
    return absl::OkStatus();
  }

 private:
  ObjectView& view_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> MakeNamespaceLifecycle(ObjectView& view) {
  return std::make_unique<NamespaceLifecycle>(view);
}

}  // namespace keel::orchestrator
