// Texts as small numbers: label keys and values, namespaces, images and names of resources are
// compared millions of times a second, and the same few thousand come again and again.
//
//   Symbols symbols;
//   Symbol app = symbols.Of("app");
//   LabelSet labels({{app, symbols.Of("web")}});
//   labels.Get(app) == symbols.Of("web")
//
// A symbol lasts as long as its table; nothing is ever taken out. One thread only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/strings.h"

namespace keel::orchestrator::sched {

using Symbol = uint32_t;  // 0: none

class Symbols {
 public:
  // The same number for the same text, never 0 (also not for the empty text).
  Symbol Of(std::string_view text) {
    auto found = by_text_.find(base::ToAbsl(text));
    if (found != by_text_.end()) return found->second;
    texts_.emplace_back(text);
    const auto symbol = static_cast<Symbol>(texts_.size() - 1);
    by_text_.emplace(texts_.back(), symbol);
    return symbol;
  }
  // "" for 0.
  std::string_view Text(Symbol symbol) const { return texts_[symbol]; }
  size_t size() const { return texts_.size() - 1; }

 private:
  std::deque<std::string> texts_{std::string()};  // whose addresses stay
  absl::flat_hash_map<absl::string_view, Symbol> by_text_;
};

// Labels of an object, in the order of their keys' symbols.
class LabelSet {
 public:
  LabelSet() = default;
  explicit LabelSet(std::vector<std::pair<Symbol, Symbol>> labels) : labels_(std::move(labels)) {
    std::sort(labels_.begin(), labels_.end());
  }
  // The value's symbol, 0 when there is no such label.
  Symbol Get(Symbol key) const {
    for (const auto& [k, v] : labels_) {
      if (k == key) return v;
    }
    return 0;
  }
  const std::vector<std::pair<Symbol, Symbol>>& labels() const { return labels_; }
  friend bool operator==(const LabelSet&, const LabelSet&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const LabelSet& set) {
    return H::combine(std::move(h), set.labels_);
  }

 private:
  std::vector<std::pair<Symbol, Symbol>> labels_;
};

}  // namespace keel::orchestrator::sched
