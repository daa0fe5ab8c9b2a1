#include "kvstore/kvd/json_log.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <optional>
#include <utility>
#include <vector>

namespace keel::kvstore {

namespace {

void AppendQuoted(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (byte < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
      out->append(escaped);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

bool IsKey(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-') return false;
  }
  return true;
}

// Takes "key=value" or "key=\"some words\"", and the space behind it, off the front.
std::optional<std::pair<std::string_view, std::string_view>> TakeField(std::string_view* line) {
  const size_t equals = line->find('=');
  if (equals == std::string_view::npos || !IsKey(line->substr(0, equals))) return std::nullopt;
  const std::string_view key = line->substr(0, equals);
  std::string_view rest = line->substr(equals + 1);
  const bool quoted = rest.starts_with('"');
  if (quoted) rest.remove_prefix(1);
  const size_t end = rest.find(quoted ? '"' : ' ');
  if (quoted && end == std::string_view::npos) return std::nullopt;
  const std::string_view value = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  if (quoted && rest.starts_with(' ')) rest.remove_prefix(1);
  *line = rest;
  return std::pair(key, value);
}

// The fields that the line consists of from here on; none when it does not.
std::vector<std::pair<std::string_view, std::string_view>> FieldsFrom(std::string_view line) {
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  while (!line.empty()) {
    const auto field = TakeField(&line);
    if (!field.has_value()) return {};
    fields.push_back(*field);
  }
  return fields;
}

// zap's names.
std::string_view LevelName(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return "debug";
    case spdlog::level::warn:
      return "warn";
    case spdlog::level::err:
      return "error";
    case spdlog::level::critical:
      return "fatal";
    default:
      return "info";
  }
}

}  // namespace

std::string JsonFields(std::string_view line) {
  std::string_view text = line;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  for (size_t at = line.find(' '); at != std::string_view::npos; at = line.find(' ', at + 1)) {
    fields = FieldsFrom(line.substr(at + 1));
    if (fields.empty()) continue;
    text = line.substr(0, at);
    break;
  }
  std::string out = "\"msg\":";
  AppendQuoted(text, &out);
  for (const auto& [key, value] : fields) {
    out.push_back(',');
    AppendQuoted(key, &out);
    out.push_back(':');
    AppendQuoted(value, &out);
  }
  return out;
}

void JsonLogFormatter::format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) {
  const auto since = message.time.time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char date[32];
  std::strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
  char ts[48];
  std::snprintf(ts, sizeof(ts), "%s.%03dZ", date, static_cast<int>(ms % 1000));
  std::string line = "{\"level\":\"";
  line += LevelName(message.level);
  line += "\",\"ts\":\"";
  line += ts;
  line += "\",";
  line += JsonFields({message.payload.data(), message.payload.size()});
  line += "}\n";
  out.append(line.data(), line.data() + line.size());
}

std::unique_ptr<spdlog::formatter> JsonLogFormatter::clone() const {
  return std::make_unique<JsonLogFormatter>();
}

}  // namespace keel::kvstore
