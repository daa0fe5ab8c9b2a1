#include "kvstore/kvd/flags.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/kvd/config_file.h"

extern char** environ;

namespace keel::kvstore {

using base::StrCat;

namespace {

std::string EnvironmentName(std::string_view flag) {
  return StrCat("ETCD_",
                absl::AsciiStrToUpper(absl::StrReplaceAll(base::ToAbsl(flag), {{"-", "_"}})));
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string UnknownFlag(std::string_view name) {
  const std::string nearest = NearestFlag(name);
  return StrCat("unknown flag --", name,
                nearest.empty() ? "" : StrCat("; did you mean --", nearest, "?"),
                " (see kvd --help)");
}

// The values given, by flag name, checked against the table.
class Values {
 public:
  absl::Status Set(const FlagSpec& flag, std::string value, std::string_view origin) {
    absl::Status bad;
    switch (flag.kind) {
      case FlagKind::kText:
        break;
      case FlagKind::kBool:
        bad = ParseBool(value).status();
        break;
      case FlagKind::kNumber:
        if (int64_t number = 0; !absl::SimpleAtoi(value, &number)) {
          bad = absl::InvalidArgumentError("not a whole number");
        }
        break;
      case FlagKind::kDuration:
        if (!value.empty()) bad = ParseDuration(value).status();
        break;
    }
    if (!bad.ok()) {
      return absl::InvalidArgumentError(
          StrCat("invalid value \"", value, "\" for ", origin, ": ", base::ToStd(bad.message())));
    }
    values_[flag.name] = std::move(value);
    return absl::OkStatus();
  }

  bool Given(std::string_view name) const { return values_.contains(name); }
  const std::map<std::string_view, std::string>& all() const { return values_; }

  // REQUIRES of the getters: the flag is in the table, with that kind.
  std::string Text(std::string_view name) const {
    const auto it = values_.find(name);
    return it != values_.end() ? it->second : std::string(FindFlag(name)->default_value);
  }
  bool Bool(std::string_view name) const { return *ParseBool(Text(name)); }
  int64_t Number(std::string_view name) const {
    int64_t number = 0;
    (void)absl::SimpleAtoi(Text(name), &number);
    return number;
  }
  absl::StatusOr<uint64_t> Unsigned(std::string_view name) const {
    const int64_t number = Number(name);
    if (number < 0) return absl::InvalidArgumentError(StrCat("--", name, " must not be negative"));
    return static_cast<uint64_t>(number);
  }
  absl::StatusOr<std::vector<Url>> Urls(std::string_view name) const {
    absl::StatusOr<std::vector<Url>> urls = ParseUrls(Text(name));
    if (!urls.ok()) {
      return absl::InvalidArgumentError(
          StrCat("--", name, ": ", base::ToStd(urls.status().message())));
    }
    return urls;
  }

 private:
  std::map<std::string_view, std::string> values_;
};

// Go's flag package: one or two dashes; "--" and the first word without a dash end the flags.
absl::Status ReadArguments(const std::vector<std::string>& args, Values& values,
                           ParsedFlags& parsed) {
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--" && i + 1 == args.size()) return absl::OkStatus();
    if (i == 0 && (arg == "gateway" || arg == "grpc-proxy")) {
      return absl::InvalidArgumentError(
          StrCat("kvd has no '", arg,
                 "': it serves each client itself; any TCP proxy can stand in "
                 "front of it"));
    }
    if (arg.size() < 2 || arg[0] != '-' || arg == "--") {
      return absl::InvalidArgumentError(
          StrCat("'", arg == "--" ? args[i + 1] : arg, "' is not a valid flag"));
    }
    std::string name = arg.substr(arg[1] == '-' ? 2 : 1);
    std::optional<std::string> value;
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    if (name == "help" || name == "h") {
      parsed.help = true;
      continue;
    }
    if (name == "version") {
      parsed.version = true;
      continue;
    }
    if (name == "man-page") {
      parsed.man_page = true;
      continue;
    }
    const FlagSpec* flag = FindFlag(name);
    if (flag == nullptr) return absl::InvalidArgumentError(UnknownFlag(name));
    if (!value.has_value()) {
      if (flag->kind == FlagKind::kBool) {
        value = "true";
      } else if (i + 1 < args.size()) {
        value = args[++i];
      } else {
        return absl::InvalidArgumentError(StrCat("flag --", name, " needs a value"));
      }
    }
    KEEL_RETURN_IF_ERROR(values.Set(*flag, *std::move(value), StrCat("--", name)));
  }
  return absl::OkStatus();
}

absl::Status ReadEnvironment(const std::map<std::string, std::string>& environment, Values& values,
                             std::vector<std::string>& warnings) {
  std::map<std::string, const FlagSpec*> known;
  for (const FlagSpec& flag : AllFlags()) known.emplace(EnvironmentName(flag.name), &flag);
  for (const auto& [name, value] : environment) {
    if (name.rfind("ETCD_", 0) != 0) continue;
    const auto it = known.find(name);
    if (it == known.end()) {
      if (name != "ETCD_VERSION" && name != "ETCD_UNSUPPORTED_ARCH") {
        warnings.push_back(StrCat("unrecognized environment variable ", name, "=", value));
      }
      continue;
    }
    const FlagSpec& flag = *it->second;
    if (values.Given(flag.name)) {
      warnings.push_back(StrCat("environment variable ", name, " is shadowed by --", flag.name));
      continue;
    }
    if (value.empty()) continue;
    KEEL_RETURN_IF_ERROR(values.Set(flag, value, name));
  }
  return absl::OkStatus();
}

absl::Status CheckEffects(const Values& values, std::vector<std::string>& warnings) {
  for (const auto& [name, value] : values.all()) {
    const FlagSpec& flag = *FindFlag(name);
    if (flag.effect == FlagEffect::kNone) {
      warnings.push_back(StrCat("flag --", name, " has no effect: ", flag.help));
      continue;
    }
    if (flag.effect != FlagEffect::kRefused) continue;
    bool is_default = value == flag.default_value;
    if (flag.kind == FlagKind::kBool)
      is_default = *ParseBool(value) == *ParseBool(flag.default_value);
    if (!is_default)
      return absl::InvalidArgumentError(StrCat("flag --", name, " is refused: ", flag.help));
  }
  return absl::OkStatus();
}

absl::Status ReadCompaction(const Values& values, ServerConfig& config) {
  const std::string mode = values.Text("auto-compaction-mode");
  const std::string retention = values.Text("auto-compaction-retention");
  int64_t number = 0;
  const bool plain = absl::SimpleAtoi(retention, &number);
  if (mode == "revision") {
    config.auto_compaction_mode = AutoCompactionMode::kRevision;
    if (!plain || number < 0) {
      return absl::InvalidArgumentError(
          StrCat("--auto-compaction-retention: \"", retention, "\" is not a number of revisions"));
    }
    config.auto_compaction_revisions = number;
    return absl::OkStatus();
  }
  if (mode != "periodic") {
    return absl::InvalidArgumentError(
        StrCat("--auto-compaction-mode: \"", mode, "\" is neither periodic nor revision"));
  }
  config.auto_compaction_mode = AutoCompactionMode::kPeriodic;
  if (plain) {  // etcd: a bare number is hours
    if (number < 0)
      return absl::InvalidArgumentError("--auto-compaction-retention must not be negative");
    config.auto_compaction_period = std::chrono::hours(number);
    return absl::OkStatus();
  }
  absl::StatusOr<base::Duration> period = ParseDuration(retention);
  if (!period.ok() || *period < base::Duration::zero()) {
    return absl::InvalidArgumentError(
        StrCat("--auto-compaction-retention: \"", retention, "\" is no duration"));
  }
  config.auto_compaction_period = *period;
  return absl::OkStatus();
}

// The newer of two names for one flag wins when both are given.
std::string_view Renamed(const Values& values, std::string_view now, std::string_view before) {
  return !values.Given(now) && values.Given(before) ? before : now;
}

// The gates, and the flags that were their names before.
absl::Status ReadFeatures(const Values& values, ParsedFlags& parsed) {
  absl::StatusOr<FeatureGates> gates = ParseFeatureGates(values.Text("feature-gates"));
  if (!gates.ok()) {
    return absl::InvalidArgumentError(
        StrCat("invalid value \"", values.Text("feature-gates"),
               "\" for --feature-gates: ", base::ToStd(gates.status().message())));
  }
  parsed.features = *std::move(gates);
  for (const auto& [flag, feature] :
       {std::pair("initial-corrupt-check", "InitialCorruptCheck"),
        std::pair("experimental-initial-corrupt-check", "InitialCorruptCheck"),
        std::pair("experimental-compact-hash-check-enabled", "CompactHashCheck")}) {
    if (values.Given(flag)) parsed.features.Set(feature, values.Bool(flag));
  }
  ServerConfig& config = parsed.config;
  config.initial_corrupt_check = parsed.features.Enabled("InitialCorruptCheck");
  config.compact_hash_check = parsed.features.Enabled("CompactHashCheck");
  KEEL_ASSIGN_OR_RETURN(config.corrupt_check_interval,
                        ParseDuration(values.Text(Renamed(values, "corrupt-check-time",
                                                          "experimental-corrupt-check-time"))));
  KEEL_ASSIGN_OR_RETURN(
      config.compact_hash_check_interval,
      ParseDuration(values.Text(
          Renamed(values, "compact-hash-check-time", "experimental-compact-hash-check-time"))));
  if (config.corrupt_check_interval < base::Duration::zero() ||
      config.compact_hash_check_interval <= base::Duration::zero()) {
    return absl::InvalidArgumentError(
        "--corrupt-check-time must not be negative, and --compact-hash-check-time more than 0");
  }
  config.more_metrics = parsed.features.Exposition();
  config.force_new_cluster = values.Bool("force-new-cluster");
  return absl::OkStatus();
}

absl::Status ReadTls(const Values& values, ServerConfig& config) {
  const auto list = [&](std::string_view name) -> std::vector<std::string> {
    return absl::StrSplit(values.Text(name), ',', absl::SkipWhitespace());
  };
  base::TlsOptions both;
  both.cipher_suites = list("cipher-suites");
  KEEL_ASSIGN_OR_RETURN(both.min_version, base::ParseTlsVersion(values.Text("tls-min-version")));
  KEEL_ASSIGN_OR_RETURN(both.max_version, base::ParseTlsVersion(values.Text("tls-max-version")));

  // etcd names the two alike but for the prefixes.
  const auto read = [&](std::string_view prefix, std::string_view client_prefix) {
    base::TlsOptions out = both;
    out.cert_file = values.Text(StrCat(prefix, "cert-file"));
    out.key_file = values.Text(StrCat(prefix, "key-file"));
    out.trusted_ca_file = values.Text(StrCat(prefix, "trusted-ca-file"));
    out.crl_file = values.Text(StrCat(client_prefix, "crl-file"));
    out.allowed_hostnames = list(StrCat(client_prefix, "cert-allowed-hostname"));
    // etcd: who names a CA wants certificates of it.
    out.require_client_cert =
        values.Bool(StrCat(prefix, "client-cert-auth")) || !out.trusted_ca_file.empty();
    return out;
  };
  config.client_tls = read("", "client-");
  config.peer_tls = read("peer-", "peer-");
  config.peer_tls.allowed_cns = list("peer-cert-allowed-cn");

  config.peer_client_cert_file = values.Text("peer-client-cert-file");
  config.peer_client_key_file = values.Text("peer-client-key-file");
  config.auto_tls = values.Bool("auto-tls");
  config.peer_auto_tls = values.Bool("peer-auto-tls");
  KEEL_ASSIGN_OR_RETURN(const uint64_t years, values.Unsigned("self-signed-cert-validity"));
  config.self_signed_cert_validity_years = static_cast<uint32_t>(std::min<uint64_t>(years, 1000));
  return absl::OkStatus();
}

absl::Status Fill(const Values& values, ServerConfig& config) {
  config.name = values.Text("name");
  config.data_dir = values.Given("data-dir") ? values.Text("data-dir") : config.name + ".etcd";
  config.wal_dir = values.Text("wal-dir");
  config.name_given = values.Given("name");
  config.token_given = values.Given("initial-cluster-token");

  if (values.Given("listen-client-urls") && !values.Given("advertise-client-urls")) {
    return absl::InvalidArgumentError(
        "--advertise-client-urls is required when --listen-client-urls is set explicitly");
  }
  KEEL_ASSIGN_OR_RETURN(config.listen_client_urls, values.Urls("listen-client-urls"));
  KEEL_ASSIGN_OR_RETURN(config.advertise_client_urls, values.Urls("advertise-client-urls"));
  KEEL_ASSIGN_OR_RETURN(config.listen_peer_urls, values.Urls("listen-peer-urls"));
  KEEL_ASSIGN_OR_RETURN(config.initial_advertise_peer_urls,
                        values.Urls("initial-advertise-peer-urls"));
  if (!values.Text("listen-metrics-urls").empty()) {
    KEEL_ASSIGN_OR_RETURN(config.listen_metrics_urls, values.Urls("listen-metrics-urls"));
  }
  if (values.Given("initial-cluster")) {
    KEEL_ASSIGN_OR_RETURN(config.initial_cluster,
                          ParseInitialCluster(values.Text("initial-cluster")));
  } else {
    config.initial_cluster[config.name] = config.initial_advertise_peer_urls;
  }
  const std::string state = values.Text("initial-cluster-state");
  if (state != "new" && state != "existing") {
    return absl::InvalidArgumentError(
        StrCat("invalid value \"", state, "\" for --initial-cluster-state: use new or existing"));
  }
  config.initial_cluster_existing = state == "existing";
  config.initial_cluster_token = values.Text("initial-cluster-token");
  config.grpc_gateway = values.Bool("enable-grpc-gateway");
  config.strict_reconfig_check = values.Bool("strict-reconfig-check");

  KEEL_ASSIGN_OR_RETURN(config.heartbeat_ms, values.Unsigned("heartbeat-interval"));
  KEEL_ASSIGN_OR_RETURN(config.election_ms, values.Unsigned("election-timeout"));
  KEEL_ASSIGN_OR_RETURN(config.snapshot_count, values.Unsigned("snapshot-count"));
  KEEL_ASSIGN_OR_RETURN(config.snapshot_catchup_entries,
                        values.Unsigned(Renamed(values, "snapshot-catchup-entries",
                                                "experimental-snapshot-catchup-entries")));
  config.peer_skip_client_san_verification =
      values.Bool(Renamed(values, "peer-skip-client-san-verification",
                          "experimental-peer-skip-client-san-verification"));
  config.quota_backend_bytes = values.Number("quota-backend-bytes");
  KEEL_ASSIGN_OR_RETURN(config.max_request_bytes, values.Unsigned("max-request-bytes"));
  KEEL_ASSIGN_OR_RETURN(config.max_txn_ops, values.Unsigned("max-txn-ops"));
  KEEL_ASSIGN_OR_RETURN(const uint64_t streams, values.Unsigned("max-concurrent-streams"));
  config.max_concurrent_streams = static_cast<uint32_t>(std::min<uint64_t>(streams, UINT32_MAX));
  KEEL_RETURN_IF_ERROR(ReadCompaction(values, config));
  KEEL_ASSIGN_OR_RETURN(
      config.watch_progress_interval,
      ParseDuration(values.Text(Renamed(values, "watch-progress-notify-interval",
                                        "experimental-watch-progress-notify-interval"))));
  KEEL_ASSIGN_OR_RETURN(config.max_learners, values.Unsigned(Renamed(values, "max-learners",
                                                                     "experimental-max-learners")));
  KEEL_ASSIGN_OR_RETURN(config.disk_reserve_bytes,
                        values.Unsigned("experimental-disk-reserve-bytes"));
  KEEL_ASSIGN_OR_RETURN(const uint64_t threads, values.Unsigned("experimental-io-threads"));
  config.io_threads = static_cast<uint32_t>(std::min<uint64_t>(threads, UINT32_MAX));

  config.auth_token = values.Text("auth-token");
  KEEL_ASSIGN_OR_RETURN(const uint64_t token_ttl, values.Unsigned("auth-token-ttl"));
  config.auth_token_ttl = std::chrono::seconds(token_ttl);
  KEEL_ASSIGN_OR_RETURN(const uint64_t bcrypt_cost, values.Unsigned("bcrypt-cost"));
  config.bcrypt_cost = static_cast<int>(std::min<uint64_t>(bcrypt_cost, 1000));
  config.password_threads = std::max(1U, std::thread::hardware_concurrency() / 2);

  config.log_level =
      values.Bool("debug") && !values.Given("log-level") ? "debug" : values.Text("log-level");
  config.log_outputs = absl::StrSplit(values.Text("log-outputs"), ',', absl::SkipWhitespace());
  KEEL_RETURN_IF_ERROR(ReadTls(values, config));
  return config.Validate();
}

// The file stands for all flags and variables.
absl::Status ReadFile(const std::string& path, Values& values) {
  KEEL_ASSIGN_OR_RETURN(const std::vector<ConfigEntry> entries, ReadConfigFile(path));
  for (const ConfigEntry& entry : entries) {
    KEEL_RETURN_IF_ERROR(values.Set(*FindFlag(entry.flag), entry.value,
                                    StrCat(entry.key, " (", path, ":", entry.line, ")")));
  }
  return absl::OkStatus();
}

}  // namespace

const FlagSpec* FindFlag(std::string_view name) {
  static const auto& index = *[] {
    auto* map = new std::map<std::string_view, const FlagSpec*>();
    for (const FlagSpec& flag : AllFlags()) map->emplace(flag.name, &flag);
    return map;
  }();
  const auto it = index.find(name);
  return it == index.end() ? nullptr : it->second;
}

std::string NearestFlag(std::string_view name) {
  std::string nearest;
  size_t best = 4;
  for (const FlagSpec& flag : AllFlags()) {
    if (const size_t distance = EditDistance(name, flag.name); distance < best) {
      best = distance;
      nearest = flag.name;
    }
  }
  return nearest;
}

absl::StatusOr<bool> ParseBool(std::string_view text) {
  for (const char* yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return true;
  }
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return false;
  }
  return absl::InvalidArgumentError("not a boolean (true or false)");
}

