#include "orchestrator/api/managed_fields.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/apply_walk.h"

namespace keel::orchestrator {
namespace {

constexpr char kBeforeFirstApply[] = "before-first-apply";
constexpr char kLastApplied[] = "kubectl.kubernetes.io/last-applied-configuration";

// Nobody owns these.
void EraseUnowned(FieldSet& set) {
  set.Erase({"f:apiVersion"});
  set.Erase({"f:kind"});
  static constexpr const char* kMetadata[] = {
      "f:name",       "f:namespace",     "f:creationTimestamp", "f:uid",
      "f:generation", "f:managedFields", "f:resourceVersion",   "f:selfLink"};
  for (const char* name : kMetadata) set.Erase({"f:metadata", name});
  // Metadata itself is there anyway.
  const FieldNode* metadata = set.Find("f:metadata");
  if (metadata != nullptr && metadata->member) {
    FieldSet below = metadata->below;
    set.Erase({"f:metadata"});
    set.Put("f:metadata", false, std::move(below));
  }
}

FieldSet OwnedSetOf(const Schema& schema, const json::value& value) {
  FieldSet set = SetOf(schema, value);
  EraseUnowned(set);
  return set;
}

bool SameManager(const ManagedFieldsEntry& entry, const FieldManager& who, bool is_apply) {
  return entry.is_apply == is_apply && entry.manager.name == who.name &&
         entry.manager.subresource == who.subresource &&
         // Who applies is one manager in all versions.
         (is_apply || entry.manager.api_version == who.api_version);
}

ManagedFieldsEntry& EntryOf(std::vector<ManagedFieldsEntry>& entries, const FieldManager& who,
                            bool is_apply) {
  for (ManagedFieldsEntry& entry : entries) {
    if (SameManager(entry, who, is_apply)) return entry;
  }
  entries.push_back({who, is_apply, {}});
  return entries.back();
}

// `"helm" with subresource "scale" using apps/v1`.
std::string Describe(const ManagedFieldsEntry& entry) {
  std::string out = ToJson(json::value(entry.manager.name));
  if (!entry.manager.subresource.empty()) {
    out += base::StrCat(" with subresource ", ToJson(json::value(entry.manager.subresource)));
  }
  if (!entry.is_apply) out += base::StrCat(" using ", entry.manager.api_version);
  return out;
}

absl::Status ConflictError(const std::vector<std::pair<std::string, FieldSet>>& conflicts) {
  json::array causes;
  std::map<std::string, std::vector<std::string>> by_manager;
  for (const auto& [manager, fields] : conflicts) {
    for (const std::string& path : fields.Paths()) {
      causes.push_back(json::object{{"reason", "FieldManagerConflict"},
                                    {"message", base::StrCat("conflict with ", manager)},
                                    {"field", path}});
      by_manager[manager].push_back(path);
    }
  }
  std::string message;
  if (causes.size() == 1) {
    const auto& [manager, paths] = *by_manager.begin();
    message = base::StrCat("Apply failed with 1 conflict: conflict with ", manager, ": ", paths[0]);
  } else {
    message = base::StrCat("Apply failed with ", causes.size(), " conflicts: ");
    bool first = true;
    for (const auto& [manager, paths] : by_manager) {
      message += base::StrCat(first ? "" : "\n", "conflicts with ", manager, ":");
      for (const std::string& path : paths) message += base::StrCat("\n- ", path);
      first = false;
    }
  }
  return ApiError{.code = 409,
                  .reason = "Conflict",
                  .message = std::move(message),
                  .details = {{"causes", std::move(causes)}}}
      .ToStatus();
}

// What of `last` may go: all that is not in `keep`. A field below which something is kept stays.
FieldSet Removable(const FieldSet& last, const FieldSet& keep) {
  FieldSet out;
  for (const FieldNode& node : last.nodes()) {
    const FieldNode* kept = keep.Find(node.element);
    if (kept == nullptr) {
      out.Put(node.element, node.member, node.below);
      continue;
    }
    const bool holds_more = node.element[0] == 'f' && !kept->below.empty();
    out.Put(node.element, node.member && !kept->member && !holds_more,
            Removable(node.below, kept->below));
  }
  return out;
}

// The entries with which the first apply of an object begins.
std::vector<ManagedFieldsEntry> BeforeFirstApply(const Schema& schema, const json::value& live,
                                                 const FieldManager& who) {
  ManagedFieldsEntry all{who, false, OwnedSetOf(schema, live)};
  all.manager.name = kBeforeFirstApply;
  all.manager.subresource.clear();
  std::vector<ManagedFieldsEntry> entries;
  const std::string_view last_applied = StringAt(live, {"metadata", "annotations", kLastApplied});
  if (who.name == "kubectl" && !last_applied.empty()) {
    if (auto config = ParseJson(last_applied); config.ok()) {
      PruneUnknown(schema, *config, nullptr);
      ManagedFieldsEntry own{who, true, OwnedSetOf(schema, *config)};
      own.fields.Insert({"f:metadata", "f:annotations", base::StrCat("f:", kLastApplied)});
      all.fields = all.fields.Difference(own.fields);
      entries.push_back(std::move(own));
    }
  }
  entries.push_back(std::move(all));
  return entries;
}

void TakeAway(std::vector<ManagedFieldsEntry>& entries, const ManagedFieldsEntry* except,
              const Changes& changes) {
  for (ManagedFieldsEntry& entry : entries) {
    if (&entry == except) continue;
    entry.fields = entry.fields.Difference(changes.changed).Difference(changes.removed);
  }
}

}  // namespace

absl::StatusOr<std::vector<ManagedFieldsEntry>> ParseManagedFields(const json::value& object) {
  std::vector<ManagedFieldsEntry> entries;
  const json::value* list = Find(object, {"metadata", "managedFields"});
  if (list == nullptr || list->is_null()) return entries;
  if (!list->is_array()) return BadRequest("metadata.managedFields must be a list");
  entries.reserve(list->get_array().size());
  for (const json::value& one : list->get_array()) {
    ManagedFieldsEntry entry;
    entry.manager.name = StringAt(one, {"manager"});
    entry.manager.api_version = StringAt(one, {"apiVersion"});
    entry.manager.time = StringAt(one, {"time"});
    entry.manager.subresource = StringAt(one, {"subresource"});
    const std::string_view operation = StringAt(one, {"operation"});
    entry.is_apply = operation == "Apply";
    if (!entry.is_apply && operation != "Update") {
      return BadRequest("metadata.managedFields: operation must be `Apply` or `Update`");
    }
    const std::string_view type = StringAt(one, {"fieldsType"});
    if (type != "FieldsV1")
      return BadRequest("metadata.managedFields: fieldsType must be `FieldsV1`");
    if (const json::value* fields = Find(one, {"fieldsV1"})) {
      KEEL_ASSIGN_OR_RETURN(entry.fields, FieldSet::FromFieldsV1(*fields));
    }
    // A client may have written one manager twice.
    ManagedFieldsEntry& of_manager = EntryOf(entries, entry.manager, entry.is_apply);
    of_manager.fields =
        of_manager.fields.empty() ? std::move(entry.fields) : of_manager.fields.Union(entry.fields);
  }
  return entries;
}

void SetManagedFields(json::value& object, std::vector<ManagedFieldsEntry> entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return std::make_tuple(!a.is_apply, std::string_view(a.manager.time),
                           std::string_view(a.manager.name)) <
           std::make_tuple(!b.is_apply, std::string_view(b.manager.time),
                           std::string_view(b.manager.name));
  });
  json::array list;
  for (const ManagedFieldsEntry& entry : entries) {
    if (entry.fields.empty()) continue;
    json::object one;
    one["manager"] = entry.manager.name;
    one["operation"] = entry.is_apply ? "Apply" : "Update";
    one["apiVersion"] = entry.manager.api_version;
    if (!entry.manager.time.empty()) one["time"] = entry.manager.time;
    one["fieldsType"] = "FieldsV1";
    one["fieldsV1"] = entry.fields.ToFieldsV1();
    if (!entry.manager.subresource.empty()) one["subresource"] = entry.manager.subresource;
    list.push_back(std::move(one));
  }
  if (list.empty()) {
    Remove(object, {"metadata", "managedFields"});
  } else {
    *Ensure(object, {"metadata", "managedFields"}) = std::move(list);
  }
}

