// A node's agent changes its own things only: its Node and Lease, the pods bound to it, and tokens
// for those pods. What this rule lets pass the authorizer must still allow.
//
// Facts and words are those of Kubernetes (plugin/pkg/admission/noderestriction).

#include <algorithm>
#include <set>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/apiserver/access/admission/plugin.h"
#include "orchestrator/apiserver/access/node_authorizer.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr std::string_view kMirror = "kubernetes.io/config.mirror";
constexpr std::string_view kRestricted = "node-restriction.kubernetes.io";

bool IsIn(std::string_view domain, std::string_view of) {
  return domain == of || (domain.size() > of.size() && domain.ends_with(of) &&
                          domain[domain.size() - of.size() - 1] == '.');
}

// Of Kubernetes' own labels, those that describe the machine.
bool IsAgentLabel(std::string_view key, std::string_view domain) {
  static constexpr std::string_view kKnown[] = {"kubernetes.io/hostname",
                                                "kubernetes.io/os",
                                                "kubernetes.io/arch",
                                                "topology.kubernetes.io/zone",
                                                "topology.kubernetes.io/region",
                                                "failure-domain.beta.kubernetes.io/zone",
                                                "failure-domain.beta.kubernetes.io/region",
                                                "node.kubernetes.io/instance-type",
                                                "beta.kubernetes.io/instance-type",
                                                "beta.kubernetes.io/os",
                                                "beta.kubernetes.io/arch"};
  return std::find(std::begin(kKnown), std::end(kKnown), key) != std::end(kKnown) ||
         IsIn(domain, "kubelet.kubernetes.io") || IsIn(domain, "node.kubernetes.io");
}

// Labels that differ and are not a node's to set, in order; joined by ", ".
std::string ForbiddenLabels(const json::object& now, const json::object* before) {
  static const json::object none;
  const json::object& labels = ObjectAt(now, {"metadata", "labels"});
  const json::object& old = before == nullptr ? none : ObjectAt(*before, {"metadata", "labels"});
  std::set<std::string_view> forbidden;
  const auto compare = [&forbidden](const json::object& a, const json::object& b) {
    for (const auto& [label, value] : a) {
      const json::value* other = b.if_contains(label);
      if (other != nullptr && *other == value) continue;
      const std::string_view key(label.data(), label.size());
      const size_t slash = key.find('/');
      const std::string_view domain =
          slash == std::string_view::npos ? std::string_view() : key.substr(0, slash);
      const bool kubernetes = IsIn(domain, "kubernetes.io") || IsIn(domain, "k8s.io");
      if (IsIn(domain, kRestricted) || (kubernetes && !IsAgentLabel(key, domain))) {
        forbidden.insert(key);
      }
    }
  };
  compare(labels, old);
  compare(old, labels);
  std::string out;
  for (const std::string_view key : forbidden) out += StrCat(out.empty() ? "" : ", ", key);
  return out;
}

// Whether one of these members stands anywhere below.
bool HasMember(const json::value& in, std::initializer_list<std::string_view> names) {
  if (const json::array* array = in.if_array()) {
    return std::any_of(array->begin(), array->end(),
                       [&](const json::value& one) { return HasMember(one, names); });
  }
  const json::object* object = in.if_object();
  if (object == nullptr) return false;
  for (const auto& [key, value] : *object) {
    const std::string_view name(key.data(), key.size());
    if (std::find(names.begin(), names.end(), name) != names.end() && !value.is_null()) return true;
    if (HasMember(value, names)) return true;
  }
  return false;
}

json::value At(const json::object& object, JsonPath path) {
  const json::value* found = Find(object, path);
  return found == nullptr ? json::value() : *found;
}

// One request of one node.
class NodeRequest {
 public:
  NodeRequest(AdmissionRequest& request, ObjectView& view, std::string_view node)
      : request_(request), view_(view), node_(node), quoted_(StrCat("\"", node, "\"")) {}

  absl::Status Check() {
    const Attributes& a = request_.attributes;
    const auto is = [&a](std::string_view resource, std::string_view group = "") {
      return a.resource == resource && a.group == group;
    };
    if (is("pods")) return CheckPods();
    if (is("nodes")) return CheckNode();
    if (is("persistentvolumeclaims")) return CheckClaim();
    if (is("serviceaccounts")) return CheckToken();
    if (is("leases", "coordination.k8s.io")) return CheckLease();
    return absl::OkStatus();
  }

