#include "kvstore/kvd/config_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/file.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/kvd/flags.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

// Keys of a section that are not the flag's name behind the section's prefix.
constexpr std::pair<std::string_view, std::string_view> kSectionKeys[] = {
    {"crl-file", "client-crl-file"},
    {"allowed-hostname", "client-cert-allowed-hostname"},
    {"allowed-hostnames", "client-cert-allowed-hostname"},
    {"peer-allowed-cns", "peer-cert-allowed-cn"},
    {"peer-allowed-hostnames", "peer-cert-allowed-hostname"},
    {"peer-allowed-cn", "peer-cert-allowed-cn"},
    {"peer-allowed-hostname", "peer-cert-allowed-hostname"},
    {"skip-client-san-verification", "peer-skip-client-san-verification"},
    {"peer-skip-client-san-verification", "peer-skip-client-san-verification"},
};

// Sections, and what their keys begin with as flags.
constexpr std::pair<std::string_view, std::string_view> kSections[] = {
    {"client-transport-security", ""},
    {"peer-transport-security", "peer-"},
    {"socket-options", "socket-"},
    {"discovery-config", "discovery-"},
};

absl::Status At(const std::string& path, const YAML::Mark& mark, std::string_view what) {
  return absl::InvalidArgumentError(StrCat("config file ", path, ":", mark.line + 1, ": ", what));
}

const FlagSpec* FlagOf(const std::string& section, const std::string& key) {
  const std::string name = StrCat(section, key);
  for (const auto& [in_file, flag] : kSectionKeys) {
    if (in_file == name) return FindFlag(flag);
  }
  return FindFlag(name);
}

absl::StatusOr<std::string> ValueOf(const std::string& path, const YAML::Node& node,
                                    const FlagSpec& flag, const std::string& key) {
  if (node.IsSequence()) {
    std::string joined;
    for (const YAML::Node& each : node) {
      if (!each.IsScalar()) return At(path, each.Mark(), StrCat(key, " is no list of words"));
      joined += StrCat(joined.empty() ? "" : ",", each.Scalar());
    }
    return joined;
  }
  if (!node.IsScalar()) return At(path, node.Mark(), StrCat(key, " must have one value"));
  std::string value = node.Scalar();
  const bool digits =
      !value.empty() && value != "0" &&
      std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  // Go reads a bare number into a duration as nanoseconds.
  if (flag.kind == FlagKind::kDuration && digits) value += "ns";
  return value;
}

absl::Status ReadMap(const std::string& path, const YAML::Node& map, const std::string& section,
                     const std::string& prefix, std::vector<ConfigEntry>* entries) {
  std::set<std::string> seen;
  for (const auto& each : map) {
    const YAML::Node& key_node = each.first;
    const YAML::Node& node = each.second;
    if (!key_node.IsScalar()) return At(path, key_node.Mark(), "a key must be a word");
    const std::string& key = key_node.Scalar();
    if (!seen.insert(key).second) {
      return At(path, key_node.Mark(), StrCat("key \"", key, "\" is given twice"));
    }
    const auto* within = std::find_if(std::begin(kSections), std::end(kSections),
                                      [&key](const auto& named) { return named.first == key; });
    if (section.empty() && within != std::end(kSections)) {
      if (node.IsNull()) continue;
      if (!node.IsMap()) return At(path, node.Mark(), StrCat(key, " must hold keys"));
      KEEL_RETURN_IF_ERROR(
          ReadMap(path, node, StrCat(key, "."), std::string(within->second), entries));
      continue;
    }
    const FlagSpec* flag = FlagOf(prefix, key);
    if (flag == nullptr || flag->name == "config-file") {
      const std::string nearest = flag == nullptr ? NearestFlag(StrCat(prefix, key)) : "";
      return At(
          path, key_node.Mark(),
          StrCat("unknown key \"", key, "\"",
                 nearest.empty()
                     ? ""
                     : StrCat("; did you mean \"",
                              nearest.substr(nearest.rfind(prefix, 0) == 0 ? prefix.size() : 0),
                              "\"?")));
    }
    if (node.IsNull()) continue;
    KEEL_ASSIGN_OR_RETURN(std::string value, ValueOf(path, node, *flag, key));
    if (value.empty()) continue;
    entries->push_back({StrCat(section, key), std::string(flag->name), std::move(value),
                        key_node.Mark().line + 1});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ConfigEntry>> ParseConfigFile(const std::string& path,
                                                         const std::string& text) {
  std::vector<ConfigEntry> entries;
  try {  // the library's way to say what is wrong
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return entries;
    if (!root.IsMap()) return At(path, root.Mark(), "keys with values are expected");
    KEEL_RETURN_IF_ERROR(ReadMap(path, root, "", "", &entries));
  } catch (const YAML::Exception& error) {
    return At(path, error.mark, error.msg);
  }
  return entries;
}

absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(const std::string& path) {
  const absl::StatusOr<std::string> text = base::ReadFile(base::PosixFileSystem(), path);
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        StrCat("config file: ", base::ToStd(text.status().message())));
  }
  return ParseConfigFile(path, *text);
}

}  // namespace keel::kvstore
