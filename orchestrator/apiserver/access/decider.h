// What an authorizer says inside access/: several are asked in order, and reviews want the reason.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/apiserver/access.h"
#include "orchestrator/apiserver/access/rules.h"

namespace keel::orchestrator {

enum class Decision { kAllow, kDeny, kNoOpinion };

class Decider {
 public:
  virtual ~Decider() = default;
  // `reason`: null, or gets why (may stay empty).
  virtual Decision Decide(const Attributes& attributes, std::string* reason) = 0;
  // What it allows the user in a namespace, as far as that can be listed as rules.
  virtual PolicyRules RulesOf(const User& user, std::string_view ns) = 0;
  // Whether there is more than RulesOf lists.
  virtual bool RulesIncomplete(const User& user) { return false; }
};

}  // namespace keel::orchestrator
