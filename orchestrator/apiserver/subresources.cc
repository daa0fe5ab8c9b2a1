#include "orchestrator/apiserver/subresources.h"

#include "orchestrator/api/computed.h"

namespace keel::orchestrator {

std::vector<Subresource> SubresourcesOf(const Kind& kind) {
  std::vector<Subresource> out;
  if (kind.create_only || IsComputed(kind)) return out;
  auto is = [&kind](std::string_view plural) {
    return kind.group.empty() && kind.plural == plural;
  };
  if (is("namespaces")) out.push_back({"finalize", "", "", "Namespace", {"update"}});
  if (is("pods")) {
    out.push_back({"attach", "", "", "PodAttachOptions", {"create", "get"}});
    out.push_back({"binding", "", "", "Binding", {"create"}});
    out.push_back({"eviction", "policy", "v1", "Eviction", {"create"}});
    out.push_back({"exec", "", "", "PodExecOptions", {"create", "get"}});
    out.push_back({"log", "", "", "Pod", {"get"}});
    out.push_back({"portforward", "", "", "PodPortForwardOptions", {"create", "get"}});
  }
  if (!kind.scale.spec_replicas.empty()) {
    out.push_back({"scale", "autoscaling", "v1", "Scale", {"get", "patch", "update"}});
  }
  if (kind.has_status) out.push_back({"status", "", "", kind.kind, {"get", "patch", "update"}});
  if (is("serviceaccounts")) {
    out.push_back({"token", "authentication.k8s.io", "v1", "TokenRequest", {"create"}});
  }
  return out;
}

std::vector<std::string> VerbsOf(const Kind& kind) {
  if (kind.create_only) return {"create"};
  if (IsComputed(kind)) return {"get", "list"};
  return {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
}

}  // namespace keel::orchestrator
