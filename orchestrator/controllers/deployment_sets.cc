#include "orchestrator/controllers/deployment_sets.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

int64_t NumberIn(std::string_view text, int64_t otherwise) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() ? value
                                                                                   : otherwise;
}

std::string_view TextIn(const json::object& map, std::string_view name) {
  const json::value* value = map.if_contains(json::string_view(name.data(), name.size()));
  return value != nullptr && value->is_string() ? View(value->get_string()) : std::string_view();
}

// What is the set's own, or about the deployment's own history.
bool IsCopied(std::string_view name) {
  return name != "kubectl.kubernetes.io/last-applied-configuration" && name != kRevision &&
         name != kRevisionHistory && name != kDesiredReplicas && name != kMaxReplicas &&
         name != "deprecated.deployment.rollback.to";
}

}  // namespace

std::string_view AnnotationOf(const json::object& object, std::string_view name) {
  return TextIn(ObjectAt(object, {"metadata", "annotations"}), name);
}

int64_t RevisionOf(const json::object& object) {
  return NumberIn(AnnotationOf(object, kRevision), 0);
}

RolledSet::RolledSet(const json::object& set)
    : object(&set),
      replicas(IntAt(set, {"spec", "replicas"}, 1)),
      annotations(ObjectAt(set, {"metadata", "annotations"})),
      min_ready_seconds(IntAt(set, {"spec", "minReadySeconds"})) {}

int64_t RolledSet::revision() const { return NumberIn(TextIn(annotations, kRevision), 0); }

bool RolledSet::changed() const {
  return replicas != IntAt(*object, {"spec", "replicas"}, 1) ||
         min_ready_seconds != IntAt(*object, {"spec", "minReadySeconds"}) ||
         annotations != ObjectAt(*object, {"metadata", "annotations"});
}

void SyncAnnotations(const json::object& deployment, int64_t newest_revision, RolledSet& set) {
  for (const auto& [name, value] : ObjectAt(deployment, {"metadata", "annotations"})) {
    if (IsCopied({name.data(), name.size()})) set.annotations[name] = value;
  }
  const std::string before(TextIn(set.annotations, kRevision));
  const int64_t old_revision = NumberIn(before, 0);
  if (old_revision >= newest_revision) return;
  set.annotations[kRevision] = std::to_string(newest_revision);
  // A template that comes back keeps the numbers it had.
  if (old_revision > 0) {
    const std::string history(TextIn(set.annotations, kRevisionHistory));
    set.annotations[kRevisionHistory] = history.empty() ? before : history + "," + before;
  }
}

void SetReplicasAnnotations(int64_t desired, int64_t max, RolledSet& set) {
  set.annotations[kDesiredReplicas] = std::to_string(desired);
  set.annotations[kMaxReplicas] = std::to_string(max);
}

json::object NewSetOf(const json::object& deployment) {
  json::object pods = ObjectAt(deployment, {"spec", "template"});
  const auto collisions = static_cast<uint32_t>(IntAt(deployment, {"status", "collisionCount"}));
  const std::string hash = SafeHash(pods, collisions);
  *Ensure(pods, {"metadata", "labels", kTemplateHash}) = hash;
  json::object selector = ObjectAt(deployment, {"spec", "selector"});
  *Ensure(selector, {"matchLabels", kTemplateHash}) = hash;
  json::object metadata{
      {"name", base::StrCat(NameOf(deployment), "-", hash)},
      {"namespace", NamespaceOf(deployment)},
      {"labels", ObjectAt(pods, {"metadata", "labels"})},
      {"ownerReferences", json::array{OwnerReferenceTo("apps/v1", "Deployment", deployment)}}};
  json::object spec{
      {"replicas", 0}, {"selector", std::move(selector)}, {"template", std::move(pods)}};
  if (const int64_t seconds = IntAt(deployment, {"spec", "minReadySeconds"}); seconds > 0) {
    spec["minReadySeconds"] = seconds;
  }
  return {{"apiVersion", "apps/v1"},
          {"kind", "ReplicaSet"},
          {"metadata", std::move(metadata)},
          {"spec", std::move(spec)}};
}

Request UpdateOf(const RolledSet& set) {
  json::object metadata{{"resourceVersion", StringAt(*set.object, {"metadata", "resourceVersion"})},
                        {"annotations", set.annotations}};
  return {
      .verb = Request::Verb::kMergePatch,
      .resource = kReplicaSetRef,
      .ns = std::string(NamespaceOf(*set.object)),
      .name = std::string(set.name()),
      .body = {{"metadata", std::move(metadata)},
               {"spec", {{"replicas", set.replicas}, {"minReadySeconds", set.min_ready_seconds}}}},
      .lenient = false};
}

int64_t ProportionOf(const RolledSet& set, int64_t deployment_replicas, int64_t surge,
                     int64_t status_replicas, int64_t to_add, int64_t added) {
  if (set.replicas == 0 || to_add == 0 || to_add == added) return 0;
  int64_t fraction = -set.replicas;
  if (deployment_replicas > 0) {
    // Against what the deployment was when this set was last scaled.
    int64_t before = NumberIn(TextIn(set.annotations, kMaxReplicas), 0);
    if (before <= 0) before = status_replicas;
    if (before <= 0) return 0;
    const double size = static_cast<double>(set.replicas) *
                        static_cast<double>(deployment_replicas + surge) /
                        static_cast<double>(before);
    fraction = std::llround(size) - set.replicas;
  }
  const int64_t allowed = to_add - added;
  return to_add > 0 ? std::min(fraction, allowed) : std::max(fraction, allowed);
}

}  // namespace keel::orchestrator
