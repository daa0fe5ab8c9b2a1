// Cuts the body of a watch into events: one JSON object a line, {"type":...,"object":...}.
//
// Thread-safety: none.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "orchestrator/client/api_client.h"

namespace keel::orchestrator::internal {

class WatchLines {
 public:
  // Gives the events that `bytes` complete to `each`, which returns false to stop at once (this may
  // be destroyed then). An ERROR event is returned as its status; Internal for a line that is none.
  absl::Status Add(std::string_view bytes, const std::function<bool(const WatchEvent&)>& each);
  // What is not yet a whole line.
  std::string& rest() { return rest_; }

 private:
  std::string rest_;
};

}  // namespace keel::orchestrator::internal
