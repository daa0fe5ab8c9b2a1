#include "orchestrator/apiserver/access/default_roles.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/strings.h"
#include "orchestrator/apiserver/access/rbac.h"
#include "orchestrator/apiserver/access/rules.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";
constexpr std::string_view kAutoUpdate = "rbac.authorization.kubernetes.io/autoupdate";

// The roles, as lines:
//   role NAME [+LABEL]... [=LABEL]     +: aggregated to that role; =: made of those with that label
//   GROUP[,GROUP] RESOURCES VERBS [NAMES]     "core" is the group ""; r, w, rw stand for several
//   url URLS VERBS
//   to SUBJECT...                      bound to: U:user, G:group, S:service account of kube-system
// The facts are those of Kubernetes' bootstrap policy
// (plugin/pkg/auth/authorizer/rbac/bootstrappolicy), where Keel has such a kind. Controllers are
// bound to their service accounts as there, and to the user of Keel's controller manager, which
// runs all of them under one name.
constexpr std::string_view kText = R"(
role cluster-admin
* * *
url * *
to G:system:masters

role admin =admin
role edit =edit +admin
role view =view +edit

role system:aggregate-to-admin +admin
authorization.k8s.io localsubjectaccessreviews create
rbac.authorization.k8s.io rolebindings,roles rw

role system:aggregate-to-edit +edit
core pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy r
core serviceaccounts impersonate
core pods,pods/attach,pods/exec,pods/portforward,pods/proxy w
core pods/eviction create
core configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy w
core serviceaccounts/token create
apps daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale w
autoscaling horizontalpodautoscalers w
batch cronjobs,jobs w
extensions daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,replicasets/scale,replicationcontrollers/scale w
policy poddisruptionbudgets w
networking.k8s.io ingresses,networkpolicies w
coordination.k8s.io leases rw

role system:aggregate-to-view +view
core configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status r
core bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,resourcequotas/status r
core namespaces r
discovery.k8s.io endpointslices r
apps controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status r
autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status r
batch cronjobs,cronjobs/status,jobs,jobs/status r
extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale r
policy poddisruptionbudgets,poddisruptionbudgets/status r
networking.k8s.io ingresses,ingresses/status,networkpolicies r

role system:aggregated-metrics-reader +view
metrics.k8s.io nodes,pods r

role system:discovery
url /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/ get
to G:system:authenticated

role system:basic-user
authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews create
authentication.k8s.io selfsubjectreviews create
to G:system:authenticated

role system:public-info-viewer
url /healthz,/livez,/readyz,/version,/version/ get
to G:system:authenticated G:system:unauthenticated

