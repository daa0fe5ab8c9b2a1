// The rules for names: of objects, labels, annotations, ports, variables.
//
//   for (const std::string& wrong : CheckDns1123Label("Web")) ...   // what Kubernetes says about
//   it
//
// Each function answers with what is wrong, in Kubernetes' words; nothing when the name is fine.
// Thread-safe: free functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keel::orchestrator {

using Complaints = std::vector<std::string>;

Complaints CheckDns1123Label(std::string_view name);      // "my-name", at most 63 bytes
Complaints CheckDns1123Subdomain(std::string_view name);  // "example.com", at most 253 bytes
Complaints CheckDns1035Label(std::string_view name);      // starts with a letter
Complaints CheckPathSegment(std::string_view name);       // no "/", no "%", not "." or ".."
Complaints CheckQualifiedName(std::string_view name);     // "example.com/my-name": keys of labels
Complaints CheckLabelValue(std::string_view value);
Complaints CheckDataKey(std::string_view key);  // of ConfigMaps and Secrets
Complaints CheckEnvName(std::string_view name);
Complaints CheckPortName(std::string_view name);
Complaints CheckIp(std::string_view text);
Complaints CheckCidr(std::string_view text);

// The words for numbers out of range, shared by many fields.
inline constexpr char kNotNegative[] = "must be greater than or equal to 0";
inline constexpr char kBadPort[] = "must be between 1 and 65535, inclusive";
inline constexpr char kImmutable[] = "field is immutable";

}  // namespace keel::orchestrator
