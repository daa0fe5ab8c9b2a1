#include "orchestrator/apiserver/discovery.h"

#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "orchestrator/apiserver/subresources.h"

namespace keel::orchestrator {

namespace {

template <typename Strings>
json::array Texts(const Strings& strings) {
  json::array out;
  for (const auto& text : strings) out.push_back(json::string(text));
  return out;
}

json::string Text(std::string_view text) { return json::string(text.data(), text.size()); }

std::string SingularOf(const Kind& kind) {
  if (!kind.singular.empty()) return kind.singular;
  std::string lower = kind.kind;
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return lower;
}

json::object VersionOf(std::string_view group, std::string_view version) {
  return {{"groupVersion", group.empty() ? Text(version) : Text(base::StrCat(group, "/", version))},
          {"version", Text(version)}};
}

// Groups in their order, each with its versions, preferred first.
std::vector<std::pair<std::string, std::vector<std::string>>> GroupsOf(const KindRegistry& kinds) {
  std::vector<std::pair<std::string, std::vector<std::string>>> out;
  for (const auto& kind : kinds.All()) {
    auto group = out.begin();
    while (group != out.end() && group->first != kind->group) ++group;
    if (group == out.end()) group = out.insert(out.end(), {kind->group, {}});
    bool known = false;
    for (const std::string& version : group->second) known = known || version == kind->version;
    if (!known) group->second.push_back(kind->version);
  }
  return out;
}

json::object GroupObject(const std::string& group, const std::vector<std::string>& versions) {
  json::array listed;
  for (const std::string& version : versions) listed.push_back(VersionOf(group, version));
  return {{"name", group},
          {"versions", std::move(listed)},
          {"preferredVersion", VersionOf(group, versions.front())}};
}

json::object ResponseKind(std::string_view group, std::string_view version, std::string_view kind) {
  return {{"group", Text(group)}, {"version", Text(version)}, {"kind", Text(kind)}};
}

json::object AggregatedResource(const Kind& kind) {
  json::object resource = {{"resource", kind.plural},
                           {"responseKind", ResponseKind(kind.group, kind.version, kind.kind)},
                           {"scope", kind.namespaced ? "Namespaced" : "Cluster"},
                           {"singularResource", SingularOf(kind)},
                           {"verbs", Texts(VerbsOf(kind))}};
  if (!kind.short_names.empty()) resource["shortNames"] = Texts(kind.short_names);
  if (!kind.categories.empty()) resource["categories"] = Texts(kind.categories);
  json::array subresources;
  for (const Subresource& sub : SubresourcesOf(kind)) {
    const bool own = sub.version.empty();
    subresources.push_back(json::object{
        {"subresource", sub.name},
        {"responseKind",
         ResponseKind(own ? kind.group : sub.group, own ? kind.version : sub.version, sub.kind)},
        {"verbs", Texts(sub.verbs)}});
  }
  if (!subresources.empty()) resource["subresources"] = std::move(subresources);
  return resource;
}

}  // namespace

std::optional<json::value> Discovery::Answer(std::string_view path,
                                             const OutputFormat& format) const {
  std::vector<std::string> parts = absl::StrSplit(base::ToAbsl(path), '/', absl::SkipEmpty());
  const bool aggregated = format.as == OutputAs::kDiscovery;
  if (parts.size() == 1 && aggregated) return Aggregated(parts[0] == "api", format.as_version);
  if (parts.size() == 1 && parts[0] == "api") {
    return json::object{
        {"kind", "APIVersions"},
        {"versions", json::array{"v1"}},
        {"serverAddressByClientCIDRs",
         json::array{json::object{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", ""}}}}};
  }
  if (parts.size() == 2 && parts[0] == "api") return Resources("", parts[1]);
  if (parts.empty() || parts[0] != "apis") return std::nullopt;
  if (parts.size() == 1) return Groups();
  if (parts.size() == 2) return Group(parts[1]);
  if (parts.size() == 3) return Resources(parts[1], parts[2]);
  return std::nullopt;
}

json::value Discovery::Groups() const {
  json::array groups;
  for (const auto& [group, versions] : GroupsOf(kinds_)) {
    if (!group.empty()) groups.push_back(GroupObject(group, versions));
  }
  return json::object{
      {"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}};
}

std::optional<json::value> Discovery::Group(std::string_view name) const {
  for (const auto& [group, versions] : GroupsOf(kinds_)) {
    if (group.empty() || group != name) continue;
    json::object out = {{"kind", "APIGroup"}, {"apiVersion", "v1"}};
    for (const auto& [key, value] : GroupObject(group, versions)) out[key] = value;
    return out;
  }
  return std::nullopt;
}

std::optional<json::value> Discovery::Resources(std::string_view group,
                                                std::string_view version) const {
  json::array resources;
  for (const auto& kind : kinds_.All()) {
    if (kind->group != group || kind->version != version) continue;
    json::object resource = {{"name", kind->plural},
                             {"singularName", SingularOf(*kind)},
                             {"namespaced", kind->namespaced},
                             {"kind", kind->kind},
                             {"verbs", Texts(VerbsOf(*kind))}};
    if (!kind->short_names.empty()) resource["shortNames"] = Texts(kind->short_names);
    if (!kind->categories.empty()) resource["categories"] = Texts(kind->categories);
    resources.push_back(std::move(resource));
    for (const Subresource& sub : SubresourcesOf(*kind)) {
      json::object object = {{"name", base::StrCat(kind->plural, "/", sub.name)},
                             {"singularName", ""},
                             {"namespaced", kind->namespaced}};
      if (!sub.version.empty()) {
        object["group"] = sub.group;
        object["version"] = sub.version;
      }
      object["kind"] = sub.kind;
      object["verbs"] = Texts(sub.verbs);
      resources.push_back(std::move(object));
    }
  }
  if (resources.empty()) return std::nullopt;
  return json::object{
      {"kind", "APIResourceList"},
      {"apiVersion", "v1"},
      {"groupVersion", group.empty() ? Text(version) : Text(base::StrCat(group, "/", version))},
      {"resources", std::move(resources)}};
}

json::value Discovery::Aggregated(bool core, std::string_view version) const {
  json::array items;
  for (const auto& [group, versions] : GroupsOf(kinds_)) {
    if (group.empty() != core) continue;
    json::array listed;
    for (const std::string& of : versions) {
      json::array resources;
      for (const auto& kind : kinds_.All()) {
        if (kind->group == group && kind->version == of) {
          resources.push_back(AggregatedResource(*kind));
        }
      }
      listed.push_back(json::object{
          {"version", of}, {"resources", std::move(resources)}, {"freshness", "Current"}});
    }
    json::object metadata = {{"creationTimestamp", nullptr}};
    if (!group.empty()) metadata["name"] = group;
    items.push_back(
        json::object{{"metadata", std::move(metadata)}, {"versions", std::move(listed)}});
  }
  return json::object{{"kind", "APIGroupDiscoveryList"},
                      {"apiVersion", base::StrCat("apidiscovery.k8s.io/", version)},
                      {"metadata", json::object()},
                      {"items", std::move(items)}};
}

}  // namespace keel::orchestrator
