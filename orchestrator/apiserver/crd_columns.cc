#include "orchestrator/apiserver/crd_columns.h"

#include <charconv>
#include <memory>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {

namespace {

std::string Unquoted(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'')) {
    text = text.substr(1, text.size() - 2);
  }
  return std::string(text);
}

}  // namespace

absl::StatusOr<JsonPathQuery> JsonPathQuery::Parse(std::string_view text) {
  JsonPathQuery query;
  const absl::Status bad =
      absl::InvalidArgumentError(base::StrCat("not a simple JSON path: ", text));
  std::string_view left = text;
  while (!left.empty()) {
    Step step;
    if (left.starts_with('.')) {
      left.remove_prefix(1);
      size_t end = 0;
      while (end < left.size() && left[end] != '.' && left[end] != '[') {
        // A dot of a name is written `\.`.
        if (left[end] == '\\' && end + 1 < left.size()) ++end;
        step.name += left[end++];
      }
      if (step.name.empty()) return bad;
      left.remove_prefix(end);
    } else if (left.starts_with('[')) {
      const size_t end = left.starts_with("[?(") ? left.find(")]") : left.find(']');
      if (end == std::string_view::npos) return bad;
      std::string_view inside = left.substr(1, end - 1);
      left.remove_prefix(end + (inside.starts_with('?') ? 2 : 1));
      if (inside == "*") {
        step.what = Step::What::kAll;
      } else if (inside.starts_with("?(@.")) {
        const size_t equals = inside.find("==");
        if (equals == std::string_view::npos) return bad;
        step.what = Step::What::kFilter;
        step.path = absl::StrSplit(base::ToAbsl(inside.substr(4, equals - 4)), '.');
        while (step.path.back().ends_with(' ')) step.path.back().pop_back();
        step.value = Unquoted(inside.substr(equals + 2));
      } else if (inside.starts_with('\'') || inside.starts_with('"')) {
        step.name = Unquoted(inside);
      } else {
        step.what = Step::What::kIndex;
        const auto [at, error] =
            std::from_chars(inside.data(), inside.data() + inside.size(), step.index);
        if (error != std::errc() || at != inside.data() + inside.size()) return bad;
      }
    } else {
      return bad;
    }
    query.steps_.push_back(std::move(step));
  }
  if (query.steps_.empty()) return bad;
  return query;
}

const json::value* JsonPathQuery::First(const json::object& object) const {
  const json::value* found = object.if_contains(steps_.front().name);
  return found == nullptr ? nullptr : Walk(*found, 1);
}

const json::value* JsonPathQuery::Walk(const json::value& at, size_t index) const {
  if (index == steps_.size()) return &at;
  const Step& step = steps_[index];
  if (step.what == Step::What::kMember) {
    const json::object* object = at.if_object();
    const json::value* found = object == nullptr ? nullptr : object->if_contains(step.name);
    return found == nullptr ? nullptr : Walk(*found, index + 1);
  }
  const json::array* array = at.if_array();
  if (array == nullptr) return nullptr;
  if (step.what == Step::What::kIndex) {
    return step.index < array->size() ? Walk((*array)[step.index], index + 1) : nullptr;
  }
  for (const json::value& item : *array) {
    if (step.what == Step::What::kFilter) {
      const json::value* field = &item;
      for (const std::string& name : step.path) {
        const json::object* object = field == nullptr ? nullptr : field->if_object();
        field = object == nullptr ? nullptr : object->if_contains(name);
      }
      if (field == nullptr) continue;
      const json::string* text = field->if_string();
      if ((text != nullptr ? std::string(View(*text)) : ToJson(*field)) != step.value) continue;
    }
    if (const json::value* found = Walk(item, index + 1)) return found;
  }
  return nullptr;
}

absl::StatusOr<Column> ColumnFromDefinition(const json::object& definition) {
  KEEL_ASSIGN_OR_RETURN(JsonPathQuery query,
                        JsonPathQuery::Parse(StringAt(definition, {"jsonPath"})));
  Column column;
  column.name = std::string(StringAt(definition, {"name"}));
  column.type = std::string(StringAt(definition, {"type"}));
  column.format = std::string(StringAt(definition, {"format"}));
  column.description = std::string(StringAt(definition, {"description"}));
  column.priority = static_cast<int>(IntAt(definition, {"priority"}));
  column.cell = [query = std::move(query), type = column.type](const json::object& object,
                                                               absl::Time now) -> json::value {
    const json::value* found = query.First(object);
    if (found == nullptr) return nullptr;
    if (type == "date") {
      const json::string* text = found->if_string();
      return text == nullptr ? json::value(nullptr) : json::value(AgeOf(View(*text), now));
    }
    if (type == "string" && !found->is_string()) return json::value(ToJson(*found));
    return *found;
  };
  return column;
}

}  // namespace keel::orchestrator
