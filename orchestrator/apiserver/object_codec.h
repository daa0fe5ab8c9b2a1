// How objects lie in the store and travel to clients.
//
// A stored value is the object's JSON with apiVersion, kind and metadata first, in that order, and
// without metadata.resourceVersion. So its place is known, and the bytes that clients get are made
// by putting the revision in, not by parsing:
//
//   {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a",...},"spec":...      stored
//   {"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"7","name":"a",...   sent
//
// Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// Takes metadata.resourceVersion (and selfLink) out of `object`.
std::string EncodeForStore(json::object& object);
// `stored` with metadata.resourceVersion. A value that somebody else wrote otherwise is parsed;
// InvalidArgument when it is no object.
absl::StatusOr<std::string> WithRevision(std::string_view stored, int64_t revision);
// The same of bytes that have one already: another in its place.
std::string ReplaceRevision(std::string_view sent, int64_t revision);

// PREFIX/RESOURCE/[NAMESPACE/]NAME
struct StoreKey {
  std::string_view resource;  // "pods", "deployments.apps"
  std::string_view ns;        // empty for objects of the cluster
  std::string_view name;
};
// `prefix` without a slash at its end ("/registry"). The views last as long as `key`. nullopt for
// keys of another form.
std::optional<StoreKey> ParseStoreKey(std::string_view prefix, std::string_view key);
std::string MakeStoreKey(std::string_view prefix, std::string_view resource, std::string_view ns,
                         std::string_view name);

}  // namespace keel::orchestrator
