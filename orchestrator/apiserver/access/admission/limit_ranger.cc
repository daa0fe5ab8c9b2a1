// Limit ranges: what containers get that name no resources, and the bounds of what they may name.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "orchestrator/api/pod_resources.h"
#include "orchestrator/apiserver/access/admission/plugin.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr std::string_view kAnnotation = "kubernetes.io/limit-ranger";

// What one item of a limit range says, with what Kubernetes' defaults make of it: the default limit
// is the maximum, the default request is the default limit or else the minimum.
struct Bounds {
  ResourceList min, max, ratio, limit, request;
};

Bounds Read(const json::value& item) {
  Bounds out{.min = ReadResources(ObjectAt(item, {"min"})),
             .max = ReadResources(ObjectAt(item, {"max"})),
             .ratio = ReadResources(ObjectAt(item, {"maxLimitRequestRatio"})),
             .limit = ReadResources(ObjectAt(item, {"default"})),
             .request = ReadResources(ObjectAt(item, {"defaultRequest"}))};
  if (StringAt(item, {"type"}) != "Container") return out;
  out.limit.insert(out.max.begin(), out.max.end());
  out.request.insert(out.limit.begin(), out.limit.end());
  out.request.insert(out.min.begin(), out.min.end());
  return out;
}

// Puts in what is missing; names what it put in.
std::vector<std::string> Fill(json::object& container, std::string_view part,
                              const ResourceList& defaults) {
  std::vector<std::string> set;
  for (const auto& [name, quantity] : defaults) {
    json::value* there = Ensure(container, {"resources", part, name});
    if (!there->is_null()) continue;
    *there = quantity.ToString();
    set.push_back(name);
  }
  return set;
}

std::string Joined(const std::vector<std::string>& texts, std::string_view by) {
  std::string out;
  for (const std::string& text : texts) out += StrCat(out.empty() ? "" : by, text);
  return out;
}

// The requests and limits of one container, one pod or one claim against one item.
class Checker {
 public:
  Checker(std::string_view type, const ResourceList& requests, const ResourceList& limits,
          std::vector<std::string>& errors)
      : type_(type), requests_(requests), limits_(limits), errors_(errors) {}

  void Min(const ResourceList& bounds) {
    for (const auto& [name, bound] : bounds) {
      const std::string text =
          StrCat("minimum ", name, " usage per ", type_, " is ", bound.ToString());
      const Quantity *request = Find(requests_, name), *limit = Find(limits_, name);
      if (request == nullptr) {
        errors_.push_back(StrCat(text, ".  No request is specified"));
      } else if (*request < bound) {
        errors_.push_back(StrCat(text, ", but request is ", request->ToString()));
      } else if (limit != nullptr && *limit < bound) {
        errors_.push_back(StrCat(text, ", but limit is ", limit->ToString()));
      }
    }
  }

  // Claims have requests only.
  void Max(const ResourceList& bounds, bool of_requests) {
    for (const auto& [name, bound] : bounds) {
      const std::string text =
          StrCat("maximum ", name, " usage per ", type_, " is ", bound.ToString());
      const Quantity *request = Find(requests_, name), *limit = Find(limits_, name);
      if (of_requests) {
        if (request == nullptr) {
          errors_.push_back(StrCat(text, ".  No request is specified"));
        } else if (*request > bound) {
          errors_.push_back(StrCat(text, ", but request is ", request->ToString()));
        }
      } else if (limit == nullptr) {
        errors_.push_back(StrCat(text, ".  No limit is specified"));
      } else if (*limit > bound) {
        errors_.push_back(StrCat(text, ", but limit is ", limit->ToString()));
      } else if (request != nullptr && *request > bound) {
        errors_.push_back(StrCat(text, ", but request is ", request->ToString()));
      }
    }
  }

  void Ratio(const ResourceList& bounds) {
    for (const auto& [name, bound] : bounds) {
      const std::string text = StrCat(name, " max limit to request ratio per ", type_, " is ",
                                      bound.ToString(), ", but ");
      const Quantity *request = Find(requests_, name), *limit = Find(limits_, name);
      if (request == nullptr || request->IsZero()) {
        errors_.push_back(StrCat(text, "no request is specified or request is 0"));
      } else if (limit == nullptr || limit->IsZero()) {
        errors_.push_back(StrCat(text, "no limit is specified or limit is 0"));
      } else if (const double ratio = limit->AsDouble() / request->AsDouble();
                 ratio > bound.AsDouble()) {
        errors_.push_back(StrCat(text, "provided ratio is ", absl::StrFormat("%f", ratio)));
      }
    }
  }

