#include "kvstore/kvctl/session.h"

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/password.h"

namespace keel::kvctl {
namespace {

// Servers take probes more often than this for an attack.
constexpr base::Duration kKeepaliveMin = std::chrono::seconds(10);

// The value of a flag in the environment: KVCTL_DIAL_TIMEOUT, else
// ETCDCTL_DIAL_TIMEOUT, else null.
const char* FromEnvironment(std::string_view flag) {
  std::string name = absl::StrReplaceAll(base::ToAbsl(flag), {{"-", "_"}});
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  for (const char* prefix : {"KVCTL_", "ETCDCTL_"}) {
    const char* value = std::getenv((prefix + name).c_str());
    if (value != nullptr && *value != '\0') return value;
  }
  return nullptr;
}

base::Duration DurationOrThrow(const std::string& name, const std::string& text) {
  const auto parsed = ParseDuration(text);
  if (!parsed) {
    throw CLI::ValidationError(base::StrCat("invalid argument ", Quote(text), " for \"", name,
                                            "\" flag: time: invalid duration ", Quote(text)));
  }
  return *parsed;
}

}  // namespace

CLI::Option* AddDuration(CLI::App& app, const std::string& name, base::Duration& value,
                         const std::string& description) {
  if (const char* text = FromEnvironment(std::string_view(name).substr(2))) {
    value = DurationOrThrow(name, text);
  }
  return app
      .add_option_function<std::string>(
          name, [&value, name](const std::string& text) { value = DurationOrThrow(name, text); },
          base::StrCat(description, " (default ", FormatDuration(value), ")"))
      ->type_name("DURATION");
}

void Session::AddGlobalFlags(CLI::App& app) {
  if (const char* text = FromEnvironment("endpoints")) {
    flags.endpoints = absl::StrSplit(text, ',', absl::SkipEmpty());
  }
  if (const char* text = FromEnvironment("write-out")) flags.write_out = text;
  if (const char* text = FromEnvironment("hex")) flags.hex = std::string_view(text) == "true";
  app.add_option_function<std::string>(
         "--endpoints",
         [this](const std::string& text) {
           flags.endpoints = absl::StrSplit(text, ',', absl::SkipEmpty());
         },
         base::StrCat("the servers: HOST:PORT,... (default ", absl::StrJoin(flags.endpoints, ","),
                      ")"))
      ->type_name("LIST");
  AddDuration(app, "--dial-timeout", flags.dial_timeout,
              "how long to look for a server that answers");
  AddDuration(app, "--command-timeout", flags.command_timeout, "how long a short command may take");
  AddDuration(app, "--keepalive-time", flags.keepalive_time,
              "silence after which a connection is probed");
  AddDuration(app, "--keepalive-timeout", flags.keepalive_timeout,
              "how long a probe may go unanswered");
  app.add_option(
      "-w,--write-out", flags.write_out,
      base::StrCat("simple, fields, json, table or protobuf (default ", flags.write_out, ")"));
  app.add_flag("--hex", flags.hex, "print bytes as \\x61\\x62");
  if (const char* text = FromEnvironment("user")) flags.user = text;
  if (const char* text = FromEnvironment("password")) flags.password = text;
  app.add_option("--user", flags.user, "NAME[:PASSWORD]; asks for the password when there is none");
  app.add_option("--password", flags.password, "the password of --user");
  const auto file = [&](const char* name, std::string& value, const char* description) {
    if (const char* text = FromEnvironment(name + 2)) value = text;
    app.add_option(name, value, description)->type_name("FILE");
  };
  file("--cacert", flags.cacert, "whose certificates of servers to trust, for TLS");
  file("--cert", flags.cert, "the certificate to show to servers");
  file("--key", flags.key, "its key");
  const auto boolean = [&](const char* name, bool& value, const char* description) {
    if (const char* text = FromEnvironment(name + 2)) value = std::string_view(text) == "true";
    app.add_flag(name, value, description);
  };
  boolean("--insecure-transport", flags.insecure_transport,
          "no TLS for endpoints without a scheme unless files are given (default true)");
  boolean("--insecure-skip-tls-verify", flags.insecure_skip_tls_verify,
          "take any certificate of a server");
  // etcdctl's, for what there is not yet: a clear word instead of a puzzle.
  for (const char* name : {"--discovery-srv"}) {
    app.add_option_function<std::string>(
           name,
           [name](const std::string&) {
             throw CLI::ValidationError(base::StrCat(name, ": kvctl has no discovery yet"));
           })
        ->group("");
  }
  app.add_flag_function("--debug", [](int64_t) {})->group("");
}

std::optional<base::TlsOptions> Session::Tls() const {
  if (flags.cacert.empty() && flags.cert.empty() && flags.key.empty() && flags.insecure_transport &&
      !flags.insecure_skip_tls_verify) {
    return std::nullopt;
  }
  base::TlsOptions tls;
  tls.trusted_ca_file = flags.cacert;
  tls.cert_file = flags.cert;
  tls.key_file = flags.key;
  tls.insecure_skip_verify = flags.insecure_skip_tls_verify;
  return tls;
}

absl::StatusOr<std::unique_ptr<kvstore::Client>> Session::NewClient(
    std::vector<std::string> endpoints) {
  kvstore::ClientOptions options;
  options.endpoints = endpoints.empty() ? flags.endpoints : std::move(endpoints);
  options.dial_timeout = flags.dial_timeout;
  options.request_timeout = flags.command_timeout;
  options.keepalive_interval = std::max(flags.keepalive_time, kKeepaliveMin);
  options.keepalive_timeout = flags.keepalive_timeout;
  if (!flags.user.empty()) {
    const size_t colon = flags.user.find(':');
    if (!flags.password.empty()) {
      options.username = flags.user;
      options.password = flags.password;
    } else if (colon == std::string::npos) {
      options.username = flags.user;
      if (asked_password_.empty()) asked_password_ = AskPassword("Password: ");
      options.password = asked_password_;
    } else {
      options.username = flags.user.substr(0, colon);
      options.password = flags.user.substr(colon + 1);
    }
  }
  options.tls = Tls();
  if (options.tls.has_value()) {
    const bool by_files = !flags.cacert.empty() || !flags.cert.empty() || !flags.key.empty();
    if (!by_files && flags.insecure_transport) {
      // The flag alone secures no endpoint that does not ask for it.
      for (std::string& endpoint : options.endpoints) {
        if (endpoint.find("://") == std::string::npos) endpoint = "http://" + endpoint;
      }
    }
  }
  return kvstore::Client::Create(std::move(options));
}

Outcome Session::Connect(std::vector<std::string> endpoints) {
  if (client_ != nullptr) return Success();
  auto client = NewClient(std::move(endpoints));
  if (!client.ok())
    return Fail(kExitBadConnection, std::string(base::ToStd(client.status().message())));
  client_ = *std::move(client);
  return Success();
}

std::unique_ptr<Printer> Session::MakePrinter(PrintOptions options) const {
  options.hex = flags.hex;
  return kvctl::MakePrinter(format(), options, std::cout);
}

Outcome Session::Finish(const Printer& printer) const {
  if (!printer.unsupported()) return Success();
  return Fail(kExitBadFeature, flags.write_out + " not supported as output format");
}

Arguments::Arguments(CLI::App* app, const std::vector<std::string>& names)
    : values_(std::make_shared<std::vector<std::string>>(names.size() + 1)) {
  for (size_t i = 0; i < names.size(); ++i) {
    // "<key>" or "[range_end]": as the usage line shows it.
    options_.push_back(
        app->add_option(names[i].substr(1, names[i].size() - 2), (*values_)[i], names[i]));
  }
  options_.push_back(app->add_option("too_many", values_->back())->group(""));
}

std::vector<std::string> Arguments::Get() const {
  std::vector<std::string> given;
  for (size_t i = 0; i < options_.size(); ++i) {
    if (options_[i]->count() > 0) given.push_back((*values_)[i]);
  }
  return given;
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
  std::string usage = "Usage: kvctl";
  for (const CLI::App* verb = app; verb->get_parent() != nullptr; verb = verb->get_parent()) {
    usage.insert(sizeof("Usage: kvctl") - 1, " " + verb->get_name());
  }
  const bool commands = !app->get_subcommands(nullptr).empty();
  usage += commands ? " COMMAND [flags]" : " [flags]";
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_positional() && !option->get_group().empty())
      usage += " " + option->get_description();
  }
  return usage + "\n";
}

CLI::App* AddVerb(CLI::App& parent, const std::string& name, const std::string& description,
                  const std::string& examples) {
  CLI::App* verb = parent.add_subcommand(name, description);
  verb->fallthrough();
  verb->formatter(std::make_shared<HelpFormatter>());
  if (!examples.empty()) verb->footer("Examples:\n" + examples + "\nGlobal flags: kvctl --help");
  return verb;
}

}  // namespace keel::kvctl
