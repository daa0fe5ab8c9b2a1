#include "orchestrator/apiserver/cached_object.h"

#include <algorithm>

#include "base/status.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

absl::StatusOr<json::object> CachedObject::Parse() const {
  KEEL_ASSIGN_OR_RETURN(json::value value, ParseJson(bytes));
  if (!value.is_object()) return Internal("the cache holds what is no object");
  return std::move(value.as_object());
}

std::string FieldValueAt(const json::object& object, std::string_view path) {
  const json::object* at = &object;
  const json::value* found = nullptr;
  while (true) {
    const size_t dot = path.find('.');
    const std::string_view name = path.substr(0, dot);
    found = at->if_contains(json::string_view(name.data(), name.size()));
    if (found == nullptr) return "";
    if (dot == std::string_view::npos) break;
    at = found->if_object();
    if (at == nullptr) return "";
    path.remove_prefix(dot + 1);
  }
  if (const json::string* text = found->if_string()) return std::string(View(*text));
  if (found->is_null() || found->is_structured()) return "";
  return ToJson(*found);
}

ObjectFacts FactsOf(const json::object& object, const std::vector<std::string>& fields) {
  ObjectFacts facts;
  for (const auto& [key, value] : ObjectAt(object, {"metadata", "labels"})) {
    const json::string* text = value.if_string();
    if (text != nullptr) facts.labels.emplace_back(std::string(key), std::string(View(*text)));
  }
  std::sort(facts.labels.begin(), facts.labels.end());
  facts.fields.reserve(fields.size());
  for (const std::string& path : fields) facts.fields.push_back(FieldValueAt(object, path));
  return facts;
}

std::shared_ptr<const ObjectFacts> ShareFacts(ObjectFacts facts, const CachedObject* before) {
  if (before != nullptr && *before->facts == facts) return before->facts;
  return std::make_shared<const ObjectFacts>(std::move(facts));
}

}  // namespace keel::orchestrator
