// Label and field selectors: read from texts and from objects, matched against labels.
//
//   KEEL_ASSIGN_OR_RETURN(LabelSelector s, LabelSelector::Parse("app=web,tier in (a,b),!old"));
//   KEEL_ASSIGN_OR_RETURN(LabelSelector s, LabelSelector::FromObject(Find(rs, {"spec",
//   "selector"}))); if (s.Matches(ObjectAt(pod, {"metadata", "labels"}))) ...
//
// Errors are InvalidArgument in Kubernetes' words. Values: copy and move freely; const methods may
// be called from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

class LabelSelector {
 public:
  enum class Operator : uint8_t {
    kIn,
    kNotIn,
    kEquals,
    kNotEquals,
    kExists,
    kDoesNotExist,
    kGreater,
    kLess
  };
  struct Requirement {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values{};  // sorted, each once

    // `value`: of the label; nullopt when the object has none of that key.
    bool Matches(std::optional<std::string_view> value) const;
  };

  LabelSelector() = default;  // matches everything
  static LabelSelector Nothing();
  // "a=b", "a==b", "a!=b", "a in (b,c)", "a notin (b)", "a", "!a", "a>1", "a<1", joined by commas.
  static absl::StatusOr<LabelSelector> Parse(std::string_view text);
  // Of {"matchLabels": ..., "matchExpressions": [...]}. Null: matches nothing; empty: everything.
  static absl::StatusOr<LabelSelector> FromObject(const json::value* selector);
  // Of a plain map of labels, as services and replication controllers have; empty: everything.
  static LabelSelector FromMap(const json::object& labels);

  bool Matches(const json::object& labels) const;
  // `get(key)` answers with the label's value as std::optional<std::string_view>.
  template <typename Get>
  bool MatchesWith(const Get& get) const {
    if (nothing_) return false;
    for (const Requirement& requirement : requirements_) {
      if (!requirement.Matches(get(std::string_view(requirement.key)))) return false;
    }
    return true;
  }
  // True when it matches everything.
  bool empty() const { return !nothing_ && requirements_.empty(); }
  bool matches_nothing() const { return nothing_; }
  const std::vector<Requirement>& requirements() const { return requirements_; }
  std::string ToString() const;  // what Parse reads, sorted by key

 private:
  void Sort();
  bool nothing_ = false;
  std::vector<Requirement> requirements_;
};

class FieldSelector {
 public:
  struct Requirement {
    std::string field;
    bool equal = true;
    std::string value;
  };

  FieldSelector() = default;
  // "a=b", "a==b", "a!=b", joined by commas; a backslash before ',', '=' and '\' in values.
  static absl::StatusOr<FieldSelector> Parse(std::string_view text);

  // `get(field)` answers with the field's value as text, empty when it is not there.
  template <typename Get>
  bool MatchesWith(const Get& get) const {
    for (const Requirement& requirement : requirements_) {
      if ((get(std::string_view(requirement.field)) == requirement.value) != requirement.equal) {
        return false;
      }
    }
    return true;
  }
  // The fields are read from the object: strings as they are, others as JSON.
  bool Matches(const json::object& object) const;
  bool empty() const { return requirements_.empty(); }
  const std::vector<Requirement>& requirements() const { return requirements_; }
  // BadRequest ("field label not supported: X") when a field is none of `known` (Kind's
  // selectable_fields), metadata.name or metadata.namespace.
  absl::Status CheckFields(const std::vector<std::string>& known) const;

 private:
  std::vector<Requirement> requirements_;
};

// The value of a field as field selectors see it, by its path "status.phase".
std::string FieldText(const json::object& object, std::string_view dotted_path);

// A label selector object as tables show it: "a=b,c in (d,e)", or "<none>".
std::string FormatLabelSelector(const json::value* selector);

// What Kubernetes asks of a label selector object: operators, values, keys.
void CheckLabelSelector(const json::value& selector, std::string_view path, FieldErrors& errors);

}  // namespace keel::orchestrator
