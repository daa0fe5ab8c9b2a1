#include "orchestrator/apiserver/object_selector.h"

#include <algorithm>
#include <optional>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

std::shared_ptr<const Kind> SelectableOf(const KindRegistry& kinds,
                                         const std::shared_ptr<const Kind>& kind) {
  // Of another group the fields have names of its own, in the stored kind's order.
  return kind->stored_group.has_value() ? kind : kinds.Stored(*kind);
}

absl::StatusOr<ObjectSelector> ObjectSelector::Parse(const Kind& kind, std::string_view ns,
                                                     std::string_view name,
                                                     std::string_view label_selector,
                                                     std::string_view field_selector) {
  ObjectSelector out;
  out.ns_ = std::string(ns);
  out.namespaced_ = kind.namespaced;
  auto labels = LabelSelector::Parse(label_selector);
  if (!labels.ok()) return BadRequest(base::ToStd(labels.status().message()));
  out.labels_ = *std::move(labels);
  auto fields = FieldSelector::Parse(field_selector);
  if (!fields.ok()) return BadRequest(base::ToStd(fields.status().message()));
  KEEL_RETURN_IF_ERROR(fields->CheckFields(kind.selectable_fields));
  if (!name.empty()) out.terms_.push_back({kName, true, std::string(name)});
  for (const FieldSelector::Requirement& requirement : fields->requirements()) {
    int index = 0;
    if (requirement.field == "metadata.name") {
      index = kName;
    } else if (requirement.field == "metadata.namespace") {
      index = kNamespace;
    } else {
      const auto& known = kind.selectable_fields;
      index = static_cast<int>(std::find(known.begin(), known.end(), requirement.field) -
                               known.begin());
    }
    out.terms_.push_back({index, requirement.equal, requirement.value});
  }
  return out;
}

bool ObjectSelector::Matches(std::string_view ns, std::string_view name,
                             const ObjectFacts& facts) const {
  if (!ns_.empty() && ns != ns_) return false;
  for (const Term& term : terms_) {
    std::string_view value;
    if (term.field == kName) {
      value = name;
    } else if (term.field == kNamespace) {
      value = ns;
    } else if (static_cast<size_t>(term.field) < facts.fields.size()) {
      value = facts.fields[static_cast<size_t>(term.field)];
    }
    if ((value == term.value) != term.equal) return false;
  }
  if (labels_.empty()) return true;
  return labels_.MatchesWith([&](std::string_view key) -> std::optional<std::string_view> {
    for (const auto& [label, value] : facts.labels) {
      if (label == key) return value;
    }
    return std::nullopt;
  });
}

ChangeListener::Key ObjectSelector::ListenerKey() const {
  ChangeListener::Key key{.ns = ns_};
  for (const Term& term : terms_) {
    if (!term.equal) continue;
    if (term.field == kName && (!ns_.empty() || !namespaced_)) key.name = term.value;
    if (term.field >= 0 && key.field < 0) {
      key.field = term.field;
      key.value = term.value;
    }
  }
  return key;
}

}  // namespace keel::orchestrator
