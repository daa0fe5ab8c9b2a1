#include "orchestrator/client/testing/fake_api.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/client/informer.h"
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

// "/apis/apps/v1/namespaces/ns/deployments/web/status?x=y"; false when it names no resource.
bool ParsePath(std::string_view path, FakeApi::Request& request) {
  if (const size_t mark = path.find('?'); mark != std::string_view::npos) {
    request.query = path.substr(mark + 1);
    path = path.substr(0, mark);
  }
  const std::vector<std::string> parts = absl::StrSplit(base::ToAbsl(path), '/', absl::SkipEmpty());
  size_t at = 0;
  if (parts.size() > 2 && parts[0] == "api") {
    request.resource.version = parts[1];
    at = 2;
  } else if (parts.size() > 3 && parts[0] == "apis") {
    request.resource.group = parts[1];
    request.resource.version = parts[2];
    at = 3;
  } else {
    return false;
  }
  const auto subresource_of_namespace = [](const std::string& name) {
    return name == "status" || name == "finalize";
  };
  if (parts[at] == "namespaces" && parts.size() > at + 2 &&
      !subresource_of_namespace(parts[at + 2])) {
    request.ns = parts[at + 1];
    at += 2;
  }
  request.resource.plural = parts[at++];
  if (at < parts.size()) request.name = parts[at++];
  if (at < parts.size()) request.subresource = parts[at++];
  return at == parts.size();
}

std::string VerbOf(std::string_view method, const FakeApi::Request& request) {
  if (method == "GET") return request.name.empty() ? "list" : "get";
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  return request.name.empty() ? "deletecollection" : "delete";
}

// RFC 7396, but that the lists that controllers patch strategically are merged by key.
void Merge(json::value& into, const json::value& patch, bool strategic) {
  if (!patch.is_object()) {
    into = patch;
    return;
  }
  if (!into.is_object()) into = json::object();
  for (const auto& [name, value] : patch.get_object()) {
    if (value.is_null()) {
      into.get_object().erase(name);
      continue;
    }
    json::value& member = into.get_object()[name];
    const std::string_view key = name == "conditions"        ? "type"
                                 : name == "ownerReferences" ? "uid"
                                                             : "";
    if (!strategic || key.empty() || !value.is_array() || !member.is_array()) {
      Merge(member, value, strategic);
      continue;
    }
    json::array& list = member.get_array();
    for (const json::value& item : value.get_array()) {
      auto same = std::find_if(list.begin(), list.end(), [&](const json::value& other) {
        return StringAt(other, {key}) == StringAt(item, {key});
      });
      if (StringAt(item, {"$patch"}) == "delete") {
        if (same != list.end()) list.erase(same);
      } else if (same != list.end()) {
        Merge(*same, item, true);
      } else {
        list.push_back(item);
      }
    }
  }
}