role system:monitoring
url /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/* get
to G:system:monitoring

role system:service-account-issuer-discovery
url /.well-known/openid-configuration,/openid/v1/jwks get
to G:system:serviceaccounts

role system:auth-delegator
authentication.k8s.io tokenreviews create
authorization.k8s.io subjectaccessreviews create

role system:kubelet-api-admin
core nodes r
core nodes proxy
core nodes/log,nodes/metrics,nodes/proxy,nodes/stats *

role system:node
authentication.k8s.io tokenreviews create
authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews create
core services r
core nodes create,get,list,watch
core nodes/status patch,update
core nodes patch,update
core,events.k8s.io events create,patch,update
core pods r
core pods create,delete
core pods/status patch,update
core pods/eviction create
core configmaps,secrets r
core persistentvolumeclaims,persistentvolumes get
core endpoints get
coordination.k8s.io leases create,delete,get,patch,update
storage.k8s.io volumeattachments get
core serviceaccounts/token create
core persistentvolumeclaims/status get,patch,update
storage.k8s.io csidrivers r
storage.k8s.io csinodes create,delete,get,patch,update
node.k8s.io runtimeclasses r
to

role system:keel-hollow-nodes
core nodes create,get,list,patch,update,watch
core nodes/status patch,update
core pods delete,get,list,watch
core pods/status patch,update
core,events.k8s.io events create,patch,update
coordination.k8s.io leases create,get,patch,update
to U:system:keel-hollow-nodes

role system:node-proxier
core endpoints,services list,watch
core nodes r
core,events.k8s.io events create,patch,update
discovery.k8s.io endpointslices list,watch
to U:system:kube-proxy

role system:node-problem-detector
core nodes get
core nodes/status patch
core,events.k8s.io events create,patch,update

role system:persistent-volume-provisioner
core persistentvolumes create,delete,get,list,watch
core persistentvolumeclaims get,list,update,watch
storage.k8s.io storageclasses r
core events watch
core,events.k8s.io events create,patch,update

role system:kube-dns
core endpoints,services list,watch
to S:kube-dns

role system:kube-scheduler
core,events.k8s.io events create,patch,update
coordination.k8s.io leases create
coordination.k8s.io leases get,list,update,watch kube-scheduler
core nodes r
core pods delete,get,list,watch
core bindings,pods/binding create
core pods/status patch,update
core replicationcontrollers,services r
apps,extensions replicasets r
apps statefulsets r
policy poddisruptionbudgets r
core persistentvolumeclaims,persistentvolumes r
authentication.k8s.io tokenreviews create
authorization.k8s.io subjectaccessreviews create
storage.k8s.io csinodes r
core namespaces r
storage.k8s.io csidrivers r
storage.k8s.io csistoragecapacities r
scheduling.k8s.io priorityclasses r
to U:system:kube-scheduler

role system:volume-scheduler
core persistentvolumes get,list,patch,update,watch
storage.k8s.io storageclasses r
core persistentvolumeclaims get,list,patch,update,watch
to U:system:kube-scheduler

role system:kube-controller-manager
core,events.k8s.io events create,patch,update
coordination.k8s.io leases create
coordination.k8s.io leases get,update kube-controller-manager
core secrets,serviceaccounts create
core secrets delete
core configmaps,namespaces,secrets,serviceaccounts get
core secrets,serviceaccounts update
authentication.k8s.io tokenreviews create
authorization.k8s.io subjectaccessreviews create
* * list,watch
core serviceaccounts/token create
to U:system:kube-controller-manager

controller clusterrole-aggregation-controller
rbac.authorization.k8s.io clusterroles escalate,get,list,patch,update,watch

controller cronjob-controller
batch cronjobs get,list,update,watch
batch jobs create,delete,get,list,patch,update,watch
batch cronjobs/status update,patch
batch cronjobs/finalizers update
core pods delete,list,watch
core,events.k8s.io events create,patch,update

controller daemon-set-controller
apps,extensions daemonsets r
apps,extensions daemonsets/status update,patch
apps,extensions daemonsets/finalizers update
core nodes list,watch
core pods create,delete,list,patch,watch
core pods/binding create
apps controllerrevisions create,delete,get,list,patch,update,watch
core,events.k8s.io events create,patch,update

controller deployment-controller
apps,extensions deployments get,list,update,watch
apps,extensions deployments/status update,patch
apps,extensions deployments/finalizers update
apps,extensions replicasets create,delete,get,list,patch,update,watch
core pods get,list,update,watch
core,events.k8s.io events create,patch,update

controller disruption-controller
apps,extensions deployments r
apps,extensions replicasets r
core replicationcontrollers r
policy poddisruptionbudgets r
apps statefulsets r
policy poddisruptionbudgets/status update,patch
core pods/status patch,update
* */scale get
core,events.k8s.io events create,patch,update

controller endpoint-controller
core pods,services r
core endpoints create,delete,get,list,update,watch,patch
core endpoints/restricted create
core,events.k8s.io events create,patch,update

controller endpointslice-controller
core nodes,pods,services r
core services/finalizers update
discovery.k8s.io endpointslices create,delete,get,list,update,watch,patch
core,events.k8s.io events create,patch,update

controller endpointslicemirroring-controller
core endpoints,services r
core services/finalizers update
core endpoints/finalizers update
discovery.k8s.io endpointslices create,delete,get,list,update,watch
core,events.k8s.io events create,patch,update

