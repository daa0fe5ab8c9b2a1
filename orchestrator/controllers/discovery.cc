#include "orchestrator/controllers/discovery.h"

#include <algorithm>
#include <memory>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

struct Gathering {
  std::vector<DiscoveredResource> found;
  absl::Status error;
  size_t left = 0;
  Discovered done;

  void Finish() {
    if (!error.ok()) return done(error);
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.resource < b.resource; });
    done(std::move(found));
  }
};

void Read(const json::value& list, std::string_view group, std::string_view version,
          Gathering& gathering) {
  for (const json::value& entry : ArrayAt(list, {"resources"})) {
    const std::string_view name = StringAt(entry, {"name"});
    if (name.find('/') != std::string_view::npos) continue;
    DiscoveredResource found{
        .resource = {std::string(group), std::string(version), std::string(name)},
        .kind = std::string(StringAt(entry, {"kind"})),
        .namespaced = BoolAt(entry, {"namespaced"})};
    for (const json::value& verb : ArrayAt(entry, {"verbs"})) {
      if (verb.is_string()) found.verbs.emplace_back(View(verb.get_string()));
    }
    gathering.found.push_back(std::move(found));
  }
}

}  // namespace

bool DiscoveredResource::Can(std::string_view verb) const {
  return std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
}

void DiscoverResources(ApiClient& client, Discovered done) {
  client.Call(
      "GET", "/apis", {}, {},
      [&client, done = std::move(done)](absl::StatusOr<json::value> groups) mutable {
        if (!groups.ok()) return done(groups.status());
        auto gathering = std::make_shared<Gathering>();
        gathering->done = std::move(done);
        std::vector<std::pair<std::string, std::string>> versions{{"", "v1"}};
        for (const json::value& group : ArrayAt(*groups, {"groups"})) {
          versions.emplace_back(StringAt(group, {"name"}),
                                StringAt(group, {"preferredVersion", "version"}));
        }
        gathering->left = versions.size();
        for (const auto& [group, version] : versions) {
          client.Call(
              "GET",
              group.empty() ? "/api/" + version : base::StrCat("/apis/", group, "/", version), {},
              {}, [gathering, group = group, version = version](absl::StatusOr<json::value> list) {
                if (list.ok()) {
                  Read(*list, group, version, *gathering);
                } else if (!IsReason(list.status(), "NotFound")) {
                  gathering->error = list.status();
                }
                if (--gathering->left == 0) gathering->Finish();
              });
        }
      });
}

}  // namespace keel::orchestrator
