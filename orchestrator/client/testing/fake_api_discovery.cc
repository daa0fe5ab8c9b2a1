// The groups and resources that the fake API server says it has.
#include <map>
#include <set>

#include "orchestrator/client/testing/fake_api.h"

namespace keel::orchestrator {

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