controller generic-garbage-collector
* * delete,get,list,patch,update,watch
core,events.k8s.io events create,patch,update

controller horizontal-pod-autoscaler
autoscaling horizontalpodautoscalers r
autoscaling horizontalpodautoscalers/status update,patch
* */scale get,update,patch
core pods list,watch
metrics.k8s.io pods list,watch
custom.metrics.k8s.io * r
external.metrics.k8s.io * r
core,events.k8s.io events create,patch,update

controller job-controller
batch jobs get,list,patch,update,watch
batch jobs/status update,patch
batch jobs/finalizers update
core pods create,delete,list,patch,watch
core,events.k8s.io events create,patch,update

controller namespace-controller
core namespaces delete,get,list,watch
core namespaces/finalize,namespaces/status update,patch
* * delete,deletecollection,get,list,watch

controller node-controller
core nodes delete,get,list,patch,update,watch
core nodes/status patch,update
core pods/status patch,update
core pods delete,get,list,watch
core,events.k8s.io events create,patch,update

controller persistent-volume-binder
core persistentvolumes create,delete,get,list,update,watch,patch
core persistentvolumes/status update,patch
core persistentvolumeclaims get,list,update,watch,patch
core persistentvolumeclaims/status update,patch
core pods create,delete,get,list,watch
storage.k8s.io storageclasses r
core nodes list,watch
core,events.k8s.io events create,patch,update
core events watch

controller pod-garbage-collector
core pods delete,list,watch
core nodes r
core pods/status patch

controller pv-protection-controller
core persistentvolumes get,list,update,watch
core,events.k8s.io events create,patch,update

controller pvc-protection-controller
core persistentvolumeclaims get,list,update,watch
core persistentvolumeclaims/status update
core pods r
core,events.k8s.io events create,patch,update

controller replicaset-controller
apps,extensions replicasets get,list,update,watch
apps,extensions replicasets/status update,patch
apps,extensions replicasets/finalizers update
core pods create,delete,list,patch,watch
core,events.k8s.io events create,patch,update

controller replication-controller
core replicationcontrollers get,list,update,watch
core replicationcontrollers/status update,patch
core replicationcontrollers/finalizers update
core pods create,delete,list,patch,watch
core,events.k8s.io events create,patch,update

controller resourcequota-controller
* * list,watch
core resourcequotas/status update,patch
core,events.k8s.io events create,patch,update

controller root-ca-cert-publisher
core configmaps create,update
core,events.k8s.io events create,patch,update

controller service-account-controller
core serviceaccounts create
core,events.k8s.io events create,patch,update

controller service-controller
core services r
core services/status patch,update
core nodes list,watch
core,events.k8s.io events create,patch,update

controller statefulset-controller
core pods list,watch
apps statefulsets r
apps statefulsets/status update,patch
apps statefulsets/finalizers update
core pods create,delete,get,patch,update
apps controllerrevisions create,delete,get,list,patch,update,watch
core persistentvolumeclaims create,get,list,watch
core persistentvolumeclaims delete,update
core pods/finalizers update
core,events.k8s.io events create,patch,update

controller ttl-after-finished-controller
batch jobs delete,get,list,watch
core,events.k8s.io events create,patch,update

controller ttl-controller
core nodes list,patch,update,watch
core,events.k8s.io events create,patch,update

local kube-system system::leader-locking-kube-controller-manager
coordination.k8s.io leases create,get,list,update,watch
to U:system:kube-controller-manager S:kube-controller-manager

local kube-system system::leader-locking-kube-scheduler
coordination.k8s.io leases create,get,list,update,watch
to U:system:kube-scheduler S:kube-scheduler

local kube-system extension-apiserver-authentication-reader
core configmaps r extension-apiserver-authentication
to U:system:kube-controller-manager U:system:kube-scheduler
)";

std::vector<std::string> Split(std::string_view text, char by) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t end = text.find(by);
    if (end != 0) out.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return out;
}

