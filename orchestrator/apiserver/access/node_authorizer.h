// What a node may do: the rules of the role system:node, and of secrets, config maps, claims and
// service accounts only those that its own pods use.
//
// A node is a user system:node:NAME in the group system:nodes. What a node reads of others' pods it
// may see anyway (as in Kubernetes, which lets a node list all pods); what it may not have are the
// secrets of pods that run elsewhere. On the API server's loop only.
#pragma once

#include <string_view>

#include "orchestrator/apiserver/access/decider.h"

namespace keel::orchestrator {

// A user system:node:... in the group system:nodes.
bool IsNode(const User& user);
// The node's name; empty for a user that is no node.
std::string_view NodeOf(const User& user);

class NodeAuthorizer final : public Decider {
 public:
  explicit NodeAuthorizer(ObjectView& view);

  Decision Decide(const Attributes& attributes, std::string* reason) override;
  // None are listed: they depend on where pods run.
  PolicyRules RulesOf(const User& user, std::string_view ns) override { return {}; }
  bool RulesIncomplete(const User& user) override { return !NodeOf(user).empty(); }

 private:
  bool UsedByPodOf(std::string_view node, const Attributes& attributes);

  ObjectView& view_;
  const PolicyRules rules_;  // of system:node
};

}  // namespace keel::orchestrator