 private:
  absl::Status No(std::string_view detail) { return ForbiddenHere(request_, detail); }
  absl::Status NodeMay(std::string_view detail) { return No(StrCat("node ", quoted_, detail)); }
  bool Is(std::string_view verb) const { return request_.attributes.verb == verb; }
  bool IsMine(const json::object* pod) const {
    return pod != nullptr && StringAt(*pod, {"spec", "nodeName"}) == node_;
  }

  absl::Status CheckPods() {
    const std::string& part = request_.attributes.subresource;
    if (part == "status") {
      if (!IsMine(request_.before)) {
        return NodeMay(" can only update pod status for pods with spec.nodeName set to itself");
      }
      if (At(*request_.object, {"metadata", "labels"}) !=
          At(*request_.before, {"metadata", "labels"})) {
        return NodeMay(" cannot update labels through pod status");
      }
      if (At(*request_.object, {"status", "resourceClaimStatuses"}) !=
          At(*request_.before, {"status", "resourceClaimStatuses"})) {
        return NodeMay(" cannot update resource claim statues");
      }
      return absl::OkStatus();
    }
    if (part == "eviction") {
      if (IsMine(request_.before)) return absl::OkStatus();
      return No(StrCat("node ", node_, " can only evict pods with spec.nodeName set to itself"));
    }
    if (!part.empty()) {
      return No(StrCat("unexpected pod subresource \"", part,
                       "\", only 'status' and 'eviction' are allowed"));
    }
    if (Is("create")) return CheckMirrorPod(*request_.object);
    if (Is("delete")) {
      if (IsMine(request_.before)) return absl::OkStatus();
      return NodeMay(" can only delete pods with spec.nodeName set to itself");
    }
    return No(StrCat("unexpected operation \"UPDATE\", node ", quoted_,
                     " can only create and delete mirror pods"));
  }

  absl::Status CheckMirrorPod(const json::object& pod) {
    if (Find(pod, {"metadata", "annotations", kMirror}) == nullptr) {
      return No(StrCat("pod does not have \"", kMirror, "\" annotation, node ", quoted_,
                       " can only create mirror pods"));
    }
    if (!IsMine(&pod)) return NodeMay(" can only create pods with spec.nodeName set to itself");
    KEEL_RETURN_IF_ERROR(CheckOwner(ArrayAt(pod, {"metadata", "ownerReferences"})));
    if (!StringAt(pod, {"spec", "serviceAccountName"}).empty()) {
      return NodeMay(" can not create pods that reference a service account");
    }
    const json::value spec = At(pod, {"spec"});
    if (HasMember(spec,
                  {"secret", "secretName", "secretRef", "secretKeyRef", "nodePublishSecretRef"}) ||
        !ArrayAt(pod, {"spec", "imagePullSecrets"}).empty()) {
      return NodeMay(" can not create pods that reference secrets");
    }
    if (HasMember(spec, {"configMap", "configMapRef", "configMapKeyRef"})) {
      return NodeMay(" can not create pods that reference configmaps");
    }
    if (HasMember(spec, {"clusterTrustBundle"})) {
      return NodeMay(" can not create pods that reference clustertrustbundles");
    }
    if (HasMember(spec, {"persistentVolumeClaim"})) {
      return NodeMay(" can not create pods that reference persistentvolumeclaims");
    }
    return absl::OkStatus();
  }

  absl::Status CheckOwner(const json::array& owners) {
    if (owners.size() > 1) {
      return NodeMay(" can only create pods with a single owner reference set to itself");
    }
    if (owners.empty() || StringAt(owners[0], {"apiVersion"}) != "v1" ||
        StringAt(owners[0], {"kind"}) != "Node" || StringAt(owners[0], {"name"}) != node_) {
      return NodeMay(" can only create pods with an owner reference set to itself");
    }
    if (!BoolAt(owners[0], {"controller"})) {
      return NodeMay(" can only create pods with a controller owner reference set to itself");
    }
    if (BoolAt(owners[0], {"blockOwnerDeletion"})) {
      return NodeMay(" must not set blockOwnerDeletion on an owner reference");
    }
    const auto node = view_.Get("nodes", "", node_);
    if (!node.has_value()) return NotFound("nodes", node_);
    const std::string_view uid = StringAt(*node->object, {"metadata", "uid"});
    if (StringAt(owners[0], {"uid"}) != uid) {
      return No(StrCat("node ", node_, " UID mismatch: expected ", StringAt(owners[0], {"uid"}),
                       " got ", uid));
    }
    return absl::OkStatus();
  }

