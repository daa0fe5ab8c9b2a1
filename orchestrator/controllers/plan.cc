#include "orchestrator/controllers/plan.h"

#include <algorithm>
#include <charconv>

#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

Request DeleteRequest(ResourceRef resource, std::string_view ns, std::string_view name,
                      std::string_view uid) {
  json::object options{
      {"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", "Background"}};
  if (!uid.empty()) options["preconditions"] = json::object{{"uid", uid}};
  return {.verb = Request::Verb::kDelete,
          .resource = resource,
          .ns = std::string(ns),
          .name = std::string(name),
          .body = std::move(options)};
}

json::object OwnerReferenceTo(std::string_view api_version, std::string_view kind,
                              const json::object& owner) {
  return {{"apiVersion", api_version}, {"kind", kind},       {"name", NameOf(owner)},
          {"uid", UidOf(owner)},       {"controller", true}, {"blockOwnerDeletion", true}};
}

json::object PodOf(const json::object& pod_template, std::string_view api_version,
                   std::string_view kind, const json::object& owner) {
  json::object metadata{{"namespace", NamespaceOf(owner)}};
  for (const char* part : {"labels", "annotations", "finalizers"}) {
    if (const json::value* value = Find(pod_template, {"metadata", part})) metadata[part] = *value;
  }
  metadata["ownerReferences"] = json::array{OwnerReferenceTo(api_version, kind, owner)};
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata", std::move(metadata)},
          {"spec", ObjectAt(pod_template, {"spec"})}};
}

bool SetCondition(json::array& conditions, std::string_view type, bool status,
                  std::string_view reason, std::string_view message, absl::Time now,
                  bool with_probe_time) {
  const std::string_view text = status ? "True" : "False";
  json::object condition{{"type", type}, {"status", text}};
  if (with_probe_time) condition["lastProbeTime"] = TimeText(now);
  condition["lastTransitionTime"] = TimeText(now);
  condition["reason"] = reason;
  condition["message"] = message;
  for (json::value& each : conditions) {
    if (StringAt(each, {"type"}) != type) continue;
    if (StringAt(each, {"status"}) == text) {
      if (StringAt(each, {"reason"}) == reason && StringAt(each, {"message"}) == message) {
        return false;
      }
      condition["lastTransitionTime"] = StringAt(each, {"lastTransitionTime"});
    }
    each = std::move(condition);
    return true;
  }
  conditions.push_back(std::move(condition));
  return true;
}

const json::object* ConditionOf(const json::object& object, std::string_view type) {
  for (const json::value& each : ArrayAt(object, {"status", "conditions"})) {
    if (StringAt(each, {"type"}) == type) return each.if_object();
  }
  return nullptr;
}

bool ConditionIsTrue(const json::object& object, std::string_view type) {
  const json::object* condition = ConditionOf(object, type);
  return condition != nullptr && StringAt(*condition, {"status"}) == "True";
}

bool SelectorMatches(const json::object& selector,
                     const std::vector<std::pair<std::string, std::string>>& labels,
                     bool when_empty) {
  const json::object& exact = ObjectAt(selector, {"matchLabels"});
  const json::array& expressions = ArrayAt(selector, {"matchExpressions"});
  if (exact.empty() && expressions.empty()) return when_empty;
  const auto label = [&](std::string_view key) -> const std::string* {
    for (const auto& [name, value] : labels) {
      if (name == key) return &value;
    }
    return nullptr;
  };
  for (const auto& [key, value] : exact) {
    const std::string* found = label(std::string_view(key.data(), key.size()));
    if (found == nullptr || !value.is_string() || *found != View(value.get_string())) return false;
  }
  for (const json::value& expression : expressions) {
    const std::string* found = label(StringAt(expression, {"key"}));
    const json::array& values = ArrayAt(expression, {"values"});
    const bool among = found != nullptr &&
                       std::any_of(values.begin(), values.end(), [&](const json::value& value) {
                         return value.is_string() && View(value.get_string()) == *found;
                       });
    const std::string_view op = StringAt(expression, {"operator"});
    const bool holds = op == "In"             ? among
                       : op == "NotIn"        ? !among
                       : op == "Exists"       ? found != nullptr
                       : op == "DoesNotExist" ? found == nullptr
                                              : false;
    if (!holds) return false;
  }
  return true;
}

std::string SafeHash(const json::value& value, uint32_t salt) {
  uint64_t hash = 0xcbf29ce484222325u ^ salt;
  for (const unsigned char c : ToJson(value)) hash = (hash ^ c) * 0x100000001b3u;
  const uint32_t folded = static_cast<uint32_t>(hash ^ hash >> 32);
  // No vowels and no digits that look like them: no words.
  static constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string text;
  for (const char digit : std::to_string(folded)) text += kAlphabet[digit % kAlphabet.size()];
  return text;
}

std::string_view NameOf(const json::object& object) {
  return StringAt(object, {"metadata", "name"});
}
std::string_view NamespaceOf(const json::object& object) {
  return StringAt(object, {"metadata", "namespace"});
}
std::string_view UidOf(const json::object& object) { return StringAt(object, {"metadata", "uid"}); }

int64_t ScaledValue(const json::value* int_or_percent, int64_t total, bool round_up,
                    int64_t otherwise) {
  if (int_or_percent == nullptr) return otherwise;
  if (const int64_t* number = int_or_percent->if_int64()) return *number;
  const json::string* text = int_or_percent->if_string();
  if (text == nullptr || text->empty() || text->back() != '%') return otherwise;
  int64_t percent = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size() - 1, percent);
  if (error != std::errc() || end != text->data() + text->size() - 1) return otherwise;
  return (percent * total + (round_up ? 99 : 0)) / 100;
}

}  // namespace keel::orchestrator
