#include "orchestrator/client/testing/fake_api.h"

#include <algorithm>

#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/strings.h"
#include "orchestrator/client/testing/fake_selectors.h"

namespace keel::orchestrator {
namespace {

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

}  // namespace keel::orchestrator