  absl::Status CheckNode() {
    if (request_.attributes.name != node_) {
      return NodeMay(StrCat(" is not allowed to modify node \"", request_.attributes.name, "\""));
    }
    if (request_.object == nullptr) return absl::OkStatus();
    const json::object& node = *request_.object;
    const json::value config = At(node, {"spec", "configSource"});
    if (request_.before == nullptr) {
      if (!config.is_null()) {
        return NodeMay(" is not allowed to create pods with a non-nil configSource");
      }
      const std::string labels = ForbiddenLabels(node, nullptr);
      if (labels.empty()) return absl::OkStatus();
      return NodeMay(StrCat(" is not allowed to set the following labels: ", labels));
    }
    if (!config.is_null() && config != At(*request_.before, {"spec", "configSource"})) {
      return NodeMay(" is not allowed to update configSource to a new non-nil configSource");
    }
    if (ArrayAt(node, {"spec", "taints"}) != ArrayAt(*request_.before, {"spec", "taints"})) {
      return NodeMay(" is not allowed to modify taints");
    }
    const std::string labels = ForbiddenLabels(node, request_.before);
    if (labels.empty()) return absl::OkStatus();
    return No(StrCat("is not allowed to modify labels: ", labels));
  }

  absl::Status CheckClaim() {
    if (request_.attributes.subresource != "status") return No("may only update PVC status");
    json::object now = *request_.object, before = *request_.before;
    for (json::object* object : {&now, &before}) {
      if (json::value* metadata = Find(*object, {"metadata"}); metadata->is_object()) {
        metadata->get_object().erase("resourceVersion");
        metadata->get_object().erase("managedFields");
      }
      json::value* status = Find(*object, {"status"});
      if (status == nullptr || !status->is_object()) continue;
      for (const char* free :
           {"capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"}) {
        status->get_object().erase(free);
      }
    }
    if (now == before) return absl::OkStatus();
    return NodeMay(
        " is not allowed to update fields other than status.capacity and status.conditions");
  }

  absl::Status CheckToken() {
    if (!Is("create") || request_.attributes.subresource != "token") return absl::OkStatus();
    const json::value bound = At(*request_.object, {"spec", "boundObjectRef"});
    const std::string_view name = StringAt(bound, {"name"}), uid = StringAt(bound, {"uid"});
    if (StringAt(bound, {"apiVersion"}) != "v1" || StringAt(bound, {"kind"}) != "Pod" ||
        name.empty()) {
      return No("node requested token not bound to a pod");
    }
    if (uid.empty()) return No("node requested token with a pod binding without a uid");
    const auto pod = view_.Get("pods", request_.attributes.ns, name);
    if (!pod.has_value()) return NotFound("pods", name);
    if (StringAt(*pod->object, {"metadata", "uid"}) != uid) {
      return No(StrCat("the UID in the bound object reference (", uid,
                       ") does not match the UID in record. The object might have been deleted and "
                       "then recreated"));
    }
    if (IsMine(pod->object.get())) return absl::OkStatus();
    return No("node requested token bound to a pod scheduled on a different node");
  }

  absl::Status CheckLease() {
    if (request_.attributes.ns != "kube-node-lease") {
      return No("can only access leases in the \"kube-node-lease\" system namespace");
    }
    if (request_.attributes.name == node_) return absl::OkStatus();
    return No("can only access node lease with the same name as the requesting node");
  }

  AdmissionRequest& request_;
  ObjectView& view_;
  const std::string_view node_;
  const std::string quoted_;
};

class NodeRestriction final : public AdmissionPlugin {
 public:
  explicit NodeRestriction(ObjectView& view) : view_(view) {}

  absl::Status Mutate(AdmissionRequest& request) override {
    return request.object == nullptr ? absl::OkStatus() : Check(request);
  }
  // What brings no object of the kind is only validated: deletions, evictions, tokens.
  absl::Status Validate(AdmissionRequest& request) override {
    const Attributes& a = request.attributes;
    const bool only_here =
        request.object == nullptr || a.subresource == "eviction" || a.subresource == "token";
    return only_here ? Check(request) : absl::OkStatus();
  }

 private:
  absl::Status Check(AdmissionRequest& request) {
    const User& user = request.attributes.user;
    if (!IsNode(user)) return absl::OkStatus();
    const std::string_view node = NodeOf(user);
    if (node.empty()) {
      return ForbiddenHere(request,
                           StrCat("could not determine node from user \"", user.name, "\""));
    }
    return NodeRequest(request, view_, node).Check();
  }

  ObjectView& view_;
};

}  // namespace

std::unique_ptr<AdmissionPlugin> MakeNodeRestriction(ObjectView& view) {
  return std::make_unique<NodeRestriction>(view);
}

}  // namespace keel::orchestrator
