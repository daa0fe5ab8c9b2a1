#include "orchestrator/controllers/namespace_reconcile.h"

#include "base/strings.h"
#include "orchestrator/controllers/plan.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kFinalizer = "kubernetes";

}  // namespace

bool NeedsDeletion(const json::object& ns) {
  if (StringAt(ns, {"metadata", "deletionTimestamp"}).empty()) return false;
  for (const json::value& finalizer : ArrayAt(ns, {"spec", "finalizers"})) {
    if (finalizer.is_string() && View(finalizer.get_string()) == kFinalizer) return true;
  }
  return false;
}

json::object Finalized(const json::object& ns) {
  json::object copy = ns;
  json::array kept;
  for (const json::value& finalizer : ArrayAt(ns, {"spec", "finalizers"})) {
    if (finalizer.is_string() && View(finalizer.get_string()) != kFinalizer) {
      kept.push_back(finalizer);
    }
  }
  *Ensure(copy, {"spec", "finalizers"}) = std::move(kept);
  return copy;
}

NamespaceVerdict JudgeNamespace(const json::object& ns, const NamespaceContent& content,
                                absl::Time now) {
  NamespaceVerdict verdict{.status = ObjectAt(ns, {"status"})};
  verdict.status["phase"] = "Terminating";
  json::array conditions = ArrayAt(ns, {"status", "conditions"});
  SetCondition(conditions, "NamespaceDeletionDiscoveryFailure", !content.discovery_error.empty(),
               content.discovery_error.empty() ? "ResourcesDiscovered" : "DiscoveryFailed",
               content.discovery_error.empty()
                   ? "All resources successfully discovered"
                   : base::StrCat("Discovery failed for some groups, ", content.discovery_error),
               now);
  SetCondition(conditions, "NamespaceDeletionGroupVersionParsingFailure", false,
               "ParsedGroupVersions", "All legacy kube types successfully parsed", now);
  SetCondition(conditions, "NamespaceDeletionContentFailure", !content.deletion_error.empty(),
               content.deletion_error.empty() ? "ContentDeleted" : "ContentDeletionFailed",
               content.deletion_error.empty()
                   ? "All content successfully deleted, may be waiting on finalization"
                   : base::StrCat("Failed to delete all resource types, 1 remaining: ",
                                  content.deletion_error),
               now);
  std::string remaining;
  for (const auto& [resource, count] : content.remaining) {
    if (!remaining.empty()) remaining += ", ";
    remaining += base::StrCat(resource, " has ", count, " resource instances");
  }
  SetCondition(conditions, "NamespaceContentRemaining", !remaining.empty(),
               remaining.empty() ? "ContentRemoved" : "SomeResourcesRemain",
               remaining.empty() ? "All content successfully removed"
                                 : base::StrCat("Some resources are remaining: ", remaining),
               now);
  std::string finalizers;
  for (const auto& [finalizer, count] : content.finalizers) {
    if (!finalizers.empty()) finalizers += ", ";
    finalizers += base::StrCat(finalizer, " in ", count, " resource instances");
  }
  SetCondition(
      conditions, "NamespaceFinalizersRemaining", !finalizers.empty(),
      finalizers.empty() ? "ContentHasNoFinalizers" : "SomeFinalizersRemain",
      finalizers.empty()
          ? "All content-preserving finalizers finished"
          : base::StrCat("Some content in the namespace has finalizers remaining: ", finalizers),
      now);
  verdict.status["conditions"] = std::move(conditions);
  verdict.may_finalize = content.remaining.empty() && content.discovery_error.empty() &&
                         content.deletion_error.empty();
  return verdict;
}

}  // namespace keel::orchestrator
