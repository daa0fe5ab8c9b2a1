// A regular expression of a schema, compiled once.
//
//   KEEL_ASSIGN_OR_RETURN(auto pattern, Pattern::Compile("^[a-z]+$"));
//   pattern->Matches("abc");
//
// The language is Perl's as far as Boost.Regex has it, of which RE2's, which Kubernetes uses, is
// nearly a part. Finds the expression anywhere in the text, as JSON Schema wants. Thread-safe.
#pragma once

#include <memory>
#include <string_view>

#include "absl/status/statusor.h"

namespace keel::orchestrator {

class Pattern {
 public:
  // InvalidArgument says what is wrong with the expression.
  static absl::StatusOr<std::shared_ptr<const Pattern>> Compile(std::string_view expression);
  ~Pattern();
  // False too for a text on which the search would take too many steps.
  bool Matches(std::string_view text) const;

 private:
  struct Impl;
  explicit Pattern(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace keel::orchestrator
