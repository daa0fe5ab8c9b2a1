#include "orchestrator/controllers/controller_revision.h"

#include <algorithm>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kHashLabel = "controller.kubernetes.io/hash";

json::object DataOf(const json::object& owner) {
  json::object data_template = ObjectAt(owner, {"spec", "template"});
  data_template["$patch"] = "replace";
  return {{"spec", {{"template", std::move(data_template)}}}};
}

}  // namespace

Revisions SyncRevisions(const RevisionState& state) {
  const json::object data = DataOf(state.owner);
  int64_t highest = 0;
  const json::object* same = nullptr;
  for (const json::object* revision : state.revisions) {
    const int64_t number = IntAt(*revision, {"revision"});
    highest = std::max(highest, number);
    if (ObjectAt(*revision, {"data"}) != data) continue;
    if (same == nullptr || number > IntAt(*same, {"revision"})) same = revision;
  }
  Revisions result;
  if (same != nullptr) {
    result.update = *same;
    if (IntAt(*same, {"revision"}) < highest) {
      result.update["revision"] = highest + 1;
      result.requests.push_back({.verb = Request::Verb::kMergePatch,
                                 .resource = kControllerRevisionRef,
                                 .ns = std::string(NamespaceOf(*same)),
                                 .name = std::string(NameOf(*same)),
                                 .body = json::object{{"revision", highest + 1}}});
    }
    return result;
  }
  // A name that another template has taken: hash again, otherwise.
  std::string name, hash;
  for (uint32_t salt = 0;; ++salt) {
    hash = SafeHash(data, salt);
    name = base::StrCat(NameOf(state.owner), "-", hash);
    const bool taken = std::any_of(state.revisions.begin(), state.revisions.end(),
                                   [&](const json::object* each) { return NameOf(*each) == name; });
    if (!taken) break;
  }
  json::object metadata{{"name", name}, {"namespace", NamespaceOf(state.owner)}};
  json::object labels = ObjectAt(state.owner, {"spec", "template", "metadata", "labels"});
  labels[kHashLabel] = hash;
  metadata["labels"] = std::move(labels);
  const json::object& annotations = ObjectAt(state.owner, {"metadata", "annotations"});
  if (!annotations.empty()) metadata["annotations"] = annotations;
  metadata["ownerReferences"] =
      json::array{OwnerReferenceTo(state.api_version, state.kind, state.owner)};
  result.update = {{"apiVersion", "apps/v1"},
                   {"kind", "ControllerRevision"},
                   {"metadata", std::move(metadata)},
                   {"data", data},
                   {"revision", highest + 1}};
  result.requests.push_back({.verb = Request::Verb::kCreate,
                             .resource = kControllerRevisionRef,
                             .ns = std::string(NamespaceOf(state.owner)),
                             .name = name,
                             .body = result.update});
  return result;
}

std::vector<Request> TrimRevisions(const RevisionState& state,
                                   const absl::flat_hash_set<std::string>& live) {
  std::vector<const json::object*> old;
  for (const json::object* revision : state.revisions) {
    if (!live.contains(std::string(NameOf(*revision)))) old.push_back(revision);
  }
  std::sort(old.begin(), old.end(), [](const json::object* a, const json::object* b) {
    return IntAt(*a, {"revision"}) < IntAt(*b, {"revision"});
  });
  std::vector<Request> requests;
  const int64_t limit = IntAt(state.owner, {"spec", "revisionHistoryLimit"}, 10);
  for (int64_t i = 0; i + limit < static_cast<int64_t>(old.size()); ++i) {
    const json::object& revision = *old[static_cast<size_t>(i)];
    requests.push_back(DeleteRequest(kControllerRevisionRef, NamespaceOf(revision),
                                     NameOf(revision), UidOf(revision)));
  }
  return requests;
}

std::string_view HashOf(const json::object& revision) {
  return StringAt(revision, {"metadata", "labels", kHashLabel});
}

json::object TemplateOf(const json::object& revision) {
  json::object result = ObjectAt(revision, {"data", "spec", "template"});
  result.erase("$patch");
  return result;
}

}  // namespace keel::orchestrator
