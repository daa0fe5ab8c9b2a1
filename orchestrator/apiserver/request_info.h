// What a request means: its path and query taken apart as Kubernetes' API lays them out.
//
//   /api/v1/namespaces/default/pods/web-1/log?follow=true
//     → group "", version "v1", ns "default", resource "pods", name "web-1", subresource "log"
//   /apis/apps/v1/deployments?watch=1         → verb "watch"
//   /healthz                                  → no resource
//
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/apiserver/access.h"

namespace keel::orchestrator {

// The parameters of a query, percent-decoded, in their order.
class QueryParams {
 public:
  QueryParams() = default;
  explicit QueryParams(std::string_view query);

  // The first of that name; empty when there is none.
  std::string_view Get(std::string_view name) const;
  std::vector<std::string_view> All(std::string_view name) const;
  bool Has(std::string_view name) const;
  // "true", "1", and the name alone.
  bool Flag(std::string_view name) const;
  // BadRequest when it is there and no number.
  absl::StatusOr<int64_t> Number(std::string_view name, int64_t otherwise) const;

 private:
  std::vector<std::pair<std::string, std::string>> params_;
};

struct RequestInfo {
  std::string verb{};  // get, list, watch, create, update, patch, delete, deletecollection; or the
                       // method in lower case
  bool is_resource = false;
  std::string group{}, version{}, resource{}, subresource{}, ns{}, name{};
  std::string path{};  // decoded
  QueryParams query{};
  std::vector<std::string> rest{};  // of the path after the subresource (proxy)

  // As a gate sees it.
  Attributes AttributesFor(User user) const;
};

// BadRequest for what cannot be decoded.
absl::StatusOr<RequestInfo> ParseRequestInfo(std::string_view method, std::string_view path,
                                             std::string_view query);

std::string PercentDecode(std::string_view text, bool plus_is_space);

}  // namespace keel::orchestrator