bool IsTracked(const json::value& object) {
  return object.is_object() && IsTracked(object.get_object());
}
bool IsTracked(const json::object& object) {
  return !ArrayAt(object, {"metadata", "managedFields"}).empty();
}

absl::StatusOr<json::value> ApplyConfiguration(const Schema& schema, const json::value& live,
                                               json::value config, const FieldManager& who,
                                               bool force) {
  if (!config.is_object()) return BadRequest("an apply configuration must be an object");
  if (IsTracked(config)) return BadRequest("metadata.managedFields must be nil");
  std::vector<std::string> unknown;
  PruneUnknown(schema, config, &unknown);
  if (!unknown.empty()) {
    return BadRequest(base::StrCat("failed to create typed patch object: .", unknown.front(),
                                   ": field not declared in schema"));
  }
  KEEL_RETURN_IF_ERROR(CheckKeys(schema, config));
  Remove(config, {"metadata", "managedFields"});

  const bool exists = live.is_object();
  KEEL_ASSIGN_OR_RETURN(std::vector<ManagedFieldsEntry> entries, ParseManagedFields(live));
  if (exists && entries.empty()) entries = BeforeFirstApply(schema, live, who);
  ManagedFieldsEntry& own = EntryOf(entries, who, true);
  const FieldSet last = std::move(own.fields);
  own.fields = OwnedSetOf(schema, config);

  json::value now = live;
  MergeConfig(schema, now, config);
  if (!last.empty()) {
    FieldSet keep;
    for (const ManagedFieldsEntry& entry : entries) keep = keep.Union(entry.fields);
    const FieldSet gone = Removable(last, keep);
    if (!gone.empty()) {
      RemoveFields(schema, now, gone);
      // An object that is empty now has gone too, unless the configuration says that it is there.
      MergeConfig(schema, now, config);
    }
  }
  if (exists) {
    Changes changes = Compare(schema, live, now);
    EraseUnowned(changes.changed);
    if (!force) {
      std::vector<std::pair<std::string, FieldSet>> conflicts;
      for (const ManagedFieldsEntry& entry : entries) {
        if (&entry == &own) continue;
        FieldSet conflict = entry.fields.Intersection(changes.changed);
        if (!conflict.empty()) conflicts.emplace_back(Describe(entry), std::move(conflict));
      }
      if (!conflicts.empty()) return ConflictError(conflicts);
    }
    TakeAway(entries, &own, changes);
    const bool same = own.fields == last && own.manager.api_version == who.api_version &&
                      changes.changed.empty() && changes.removed.empty();
    // Nothing to write: neither a new time.
    if (!same) own.manager.time = who.time;
  }
  own.manager.api_version = who.api_version;
  SetManagedFields(now, std::move(entries));
  return now;
}

