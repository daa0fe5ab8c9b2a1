#include "orchestrator/apiserver/negotiation.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/protobuf/decode.h"

namespace keel::orchestrator {

namespace {

constexpr std::string_view kSupported = "application/json, application/yaml";

struct Clause {
  std::string type;
  std::map<std::string, std::string> params;
  double quality = 1;
};

Clause ParseClause(std::string_view text) {
  Clause clause;
  bool first = true;
  for (absl::string_view part : absl::StrSplit(base::ToAbsl(text), ';')) {
    part = absl::StripAsciiWhitespace(part);
    if (std::exchange(first, false)) {
      clause.type = absl::AsciiStrToLower(part);
      continue;
    }
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    const std::string name = absl::AsciiStrToLower(absl::StripAsciiWhitespace(pair.first));
    const std::string value(absl::StripAsciiWhitespace(pair.second));
    if (name == "q") {
      clause.quality = std::strtod(value.c_str(), nullptr);
    } else {
      clause.params[name] = value;
    }
  }
  return clause;
}

// Whether it is a form that is spoken; then `format` says which.
bool Accepts(const Clause& clause, bool discovery, OutputFormat& format) {
  format = {};
  const bool any = clause.type == "*/*" || clause.type == "application/*";
  if (clause.type == kYamlType) {
    format.yaml = true;
  } else if (!any && clause.type != kJsonType && clause.type != "text/json") {
    return false;
  }
  if (auto pretty = clause.params.find("pretty"); pretty != clause.params.end()) {
    format.pretty = pretty->second != "0" && pretty->second != "false";
  }
  const auto as = clause.params.find("as");
  if (as == clause.params.end()) return true;
  auto param = [&](const char* name) {
    const auto found = clause.params.find(name);
    return found == clause.params.end() ? std::string() : found->second;
  };
  format.as_version = param("v");
  const std::string group = param("g");
  if (discovery) {
    format.as = OutputAs::kDiscovery;
    return group == "apidiscovery.k8s.io" && as->second == "APIGroupDiscoveryList" &&
           (format.as_version == "v2" || format.as_version == "v2beta1");
  }
  if (group != "meta.k8s.io" || (format.as_version != "v1" && format.as_version != "v1beta1")) {
    return false;
  }
  if (as->second == "Table") {
    format.as = OutputAs::kTable;
    return true;
  }
  format.as = OutputAs::kPartialMetadata;
  return as->second == "PartialObjectMetadata" || as->second == "PartialObjectMetadataList";
}

}  // namespace

std::string MediaTypeOf(std::string_view header) {
  return absl::AsciiStrToLower(
      absl::StripAsciiWhitespace(base::ToAbsl(header.substr(0, header.find(';')))));
}

absl::StatusOr<OutputFormat> NegotiateOutput(std::string_view accept, bool discovery) {
  if (absl::StripAsciiWhitespace(base::ToAbsl(accept)).empty()) return OutputFormat();
  std::vector<Clause> clauses;
  for (absl::string_view part : absl::StrSplit(base::ToAbsl(accept), ',')) {
    clauses.push_back(ParseClause(base::ToStd(part)));
  }
  std::stable_sort(clauses.begin(), clauses.end(),
                   [](const Clause& a, const Clause& b) { return a.quality > b.quality; });
  OutputFormat format;
  for (const Clause& clause : clauses) {
    if (clause.quality > 0 && Accepts(clause, discovery, format)) return format;
  }
  return NotAcceptable(kSupported);
}

absl::StatusOr<BodyType> NegotiateBody(std::string_view content_type) {
  const std::string type = MediaTypeOf(content_type);
  if (type.empty() || type == kJsonType || type == "text/json") return BodyType::kJson;
  if (type == kYamlType || type == "text/yaml" || type == "application/x-yaml") {
    return BodyType::kYaml;
  }
  if (type == kProtobufType) return BodyType::kProtobuf;
  return UnsupportedMediaType(kSupported);
}

}  // namespace keel::orchestrator