absl::StatusOr<ParsedFlags> ParseFlags(const std::vector<std::string>& args,
                                       const std::map<std::string, std::string>& environment) {
  ParsedFlags parsed;
  Values values;
  KEEL_RETURN_IF_ERROR(ReadArguments(args, values, parsed));
  if (parsed.help || parsed.version || parsed.man_page) return parsed;
  KEEL_RETURN_IF_ERROR(ReadEnvironment(environment, values, parsed.warnings));
  if (const std::string path = values.Text("config-file"); !path.empty()) {
    for (const auto& [name, value] : values.all()) {
      if (name == "config-file") continue;
      parsed.warnings.push_back(
          StrCat("flag or variable of --", name, " is ignored: --config-file is given"));
    }
    values = Values();
    KEEL_RETURN_IF_ERROR(ReadFile(path, values));
  }
  KEEL_RETURN_IF_ERROR(CheckEffects(values, parsed.warnings));
  KEEL_RETURN_IF_ERROR(ReadFeatures(values, parsed));
  KEEL_RETURN_IF_ERROR(Fill(values, parsed.config));
  const std::string log_format = values.Text("log-format");
  if (log_format != "json" && log_format != "console") {
    return absl::InvalidArgumentError(
        StrCat("--log-format ", log_format, ": console or json is wanted"));
  }
  parsed.log_json = log_format == "json";
  return parsed;
}

