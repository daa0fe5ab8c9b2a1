#include "orchestrator/controllers/node_info.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/strings.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {
namespace {

const std::string* Lookup(const std::vector<std::pair<std::string, std::string>>& in,
                          std::string_view key) {
  for (const auto& [name, value] : in) {
    if (name == key) return &value;
  }
  return nullptr;
}

bool IntegerOf(std::string_view text, int64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// One expression of a node selector; `found` is null when the node has no such label.
bool Holds(const json::value& expression, const std::string* found) {
  const std::string_view op = StringAt(expression, {"operator"});
  const json::array& values = ArrayAt(expression, {"values"});
  if (op == "Exists") return found != nullptr;
  if (op == "DoesNotExist") return found == nullptr;
  if (op == "In" || op == "NotIn") {
    const bool among = found != nullptr &&
                       std::any_of(values.begin(), values.end(), [&](const json::value& value) {
                         return value.is_string() && View(value.get_string()) == *found;
                       });
    return among == (op == "In");
  }
  int64_t left = 0, right = 0;
  if (found == nullptr || values.size() != 1 || !values[0].is_string() ||
      !IntegerOf(*found, left) || !IntegerOf(View(values[0].get_string()), right)) {
    return false;
  }
  return op == "Gt" ? left > right : op == "Lt" && left < right;
}

bool TermMatches(const json::value& term, const NodeInfo& node) {
  const json::array& expressions = ArrayAt(term, {"matchExpressions"});
  const json::array& fields = ArrayAt(term, {"matchFields"});
  if (expressions.empty() && fields.empty()) return false;  // An empty term matches nothing.
  for (const json::value& expression : expressions) {
    if (!Holds(expression, Lookup(node.labels, StringAt(expression, {"key"})))) return false;
  }
  for (const json::value& field : fields) {
    if (StringAt(field, {"key"}) != "metadata.name" || !Holds(field, &node.name)) return false;
  }
  return true;
}

}  // namespace

std::string_view NodeInfo::Label(std::string_view key) const {
  const std::string* found = Lookup(labels, key);
  return found == nullptr ? std::string_view() : *found;
}

std::string NodeInfo::zone() const {
  const std::string_view region = Label("topology.kubernetes.io/region");
  const std::string_view zone = Label("topology.kubernetes.io/zone");
  if (region.empty() && zone.empty()) return "";
  return base::StrCat(region, ":", std::string_view("\0", 1), ":", zone);
}

NodeInfo NodeInfo::Parse(const json::object& node) {
  NodeInfo info;
  info.name = StringAt(node, {"metadata", "name"});
  info.uid = StringAt(node, {"metadata", "uid"});
  for (const auto& [key, value] : ObjectAt(node, {"metadata", "labels"})) {
    if (const json::string* text = value.if_string()) info.labels.emplace_back(key, View(*text));
  }
  for (const json::value& taint : ArrayAt(node, {"spec", "taints"})) {
    info.taints.push_back(
        {std::string(StringAt(taint, {"key"})), std::string(StringAt(taint, {"value"})),
         std::string(StringAt(taint, {"effect"})), TimeOf(StringAt(taint, {"timeAdded"}))});
  }
  info.unschedulable = BoolAt(node, {"spec", "unschedulable"});
  info.deleting = !StringAt(node, {"metadata", "deletionTimestamp"}).empty();
  info.created = TimeOf(StringAt(node, {"metadata", "creationTimestamp"}));
  info.resource_version = std::strtoull(
      std::string(StringAt(node, {"metadata", "resourceVersion"})).c_str(), nullptr, 10);
  for (const json::value& condition : ArrayAt(node, {"status", "conditions"})) {
    const std::string_view type = StringAt(condition, {"type"});
    if (type == "Ready") {
      info.ready = StringAt(condition, {"status"});
      info.ready_heartbeat = TimeOf(StringAt(condition, {"lastHeartbeatTime"}));
      info.ready_since = TimeOf(StringAt(condition, {"lastTransitionTime"}));
    } else if (StringAt(condition, {"status"}) == "True" &&
               (type == "MemoryPressure" || type == "DiskPressure" || type == "PIDPressure" ||
                type == "NetworkUnavailable")) {
      info.pressures.emplace_back(type);
    }
  }
  return info;
}

bool Tolerates(const json::array& tolerations, const Taint& taint) {
  return std::any_of(tolerations.begin(), tolerations.end(), [&](const json::value& toleration) {
    const std::string_view effect = StringAt(toleration, {"effect"});
    if (!effect.empty() && effect != taint.effect) return false;
    const std::string_view key = StringAt(toleration, {"key"});
    const std::string_view op = StringAt(toleration, {"operator"});
    if (!key.empty() && key != taint.key) return false;
    if (op == "Exists") return true;
    return !key.empty() && (op.empty() || op == "Equal") &&
           StringAt(toleration, {"value"}) == taint.value;
  });
}

const Taint* FirstUntolerated(const std::vector<Taint>& taints, const json::array& tolerations,
                              std::initializer_list<std::string_view> effects) {
  for (const Taint& taint : taints) {
    if (std::find(effects.begin(), effects.end(), taint.effect) == effects.end()) continue;
    if (!Tolerates(tolerations, taint)) return &taint;
  }
  return nullptr;
}

bool NodeMatches(const json::object& pod_spec, const NodeInfo& node) {
  for (const auto& [key, value] : ObjectAt(pod_spec, {"nodeSelector"})) {
    const std::string* found = Lookup(node.labels, std::string_view(key.data(), key.size()));
    if (found == nullptr || !value.is_string() || *found != View(value.get_string())) return false;
  }
  const json::value* required = Find(
      pod_spec, {"affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"});
  if (required == nullptr || !required->is_object()) return true;
  const json::array& terms = ArrayAt(*required, {"nodeSelectorTerms"});
  return std::any_of(terms.begin(), terms.end(),
                     [&](const json::value& term) { return TermMatches(term, node); });
}

}  // namespace keel::orchestrator
