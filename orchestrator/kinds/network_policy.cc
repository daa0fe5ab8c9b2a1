#include "base/strings.h"
#include "orchestrator/api/names.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {
namespace {

void SetDefaults(json::object& object) {
  json::object* spec = ObjectIn(object, {"spec"});
  if (spec == nullptr || spec->contains("policyTypes")) return;
  json::array types{"Ingress"};
  if (!ArrayAt(*spec, {"egress"}).empty()) types.push_back("Egress");
  (*spec)["policyTypes"] = std::move(types);
}

void CheckPeers(const json::value& rule, std::string_view member, const std::string& path,
                FieldErrors& errors) {
  size_t i = 0;
  for (const json::value& peer : ArrayAt(rule, {member})) {
    const std::string field = base::StrCat(path, ".", member, "[", i++, "]");
    const bool selects =
        Find(peer, {"podSelector"}) != nullptr || Find(peer, {"namespaceSelector"}) != nullptr;
    const json::value* block = Find(peer, {"ipBlock"});
    if (!selects && block == nullptr) errors.Required(field, "must specify a peer");
    if (selects && block != nullptr) {
      errors.Forbidden(field, "may not specify both ipBlock and another peer");
    }
    for (const char* selector : {"podSelector", "namespaceSelector"}) {
      if (const json::value* found = Find(peer, {selector})) {
        CheckLabelSelector(*found, base::StrCat(field, ".", selector), errors);
      }
    }
    if (block != nullptr) {
      const std::string_view cidr = StringAt(*block, {"cidr"});
      AddComplaints(CheckCidr(cidr), field + ".ipBlock.cidr", json::value(cidr), errors);
    }
  }
}

void Check(const json::object& object, FieldErrors& errors) {
  if (const json::value* selector = Find(object, {"spec", "podSelector"})) {
    CheckLabelSelector(*selector, "spec.podSelector", errors);
  }
  size_t i = 0;
  for (const json::value& rule : ArrayAt(object, {"spec", "ingress"})) {
    CheckPeers(rule, "from", base::StrCat("spec.ingress[", i++, "]"), errors);
  }
  i = 0;
  for (const json::value& rule : ArrayAt(object, {"spec", "egress"})) {
    CheckPeers(rule, "to", base::StrCat("spec.egress[", i++, "]"), errors);
  }
}

}  // namespace

Kind NetworkPolicyKind() {
  return {
      .group = "networking.k8s.io",
      .version = "v1",
      .kind = "NetworkPolicy",
      .plural = "networkpolicies",
      .short_names = {"netpol"},
      .types = R"(
# Which traffic the pods of a namespace take and send. Keel stores it and leaves it to the network.
NetworkPolicy {
  spec  NetworkPolicySpec  -- The rules.
}
# The rules of a NetworkPolicy.
NetworkPolicySpec {
  podSelector  LabelSelector = {}                    -- The pods that it is about; empty: all.
  ingress      [NetworkPolicyIngressRule] atomic     -- What they take.
  egress       [NetworkPolicyEgressRule] atomic      -- What they send.
  policyTypes  [string] atomic                       -- Ingress, Egress.
}
# Traffic that pods take.
NetworkPolicyIngressRule {
  ports  [NetworkPolicyPort] atomic  -- On which ports; empty: all.
  from   [NetworkPolicyPeer] atomic  -- From whom; empty: all.
}
# Traffic that pods send.
NetworkPolicyEgressRule {
  ports  [NetworkPolicyPort] atomic  -- To which ports; empty: all.
  to     [NetworkPolicyPeer] atomic  -- To whom; empty: all.
}
# A port or a range of them.
NetworkPolicyPort {
  protocol  string = "TCP" enum(SCTP, TCP, UDP) -- UDP, TCP or SCTP.
  port      intstr  -- Number or name.
  endPort   int32   -- The last of a range.
}
# Who is at the other end.
NetworkPolicyPeer {
  podSelector        LabelSelector  -- Pods.
  namespaceSelector  LabelSelector  -- Namespaces of the pods.
  ipBlock            IPBlock        -- Addresses.
}
# A range of addresses.
IPBlock {
  cidr!   string           -- The range.
  except  [string] atomic  -- Ranges in it that do not count.
}
)",
      .columns = {SelectorColumn({"spec", "podSelector"}, "Pod-Selector", 0), AgeColumn()},
      .has_generation = true,
      .set_defaults = SetDefaults,
      .check = Check,
  };
}

}  // namespace keel::orchestrator