std::map<std::string, std::string> ProcessEnvironment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    if (const size_t equals = line.find('='); equals != std::string_view::npos) {
      out.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
  }
  return out;
}

absl::StatusOr<base::Duration> ParseDuration(std::string_view text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  const absl::Status bad = absl::InvalidArgumentError("not a duration (such as 10s, 5m or 1h30m)");
  if (text == "0") return base::Duration(0);
  double total = 0;
  std::string_view rest = text;
  const bool negative = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  if (rest.empty()) return bad;
  while (!rest.empty()) {
    const size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    double number = 0;
    if (digits == 0 || !absl::SimpleAtod(base::ToAbsl(rest.substr(0, digits)), &number)) return bad;
    rest.remove_prefix(digits);
    const size_t letters = std::min(rest.find_first_of("0123456789."), rest.size());
    const std::string_view unit = rest.substr(0, letters);
    const auto* found = std::find_if(std::begin(kUnits), std::end(kUnits),
                                     [&](const auto& known) { return known.first == unit; });
    if (found == std::end(kUnits)) return bad;
    total += number * found->second;
    rest.remove_prefix(letters);
  }
  if (total > 9e18) return bad;
  return base::Duration(static_cast<int64_t>(negative ? -total : total));
}

std::string HelpText() {
  std::string out = R"(Usage:
  kvd [flags]        start a member of a replicated key-value store that speaks etcd's v3 API
  kvd --version
  kvd --help
  kvd --man-page     print the manual, kvd(8), for man

One member, on loopback:
  kvd --data-dir /tmp/one

One of three (the others alike, each with its own name and URLs):
  kvd --name a --data-dir /var/lib/kvd \
      --listen-client-urls http://10.0.0.1:2379 --advertise-client-urls http://10.0.0.1:2379 \
      --listen-peer-urls http://10.0.0.1:2380 --initial-advertise-peer-urls http://10.0.0.1:2380 \
      --initial-cluster a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://10.0.0.3:2380

Every flag can be given as an environment variable: --max-txn-ops is ETCD_MAX_TXN_OPS.
)";
  std::string_view group;
  for (const FlagSpec& flag : AllFlags()) {
    if (flag.effect != FlagEffect::kUsed) continue;
    if (flag.group != group) {
      group = flag.group;
      out += StrCat("\n", group, ":\n");
    }
    out += StrCat("  --", flag.name, " '", flag.default_value, "'\n      ", flag.help, "\n");
  }
  for (const FlagEffect effect : {FlagEffect::kNone, FlagEffect::kRefused}) {
    out += effect == FlagEffect::kNone
               ? "\nFlags of etcd that are accepted and have no effect:\n"
               : "\nFlags of etcd that are refused unless they have their default value:\n";
    std::string line = " ";
    for (const FlagSpec& flag : AllFlags()) {
      if (flag.effect != effect) continue;
      if (line.size() + flag.name.size() > 110) {
        out += line + "\n";
        line = " ";
      }
      line += StrCat(" --", flag.name);
    }
    out += line + "\n";
  }
  return out;
}

}  // namespace keel::kvstore
