// Resource quotas: what a namespace may hold, counted as objects are created.
//
// A creation carries the new count of each quota that it touches as a side write, under the
// condition that the quota is still what was read: two creations at once cannot both take the last
// place, since the transaction of the second fails and is tried again. A deletion does not count
// down: when a quota seems full, what there is is counted again.

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/quota_usage.h"
#include "orchestrator/apiserver/access/admission/plugin.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

// "pods=1,requests.cpu=2"
std::string Print(const ResourceList& all, const std::set<std::string>& names) {
  std::string out;
  for (const auto& [name, quantity] : all) {
    if (names.contains(name)) {
      out += StrCat(out.empty() ? "" : ",", name, "=", quantity.ToString());
    }
  }
  return out;
}

// What all objects of that resource in the quota's namespace count for now.
ResourceList CountUsage(ObjectView& view, const json::object& quota, std::string_view resource) {
  ResourceList out;
  for (const ObjectView::Entry& entry :
       view.List(resource, StringAt(quota, {"metadata", "namespace"}))) {
    if (!QuotaSelects(quota, resource, *entry.object)) continue;
    for (const auto& [name, quantity] : QuotaUsage(resource, *entry.object)) out[name] += quantity;
  }
  return out;
}

class ResourceQuota final : public AdmissionPlugin {
 public:
  explicit ResourceQuota(ObjectView& view) : view_(view) {}

  absl::Status Validate(AdmissionRequest& request) override {
    const Attributes& a = request.attributes;
    if (a.verb != "create" || a.ns.empty() || !a.subresource.empty() || request.object == nullptr ||
        request.kind == nullptr) {
      return absl::OkStatus();
    }
    std::vector<ObjectView::Entry> quotas = view_.List("resourcequotas", a.ns);
    if (quotas.empty()) return absl::OkStatus();
    const std::string resource = request.kind->resource();
    const ResourceList wanted = QuotaUsage(resource, *request.object);
    for (const ObjectView::Entry& quota : quotas) {
      KEEL_RETURN_IF_ERROR(Count(quota, resource, wanted, request));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Count(const ObjectView::Entry& entry, const std::string& resource,
                     const ResourceList& wanted, AdmissionRequest& request) {
    const json::object& quota = *entry.object;
    if (!QuotaSelects(quota, resource, *request.object)) return absl::OkStatus();
    const ResourceList hard = ReadResources(ObjectAt(quota, {"spec", "hard"}));
    const std::string_view name = StringAt(quota, {"metadata", "name"});
    if (resource == "pods") {
      const std::string missing = MissingForQuota(hard, *request.object);
      if (!missing.empty()) {
        return ForbiddenHere(request, StrCat("failed quota: ", name, ": must specify ", missing));
      }
    }
    ResourceList asked;
    for (const auto& [what, quantity] : wanted) {
      if (hard.contains(what) && !quantity.IsZero()) asked[what] = quantity;
    }
    if (asked.empty()) return absl::OkStatus();

    ResourceList used = ReadResources(ObjectAt(quota, {"status", "used"}));
    const auto exceeds = [&](const auto& one) {
      const auto& [what, quantity] = one;
      const auto found = used.find(what);
      return found == used.end() || found->second + quantity > hard.at(what);
    };
    // A quota that nobody has counted for yet is counted for here, and so is one that is full:
    // what was deleted since is not taken off it here. The count is exact as long as the quota's
    // revision stays: every creation that counts writes the quota in its own transaction, so the
    // view that has this revision of the quota has all that it counts.
    if (std::any_of(asked.begin(), asked.end(), exceeds)) {
      const ResourceList now = CountUsage(view_, quota, resource);
      for (const auto& [what, quantity] : asked) {
        const auto found = now.find(what);
        used[what] = found == now.end() ? Quantity() : found->second;
      }
    }
    std::set<std::string> exceeded;
    ResourceList after = used;
    for (const auto& [what, quantity] : asked) {
      after[what] += quantity;
      if (after[what] > hard.at(what)) exceeded.insert(what);
    }
    if (!exceeded.empty()) {
      return ForbiddenHere(
          request, StrCat("exceeded quota: ", name, ", requested: ", Print(asked, exceeded),
                          ", used: ", Print(used, exceeded), ", limited: ", Print(hard, exceeded)));
    }
    if (request.dry_run) return absl::OkStatus();
    json::object now = quota;
    Remove(now, {"metadata", "resourceVersion"});
    for (const auto& [what, quantity] : after) {
      *Ensure(now, {"status", "used", what}) = quantity.ToString();
    }
    for (const auto& [what, quantity] : hard) {
      json::value* there = Ensure(now, {"status", "hard", what});
      if (there->is_null()) *there = quantity.ToString();
    }
    request.side_writes.push_back(
        {.key = entry.key, .mod_revision = entry.mod_revision, .value = ToJson(json::value(now))});
    return absl::OkStatus();
  }

  ObjectView& view_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> MakeResourceQuota(ObjectView& view) {
  return std::make_unique<ResourceQuota>(view);
}

}  // namespace keel::orchestrator
