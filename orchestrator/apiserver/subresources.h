// Which subresources a kind has, as discovery tells and the router follows.
//
// Pure.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

struct Subresource {
  std::string name;                  // "status"
  std::string group, version, kind;  // of what it speaks; group and version empty: the kind's own
  std::vector<std::string> verbs;
};

std::vector<Subresource> SubresourcesOf(const Kind& kind);

// The verbs of the kind itself.
std::vector<std::string> VerbsOf(const Kind& kind);

}  // namespace keel::orchestrator
