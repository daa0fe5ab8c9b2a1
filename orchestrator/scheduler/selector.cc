#include "orchestrator/scheduler/selector.h"

#include <charconv>

namespace keel::orchestrator::sched {
namespace {

using Op = Requirement::Op;

bool ParseInt(std::string_view text, int64_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size();
}

// `value`: 0 when the object has no such label.
bool Holds(const Requirement& r, Symbol value) {
  switch (r.op) {
    case Op::kIn:
      return value != 0 && r.Has(value);
    case Op::kNotIn:
      return value == 0 || !r.Has(value);
    case Op::kExists:
      return value != 0;
    case Op::kDoesNotExist:
      return value == 0;
    case Op::kGt:
    case Op::kLt:
    case Op::kNever:
      return false;
  }
  return false;
}

bool HoldsOnNode(const Requirement& r, Symbol value, const Symbols& symbols) {
  if (r.op != Op::kGt && r.op != Op::kLt) return Holds(r, value);
  int64_t number = 0;
  if (value == 0 || !ParseInt(symbols.Text(value), &number)) return false;
  return r.op == Op::kGt ? number > r.bound : number < r.bound;
}

Requirement ParseRequirement(const json::value& in, Symbols& symbols) {
  Requirement out;
  out.key = symbols.Of(StringAt(in, {"key"}));
  const std::string_view op = StringAt(in, {"operator"});
  const json::array& values = ArrayAt(in, {"values"});
  out.op = op == "In"             ? Op::kIn
           : op == "NotIn"        ? Op::kNotIn
           : op == "Exists"       ? Op::kExists
           : op == "DoesNotExist" ? Op::kDoesNotExist
           : op == "Gt"           ? Op::kGt
           : op == "Lt"           ? Op::kLt
                                  : Op::kNever;
  if (out.op == Op::kGt || out.op == Op::kLt) {
    const json::string* text = values.size() == 1 ? values[0].if_string() : nullptr;
    if (text == nullptr || !ParseInt(View(*text), &out.bound)) out.op = Op::kNever;
    return out;
  }
  for (const json::value& value : values) {
    if (const json::string* text = value.if_string()) out.values.push_back(symbols.Of(View(*text)));
  }
  std::sort(out.values.begin(), out.values.end());
  return out;
}

}  // namespace

bool LabelSelector::Matches(const LabelSet& labels) const {
  if (nothing) return false;
  return std::all_of(all.begin(), all.end(),
                     [&](const Requirement& r) { return Holds(r, labels.Get(r.key)); });
}

bool NodeTerm::Matches(const LabelSet& of_node, Symbol name, const Symbols& symbols) const {
  if (labels.empty() && names.empty()) return false;
  return std::all_of(
             labels.begin(), labels.end(),
             [&](const Requirement& r) { return HoldsOnNode(r, of_node.Get(r.key), symbols); }) &&
         std::all_of(names.begin(), names.end(),
                     [&](const Requirement& r) { return Holds(r, name); });
}

bool NodeSelector::Matches(const LabelSet& labels, Symbol name, const Symbols& symbols) const {
  return std::any_of(any.begin(), any.end(),
                     [&](const NodeTerm& term) { return term.Matches(labels, name, symbols); });
}

LabelSet ParseLabels(const json::object& labels, Symbols& symbols) {
  std::vector<std::pair<Symbol, Symbol>> out;
  out.reserve(labels.size());
  for (const auto& [key, value] : labels) {
    const json::string* text = value.if_string();
    if (text == nullptr) continue;
    out.emplace_back(symbols.Of({key.data(), key.size()}), symbols.Of(View(*text)));
  }
  return LabelSet(std::move(out));
}

LabelSelector ParseLabelSelector(const json::value* selector, Symbols& symbols) {
  LabelSelector out;
  if (selector == nullptr || !selector->is_object()) {
    out.nothing = true;
    return out;
  }
  const LabelSet equal = ParseLabels(ObjectAt(*selector, {"matchLabels"}), symbols);
  for (const auto& [key, value] : equal.labels()) {
    out.all.push_back({.key = key, .op = Op::kIn, .values = {value}});
  }
  for (const json::value& r : ArrayAt(*selector, {"matchExpressions"})) {
    out.all.push_back(ParseRequirement(r, symbols));
  }
  std::sort(out.all.begin(), out.all.end());
  return out;
}

NodeTerm ParseNodeTerm(const json::value& term, Symbols& symbols) {
  NodeTerm out;
  for (const json::value& r : ArrayAt(term, {"matchExpressions"})) {
    out.labels.push_back(ParseRequirement(r, symbols));
  }
  for (const json::value& r : ArrayAt(term, {"matchFields"})) {
    Requirement field = ParseRequirement(r, symbols);
    if (StringAt(r, {"key"}) != "metadata.name") field.op = Op::kNever;
    out.names.push_back(std::move(field));
  }
  return out;
}

NodeSelector ParseNodeSelector(const json::value& selector, Symbols& symbols) {
  NodeSelector out;
  for (const json::value& term : ArrayAt(selector, {"nodeSelectorTerms"})) {
    out.any.push_back(ParseNodeTerm(term, symbols));
  }
  return out;
}

}  // namespace keel::orchestrator::sched
