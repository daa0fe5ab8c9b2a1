#include "orchestrator/apiserver/request_info.h"

#include <charconv>

#include "absl/strings/ascii.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::vector<std::string> PartsOf(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty()) parts.push_back(PercentDecode(part, false));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

// metadata.name=x of a field selector: a list or watch of one object is authorized by its name.
std::string NameOfFieldSelector(std::string_view selector) {
  constexpr std::string_view kName = "metadata.name=";
  while (!selector.empty()) {
    const size_t comma = selector.find(',');
    std::string_view term = selector.substr(0, comma);
    if (term.starts_with(kName)) {
      term.remove_prefix(kName.size());
      if (term.starts_with('=')) term.remove_prefix(1);
      return std::string(term);
    }
    if (comma == std::string_view::npos) break;
    selector.remove_prefix(comma + 1);
  }
  return "";
}

std::string VerbOf(std::string_view method, const RequestInfo& info) {
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return info.name.empty() ? "deletecollection" : "delete";
  if (method == "GET" || method == "HEAD") {
    if (info.query.Flag("watch")) return "watch";
    return info.name.empty() ? "list" : "get";
  }
  return absl::AsciiStrToLower(base::ToAbsl(method));
}

}  // namespace

std::string PercentDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexDigit(text[i + 1]) >= 0 &&
        HexDigit(text[i + 2]) >= 0) {
      out += static_cast<char>(HexDigit(text[i + 1]) * 16 + HexDigit(text[i + 2]));
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

QueryParams::QueryParams(std::string_view query) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view param = query.substr(0, end);
    const size_t equals = param.find('=');
    if (!param.empty()) {
      params_.emplace_back(
          PercentDecode(param.substr(0, equals), true),
          equals == std::string_view::npos ? "" : PercentDecode(param.substr(equals + 1), true));
    }
    if (end == std::string_view::npos) break;
    query.remove_prefix(end + 1);
  }
}

std::string_view QueryParams::Get(std::string_view name) const {
  for (const auto& [key, value] : params_) {
    if (key == name) return value;
  }
  return {};
}

std::vector<std::string_view> QueryParams::All(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const auto& [key, value] : params_) {
    if (key == name) out.push_back(value);
  }
  return out;
}

bool QueryParams::Has(std::string_view name) const {
  for (const auto& [key, value] : params_) {
    if (key == name) return true;
  }
  return false;
}

bool QueryParams::Flag(std::string_view name) const {
  if (!Has(name)) return false;
  const std::string_view value = Get(name);
  return value != "false" && value != "0" && value != "False" && value != "F" && value != "f";
}

absl::StatusOr<int64_t> QueryParams::Number(std::string_view name, int64_t otherwise) const {
  const std::string_view text = Get(name);
  if (text.empty()) return otherwise;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return BadRequest(base::StrCat("strconv.ParseInt: parsing \"", text, "\": invalid syntax"));
  }
  return value;
}

absl::StatusOr<RequestInfo> ParseRequestInfo(std::string_view method, std::string_view path,
                                             std::string_view query) {
  RequestInfo info;
  info.path = PercentDecode(path, false);
  if (info.path.find('\0') != std::string::npos) return BadRequest("a path with a zero byte");
  info.query = QueryParams(query);
  info.verb = absl::AsciiStrToLower(base::ToAbsl(method));
  std::vector<std::string> parts = PartsOf(path);
  size_t at = 0;
  if (parts.size() >= 3 && parts[0] == "api") {
    info.version = parts[1];
    at = 2;
  } else if (parts.size() >= 4 && parts[0] == "apis") {
    info.group = parts[1];
    info.version = parts[2];
    at = 3;
  } else {
    return info;
  }
  info.is_resource = true;
  // The old form of watches: /api/v1/watch/pods.
  bool watch = false;
  if (parts[at] == "watch" && at + 1 < parts.size()) {
    watch = true;
    ++at;
  }
  if (parts[at] == "namespaces" && at + 1 < parts.size()) {
    info.ns = parts[at + 1];
    // What follows is a resource in it, or a subresource of the namespace itself.
    if (at + 2 < parts.size() && parts[at + 2] != "status" && parts[at + 2] != "finalize") at += 2;
  }
  info.resource = parts[at++];
  if (at < parts.size()) info.name = parts[at++];
  if (at < parts.size()) info.subresource = parts[at++];
  for (; at < parts.size(); ++at) info.rest.push_back(parts[at]);
  if (watch && (method == "GET" || method == "HEAD")) {
    info.verb = "watch";
    return info;
  }
  info.verb = VerbOf(method, info);
  if (info.name.empty() && (info.verb == "list" || info.verb == "watch")) {
    info.name = NameOfFieldSelector(info.query.Get("fieldSelector"));
  }
  return info;
}

Attributes RequestInfo::AttributesFor(User user) const {
  return {.user = std::move(user),
          .verb = verb,
          .is_resource = is_resource,
          .group = group,
          .version = version,
          .resource = resource,
          .subresource = subresource,
          .ns = ns,
          .name = name,
          .path = path};
}

}  // namespace keel::orchestrator
