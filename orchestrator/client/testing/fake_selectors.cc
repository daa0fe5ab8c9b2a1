#include "orchestrator/client/testing/fake_selectors.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"

namespace keel::orchestrator::fake {
namespace {

// At commas that stand in no brackets.
std::vector<std::string> Terms(std::string_view selector) {
  std::vector<std::string> terms(1);
  int depth = 0;
  for (const char c : selector) {
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == ',' && depth == 0) {
      terms.emplace_back();
    } else {
      terms.back() += c;
    }
  }
  for (std::string& term : terms) absl::StripAsciiWhitespace(&term);
  std::erase(terms, "");
  return terms;
}

std::string Stripped(std::string_view text) {
  return std::string(absl::StripAsciiWhitespace(base::ToAbsl(text)));
}

bool Compare(const std::string& term, const json::value* found, bool* is_comparison) {
  for (const auto& [op, equal] :
       {std::pair("!=", false), std::pair("==", true), std::pair("=", true)}) {
    const size_t at = term.find(op);
    if (at == std::string::npos) continue;
    *is_comparison = true;
    const std::string wanted =
        Stripped(std::string_view(term).substr(at + std::string_view(op).size()));
    std::string actual;
    if (found != nullptr)
      actual = found->is_string() ? std::string(View(found->get_string())) : ToJson(*found);
    return (found != nullptr && actual == wanted) == equal ||
           (found == nullptr && wanted.empty() && equal);
  }
  *is_comparison = false;
  return false;
}

std::string NameOf(const std::string& term) {
  return Stripped(std::string_view(term).substr(0, term.find_first_of("!= (")));
}

bool LabelMatches(const std::string& term, const json::object& labels) {
  if (term[0] == '!') return !labels.contains(Stripped(std::string_view(term).substr(1)));
  const std::string name = NameOf(term);
  const json::value* found = labels.if_contains(name);
  bool is_comparison = false;
  const bool equal = Compare(term, found, &is_comparison);
  if (is_comparison) return equal;
  const size_t open = term.find('(');
  if (open == std::string::npos) return found != nullptr;
  const bool negated =
      term.substr(name.size(), open - name.size()).find("notin") != std::string::npos;
  bool in = false;
  const std::string values = term.substr(open + 1, term.rfind(')') - open - 1);
  for (const auto& value : absl::StrSplit(values, ',')) {
    in |= found != nullptr && found->is_string() &&
          View(found->get_string()) == Stripped(base::ToStd(value));
  }
  return in != negated;
}

bool FieldMatches(const std::string& term, const json::object& object) {
  const json::value* found = nullptr;
  const json::object* in = &object;
  const std::vector<std::string> path = absl::StrSplit(NameOf(term), '.');
  for (const std::string& part : path) {
    found = in == nullptr ? nullptr : in->if_contains(part);
    in = found == nullptr ? nullptr : found->if_object();
  }
  const json::value empty("");
  bool is_comparison = false;
  return Compare(term, found == nullptr ? &empty : found, &is_comparison);
}

}  // namespace

std::string QueryValue(std::string_view query, std::string_view name) {
  for (const auto& pair : absl::StrSplit(base::ToAbsl(query), '&')) {
    const std::string_view text = base::ToStd(pair);
    const size_t equals = text.find('=');
    if (text.substr(0, equals) != name || equals == std::string_view::npos) continue;
    std::string value;
    for (size_t i = equals + 1; i < text.size(); ++i) {
      if (text[i] == '%' && i + 2 < text.size()) {
        value +=
            static_cast<char>(std::strtol(std::string(text.substr(i + 1, 2)).c_str(), nullptr, 16));
        i += 2;
      } else {
        value += text[i] == '+' ? ' ' : text[i];
      }
    }
    return value;
  }
  return {};
}

bool Selected(std::string_view query, const json::object& object) {
  const json::object& labels = ObjectAt(object, {"metadata", "labels"});
  for (const std::string& term : Terms(QueryValue(query, "labelSelector"))) {
    if (!LabelMatches(term, labels)) return false;
  }
  for (const std::string& term : Terms(QueryValue(query, "fieldSelector"))) {
    if (!FieldMatches(term, object)) return false;
  }
  return true;
}

}  // namespace keel::orchestrator::fake
