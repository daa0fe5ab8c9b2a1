// Label selectors and node selectors over symbols (Kubernetes' LabelSelector and NodeSelector).
//
//   LabelSelector s = ParseLabelSelector(ObjectAt(term, {"labelSelector"}), symbols);
//   if (s.Matches(labels)) ...
//
// Immutable once made; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "orchestrator/api/json.h"
#include "orchestrator/scheduler/symbols.h"

namespace keel::orchestrator::sched {

struct Requirement {
  enum class Op : uint8_t { kIn, kNotIn, kExists, kDoesNotExist, kGt, kLt, kNever };
  Symbol key = 0;
  Op op = Op::kExists;
  std::vector<Symbol> values{};  // of kIn and kNotIn, sorted
  int64_t bound = 0;             // of kGt and kLt

  bool Has(Symbol value) const { return std::binary_search(values.begin(), values.end(), value); }
  friend bool operator==(const Requirement&, const Requirement&) = default;
  friend auto operator<=>(const Requirement&, const Requirement&) = default;
};

// All requirements at once; without any it matches everything.
struct LabelSelector {
  bool nothing = false;  // a selector that was not given
  std::vector<Requirement> all{};

  bool Matches(const LabelSet& labels) const;
  friend bool operator==(const LabelSelector&, const LabelSelector&) = default;
};

// One term of a node selector: labels, and fields (metadata.name alone).
struct NodeTerm {
  std::vector<Requirement> labels{};
  std::vector<Requirement> names{};  // of the node's name

  // A term without requirements matches no node.
  bool Matches(const LabelSet& labels, Symbol name, const Symbols& symbols) const;
};

// Any of its terms; none: matches no node.
struct NodeSelector {
  std::vector<NodeTerm> any{};

  bool Matches(const LabelSet& labels, Symbol name, const Symbols& symbols) const;
};

LabelSet ParseLabels(const json::object& labels, Symbols& symbols);
// Null: matches nothing. A requirement with an unknown operator matches nothing.
LabelSelector ParseLabelSelector(const json::value* selector, Symbols& symbols);
NodeTerm ParseNodeTerm(const json::value& term, Symbols& symbols);
// Of {"nodeSelectorTerms": [...]}.
NodeSelector ParseNodeSelector(const json::value& selector, Symbols& symbols);

}  // namespace keel::orchestrator::sched
