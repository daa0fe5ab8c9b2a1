// JSON values of one step of work on one piece of memory, given back at once: parsing and copying
// an object of Kubernetes otherwise allocates a hundred times.
//
//   JsonArena arena;
//   KEEL_ASSIGN_OR_RETURN(json::value pod, ParseJson(bytes, arena.storage()));
//   json::object changed = pod.as_object();   // a copy: on the arena too
//
// What is copied from a value of the arena by construction lives on it as well and must end before
// it; assigning to a value of elsewhere copies out of it. Memory grows with each change of a value
// until the arena ends. Thread-safety: none.
#pragma once

#include <boost/json/monotonic_resource.hpp>
#include <string_view>

#include "absl/status/statusor.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

class JsonArena {
 public:
  JsonArena() : resource_(first_, sizeof first_) {}
  JsonArena(const JsonArena&) = delete;
  JsonArena& operator=(const JsonArena&) = delete;
  json::storage_ptr storage() { return &resource_; }

 private:
  unsigned char first_[32 * 1024];
  json::monotonic_resource resource_;
};

// As ParseJson of json.h; the value lives on `storage`.
absl::StatusOr<json::value> ParseJson(std::string_view text, json::storage_ptr storage);

}  // namespace keel::orchestrator
