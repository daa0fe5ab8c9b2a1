// An ObjectView of objects that a test puts in, and what else the tests of access/ share.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/strings.h"
#include "orchestrator/apiserver/access.h"

namespace keel::orchestrator {

class FakeView final : public ObjectView {
 public:
  // With metadata of the object itself; a uid is given if it has none.
  void Put(const std::string& resource, json::object object) {
    const std::string ns(StringAt(object, {"metadata", "namespace"}));
    const std::string name(StringAt(object, {"metadata", "name"}));
    KEEL_CHECK(!name.empty());
    ++revision_;
    if (StringAt(object, {"metadata", "uid"}).empty()) {
      *Ensure(object, {"metadata", "uid"}) = base::StrCat("uid-", revision_);
    }
    *Ensure(object, {"metadata", "resourceVersion"}) = std::to_string(revision_);
    Entry entry{.object = std::make_shared<const json::object>(std::move(object)),
                .mod_revision = revision_,
                .key = base::StrCat("/registry/", resource, "/", ns, ns.empty() ? "" : "/", name)};
    entries_[{resource, ns, name}] = std::move(entry);
    ++versions_[resource];
  }
  void Put(const std::string& resource, std::string_view json_text) {
    auto parsed = ParseJson(json_text);
    KEEL_CHECK(parsed.ok(), "text=", json_text);
    Put(resource, parsed->as_object());
  }
  void Delete(const std::string& resource, const std::string& ns, const std::string& name) {
    KEEL_CHECK(entries_.erase({resource, ns, name}) == 1);
    ++versions_[resource];
  }

  std::optional<Entry> Get(std::string_view resource, std::string_view ns,
                           std::string_view name) override {
    const auto found = entries_.find({std::string(resource), std::string(ns), std::string(name)});
    if (found == entries_.end()) return std::nullopt;
    return found->second;
  }
  std::vector<Entry> List(std::string_view resource, std::string_view ns) override {
    std::vector<Entry> out;
    for (const auto& [key, entry] : entries_) {
      if (std::get<0>(key) == resource && (ns.empty() || std::get<1>(key) == ns)) {
        out.push_back(entry);
      }
    }
    return out;
  }
  uint64_t Version(std::string_view resource) override { return versions_[std::string(resource)]; }

 private:
  std::map<std::tuple<std::string, std::string, std::string>, Entry> entries_;
  std::map<std::string, uint64_t> versions_;
  int64_t revision_ = 0;
};

// "get pods", "create pods/exec in default", "get apps deployments web in default",
// "get /healthz": attributes as people say them.
inline Attributes Ask(User user, std::string verb, std::string resource, std::string ns = "",
                      std::string name = "", std::string group = "") {
  Attributes out{.user = std::move(user), .verb = std::move(verb)};
  if (resource.starts_with('/')) {
    out.is_resource = false;
    out.path = std::move(resource);
    return out;
  }
  const size_t slash = resource.find('/');
  if (slash != std::string::npos) {
    out.subresource = resource.substr(slash + 1);
    resource.resize(slash);
  }
  out.resource = std::move(resource);
  out.group = std::move(group);
  out.version = "v1";
  out.ns = std::move(ns);
  out.name = std::move(name);
  return out;
}

inline User Someone(std::string name, std::vector<std::string> groups = {}) {
  groups.emplace_back("system:authenticated");
  return {.name = std::move(name), .groups = std::move(groups)};
}

}  // namespace keel::orchestrator
