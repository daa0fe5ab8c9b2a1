// The command line of kvd: etcd's flags and ETCD_* variables.
//
//   auto parsed = ParseFlags({argv + 1, argv + argc}, environ_pairs);
//   if (!parsed.ok()) { print parsed.status(); exit(2); }
//   if (parsed->help) ...
//
// Flags are written as Go programs take them: -name x, --name x, --name=x;
// a boolean alone is true and takes its value only after '='. A flag wins over
// its variable. With --config-file only that counts. docs/flags.md lists what each does here.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "kvstore/kvd/feature_gates.h"
#include "kvstore/server/config.h"

namespace keel::kvstore {

enum class FlagKind : uint8_t { kText, kBool, kNumber, kDuration };

enum class FlagEffect : uint8_t {
  kUsed,
  kNone,     // accepted for etcd's sake: it tunes or shows something this server does not have
  kRefused,  // any value but the default is an error: ignoring it would be unsafe
};

struct FlagSpec {
  std::string_view group;
  std::string_view name;
  FlagKind kind = FlagKind::kText;
  FlagEffect effect = FlagEffect::kUsed;
  std::string_view default_value;
  std::string_view help;  // what it does; for the others: why it has no effect, or is refused
};

std::span<const FlagSpec> AllFlags();
// Null when there is none of that name.
const FlagSpec* FindFlag(std::string_view name);
// The name that may have been meant; empty when none is near.
std::string NearestFlag(std::string_view name);

struct ParsedFlags {
  ServerConfig config;
  FeatureGates features;
  bool help = false;
  bool version = false;
  bool man_page = false;
  bool log_json = false;              // --log-format json
  std::vector<std::string> warnings;  // to be logged, one line each
};

// InvalidArgument with one line that says what is wrong and, where a flag is
// misspelt, what may have been meant.
absl::StatusOr<ParsedFlags> ParseFlags(const std::vector<std::string>& args,
                                       const std::map<std::string, std::string>& environment);

// The environment of this process, of which ParseFlags reads ETCD_*.
std::map<std::string, std::string> ProcessEnvironment();

// As Go's strconv.ParseBool.
absl::StatusOr<bool> ParseBool(std::string_view text);

// Go's form: "1h15m", "500ms", "0". InvalidArgument otherwise.
absl::StatusOr<base::Duration> ParseDuration(std::string_view text);

std::string HelpText();

}  // namespace keel::kvstore
