// Which objects of a kind a list or a watch is about: label and field selector together, and
// namespace and name.
//
// Immutable; const methods from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/apiserver/cached_object.h"
#include "orchestrator/apiserver/resource_cache.h"

namespace keel::orchestrator {

// The kind whose selectable_fields requests for `kind` may name.
std::shared_ptr<const Kind> SelectableOf(const KindRegistry& kinds,
                                         const std::shared_ptr<const Kind>& kind);

class ObjectSelector {
 public:
  ObjectSelector() = default;

  // BadRequest in Kubernetes' words when a selector does not parse or names a field that `kind`
  // does not offer. `name`: empty, or the only object that is meant.
  static absl::StatusOr<ObjectSelector> Parse(const Kind& kind, std::string_view ns,
                                              std::string_view name,
                                              std::string_view label_selector,
                                              std::string_view field_selector);

  const std::string& ns() const { return ns_; }
  // No label or field is asked for.
  bool everything() const { return labels_.empty() && terms_.empty(); }
  bool Matches(const CachedObject& object) const {
    return Matches(object.ns, object.name, *object.facts);
  }
  bool Matches(std::string_view ns, std::string_view name, const ObjectFacts& facts) const;
  ChangeListener::Key ListenerKey() const;

 private:
  struct Term {
    int field;  // of Kind::selectable_fields; or one of the two below
    bool equal;
    std::string value;
  };
  static constexpr int kName = -1, kNamespace = -2;

  std::string ns_;
  bool namespaced_ = true;
  LabelSelector labels_;
  std::vector<Term> terms_;
};

}  // namespace keel::orchestrator