absl::Status TrackUpdate(const Schema& schema, const json::object* before, json::object& now,
                         const FieldManager& who) {
  if (!IsTracked(now) && (before == nullptr || !IsTracked(*before))) {
    Remove(now, {"metadata", "managedFields"});
    return absl::OkStatus();
  }
  json::value value(std::move(now));
  const absl::Status tracked =
      TrackUpdate(schema, before == nullptr ? json::value() : json::value(*before), value, who);
  now = std::move(value.get_object());
  return tracked;
}

absl::Status TrackUpdate(const Schema& schema, const json::value& before, json::value& now,
                         const FieldManager& who) {
  const json::array& written = ArrayAt(now, {"metadata", "managedFields"});
  const bool from_client = !written.empty();
  if (!from_client && !IsTracked(before)) {
    // The usual case. An empty list is no list.
    Remove(now, {"metadata", "managedFields"});
    return absl::OkStatus();
  }
  if (written.size() == 1 && written[0].is_object() && written[0].get_object().empty()) {
    Remove(now, {"metadata", "managedFields"});
    return absl::OkStatus();
  }
  KEEL_ASSIGN_OR_RETURN(std::vector<ManagedFieldsEntry> entries,
                        ParseManagedFields(from_client ? now : before));
  Changes changes = Compare(schema, before, now);
  EraseUnowned(changes.changed);
  if (!changes.changed.empty() || !changes.removed.empty()) {
    ManagedFieldsEntry& own = EntryOf(entries, who, false);
    TakeAway(entries, &own, changes);
    FieldSet fields = own.fields.Union(changes.changed).Difference(changes.removed);
    if (!(fields == own.fields) || !changes.changed.empty()) own.manager.time = who.time;
    own.fields = std::move(fields);
  }
  SetManagedFields(now, std::move(entries));
  return absl::OkStatus();
}

}  // namespace keel::orchestrator
