#include "orchestrator/apiserver/access/node_authorizer.h"

#include <string>

#include "base/strings.h"
#include "orchestrator/apiserver/access/authorizer.h"
#include "orchestrator/apiserver/access/default_roles.h"
#include "orchestrator/apiserver/access/rbac.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr std::string_view kPrefix = "system:node:";

PolicyRules NodeRules() {
  for (const WantedObject& wanted : DefaultObjects()) {
    if (wanted.resource == kClusterRoles && wanted.name == "system:node") {
      return ParseRules(ArrayAt(wanted.object, {"rules"}));
    }
  }
  return {};
}

bool NamesIn(const json::value& source, std::string_view part, std::string_view field,
             std::string_view name) {
  return StringAt(source, {part, field}) == name;
}

bool ContainersUse(const json::array& containers, bool secret, std::string_view name) {
  for (const json::value& container : containers) {
    for (const json::value& from : ArrayAt(container, {"envFrom"})) {
      if (NamesIn(from, secret ? "secretRef" : "configMapRef", "name", name)) return true;
    }
    for (const json::value& env : ArrayAt(container, {"env"})) {
      if (StringAt(env, {"valueFrom", secret ? "secretKeyRef" : "configMapKeyRef", "name"}) ==
          name) {
        return true;
      }
    }
  }
  return false;
}

bool VolumesUse(const json::object& pod, bool secret, std::string_view name) {
  const std::string_view part = secret ? "secret" : "configMap";
  for (const json::value& volume : ArrayAt(pod, {"spec", "volumes"})) {
    if (NamesIn(volume, part, secret ? "secretName" : "name", name)) return true;
    for (const json::value& source : ArrayAt(volume, {"projected", "sources"})) {
      if (NamesIn(source, part, "name", name)) return true;
    }
  }
  return false;
}

bool Uses(const json::object& pod, std::string_view resource, std::string_view name) {
  if (resource == "serviceaccounts") return StringAt(pod, {"spec", "serviceAccountName"}) == name;
  if (resource == "persistentvolumeclaims") {
    for (const json::value& volume : ArrayAt(pod, {"spec", "volumes"})) {
      if (NamesIn(volume, "persistentVolumeClaim", "claimName", name)) return true;
    }
    return false;
  }
  const bool secret = resource == "secrets";
  if (secret) {
    for (const json::value& one : ArrayAt(pod, {"spec", "imagePullSecrets"})) {
      if (StringAt(one, {"name"}) == name) return true;
    }
  }
  if (VolumesUse(pod, secret, name)) return true;
  for (const std::string_view list : {"containers", "initContainers", "ephemeralContainers"}) {
    if (ContainersUse(ArrayAt(pod, {"spec", list}), secret, name)) return true;
  }
  return false;
}

}  // namespace

bool IsNode(const User& user) {
  return std::string_view(user.name).starts_with(kPrefix) && InGroup(user, "system:nodes");
}

std::string_view NodeOf(const User& user) {
  if (!IsNode(user)) return {};
  return std::string_view(user.name).substr(kPrefix.size());
}

NodeAuthorizer::NodeAuthorizer(ObjectView& view) : view_(view), rules_(NodeRules()) {}

bool NodeAuthorizer::UsedByPodOf(std::string_view node, const Attributes& attributes) {
  for (const ObjectView::Entry& entry : view_.List("pods", attributes.ns)) {
    if (StringAt(*entry.object, {"spec", "nodeName"}) == node &&
        Uses(*entry.object, attributes.resource, attributes.name)) {
      return true;
    }
  }
  return false;
}

Decision NodeAuthorizer::Decide(const Attributes& attributes, std::string* reason) {
  const std::string_view node = NodeOf(attributes.user);
  if (node.empty()) return Decision::kNoOpinion;
  bool allowed = false;
  for (const PolicyRule& rule : rules_) allowed = allowed || Allows(rule, attributes);
  if (!allowed) return Decision::kNoOpinion;
  if (!attributes.is_resource || !attributes.group.empty()) return Decision::kAllow;
  const std::string_view resource = attributes.resource;
  const bool bound = resource == "secrets" || resource == "configmaps" ||
                     resource == "persistentvolumeclaims" ||
                     (resource == "serviceaccounts" && attributes.subresource == "token");
  if (bound && (attributes.name.empty() || !UsedByPodOf(node, attributes))) {
    if (reason != nullptr) {
      *reason = StrCat("no relationship found between node '", node, "' and this object");
    }
    return Decision::kNoOpinion;
  }
  return Decision::kAllow;
}

}  // namespace keel::orchestrator