std::vector<std::string> Verbs(std::string_view text) {
  if (text == "r") return {"get", "list", "watch"};
  if (text == "w") return {"create", "delete", "deletecollection", "patch", "update"};
  if (text == "rw") {
    return {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
  }
  return Split(text, ',');
}

json::object Metadata(std::string_view ns, std::string_view name) {
  json::object out{{"name", json::string(name)}};
  if (!ns.empty()) out["namespace"] = json::string(ns);
  out["labels"] = json::object{{"kubernetes.io/bootstrapping", "rbac-defaults"}};
  out["annotations"] = json::object{{kAutoUpdate, "true"}};
  return out;
}

json::object Subject(std::string_view text) {
  const std::string_view name = text.substr(2);
  if (text[0] == 'S') {
    return {{"kind", "ServiceAccount"}, {"name", name}, {"namespace", "kube-system"}};
  }
  return {{"apiGroup", kGroup}, {"kind", text[0] == 'U' ? "User" : "Group"}, {"name", name}};
}

WantedObject Role(std::string_view ns, std::string_view name) {
  WantedObject out{.resource = std::string(ns.empty() ? kClusterRoles : kRoles),
                   .ns = std::string(ns),
                   .name = std::string(name)};
  out.object = {{"apiVersion", "rbac.authorization.k8s.io/v1"},
                {"kind", ns.empty() ? "ClusterRole" : "Role"},
                {"metadata", Metadata(ns, name)},
                {"rules", json::array()}};
  return out;
}

WantedObject Binding(const WantedObject& role, const std::vector<std::string>& subjects) {
  std::string name = role.name;
  // As there: the reader's binding has a name of its own.
  if (name == "extension-apiserver-authentication-reader") name = StrCat("system::", name);
  const bool cluster = role.ns.empty();
  WantedObject out{.resource = std::string(cluster ? kClusterRoleBindings : kRoleBindings),
                   .ns = role.ns,
                   .name = name};
  json::array list;
  for (const std::string& subject : subjects) list.emplace_back(Subject(subject));
  out.object = {
      {"apiVersion", "rbac.authorization.k8s.io/v1"},
      {"kind", cluster ? "ClusterRoleBinding" : "RoleBinding"},
      {"metadata", Metadata(role.ns, name)},
      {"roleRef",
       {{"apiGroup", kGroup}, {"kind", cluster ? "ClusterRole" : "Role"}, {"name", role.name}}},
      {"subjects", std::move(list)}};
  return out;
}

// The namespaces and priority classes.
void AddObjects(std::vector<WantedObject>& out) {
  for (const char* name : {"default", "kube-system", "kube-public", "kube-node-lease"}) {
    WantedObject ns{.resource = "namespaces", .name = name};
    ns.object = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}};
    out.push_back(std::move(ns));
  }
  constexpr std::pair<const char*, const char*> kClasses[] = {
      {"system-node-critical",
       "Used for system critical pods that must not be moved from their current node."},
      {"system-cluster-critical",
       "Used for system critical pods that must run in the cluster, but can be moved to another "
       "node if necessary."}};
  for (size_t i = 0; i < std::size(kClasses); ++i) {
    const auto& [name, description] = kClasses[i];
    WantedObject wanted{.resource = "priorityclasses.scheduling.k8s.io", .name = name};
    wanted.object = {{"apiVersion", "scheduling.k8s.io/v1"},
                     {"kind", "PriorityClass"},
                     {"metadata", {{"name", name}}},
                     {"value", i == 0 ? 2000001000 : 2000000000},
                     {"description", description}};
    out.push_back(std::move(wanted));
  }
}

// Adds to `list` what `wanted` has and it lacks; true if there was such.
bool AddMissing(json::array& list, const json::array& wanted) {
  bool added = false;
  for (const json::value& one : wanted) {
    if (std::find(list.begin(), list.end(), one) == list.end()) {
      list.push_back(one);
      added = true;
    }
  }
  return added;
}

json::array& ArrayIn(json::object& object, std::string_view field) {
  json::value& value = object[field];
  if (!value.is_array()) value = json::array();
  return value.get_array();
}

}  // namespace