 private:
  static const Quantity* Find(const ResourceList& in, const std::string& name) {
    const auto found = in.find(name);
    return found == in.end() ? nullptr : &found->second;
  }

  const std::string_view type_;
  const ResourceList& requests_;
  const ResourceList& limits_;
  std::vector<std::string>& errors_;
};

class LimitRanger final : public AdmissionPlugin {
 public:
  explicit LimitRanger(ObjectView& view) : view_(view) {}

  absl::Status Mutate(AdmissionRequest& request) override {
    if (!Creates(request, "pods")) return absl::OkStatus();
    for (const ObjectView::Entry& range : view_.List("limitranges", request.attributes.ns)) {
      for (const json::value& item : ArrayAt(*range.object, {"spec", "limits"})) {
        if (StringAt(item, {"type"}) == "Container") SetDefaults(*request.object, Read(item));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Validate(AdmissionRequest& request) override {
    const bool pod = Creates(request, "pods");
    const bool claim =
        Creates(request, "persistentvolumeclaims") || Updates(request, "persistentvolumeclaims");
    if (!pod && !claim) return absl::OkStatus();
    for (const ObjectView::Entry& range : view_.List("limitranges", request.attributes.ns)) {
      std::vector<std::string> errors;
      for (const json::value& item : ArrayAt(*range.object, {"spec", "limits"})) {
        Check(*request.object, pod, StringAt(item, {"type"}), Read(item), errors);
      }
      if (errors.empty()) continue;
      return ForbiddenHere(request,
                           errors.size() == 1 ? errors[0] : StrCat("[", Joined(errors, ", "), "]"));
    }
    return absl::OkStatus();
  }

 private:
  static void SetDefaults(json::object& pod, const Bounds& bounds) {
    if (bounds.limit.empty() && bounds.request.empty()) return;
    std::vector<std::string> said;
    for (const std::string_view list : {"containers", "initContainers"}) {
      json::value* containers = Find(pod, {"spec", list});
      if (containers == nullptr || !containers->is_array()) continue;
      for (json::value& container : containers->get_array()) {
        if (!container.is_object()) continue;
        const std::string where =
            StrCat(list == "containers" ? " for container " : " for init container ",
                   StringAt(container, {"name"}));
        const auto requests = Fill(container.get_object(), "requests", bounds.request);
        const auto limits = Fill(container.get_object(), "limits", bounds.limit);
        if (!requests.empty()) said.push_back(StrCat(Joined(requests, ", "), " request", where));
        if (!limits.empty()) said.push_back(StrCat(Joined(limits, ", "), " limit", where));
      }
    }
    if (said.empty()) return;
    *Ensure(pod, {"metadata", "annotations", kAnnotation}) =
        StrCat("LimitRanger plugin set: ", Joined(said, "; "));
  }

  static void Check(const json::object& object, bool pod, std::string_view type,
                    const Bounds& bounds, std::vector<std::string>& errors) {
    const auto check = [&](const ResourceList& requests, const ResourceList& limits) {
      Checker checker(type, requests, limits, errors);
      checker.Min(bounds.min);
      checker.Max(bounds.max, !pod);
      if (pod) checker.Ratio(bounds.ratio);
    };
    if (!pod) {
      if (type != "PersistentVolumeClaim") return;
      check(ReadResources(ObjectAt(object, {"spec", "resources", "requests"})), {});
    } else if (type == "Pod") {
      check(PodResources(object, "requests"), PodResources(object, "limits"));
    } else if (type == "Container") {
      for (const std::string_view list : {"containers", "initContainers"}) {
        for (const json::value& container : ArrayAt(object, {"spec", list})) {
          check(ReadResources(ObjectAt(container, {"resources", "requests"})),
                ReadResources(ObjectAt(container, {"resources", "limits"})));
        }
      }
    }
  }

  ObjectView& view_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> MakeLimitRanger(ObjectView& view) {
  return std::make_unique<LimitRanger>(view);
}

}  // namespace keel::orchestrator
