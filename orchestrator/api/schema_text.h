// The schema text of schema.h, cut into types and fields; what their texts say is read one field at
// a time. Internal to the registry.
//
//   KEEL_ASSIGN_OR_RETURN(std::vector<TypeText> types, SplitSchemaText(text));
//   SchemaTokens tokens(types[0].fields[0].text);
//
// Thread-safety: none; plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

struct FieldText {
  int line = 0;
  std::string text{};     // one field, or several that stand on one line; no comments
  std::string comment{};  // of the last of them
};

struct TypeText {
  int line = 0;
  std::string name{};
  std::string modifiers{};
  std::string comment{};
  std::vector<FieldText> fields{};
};

// InvalidArgument with the line when it is not made of types.
absl::StatusOr<std::vector<TypeText>> SplitSchemaText(std::string_view text);
absl::Status SchemaTextError(int line, std::string_view what);

// Reads words, signs and JSON values off the front of a text.
class SchemaTokens {
 public:
  explicit SchemaTokens(std::string_view text) : left_(text) { SkipSpace(); }

  bool done() const { return left_.empty(); }
  std::string_view left() const { return left_; }
  char Peek() const { return left_.empty() ? '\0' : left_.front(); }
  // Takes the sign if it is next.
  bool Take(char sign);
  // A name: letters, digits and _ $ . / -; empty if none is next.
  std::string_view Word();
  // One JSON value; InvalidArgument (without a line) if none is next.
  absl::StatusOr<json::value> Json();
  // What stands in brackets, separated by commas: words or JSON texts, "(a, "b c")".
  absl::StatusOr<std::vector<std::string>> Arguments();

 private:
  void SkipSpace();

  std::string_view left_;
};

}  // namespace keel::orchestrator
