#include "orchestrator/apiserver/yaml.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {

namespace {

constexpr int kMaxDepth = 100;
constexpr int kMaxNodes = 1'000'000;

json::value ScalarOf(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return json::value(text);
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return nullptr;
  }
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  int64_t whole = 0;
  const char* const end = text.data() + text.size();
  const char* const begin = text.data() + (text[0] == '+' ? 1 : 0);
  if (auto [at, error] = std::from_chars(begin, end, whole); error == std::errc() && at == end) {
    return whole;
  }
  const bool number = (text[0] >= '0' && text[0] <= '9') || text[0] == '-' || text[0] == '.';
  double real = 0;
  if (number) {
    if (auto [at, error] = std::from_chars(begin, end, real); error == std::errc() && at == end) {
      return real;
    }
  }
  return json::value(text);
}

absl::Status Convert(const YAML::Node& node, int depth, int& nodes, json::value& out) {
  if (depth > kMaxDepth) return absl::InvalidArgumentError("yaml: nested too deep");
  if (++nodes > kMaxNodes) return absl::InvalidArgumentError("yaml: too many nodes");
  switch (node.Type()) {
    case YAML::NodeType::Undefined:
    case YAML::NodeType::Null:
      out = nullptr;
      return absl::OkStatus();
    case YAML::NodeType::Scalar:
      out = ScalarOf(node);
      return absl::OkStatus();
    case YAML::NodeType::Sequence: {
      json::array& array = out.emplace_array();
      for (const YAML::Node& item : node) {
        KEEL_RETURN_IF_ERROR(Convert(item, depth + 1, nodes, array.emplace_back(nullptr)));
      }
      return absl::OkStatus();
    }
    case YAML::NodeType::Map: {
      json::object& object = out.emplace_object();
      for (const auto& member : node) {
        if (!member.first.IsScalar()) return absl::InvalidArgumentError("yaml: a key is no text");
        KEEL_RETURN_IF_ERROR(
            Convert(member.second, depth + 1, nodes, object[member.first.Scalar()]));
      }
      return absl::OkStatus();
    }
  }
  return absl::OkStatus();
}

void Emit(const json::value& value, YAML::Emitter& out) {
  if (const json::object* object = value.if_object()) {
    std::vector<const json::key_value_pair*> members;
    for (const auto& member : *object) members.push_back(&member);
    std::sort(members.begin(), members.end(),
              [](const auto* a, const auto* b) { return a->key() < b->key(); });
    if (members.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto* member : members) {
      out << YAML::Key << std::string(member->key()) << YAML::Value;
      Emit(member->value(), out);
    }
    out << YAML::EndMap;
  } else if (const json::array* array = value.if_array()) {
    if (array->empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const json::value& item : *array) Emit(item, out);
    out << YAML::EndSeq;
  } else if (const json::string* text = value.if_string()) {
    // Text that would read as something else is quoted.
    const std::string string(View(*text));
    YAML::Node probe(string);
    const bool plain = ScalarOf(probe).is_string() && string.find('\n') == std::string::npos;
    if (!plain) out << YAML::DoubleQuoted;
    out << string;
  } else if (value.is_null()) {
    out << YAML::Null;
  } else {
    out << ToJson(value);
  }
}

}  // namespace

absl::StatusOr<json::value> ParseYaml(std::string_view text) {
  try {
    json::value out;
    int nodes = 0;
    KEEL_RETURN_IF_ERROR(Convert(YAML::Load(std::string(text)), 0, nodes, out));
    return out;
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        base::StrCat("yaml: line ", error.mark.line + 1, ": ", error.msg));
  }
}

std::string ToYaml(const json::value& value) {
  YAML::Emitter out;
  Emit(value, out);
  return std::string(out.c_str(), out.size()) + "\n";
}

}  // namespace keel::orchestrator
