#include "orchestrator/apiserver/delete_rules.h"

#include <algorithm>
#include <vector>

#include "base/strings.h"
#include "orchestrator/api/time.h"

namespace keel::orchestrator {

namespace {

bool IsPod(const Kind& kind) { return kind.group.empty() && kind.plural == "pods"; }

// How long a pod is given; nothing to wait for when it runs nowhere.
int64_t GracePeriodOf(const json::object& pod, std::optional<int64_t> asked) {
  int64_t seconds = asked.value_or(IntAt(pod, {"spec", "terminationGracePeriodSeconds"}, 30));
  if (seconds < 0) seconds = 1;
  const std::string_view phase = StringAt(pod, {"status", "phase"});
  if (StringAt(pod, {"spec", "nodeName"}).empty() || phase == "Failed" || phase == "Succeeded") {
    seconds = 0;
  }
  return seconds;
}

void SetFinalizer(json::object& metadata, std::string_view name, bool wanted) {
  json::array kept;
  bool there = false;
  for (const json::value& finalizer : ArrayAt(metadata, {"finalizers"})) {
    const json::string* text = finalizer.if_string();
    const bool same = text != nullptr && View(*text) == name;
    there = there || same;
    if (!same || wanted) kept.push_back(finalizer);
  }
  if (wanted && !there) kept.push_back(json::string_view(name.data(), name.size()));
  if (kept.empty()) {
    metadata.erase("finalizers");
  } else {
    metadata["finalizers"] = std::move(kept);
  }
}

}  // namespace

absl::StatusOr<DeletionOptions> ParseDeletionOptions(const json::value& body) {
  DeletionOptions options;
  if (const json::value* grace = Find(body, {"gracePeriodSeconds"});
      grace != nullptr && !grace->is_null()) {
    if (!grace->is_int64()) return BadRequest("gracePeriodSeconds is no integer");
    options.grace_period_seconds = grace->as_int64();
  }
  options.uid = std::string(StringAt(body, {"preconditions", "uid"}));
  options.resource_version = std::string(StringAt(body, {"preconditions", "resourceVersion"}));
  options.propagation = std::string(StringAt(body, {"propagationPolicy"}));
  const json::value* orphan = Find(body, {"orphanDependents"});
  if (orphan != nullptr && orphan->is_bool()) {
    if (!options.propagation.empty()) {
      return BadRequest("orphanDependents and propagationPolicy can't both be set");
    }
    options.propagation = orphan->as_bool() ? "Orphan" : "Background";
  }
  static const std::vector<std::string> kPolicies = {"Orphan", "Background", "Foreground"};
  if (!options.propagation.empty() &&
      std::find(kPolicies.begin(), kPolicies.end(), options.propagation) == kPolicies.end()) {
    FieldErrors errors;
    errors.NotSupported("propagationPolicy", json::value(options.propagation), kPolicies);
    return Invalid("meta.k8s.io", "DeleteOptions", "", errors);
  }
  for (const json::value& dry : ArrayAt(body, {"dryRun"})) {
    const json::string* text = dry.if_string();
    if (text == nullptr || View(*text) != "All") {
      FieldErrors errors;
      errors.NotSupported("dryRun", dry, {"All"});
      return Invalid("meta.k8s.io", "DeleteOptions", "", errors);
    }
    options.dry_run = true;
  }
  return options;
}

absl::Status CheckDeletionPreconditions(const Kind& kind, const DeletionOptions& options,
                                        const json::object& object) {
  const std::string_view name = StringAt(object, {"metadata", "name"});
  const std::string_view uid = StringAt(object, {"metadata", "uid"});
  if (!options.uid.empty() && options.uid != uid) {
    return Conflict(kind.resource(), name,
                    base::StrCat("Precondition failed: UID in precondition: ", options.uid,
                                 ", UID in object meta: ", uid));
  }
  const std::string_view version = StringAt(object, {"metadata", "resourceVersion"});
  if (!options.resource_version.empty() && options.resource_version != version) {
    return Conflict(
        kind.resource(), name,
        base::StrCat("Precondition failed: ResourceVersion in precondition: ",
                     options.resource_version, ", ResourceVersion in object meta: ", version));
  }
  return absl::OkStatus();
}

void MarkDeleted(const Kind& kind, const DeletionOptions& options, absl::Time now,
                 json::object& object) {
  json::object& metadata = object["metadata"].as_object();
  int64_t grace = IsPod(kind) ? GracePeriodOf(object, options.grace_period_seconds) : 0;
  const bool marked = !StringAt(metadata, {"deletionTimestamp"}).empty();
  if (!options.propagation.empty()) {
    SetFinalizer(metadata, "orphan", options.propagation == "Orphan");
    SetFinalizer(metadata, "foregroundDeletion", options.propagation == "Foreground");
  }
  if (marked) {
    // Only sooner, and by whom asks for it.
    const int64_t was = IntAt(metadata, {"deletionGracePeriodSeconds"});
    if (!options.grace_period_seconds.has_value() || grace >= was) return;
    const auto since = ParseTime(StringAt(metadata, {"deletionTimestamp"}));
    if (since.ok()) {
      metadata["deletionTimestamp"] =
          orchestrator::FormatTime(*since - absl::Seconds(was) + absl::Seconds(grace));
    }
    metadata["deletionGracePeriodSeconds"] = grace;
    return;
  }
  metadata["deletionTimestamp"] = orchestrator::FormatTime(now + absl::Seconds(grace));
  metadata["deletionGracePeriodSeconds"] = grace;
  if (metadata.contains("generation")) {
    metadata["generation"] = IntAt(metadata, {"generation"}) + 1;
  }
}

bool GoesNow(const Kind& kind, const json::object& object) {
  const json::object& metadata = ObjectAt(object, {"metadata"});
  if (StringAt(metadata, {"deletionTimestamp"}).empty()) return false;
  if (!ArrayAt(metadata, {"finalizers"}).empty()) return false;
  // A namespace is emptied first: its own finalizers stand in its spec.
  if (kind.group.empty() && kind.plural == "namespaces" &&
      !ArrayAt(object, {"spec", "finalizers"}).empty()) {
    return false;
  }
  return IntAt(metadata, {"deletionGracePeriodSeconds"}) == 0;
}

}  // namespace keel::orchestrator
