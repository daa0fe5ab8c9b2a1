// What the fake API server keeps, and how requests change it.
#include <algorithm>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/client/testing/fake_api.h"
#include "orchestrator/client/testing/fake_patch.h"
#include "orchestrator/client/testing/fake_selectors.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string QualifiedName(const Resource& r) {
  return r.group.empty() ? r.plural : r.plural + "." + r.group;
}

bool IsNamespace(const Resource& r) { return r.group.empty() && r.plural == "namespaces"; }

// Nothing keeps a deleted object any more.
bool MayGo(const Resource& r, const json::object& object) {
  if (StringAt(object, {"metadata", "deletionTimestamp"}).empty()) return false;
  if (!ArrayAt(object, {"metadata", "finalizers"}).empty()) return false;
  // A pod's node has not yet said that it stopped.
  if (IntAt(object, {"metadata", "deletionGracePeriodSeconds"}) > 0) return false;
  return !IsNamespace(r) || ArrayAt(object, {"spec", "finalizers"}).empty();
}

}  // namespace

// ---- Storage

FakeApi::Key FakeApi::KeyOfRequest(const Request& request) {
  return {request.resource.group, request.resource.plural, request.ns, request.name};
}

void FakeApi::Complete(const Request& request, json::object& object) {
  if (!request.ns.empty()) *Ensure(object, {"metadata", "namespace"}) = request.ns;
  const auto fill = [&](std::string_view name, json::value value) {
    json::value* member = Ensure(object, {"metadata", name});
    if (member->is_null()) *member = std::move(value);
  };
  if (StringAt(object, {"metadata", "uid"}).empty()) {
    *Ensure(object, {"metadata", "uid"}) = StrCat("uid-", next_uid_++);
  }
  fill("creationTimestamp", json::string(Rfc3339(now())));
  fill("generation", 1);
  if (object.find("apiVersion") == object.end()) {
    object["apiVersion"] = request.resource.api_version();
  }
  Known& known = known_[request.resource];
  known.namespaced = !request.ns.empty();
  if (const std::string_view kind = StringAt(object, {"kind"}); !kind.empty()) known.kind = kind;
}

void FakeApi::Store(const Resource& r, const Key& key, json::object value) {
  if (MayGo(r, value)) {
    objects_[key].value = std::move(value);
    return EraseKey(key);
  }
  ++revision_;
  *Ensure(value, {"metadata", "resourceVersion"}) = std::to_string(revision_);
  Object& object = objects_[key];
  const bool is_new = object.revision == 0;
  object.revision = revision_;
  object.value = std::move(value);
  Tell(is_new ? "ADDED" : "MODIFIED", key, object.value);
}

void FakeApi::EraseKey(const Key& key) {
  auto found = objects_.find(key);
  if (found == objects_.end()) return;
  ++revision_;
  json::object last = std::move(found->second.value);
  *Ensure(last, {"metadata", "resourceVersion"}) = std::to_string(revision_);
  objects_.erase(found);
  Tell("DELETED", key, last);
}

// ---- Requests

absl::StatusOr<json::value> FakeApi::Serve(const Request& request) {
  const Resource& r = request.resource;
  if (request.verb == "list") return ListObjects(request);
  if (request.subresource == "scale") return ServeScale(request);
  if (request.verb == "create") {
    if (request.name.empty()) return CreateObject(request);
    auto found = objects_.find(KeyOfRequest(request));
    if (found == objects_.end()) return NotFound(QualifiedName(r), request.name);
    if (request.subresource == "binding") {
      if (!StringAt(found->second.value, {"spec", "nodeName"}).empty()) {
        return Conflict("pods/binding", request.name, "pod is already assigned to a node");
      }
      Edit(r, request.ns, request.name, [&](json::object& pod) {
        *Ensure(pod, {"spec", "nodeName"}) = StringAt(request.body, {"target", "name"});
      });
      return json::value(json::object{{"kind", "Status"}, {"status", "Success"}});
    }
    if (request.subresource == "eviction") {
      Request removal = request;
      removal.subresource.clear();
      removal.body = json::object(ObjectAt(request.body, {"deleteOptions"}));
      return DeleteObject(removal);
    }
    return NoSuchPath();
  }
  if (request.verb == "deletecollection") {
    std::vector<std::string> names;
    for (const json::object& object : All(r, request.ns)) {
      if (fake::Selected(request.query, object)) {
        names.emplace_back(StringAt(object, {"metadata", "name"}));
      }
    }
    for (const std::string& name : names) {
      Request one = request;
      one.name = name;
      KEEL_RETURN_IF_ERROR(DeleteObject(one).status());
    }
    return json::value(json::object{{"kind", "Status"}, {"status", "Success"}});
  }
  auto found = objects_.find(KeyOfRequest(request));
  if (found == objects_.end()) return NotFound(QualifiedName(r), request.name);
  if (request.verb == "get") return json::value(found->second.value);
  if (request.verb == "delete") return DeleteObject(request);
  if (request.verb == "patch") return PatchObject(request);
  const json::object* wanted = request.body.if_object();
  if (wanted == nullptr) return BadRequest("the body must be an object");
  return UpdateObject(request, *wanted);
}

