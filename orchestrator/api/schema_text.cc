#include "orchestrator/api/schema_text.h"

#include <algorithm>

#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

// How much deeper than the fields a line must stand to go on with what is above it.
constexpr size_t kContinuation = 4;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r'; }

bool IsWordChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || c == '.' || c == '/' || c == '-';
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return text;
}

void AppendWords(std::string& to, std::string_view more) {
  more = Trim(more);
  if (more.empty()) return;
  if (!to.empty()) to += ' ';
  to += more;
}

// Walks over `text` outside of quotes; stops where `stop(i)` says so.
template <typename Stop>
size_t FindOutsideQuotes(std::string_view text, Stop stop) {
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && stop(i)) {
      return i;
    }
  }
  return std::string_view::npos;
}

// Cuts " -- comment" off a line.
std::string_view TakeComment(std::string_view& line) {
  const size_t at = FindOutsideQuotes(line, [&](size_t i) {
    return line[i] == '-' && i + 1 < line.size() && line[i + 1] == '-' &&
           (i == 0 || IsSpace(line[i - 1])) && (i + 2 == line.size() || IsSpace(line[i + 2]));
  });
  if (at == std::string_view::npos) return {};
  const std::string_view comment = Trim(line.substr(at + 2));
  line = Trim(line.substr(0, at));
  return comment;
}

class Splitter {
 public:
  absl::StatusOr<std::vector<TypeText>> Run(std::string_view text) {
    int number = 0;
    while (!text.empty()) {
      const size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
      ++number;
      KEEL_RETURN_IF_ERROR(Line(number, line));
    }
    if (inside_) {
      return SchemaTextError(types_.back().line,
                             base::StrCat("type ", types_.back().name, " has no closing brace"));
    }
    return std::move(types_);
  }

 private:
  absl::Status Line(int number, std::string_view raw) {
    const std::string_view line = Trim(raw);
    if (line.empty()) {
      if (!inside_) description_.clear();
      return absl::OkStatus();
    }
    if (!inside_) return Outside(number, line);
    if (line == "}") {
      inside_ = false;
      return absl::OkStatus();
    }
    if (line.front() == '#') return absl::OkStatus();
    const size_t indent = static_cast<size_t>(line.data() - raw.data());
    std::vector<FieldText>& fields = types_.back().fields;
    if (fields.empty() || !indent_known_) {
      if (line.substr(0, 2) == "--") return SchemaTextError(number, "a comment before any field");
      fields_indent_ = indent;
      indent_known_ = true;
      return NewField(number, line);
    }
    const bool deeper = indent >= fields_indent_ + kContinuation;
    if (line.substr(0, 2) != "--" && !deeper) {
      if (indent > fields_indent_) {
        return SchemaTextError(number, "stands deeper than the fields, but not by four columns");
      }
      return NewField(number, line);
    }
    // On with the field above: its comment once that has begun, else its modifiers.
    std::string_view rest = line;
    const std::string_view comment = TakeComment(rest);
    FieldText& field = fields.back();
    if (!field.comment.empty()) {
      AppendWords(field.comment, rest.empty() ? comment : line);
    } else {
      AppendWords(field.text, rest);
      field.comment = comment;
    }
    return absl::OkStatus();
  }

  absl::Status Outside(int number, std::string_view line) {
    if (line.front() == '#') {
      AppendWords(description_, line.substr(1));
      return absl::OkStatus();
    }
    const size_t brace = line.find('{');
    if (brace == std::string_view::npos) {
      return SchemaTextError(number, base::StrCat("expected NAME {, found: ", line));
    }
    TypeText type;
    type.line = number;
    SchemaTokens head(line.substr(0, brace));
    type.name = head.Word();
    type.modifiers = head.left();
    if (type.name.empty()) return SchemaTextError(number, "a type without a name");
    type.comment = std::move(description_);
    description_.clear();
    types_.push_back(std::move(type));
    inside_ = true;
    indent_known_ = false;

    std::string_view body = Trim(line.substr(brace + 1));
    if (body.empty()) return absl::OkStatus();
    if (body.back() == '}' && Closes(body)) {
      inside_ = false;
      body = Trim(body.substr(0, body.size() - 1));
    }
    return body.empty() ? absl::OkStatus() : NewField(number, body);
  }

  // Whether the last brace of `body` is the one that ends the type.
  static bool Closes(std::string_view body) {
    std::string_view code = body;
    const bool comment = !TakeComment(code).empty();
    int depth = 1;
    FindOutsideQuotes(code, [&](size_t i) {
      if (code[i] == '{') ++depth;
      if (code[i] == '}') --depth;
      return false;
    });
    return comment ? depth == 1 : depth == 0;
  }

  absl::Status NewField(int number, std::string_view line) {
    FieldText field;
    field.line = number;
    field.comment = TakeComment(line);
    field.text = line;
    types_.back().fields.push_back(std::move(field));
    return absl::OkStatus();
  }

  std::vector<TypeText> types_;
  std::string description_;
  bool inside_ = false;
  bool indent_known_ = false;
  size_t fields_indent_ = 0;
};

}  // namespace

absl::Status SchemaTextError(int line, std::string_view what) {
  return absl::InvalidArgumentError(base::StrCat("line ", line, ": ", what));
}

absl::StatusOr<std::vector<TypeText>> SplitSchemaText(std::string_view text) {
  return Splitter().Run(text);
}

void SchemaTokens::SkipSpace() {
  while (!left_.empty() && IsSpace(left_.front())) left_.remove_prefix(1);
}

bool SchemaTokens::Take(char sign) {
  if (Peek() != sign || left_.empty()) return false;
  left_.remove_prefix(1);
  SkipSpace();
  return true;
}

std::string_view SchemaTokens::Word() {
  const auto end = std::find_if_not(left_.begin(), left_.end(), IsWordChar);
  const std::string_view word = left_.substr(0, static_cast<size_t>(end - left_.begin()));
  left_.remove_prefix(word.size());
  SkipSpace();
  return word;
}

absl::StatusOr<json::value> SchemaTokens::Json() {
  json::stream_parser parser;
  json::error_code error;
  const size_t read = parser.write_some(left_.data(), left_.size(), error);
  if (!error && !parser.done()) parser.finish(error);
  if (error) return absl::InvalidArgumentError(base::StrCat("not JSON: ", left_));
  left_.remove_prefix(read);
  SkipSpace();
  return parser.release();
}

absl::StatusOr<std::vector<std::string>> SchemaTokens::Arguments() {
  std::vector<std::string> arguments;
  if (!Take('(')) return absl::InvalidArgumentError("expected (");
  while (true) {
    if (Peek() == '"') {
      KEEL_ASSIGN_OR_RETURN(const json::value text, Json());
      arguments.emplace_back(View(text.get_string()));
    } else {
      const size_t end = left_.find_first_of(",)");
      if (end == std::string_view::npos) return absl::InvalidArgumentError("expected )");
      const std::string_view word = Trim(left_.substr(0, end));
      if (word.empty()) return absl::InvalidArgumentError("an empty argument");
      arguments.emplace_back(word);
      left_.remove_prefix(end);
    }
    if (Take(')')) return arguments;
    if (!Take(',')) return absl::InvalidArgumentError("expected , or )");
  }
}

}  // namespace keel::orchestrator
