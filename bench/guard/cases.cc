#include "bench/guard/cases.h"

namespace keel::bench {

const Case* FindCase(std::string_view name) {
  const Case* found = nullptr;
  ForEachCase([&](const Case& candidate) {
    if (name == candidate.name) found = &candidate;
  });
  return found;
}

}  // namespace keel::bench