absl::StatusOr<json::value> FakeApi::ListObjects(const Request& request) {
  const std::string limit_text = fake::QueryValue(request.query, "limit");
  const size_t limit =
      limit_text.empty() ? SIZE_MAX : std::strtoull(limit_text.c_str(), nullptr, 10);
  const std::string token = fake::QueryValue(request.query, "continue");
  // "REVISION:NAMESPACE/NAME", the last that was given.
  Key after;
  if (!token.empty()) {
    if (std::strtoll(token.c_str(), nullptr, 10) < compacted_) {
      return Expired("The provided continue parameter is too old");
    }
    const size_t colon = token.find(':');
    const size_t slash = token.find('/');
    after = {request.resource.group, request.resource.plural,
             token.substr(colon + 1, slash - colon - 1), token.substr(slash + 1)};
  }
  json::array items;
  json::object metadata{{"resourceVersion", std::to_string(revision_)}};
  for (const auto& [key, object] : objects_) {
    const auto& [group, plural, ns, name] = key;
    if (group != request.resource.group || plural != request.resource.plural) continue;
    if ((!request.ns.empty() && ns != request.ns) || (!token.empty() && key <= after)) continue;
    if (!fake::Selected(request.query, object.value)) continue;
    if (items.size() == limit && limit > 0) {
      const json::value& last = items.back();
      metadata["continue"] = StrCat(revision_, ":", StringAt(last, {"metadata", "namespace"}), "/",
                                    StringAt(last, {"metadata", "name"}));
      break;
    }
    items.push_back(object.value);
  }
  return json::value(json::object{{"apiVersion", request.resource.api_version()},
                                  {"kind", "List"},
                                  {"metadata", std::move(metadata)},
                                  {"items", std::move(items)}});
}

absl::StatusOr<json::value> FakeApi::CreateObject(const Request& asked) {
  Request request = asked;
  if (!request.body.is_object()) return BadRequest("the body must be an object");
  json::object object = request.body.get_object();
  request.name = StringAt(object, {"metadata", "name"});
  if (request.name.empty()) {
    const std::string prefix(StringAt(object, {"metadata", "generateName"}));
    if (prefix.empty()) return BadRequest("name or generateName is required");
    std::string digits = std::to_string(next_uid_);
    request.name = prefix + std::string(5 - std::min<size_t>(5, digits.size()), '0') + digits;
    *Ensure(object, {"metadata", "name"}) = request.name;
  }
  if (objects_.contains(KeyOfRequest(request))) {
    return AlreadyExists(QualifiedName(request.resource), request.name);
  }
  if (!request.ns.empty()) {
    const json::object* ns = Stored({"", "v1", "namespaces"}, "", request.ns);
    if (ns != nullptr && !StringAt(*ns, {"metadata", "deletionTimestamp"}).empty()) {
      return Forbidden(QualifiedName(request.resource), request.name,
                       StrCat("unable to create new content in namespace ", request.ns,
                              " because it is being terminated"));
    }
  }
  for (const char* given :
       {"uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp"}) {
    Remove(object, {"metadata", given});
  }
  Complete(request, object);
  Store(request.resource, KeyOfRequest(request), std::move(object));
  return json::value(objects_.at(KeyOfRequest(request)).value);
}

absl::StatusOr<json::value> FakeApi::UpdateObject(const Request& request,
                                                  const json::object& wanted) {
  const Key key = KeyOfRequest(request);
  auto found = objects_.find(key);
  if (found == objects_.end()) return NotFound(QualifiedName(request.resource), request.name);
  const json::object& old = found->second.value;
  const std::string_view version = StringAt(wanted, {"metadata", "resourceVersion"});
  if (!version.empty() && version != StringAt(old, {"metadata", "resourceVersion"})) {
    return Conflict(QualifiedName(request.resource), request.name,
                    "the object has been modified; please apply your changes to the latest version "
                    "and try again");
  }
  const std::string_view uid = StringAt(wanted, {"metadata", "uid"});
  if (!uid.empty() && uid != StringAt(old, {"metadata", "uid"})) {
    return Conflict(QualifiedName(request.resource), request.name, "Precondition failed: UID");
  }
  json::object now;
  if (request.subresource == "status") {
    now = old;
    if (const json::value* status = Find(wanted, {"status"})) now["status"] = *status;
  } else if (request.subresource == "finalize") {
    now = old;
    if (const json::value* spec = Find(wanted, {"spec"})) now["spec"] = *spec;
  } else {
    now = wanted;
    if (const json::value* status = Find(old, {"status"})) {
      now["status"] = *status;
    } else {
      now.erase("status");
    }
    for (const char* kept : {"name", "namespace", "uid", "creationTimestamp", "deletionTimestamp",
                             "generation", "resourceVersion"}) {
      if (const json::value* was = Find(old, {"metadata", kept})) {
        *Ensure(now, {"metadata", kept}) = *was;
      } else {
        Remove(now, {"metadata", kept});
      }
    }
    const json::value* before = Find(old, {"spec"});
    const json::value* after = Find(now, {"spec"});
    if ((before == nullptr) != (after == nullptr) || (before != nullptr && *before != *after)) {
      *Ensure(now, {"metadata", "generation"}) = IntAt(old, {"metadata", "generation"}) + 1;
    }
  }
  if (now == old) return json::value(old);  // nothing is written
  json::object answer = now;
  Store(request.resource, key, std::move(now));
  if (const json::object* stored = Stored(request.resource, request.ns, request.name)) {
    answer = *stored;
  }
  return json::value(std::move(answer));
}

