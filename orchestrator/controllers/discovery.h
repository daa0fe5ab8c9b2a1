// Which kinds of objects the API server has: each resource once, in its group's preferred version,
// without subresources.
//
//   DiscoverResources(client, [](absl::StatusOr<std::vector<DiscoveredResource>> found) {...});
//
// Thread-safety: on the client's loop only.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "orchestrator/client/api_client.h"

namespace keel::orchestrator {

struct DiscoveredResource {
  Resource resource;
  std::string kind;
  bool namespaced = false;
  std::vector<std::string> verbs{};

  bool Can(std::string_view verb) const;
};

using Discovered = absl::AnyInvocable<void(absl::StatusOr<std::vector<DiscoveredResource>>)>;
// The first error, if any group could not be read.
void DiscoverResources(ApiClient& client, Discovered done);

}  // namespace keel::orchestrator
