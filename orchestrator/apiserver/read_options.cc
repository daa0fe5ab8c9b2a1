#include "orchestrator/apiserver/read_options.h"

#include <charconv>

#include "absl/strings/escaping.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

std::string ContinueToken::Encode() const {
  const std::string text = ToJson(json::object{
      {"v", "meta.k8s.io/v1"}, {"rv", revision}, {"start", ns.empty() ? name : ns + "/" + name}});
  std::string out;
  absl::WebSafeBase64Escape(text, &out);
  return out;
}

absl::StatusOr<ContinueToken> ContinueToken::Decode(std::string_view text) {
  const absl::Status bad = BadRequest("continue key is not valid");
  std::string decoded;
  if (!absl::WebSafeBase64Unescape(base::ToAbsl(text), &decoded)) return bad;
  const auto value = ParseJson(decoded);
  if (!value.ok() || StringAt(*value, {"v"}) != "meta.k8s.io/v1") return bad;
  ContinueToken token;
  token.revision = IntAt(*value, {"rv"});
  const std::string start(StringAt(*value, {"start"}));
  if (token.revision == 0 || start.empty()) return bad;
  const size_t slash = start.find('/');
  if (slash != std::string::npos) token.ns = start.substr(0, slash);
  token.name = start.substr(slash == std::string::npos ? 0 : slash + 1);
  return token;
}

absl::StatusOr<ReadOptions> ReadOptions::Parse(const QueryParams& query, bool watch) {
  ReadOptions out;
  out.resource_version = std::string(query.Get("resourceVersion"));
  if (!out.resource_version.empty()) {
    const char* const end = out.resource_version.data() + out.resource_version.size();
    const auto [at, error] = std::from_chars(out.resource_version.data(), end, out.revision);
    if (error != std::errc() || at != end || out.revision < 0) {
      FieldErrors errors;
      errors.InvalidValue("resourceVersion", json::value(out.resource_version),
                          "must be a number that a list or watch gave");
      return Invalid("meta.k8s.io", "ListOptions", "", errors);
    }
  }
  const std::string_view match = query.Get("resourceVersionMatch");
  KEEL_ASSIGN_OR_RETURN(out.limit, query.Number("limit", 0));
  KEEL_ASSIGN_OR_RETURN(out.timeout_seconds, query.Number("timeoutSeconds", 0));
  out.bookmarks = query.Flag("allowWatchBookmarks");
  out.initial_events_set = query.Has("sendInitialEvents");
  out.send_initial_events = query.Flag("sendInitialEvents");
  FieldErrors errors;
  if (match == "Exact") {
    out.match = Match::kExact;
  } else if (match == "NotOlderThan") {
    out.match = Match::kNotOlderThan;
  } else if (!match.empty()) {
    errors.NotSupported("resourceVersionMatch", json::value(std::string(match)),
                        {"Exact", "NotOlderThan"});
  }
  const std::string_view token = query.Get("continue");
  if (watch) {
    if (out.match != Match::kUnset && !out.initial_events_set) {
      errors.Forbidden("resourceVersionMatch",
                       "resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
                       "provided");
    }
    if (out.initial_events_set && out.match != Match::kNotOlderThan) {
      errors.Forbidden("resourceVersionMatch",
                       "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    }
  } else {
    if (out.initial_events_set) {
      errors.Forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
    }
    if (out.match != Match::kUnset && out.resource_version.empty()) {
      errors.Forbidden("resourceVersionMatch",
                       "resourceVersionMatch is forbidden unless resourceVersion is provided");
    }
    if (out.match != Match::kUnset && !token.empty()) {
      errors.Forbidden("resourceVersionMatch",
                       "resourceVersionMatch is forbidden when continue is provided");
    }
    if (out.match == Match::kExact && out.resource_version == "0") {
      errors.Forbidden("resourceVersionMatch",
                       "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
    }
  }
  if (!errors.empty()) return Invalid("meta.k8s.io", "ListOptions", "", errors);
  if (!watch && !token.empty()) {
    if (!out.resource_version.empty() && out.resource_version != "0") {
      return BadRequest("specifying resource version is not allowed when using continue");
    }
    KEEL_ASSIGN_OR_RETURN(out.from, ContinueToken::Decode(token));
  }
  return out;
}

}  // namespace keel::orchestrator
