#include "orchestrator/api/selector.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/names.h"

namespace keel::orchestrator {
namespace {

using Operator = LabelSelector::Operator;
using Requirement = LabelSelector::Requirement;

std::string Joined(const Complaints& complaints) {
  std::string out;
  for (const std::string& one : complaints) out += (out.empty() ? "" : "; ") + one;
  return out;
}

std::string Quoted(std::string_view text) { return ToJson(json::value(text)); }

void SortOnce(std::vector<std::string>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

// What is wrong with a requirement as a whole; empty when nothing is.
std::string CheckRequirement(const Requirement& r) {
  std::vector<std::string> wrong;
  if (const Complaints key = CheckQualifiedName(r.key); !key.empty()) {
    wrong.push_back(base::StrCat("key: Invalid value: ", Quoted(r.key), ": ", Joined(key)));
  }
  const std::string values = ToJson(json::value_from(r.values));
  if (r.op == Operator::kIn || r.op == Operator::kNotIn) {
    if (r.values.empty()) {
      wrong.push_back(
          "values: Invalid value: []: for 'in', 'notin' operators, values set can't be "
          "empty");
    }
  } else if (r.op == Operator::kGreater || r.op == Operator::kLess) {
    int64_t number = 0;
    if (r.values.size() != 1) {
      wrong.push_back(base::StrCat("values: Invalid value: ", values,
                                   ": for 'Gt', 'Lt' operators, exactly one value is required"));
    } else if (!absl::SimpleAtoi(r.values[0], &number)) {
      wrong.push_back(base::StrCat("values[0]: Invalid value: ", Quoted(r.values[0]),
                                   ": for 'Gt', 'Lt' operators, the value must be an integer"));
    }
  }
  for (size_t i = 0; i < r.values.size(); ++i) {
    if (const Complaints value = CheckLabelValue(r.values[i]); !value.empty()) {
      wrong.push_back(base::StrCat("values[", i, "][", r.key,
                                   "]: Invalid value: ", Quoted(r.values[i]), ": ", Joined(value)));
    }
  }
  if (wrong.empty()) return "";
  if (wrong.size() == 1) return wrong[0];
  std::string all;
  for (const std::string& one : wrong) all += (all.empty() ? "[" : ", ") + one;
  return all + "]";
}

// The grammar of label selectors, by recursive descent over its tokens.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) { Scan(); }

  absl::Status Run(std::vector<Requirement>* out) {
    for (;;) {
      if (Is(Token::kEnd)) return absl::OkStatus();
      if (!IsWord() && !Is(Token::kNot)) {
        return Wrong("!, identifier, or 'end of string'");
      }
      Requirement r;
      if (absl::Status read = ReadRequirement(&r); !read.ok()) return InRequirement(read);
      out->push_back(std::move(r));
      if (Is(Token::kEnd)) return absl::OkStatus();
      if (!Is(Token::kComma)) return Wrong("',' or 'end of string'");
      Scan();
      if (!IsWord() && !Is(Token::kNot)) return Wrong("identifier after ','");
    }
  }

 private:
  enum class Token : uint8_t { kEnd, kWord, kNot, kComma, kOpen, kClose, kOperator };

  static bool IsSpecial(char c) {
    return c == '=' || c == '!' || c == '(' || c == ')' || c == ',' || c == '>' || c == '<';
  }
  static bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

  void Scan() {
    while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
    const size_t begin = at_;
    if (at_ == text_.size()) {
      token_ = Token::kEnd;
    } else if (IsSpecial(text_[at_])) {
      const char c = text_[at_++];
      if (c == ',') {
        token_ = Token::kComma;
      } else if (c == '(') {
        token_ = Token::kOpen;
      } else if (c == ')') {
        token_ = Token::kClose;
      } else {
        if ((c == '=' || c == '!') && at_ < text_.size() && text_[at_] == '=') ++at_;
        token_ = text_.substr(begin, at_ - begin) == "!" ? Token::kNot : Token::kOperator;
      }
    } else {
      while (at_ < text_.size() && !IsSpecial(text_[at_]) && !IsSpace(text_[at_])) ++at_;
      token_ = Token::kWord;
    }
    literal_ = text_.substr(begin, at_ - begin);
  }
  bool Is(Token token) const { return token_ == token; }
  bool IsWord() const { return token_ == Token::kWord; }
  absl::Status Wrong(std::string_view expected, std::string_view comma = ",") const {
    return absl::InvalidArgumentError(
        base::StrCat("found '", literal_, "'", comma, " expected: ", expected));
  }
  static absl::Status InRequirement(const absl::Status& error) {
    return absl::InvalidArgumentError(
        base::StrCat("unable to parse requirement: ", base::ToStd(error.message())));
  }

  absl::Status ReadRequirement(Requirement* r) {
    const bool absent = Is(Token::kNot);
    if (absent) Scan();
    if (!IsWord()) return Wrong("identifier");
    r->key = std::string(literal_);
    if (const Complaints wrong = CheckQualifiedName(r->key); !wrong.empty()) {
      return absl::InvalidArgumentError(
          base::StrCat("<nil>: Invalid value: ", Quoted(r->key), ": ", Joined(wrong)));
    }
    Scan();
    if (absent || Is(Token::kEnd) || Is(Token::kComma)) {
      r->op = absent ? Operator::kDoesNotExist : Operator::kExists;
      return absl::OkStatus();
    }
    constexpr char kOperators[] = "in, notin, =, ==, !=, gt, lt";
    const std::string_view op = literal_;
    if (op == "in" || op == "notin") {
      r->op = op == "in" ? Operator::kIn : Operator::kNotIn;
      Scan();
      KEEL_RETURN_IF_ERROR(ReadValues(&r->values));
    } else if (Is(Token::kOperator)) {
      r->op = op == "!="  ? Operator::kNotEquals
              : op == ">" ? Operator::kGreater
              : op == "<" ? Operator::kLess
                          : Operator::kEquals;
      Scan();
      if (Is(Token::kEnd) || Is(Token::kComma)) {
        r->values = {""};
      } else {
        if (!IsWord()) return Wrong("identifier");
        r->values = {std::string(literal_)};
        Scan();
      }
    } else {
      return Wrong(kOperators);
    }
    SortOnce(r->values);
    if (const std::string wrong = CheckRequirement(*r); !wrong.empty()) {
      return absl::InvalidArgumentError(wrong);
    }
    return absl::OkStatus();
  }

  absl::Status ReadValues(std::vector<std::string>* values) {
    if (!Is(Token::kOpen)) return Wrong("'('", "");
    Scan();
    if (Is(Token::kClose)) {
      Scan();
      return absl::OkStatus();
    }
    if (!IsWord() && !Is(Token::kComma)) return Wrong("',', ')' or identifier");
    // Values stand between commas; nothing there is the empty value.
    for (;;) {
      if (IsWord()) {
        values->emplace_back(literal_);
        Scan();
      } else {
        values->emplace_back();
      }
      if (Is(Token::kClose)) {
        Scan();
        return absl::OkStatus();
      }
      if (!Is(Token::kComma)) return Wrong("',' or ')'");
      Scan();
      if (!IsWord() && !Is(Token::kComma) && !Is(Token::kClose)) {
        return Wrong("',', or identifier");
      }
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  Token token_ = Token::kEnd;
  std::string_view literal_;
};

std::string TextOf(const json::value& value) {
  const json::string* text = value.if_string();
  return text != nullptr ? std::string(View(*text)) : ToJson(value);
}

}  // namespace

bool LabelSelector::Requirement::Matches(std::optional<std::string_view> value) const {
  auto has = [&] {
    return value.has_value() && std::find(values.begin(), values.end(), *value) != values.end();
  };
  switch (op) {
    case Operator::kIn:
    case Operator::kEquals:
      return has();
    case Operator::kNotIn:
    case Operator::kNotEquals:
      return !has();
    case Operator::kExists:
      return value.has_value();
    case Operator::kDoesNotExist:
      return !value.has_value();
    case Operator::kGreater:
    case Operator::kLess: {
      int64_t label = 0;
      int64_t bound = 0;
      if (!value.has_value() || values.size() != 1 ||
          !absl::SimpleAtoi(base::ToAbsl(*value), &label) || !absl::SimpleAtoi(values[0], &bound)) {
        return false;
      }
      return op == Operator::kGreater ? label > bound : label < bound;
    }
  }
  return false;
}

LabelSelector LabelSelector::Nothing() {
  LabelSelector selector;
  selector.nothing_ = true;
  return selector;
}

void LabelSelector::Sort() {
  std::stable_sort(requirements_.begin(), requirements_.end(),
                   [](const Requirement& a, const Requirement& b) { return a.key < b.key; });
}

absl::StatusOr<LabelSelector> LabelSelector::Parse(std::string_view text) {
  LabelSelector selector;
  KEEL_RETURN_IF_ERROR(Parser(text).Run(&selector.requirements_));
  selector.Sort();
  return selector;
}

absl::StatusOr<LabelSelector> LabelSelector::FromObject(const json::value* object) {
  if (object == nullptr || object->is_null()) return Nothing();
  LabelSelector selector = FromMap(ObjectAt(*object, {"matchLabels"}));
  for (const json::value& expression : ArrayAt(*object, {"matchExpressions"})) {
    Requirement r{.key = std::string(StringAt(expression, {"key"}))};
    const std::string_view op = StringAt(expression, {"operator"});
    if (op == "In") {
      r.op = Operator::kIn;
    } else if (op == "NotIn") {
      r.op = Operator::kNotIn;
    } else if (op == "Exists") {
      r.op = Operator::kExists;
    } else if (op == "DoesNotExist") {
      r.op = Operator::kDoesNotExist;
    } else {
      return absl::InvalidArgumentError(
          base::StrCat(Quoted(op), " is not a valid label selector operator"));
    }
    for (const json::value& value : ArrayAt(expression, {"values"})) {
      r.values.push_back(TextOf(value));
    }
    SortOnce(r.values);
    if (const std::string wrong = CheckRequirement(r); !wrong.empty()) {
      return absl::InvalidArgumentError(wrong);
    }
    selector.requirements_.push_back(std::move(r));
  }
  selector.Sort();
  return selector;
}

LabelSelector LabelSelector::FromMap(const json::object& labels) {
  LabelSelector selector;
  for (const auto& [key, value] : labels) {
    selector.requirements_.push_back(
        {.key = std::string(key), .op = Operator::kEquals, .values = {TextOf(value)}});
  }
  selector.Sort();
  return selector;
}

bool LabelSelector::Matches(const json::object& labels) const {
  return MatchesWith([&](std::string_view key) -> std::optional<std::string_view> {
    const json::value* value = labels.if_contains(json::string_view(key.data(), key.size()));
    const json::string* text = value == nullptr ? nullptr : value->if_string();
    if (text == nullptr) return std::nullopt;
    return View(*text);
  });
}

std::string LabelSelector::ToString() const {
  std::string out;
  for (const Requirement& r : requirements_) {
    if (!out.empty()) out += ',';
    if (r.op == Operator::kDoesNotExist) out += '!';
    out += r.key;
    switch (r.op) {
      case Operator::kIn:
      case Operator::kNotIn: {
        out += r.op == Operator::kIn ? " in (" : " notin (";
        for (size_t i = 0; i < r.values.size(); ++i) out += (i == 0 ? "" : ",") + r.values[i];
        out += ')';
        break;
      }
      case Operator::kEquals:
        out += "=" + r.values[0];
        break;
      case Operator::kNotEquals:
        out += "!=" + r.values[0];
        break;
      case Operator::kGreater:
        out += ">" + r.values[0];
        break;
      case Operator::kLess:
        out += "<" + r.values[0];
        break;
      case Operator::kExists:
      case Operator::kDoesNotExist:
        break;
    }
  }
  return out;
}

absl::StatusOr<FieldSelector> FieldSelector::Parse(std::string_view text) {
  FieldSelector selector;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '\\') {
      ++i;
      continue;
    }
    if (i < text.size() && text[i] != ',') continue;
    const std::string_view term = text.substr(begin, i - begin);
    begin = i + 1;
    if (term.empty()) continue;
    const size_t equals = term.find('=');
    if (equals == std::string_view::npos) {
      return absl::InvalidArgumentError(
          base::StrCat("invalid selector: '", text, "'; can't understand '", term, "'"));
    }
    Requirement r;
    r.equal = equals == 0 || term[equals - 1] != '!';
    r.field = std::string(term.substr(0, r.equal ? equals : equals - 1));
    std::string_view value = term.substr(equals + 1);
    if (r.equal && value.starts_with('=')) value.remove_prefix(1);
    for (size_t k = 0; k < value.size(); ++k) {
      if (value[k] == '\\') {
        if (++k == value.size() || (value[k] != '\\' && value[k] != ',' && value[k] != '=')) {
          return absl::InvalidArgumentError(
              base::StrCat("invalid field selector: invalid escape sequence: \\",
                           k < value.size() ? value.substr(k, 1) : std::string_view()));
        }
      } else if (value[k] == '=') {
        return absl::InvalidArgumentError(base::StrCat(
            "invalid field selector: unescaped character in value: ", value.substr(k)));
      }
      r.value += value[k];
    }
    selector.requirements_.push_back(std::move(r));
  }
  return selector;
}

std::string FieldText(const json::object& object, std::string_view dotted_path) {
  const json::object* in = &object;
  for (;;) {
    const size_t dot = dotted_path.find('.');
    const std::string_view name = dotted_path.substr(0, dot);
    const json::value* found = in->if_contains(json::string_view(name.data(), name.size()));
    if (found == nullptr || found->is_null()) return "";
    if (dot == std::string_view::npos) return TextOf(*found);
    in = found->if_object();
    if (in == nullptr) return "";
    dotted_path.remove_prefix(dot + 1);
  }
}

bool FieldSelector::Matches(const json::object& object) const {
  return MatchesWith([&](std::string_view field) { return FieldText(object, field); });
}

absl::Status FieldSelector::CheckFields(const std::vector<std::string>& known) const {
  for (const Requirement& r : requirements_) {
    if (r.field == "metadata.name" || r.field == "metadata.namespace") continue;
    if (std::find(known.begin(), known.end(), r.field) == known.end()) {
      return BadRequest(base::StrCat("field label not supported: ", r.field));
    }
  }
  return absl::OkStatus();
}

std::string FormatLabelSelector(const json::value* object) {
  const auto selector = LabelSelector::FromObject(object);
  if (!selector.ok()) return "<error>";
  const std::string text = selector->ToString();
  return text.empty() ? "<none>" : text;
}

void CheckLabelSelector(const json::value& selector, std::string_view path, FieldErrors& errors) {
  auto check_key = [&](const std::string& field, std::string_view key) {
    for (const std::string& wrong : CheckQualifiedName(key)) {
      errors.InvalidValue(field, json::value(key), wrong);
    }
  };
  const std::string labels = base::StrCat(path, ".matchLabels");
  for (const auto& [key, value] : ObjectAt(selector, {"matchLabels"})) {
    check_key(labels, key);
    for (const std::string& wrong : CheckLabelValue(TextOf(value))) {
      errors.InvalidValue(labels, value, wrong);
    }
  }
  size_t i = 0;
  for (const json::value& expression : ArrayAt(selector, {"matchExpressions"})) {
    const std::string field = base::StrCat(path, ".matchExpressions[", i++, "]");
    const std::string_view op = StringAt(expression, {"operator"});
    const json::array& values = ArrayAt(expression, {"values"});
    if (op == "In" || op == "NotIn") {
      if (values.empty()) {
        errors.Required(field + ".values", "must be specified when `operator` is 'In' or 'NotIn'");
      }
    } else if (op == "Exists" || op == "DoesNotExist") {
      if (!values.empty()) {
        errors.Forbidden(field + ".values",
                         "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
      }
    } else {
      errors.InvalidValue(field + ".operator", json::value(op), "not a valid selector operator");
    }
    check_key(field + ".key", StringAt(expression, {"key"}));
    size_t k = 0;
    for (const json::value& value : values) {
      for (const std::string& wrong : CheckLabelValue(TextOf(value))) {
        errors.InvalidValue(base::StrCat(field, ".values[", k, "]"), value, wrong);
      }
      ++k;
    }
  }
}

}  // namespace keel::orchestrator
