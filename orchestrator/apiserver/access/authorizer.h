// Several authorizers asked in order: the first that has an opinion decides.
//
// Members of system:masters may do everything, whatever the modes. On the API server's loop only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/apiserver/access.h"
#include "orchestrator/apiserver/access/decider.h"

namespace keel::orchestrator {

class UnionAuthorizer final : public Authorizer {
 public:
  explicit UnionAuthorizer(std::vector<std::unique_ptr<Decider>> deciders);

  absl::Status Authorize(const Attributes& attributes) override;
  // The same with its reason; reasons of those without an opinion are joined by lines.
  Decision Decide(const Attributes& attributes, std::string* reason);
  bool Allowed(const Attributes& attributes) {
    return Decide(attributes, nullptr) == Decision::kAllow;
  }
  const std::vector<std::unique_ptr<Decider>>& deciders() const { return deciders_; }

 private:
  const std::vector<std::unique_ptr<Decider>> deciders_;
};

// AlwaysAllow and AlwaysDeny.
class FixedDecider final : public Decider {
 public:
  explicit FixedDecider(bool allow) : allow_(allow) {}
  Decision Decide(const Attributes& attributes, std::string* reason) override;
  PolicyRules RulesOf(const User& user, std::string_view ns) override;

 private:
  const bool allow_;
};

bool InGroup(const User& user, std::string_view group);

}  // namespace keel::orchestrator