absl::StatusOr<json::value> FakeApi::PatchObject(const Request& request) {
  json::value object = objects_.at(KeyOfRequest(request)).value;
  if (request.content_type == kJsonPatch) {
    KEEL_RETURN_IF_ERROR(fake::ApplyJsonPatch(object, request.body));
  } else {
    fake::Merge(object, request.body, request.content_type == kStrategicPatch);
  }
  if (!object.is_object()) return BadRequest("the patched object is none");
  return UpdateObject(request, object.get_object());
}

absl::StatusOr<json::value> FakeApi::DeleteObject(const Request& request) {
  const Key key = KeyOfRequest(request);
  auto found = objects_.find(key);
  if (found == objects_.end()) return NotFound(QualifiedName(request.resource), request.name);
  json::object object = found->second.value;
  for (const char* field : {"uid", "resourceVersion"}) {
    const std::string_view wanted = StringAt(request.body, {"preconditions", field});
    if (!wanted.empty() && wanted != StringAt(object, {"metadata", field})) {
      return Conflict(QualifiedName(request.resource), request.name,
                      StrCat("Precondition failed: ", field));
    }
  }
  const std::string_view policy = StringAt(request.body, {"propagationPolicy"});
  const std::string_view finalizer = policy == "Foreground" ? "foregroundDeletion"
                                     : policy == "Orphan"   ? "orphan"
                                                            : "";
  if (!finalizer.empty()) {
    json::value* list = Ensure(object, {"metadata", "finalizers"});
    if (!list->is_array()) *list = json::array();
    const json::string name(finalizer);
    if (std::find(list->get_array().begin(), list->get_array().end(), name) ==
        list->get_array().end()) {
      list->get_array().push_back(name);
    }
  }
  if (StringAt(object, {"metadata", "deletionTimestamp"}).empty()) {
    *Ensure(object, {"metadata", "deletionTimestamp"}) = Rfc3339(now());
  }
  if (IntAt(request.body, {"gracePeriodSeconds"}, -1) == 0) {
    Remove(object, {"metadata", "deletionGracePeriodSeconds"});
  }
  if (IsNamespace(request.resource)) *Ensure(object, {"status", "phase"}) = "Terminating";
  json::object answer = object;
  if (object != found->second.value || MayGo(request.resource, object)) {
    Store(request.resource, key, std::move(object));
  }
  return json::value(std::move(answer));
}

absl::StatusOr<json::value> FakeApi::ServeScale(const Request& request) {
  auto found = objects_.find(KeyOfRequest(request));
  if (found == objects_.end()) return NotFound(QualifiedName(request.resource), request.name);
  if (request.verb == "update") {
    json::object wanted = found->second.value;
    *Ensure(wanted, {"spec", "replicas"}) = IntAt(request.body, {"spec", "replicas"});
    if (const json::value* version = Find(request.body, {"metadata", "resourceVersion"})) {
      *Ensure(wanted, {"metadata", "resourceVersion"}) = *version;
    }
    Request main = request;
    main.subresource.clear();
    KEEL_RETURN_IF_ERROR(UpdateObject(main, wanted).status());
  } else if (request.verb == "patch") {
    Request main = request;
    main.subresource.clear();
    KEEL_RETURN_IF_ERROR(PatchObject(main).status());
  }
  const json::object& object = objects_.at(KeyOfRequest(request)).value;
  std::string selector;
  const json::object& labels = ObjectAt(object, {"spec", "selector", "matchLabels"});
  for (const auto& [name, value] : labels) {
    if (!selector.empty()) selector += ",";
    selector += StrCat(std::string_view(name.data(), name.size()), "=",
                       value.is_string() ? View(value.get_string()) : std::string_view());
  }
  return json::value(json::object{
      {"apiVersion", "autoscaling/v1"},
      {"kind", "Scale"},
      {"metadata",
       {{"name", request.name},
        {"namespace", request.ns},
        {"uid", StringAt(object, {"metadata", "uid"})},
        {"resourceVersion", StringAt(object, {"metadata", "resourceVersion"})}}},
      {"spec", {{"replicas", IntAt(object, {"spec", "replicas"}, 1)}}},
      {"status", {{"replicas", IntAt(object, {"status", "replicas"})}, {"selector", selector}}}});
}

}  // namespace keel::orchestrator
