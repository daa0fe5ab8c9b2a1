#include "tests/sim/oracle.h"

namespace keel::sim {

void Oracle::Fail(std::string rule, std::string text) {
  if (failed_) return;
  failed_ = true;
  world_.Note(0, "FAILURE %s: %s", rule, text);
  failure_ = {std::move(rule), std::move(text), world_.now()};
}

}  // namespace keel::sim