absl::Status ApplyJsonPatch(json::value& object, const json::value& patch) {
  if (!patch.is_array()) return BadRequest("a JSON patch is a list");
  for (const json::value& step : patch.get_array()) {
    const std::string op(StringAt(step, {"op"}));
    boost::system::error_code error;
    const std::string_view pointer = StringAt(step, {"path"});
    const size_t slash = pointer.rfind('/');
    if (slash == std::string_view::npos) return BadRequest("a JSON patch without a path");
    json::value* parent = object.find_pointer({pointer.data(), slash}, error);
    if (parent == nullptr) return Invalid("", "Patch", "", {});
    const std::string last(pointer.substr(slash + 1));
    const json::value* value = Find(step, {"value"});
    if (json::object* in = parent->if_object()) {
      if (op == "test" && (!in->contains(last) || value == nullptr || in->at(last) != *value)) {
        return Invalid("", "Patch", "", {});
      }
      if (op == "remove") in->erase(last);
      if ((op == "add" || op == "replace") && value != nullptr) (*in)[last] = *value;
    } else if (json::array* list = parent->if_array()) {
      const size_t index = last == "-" ? list->size() : std::strtoull(last.c_str(), nullptr, 10);
      if (index > list->size() || (op != "add" && index == list->size())) {
        return Invalid("", "Patch", "", {});
      }
      auto place = list->begin() + static_cast<std::ptrdiff_t>(index);
      if (op == "test" && (value == nullptr || *place != *value)) {
        return Invalid("", "Patch", "", {});
      }
      if (op == "add") list->insert(place, *value);
      if (op == "remove") list->erase(place);
      if (op == "replace") *place = *value;
    }
  }
  return absl::OkStatus();
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

struct FakeApi::Event {
  int64_t revision = 0;
  std::string type;
  Key key;
  json::object object;
};

struct FakeApi::Watcher {
  Request request;
  int64_t from = 0;  // tells what is newer
  absl::AnyInvocable<void(const WatchEvent&)> on_event;
  absl::AnyInvocable<void(absl::Status)> on_end;
  bool open = true;
};

struct FakeApi::Handle final : WatchHandle {
  Handle(std::shared_ptr<Watcher> w, FakeApi* a, std::weak_ptr<bool> l)
      : watcher(std::move(w)), api(a), alive(std::move(l)) {}
  ~Handle() override {
    watcher->open = false;
    if (!alive.expired()) std::erase(api->watches_, watcher);
  }
  std::shared_ptr<Watcher> watcher;
  FakeApi* api;
  std::weak_ptr<bool> alive;
};

FakeApi::FakeApi(base::Loop& loop) : loop_(loop) {}
FakeApi::~FakeApi() = default;

absl::Time FakeApi::now() const { return start + absl::FromChrono(loop_.Now().time_since_epoch()); }

// ---- ApiClient

void FakeApi::CallBytes(std::string_view method, std::string path, std::string_view content_type,
                        std::string body, DoneBytes done) {
  Call(method, std::move(path), content_type, std::move(body),
       [done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
         if (!answer.ok()) return done(answer.status());
         done(ToJson(*answer));
       });
}

void FakeApi::Call(std::string_view method, std::string path, std::string_view content_type,
                   std::string body, Done done) {
  loop_.Post([this, alive = std::weak_ptr(alive_), method = std::string(method),
              path = std::move(path), content_type = std::string(content_type),
              body = std::move(body), done = std::move(done)]() mutable {
    if (alive.expired()) return;
    Request request;
    if (!ParsePath(path, request)) return done(Discover(path));
    request.verb = VerbOf(method, request);
    request.content_type = content_type;
    if (!body.empty()) {
      absl::StatusOr<json::value> parsed = ParseJson(body);
      if (!parsed.ok()) return done(BadRequest(base::ToStd(parsed.status().message())));
      request.body = *std::move(parsed);
    }
    requests.push_back(request);
    if (fail) {
      if (absl::Status status = fail(request); !status.ok()) return done(std::move(status));
    }
    absl::StatusOr<json::value> answer = Serve(request);
    if (fail_after) {
      if (absl::Status status = fail_after(request); !status.ok()) answer = std::move(status);
    }
    done(std::move(answer));
  });
}

std::unique_ptr<ApiClient::WatchHandle> FakeApi::Watch(
    std::string path, absl::AnyInvocable<void(const WatchEvent&)> on_event,
    absl::AnyInvocable<void(absl::Status)> on_end) {
  auto watcher = std::make_shared<Watcher>();
  KEEL_CHECK(ParsePath(path, watcher->request), path);
  watcher->request.verb = "watch";
  requests.push_back(watcher->request);
  watcher->on_event = std::move(on_event);
  watcher->on_end = std::move(on_end);
  const std::string version = fake::QueryValue(watcher->request.query, "resourceVersion");
  watcher->from = version.empty() ? revision_ : std::strtoll(version.c_str(), nullptr, 10);
  watches_.push_back(watcher);
  if (watcher->from < compacted_) {
    loop_.Post([this, alive = std::weak_ptr(alive_), watcher] {
      if (alive.expired() || !watcher->open) return;
      watcher->open = false;
      std::erase(watches_, watcher);
      watcher->on_end(Expired("too old resource version"));
    });
  } else {
    Deliver();
  }
  return std::make_unique<Handle>(watcher, this, alive_);
}

// ---- The test's hand

json::object FakeApi::Put(const Resource& r, const json::value& object) {
  Request request;
  request.resource = r;
  request.ns = StringAt(object, {"metadata", "namespace"});
  request.name = StringAt(object, {"metadata", "name"});
  KEEL_CHECK(object.is_object() && !request.name.empty(), ToJson(object));
  const Key key = KeyOfRequest(request);
  json::object value = object.get_object();
  if (auto old = objects_.find(key); old != objects_.end()) {
    for (const char* kept : {"uid", "creationTimestamp", "generation"}) {
      if (Find(value, {"metadata", kept}) != nullptr) continue;
      if (const json::value* was = Find(old->second.value, {"metadata", kept})) {
        *Ensure(value, {"metadata", kept}) = *was;
      }
    }
  }
  Complete(request, value);
  Store(r, key, std::move(value));
  const json::object* stored = Stored(r, request.ns, request.name);
  return stored == nullptr ? json::object() : *stored;
}

json::object FakeApi::PutText(const Resource& r, std::string_view text) {
  const absl::StatusOr<json::value> parsed = ParseJson(text);
  KEEL_CHECK(parsed.ok(), parsed.status().message());
  return Put(r, *parsed);
}

void FakeApi::Edit(const Resource& r, std::string_view ns, std::string_view name,
                   const std::function<void(json::object& object)>& edit) {
  const Key key(r.group, r.plural, ns, name);
  auto found = objects_.find(key);
  KEEL_CHECK(found != objects_.end(), r.plural, " ", ns, "/", name);
  json::object copy = found->second.value;
  edit(copy);
  Store(r, key, std::move(copy));
}

const json::object* FakeApi::Stored(const Resource& r, std::string_view ns,
                                    std::string_view name) const {
  auto found = objects_.find(Key(r.group, r.plural, ns, name));
  return found == objects_.end() ? nullptr : &found->second.value;
}

std::vector<json::object> FakeApi::All(const Resource& r, std::string_view ns) const {
  std::vector<json::object> all;
  for (const auto& [key, object] : objects_) {
    if (std::get<0>(key) != r.group || std::get<1>(key) != r.plural) continue;
    if (!ns.empty() && std::get<2>(key) != ns) continue;
    all.push_back(object.value);
  }
  return all;
}

bool FakeApi::Erase(const Resource& r, std::string_view ns, std::string_view name) {
  const Key key(r.group, r.plural, ns, name);
  if (!objects_.contains(key)) return false;
  EraseKey(key);
  return true;
}

void FakeApi::HoldEvents(bool hold) {
  hold_ = hold;
  Deliver();
}

void FakeApi::EndWatches(const absl::Status& status) {
  loop_.Post([this, alive = std::weak_ptr(alive_), status] {
    if (alive.expired()) return;
    for (const auto& watcher : std::exchange(watches_, {})) {
      if (std::exchange(watcher->open, false)) watcher->on_end(status);
    }
  });
}

void FakeApi::Compact() {
  compacted_ = revision_;
  history_.clear();
}

size_t FakeApi::Count(std::string_view verb, std::string_view plural) const {
  return static_cast<size_t>(
      std::count_if(requests.begin(), requests.end(), [&](const Request& request) {
        return request.verb == verb && request.resource.plural == plural;
      }));
}

// ---- Events

void FakeApi::Tell(std::string_view type, const Key& key, const json::object& object) {
  history_.push_back(
      std::make_shared<const Event>(Event{revision_, std::string(type), key, object}));
  Deliver();
}

void FakeApi::Deliver() {
  if (hold_ || std::exchange(delivery_posted_, true)) return;
  loop_.Post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    delivery_posted_ = false;
    if (hold_) return;
    const auto history = history_;  // callbacks may change what is stored
    const auto watches = watches_;
    for (const auto& watcher : watches) {
      const Request& asked = watcher->request;
      for (const auto& event : history) {
        if (!watcher->open || alive.expired()) break;
        if (event->revision <= watcher->from) continue;
        watcher->from = event->revision;
        const auto& [group, plural, ns, name] = event->key;
        if (group != asked.resource.group || plural != asked.resource.plural ||
            (!asked.ns.empty() && ns != asked.ns)) {
          continue;
        }
        std::string type = event->type;
        if (!fake::Selected(asked.query, event->object)) {
          // Kubernetes tells who saw it before that it is gone.
          if (asked.query.find("Selector=") == std::string::npos || type == "ADDED") continue;
          type = "DELETED";
        }
        const std::string text = ToJson(event->object);
        watcher->on_event({type, text});
      }
      if (alive.expired()) return;
    }
  });
}

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
    KEEL_RETURN_IF_ERROR(ApplyJsonPatch(object, request.body));
  } else {
    Merge(object, request.body, request.content_type == kStrategicPatch);
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

absl::StatusOr<json::value> FakeApi::Discover(std::string_view path) const {
  if (const size_t mark = path.find('?'); mark != std::string_view::npos)
    path = path.substr(0, mark);
  if (path == "/api") {
    return json::value(json::object{{"kind", "APIVersions"}, {"versions", json::array{"v1"}}});
  }
  if (path == "/apis") {
    std::map<std::string, std::set<std::string>> groups;
    for (const auto& [r, known] : known_) {
      if (!r.group.empty()) groups[r.group].insert(r.version);
    }
    json::array list;
    for (const auto& [group, versions] : groups) {
      json::array entries;
      for (const std::string& version : versions) {
        entries.push_back({{"groupVersion", group + "/" + version}, {"version", version}});
      }
      json::value preferred = entries.front();
      list.push_back(json::object{{"name", group},
                                  {"versions", std::move(entries)},
                                  {"preferredVersion", std::move(preferred)}});
    }
    return json::value(json::object{{"kind", "APIGroupList"}, {"groups", std::move(list)}});
  }
  json::array resources;
  bool known_group = false;
  for (const auto& [r, known] : known_) {
    if (path != (r.group.empty() ? "/api/" : "/apis/") + r.api_version()) continue;
    known_group = true;
    resources.push_back(
        json::object{{"name", r.plural},
                     {"kind", known.kind},
                     {"namespaced", known.namespaced},
                     {"verbs", json::array{"create", "delete", "deletecollection", "get", "list",
                                           "patch", "update", "watch"}}});
  }
  if (!known_group && path != "/api/v1") return NoSuchPath();
  return json::value(
      json::object{{"kind", "APIResourceList"}, {"resources", std::move(resources)}});
}

}  // namespace keel::orchestrator