std::vector<WantedObject> DefaultObjects() {
  std::vector<WantedObject> out, bindings;
  AddObjects(out);
  std::vector<WantedObject> roles;
  bool controller = false;
  const auto end_controller = [&] {
    if (!controller) return;
    const std::string account =
        roles.back().name.substr(std::string_view("system:controller:").size());
    bindings.push_back(
        Binding(roles.back(), {StrCat("S:", account), "U:system:kube-controller-manager"}));
    controller = false;
  };
  for (const std::string& line : Split(kText, '\n')) {
    const std::vector<std::string> words = Split(line, ' ');
    const std::string& first = words[0];
    if (first == "role" || first == "controller" || first == "local") {
      end_controller();
      if (first == "local") {
        roles.push_back(Role(words.at(1), words.at(2)));
        continue;
      }
      controller = first == "controller";
      roles.push_back(
          Role("", controller ? StrCat("system:controller:", words.at(1)) : words.at(1)));
      json::object& object = roles.back().object;
      for (size_t i = 2; i < words.size(); ++i) {
        const std::string label =
            StrCat("rbac.authorization.k8s.io/aggregate-to-", words[i].substr(1));
        if (words[i][0] == '+') {
          *Ensure(object, {"metadata", "labels", label}) = "true";
        } else {
          object["aggregationRule"] = json::object{
              {"clusterRoleSelectors", json::array{{{"matchLabels", {{label, "true"}}}}}}};
        }
      }
    } else if (first == "to") {
      bindings.push_back(Binding(roles.back(), {words.begin() + 1, words.end()}));
    } else {
      PolicyRule rule;
      rule.verbs = Verbs(words.at(2));
      if (first == "url") {
        rule.non_resource_urls = Split(words[1], ',');
      } else {
        rule.api_groups = Split(first, ',');
        for (std::string& group : rule.api_groups) {
          if (group == "core") group.clear();
        }
        rule.resources = Split(words[1], ',');
        if (words.size() > 3) rule.resource_names = Split(words[3], ',');
      }
      roles.back().object["rules"].get_array().emplace_back(rule.ToJson());
    }
  }
  end_controller();
  for (WantedObject& role : roles) out.push_back(std::move(role));
  for (WantedObject& binding : bindings) out.push_back(std::move(binding));
  return out;
}

std::optional<json::object> Reconciled(const json::object& want, const json::object& have) {
  if (StringAt(want, {"apiVersion"}) != "rbac.authorization.k8s.io/v1" ||
      StringAt(have, {"metadata", "annotations", kAutoUpdate}) == "false") {
    return std::nullopt;
  }
  json::object out = have;
  bool changed = false;
  for (const std::string_view map : {"labels", "annotations"}) {
    for (const auto& [key, value] : ObjectAt(want, {"metadata", map})) {
      if (StringAt(out, {"metadata", map, key}) == View(value.get_string())) continue;
      *Ensure(out, {"metadata", map, key}) = value;
      changed = true;
    }
  }
  if (const json::value* aggregation = want.if_contains("aggregationRule")) {
    // The rules are then those of the roles that it selects.
    const json::value* has = out.if_contains("aggregationRule");
    if (has == nullptr || *has != *aggregation) {
      out["aggregationRule"] = *aggregation;
      changed = true;
    }
  } else if (want.if_contains("rules") != nullptr) {
    const PolicyRules held = ParseRules(ArrayAt(have, {"rules"}));
    for (const json::value& rule : ArrayAt(want, {"rules"})) {
      if (MissingRules(held, ParseRules({rule})).empty()) continue;
      ArrayIn(out, "rules").push_back(rule);
      changed = true;
    }
  }
  if (want.if_contains("roleRef") != nullptr) {
    // A binding to another role is somebody's deliberate change: roleRef cannot be updated.
    const json::value* has = have.if_contains("roleRef");
    if (has == nullptr || *has != want.at("roleRef")) return std::nullopt;
    changed |= AddMissing(ArrayIn(out, "subjects"), ArrayAt(want, {"subjects"}));
  }
  if (!changed) return std::nullopt;
  return out;
}

}  // namespace keel::orchestrator
