// What a checker says: fine, violated (with the contradicting facts in words),
// or given up because the search grew past its bound.
//
//   if (Verdict v = CheckRevisions(history, log); !v.ok()) fail(v.text);
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace keel::sim {

struct [[nodiscard]] Verdict {
  enum class Kind : uint8_t { kOk, kViolation, kGaveUp };

  Kind kind = Kind::kOk;
  std::string rule;                  // short and stable: "stale read", "election safety", ...
  std::string text;                  // the contradiction in words, for a person
  std::vector<uint64_t> operations;  // ids of the operations that contradict, where there are any

  bool ok() const { return kind == Kind::kOk; }
  bool violated() const { return kind == Kind::kViolation; }
  bool gave_up() const { return kind == Kind::kGaveUp; }

  static Verdict Ok() { return {}; }
  static Verdict Violation(std::string rule, std::string text,
                           std::vector<uint64_t> operations = {}) {
    return {Kind::kViolation, std::move(rule), std::move(text), std::move(operations)};
  }
  static Verdict GaveUp(std::string text) {
    return {Kind::kGaveUp, "search bound", std::move(text), {}};
  }
};

}  // namespace keel::sim
