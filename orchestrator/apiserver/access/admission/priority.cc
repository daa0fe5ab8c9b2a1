// The number behind a pod's priority class; one default class at most.

#include "base/strings.h"
#include "orchestrator/apiserver/access/admission/plugin.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr std::string_view kGroup = "scheduling.k8s.io";
constexpr std::string_view kClasses = "priorityclasses.scheduling.k8s.io";

class Priority final : public AdmissionPlugin {
 public:
  explicit Priority(ObjectView& view) : view_(view) {}

  absl::Status Mutate(AdmissionRequest& request) override {
    if (!Creates(request, "pods")) return absl::OkStatus();
    json::object& pod = *request.object;
    const std::string name(StringAt(pod, {"spec", "priorityClassName"}));
    int64_t priority = 0;
    std::string policy = "PreemptLowerPriority";
    std::shared_ptr<const json::object> its;
    if (name.empty()) {
      its = Default();
    } else if (const auto found = view_.Get(kClasses, "", name)) {
      its = found->object;
    } else if (name == "system-node-critical" || name == "system-cluster-critical") {
      // Built in: there even before the objects are.
      priority = name == "system-node-critical" ? 2000001000 : 2000000000;
    } else {
      return ForbiddenHere(request, StrCat("no PriorityClass with name ", name, " was found"));
    }
    if (its != nullptr) {
      priority = IntAt(*its, {"value"});
      if (const auto given = StringAt(*its, {"preemptionPolicy"}); !given.empty()) policy = given;
      *Ensure(pod, {"spec", "priorityClassName"}) =
          json::string(StringAt(*its, {"metadata", "name"}));
    }
    if (const json::value* given = Find(pod, {"spec", "priority"});
        given != nullptr && !given->is_null() && IntAt(pod, {"spec", "priority"}) != priority) {
      return ForbiddenHere(
          request,
          StrCat("the integer value of priority (", IntAt(pod, {"spec", "priority"}),
                 ") must not be provided in pod spec; priority admission controller computed ",
                 priority, " from the given PriorityClass name"));
    }
    const std::string_view given = StringAt(pod, {"spec", "preemptionPolicy"});
    if (!given.empty() && given != policy) {
      return ForbiddenHere(request, StrCat("the string value of PreemptionPolicy (", given,
                                           ") must not be provided in pod spec; priority admission "
                                           "controller computed ",
                                           policy, " from the given PriorityClass name"));
    }
    *Ensure(pod, {"spec", "priority"}) = priority;
    *Ensure(pod, {"spec", "preemptionPolicy"}) = policy;
    return absl::OkStatus();
  }

  absl::Status Validate(AdmissionRequest& request) override {
    if (!Creates(request, "priorityclasses", kGroup) &&
        !Updates(request, "priorityclasses", kGroup)) {
      return absl::OkStatus();
    }
    if (!BoolAt(*request.object, {"globalDefault"})) return absl::OkStatus();
    const auto there = Default();
    if (there == nullptr || StringAt(*there, {"metadata", "name"}) == request.attributes.name) {
      return absl::OkStatus();
    }
    return ForbiddenHere(request, StrCat("PriorityClass ", StringAt(*there, {"metadata", "name"}),
                                         " is already marked as default. Only one default can "
                                         "exist"));
  }

 private:
  // Read anew only when a class changed: every pod asks.
  std::shared_ptr<const json::object> Default() {
    const uint64_t version = view_.Version(kClasses);
    if (read_ && version == version_) return default_;
    read_ = true;
    version_ = version;
    default_ = nullptr;
    for (const ObjectView::Entry& entry : view_.List(kClasses, "")) {
      // Of several (two servers may have let one in each) the one with the lowest value.
      if (BoolAt(*entry.object, {"globalDefault"}) &&
          (default_ == nullptr || IntAt(*entry.object, {"value"}) < IntAt(*default_, {"value"}))) {
        default_ = entry.object;
      }
    }
    return default_;
  }

  ObjectView& view_;
  bool read_ = false;
  uint64_t version_ = 0;
  std::shared_ptr<const json::object> default_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> MakePriority(ObjectView& view) {
  return std::make_unique<Priority>(view);
}

}  // namespace keel::orchestrator
