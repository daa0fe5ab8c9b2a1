// kvctl: the command line for any etcd v3 endpoint. See kvctl --help.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/migrate_commands.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

// Global flags that take the word behind them.
constexpr std::string_view kFlagsWithValue[] = {
    "--endpoints",      "--dial-timeout",      "--command-timeout",
    "--keepalive-time", "--keepalive-timeout", "--write-out",
    "--user",           "--password",          "-w"};

// The first word that is neither a flag nor the value of one.
std::string VerbOf(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (!words[i].starts_with('-')) return words[i];
    const auto end = std::end(kFlagsWithValue);
    if (std::find(std::begin(kFlagsWithValue), end, words[i]) != end) ++i;
  }
  return "";
}

// CLI11's words for what etcdctl's users know in others.
std::string WhatIsWrong(const CLI::ParseError& error, const std::string& verb) {
  std::string text = error.what();
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    return base::StrCat("unknown command ", Quote(verb), " for \"kvctl\"");
  }
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    // "Could not convert: --limit = x"
    const size_t flag = text.find("--"), equals = text.find(" = ");
    if (flag != std::string::npos && equals != std::string::npos) {
      return base::StrCat("invalid argument ", Quote(text.substr(equals + 3)), " for \"",
                          text.substr(flag, equals - flag), "\" flag");
    }
  }
  if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr) return text;
  const size_t colon = text.rfind(": ");
  std::string words = colon == std::string::npos ? text : text.substr(colon + 2);
  return (words.starts_with('-') ? "unknown flag: " : "unknown argument: ") + words;
}

int Main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  std::vector<std::string> words(argv + 1, argv + argc);

  // Behind "--" a watch or a lock has a command; all other verbs have arguments.
  std::vector<std::string> exec_args;
  bool separator_seen = false;
  const std::string verb = VerbOf(words);
  if (verb == "watch" || verb == "lock") {
    const auto separator = std::find(words.begin(), words.end(), "--");
    separator_seen = separator != words.end();
    if (separator_seen) {
      exec_args.assign(separator + 1, words.end());
      words.erase(separator, words.end());
    }
  }

  CLI::App app("The command line for kvd, and for any etcd v3 server.", "kvctl");
  app.footer(
      "Every flag of this page can be given in the environment: --dial-timeout as\n"
      "KVCTL_DIAL_TIMEOUT or ETCDCTL_DIAL_TIMEOUT. `kvctl VERB --help` has examples.");
  app.formatter(std::make_shared<HelpFormatter>());
  app.require_subcommand(1);
  Session session;
  try {
    session.AddGlobalFlags(app);
    AddKeyVerbs(app, session);
    AddTxnVerb(app, session);
    AddWatchVerb(app, session, exec_args, separator_seen);
    AddConcurrencyVerbs(app, session, exec_args);
    AddLeaseVerbs(app, session);
    AddMemberVerbs(app, session);
    AddEndpointVerbs(app, session);
    AddSnapshotVerbs(app, session);
    AddBackupVerbs(app, session);
    AddAuthVerbs(app, session);
    AddUserVerbs(app, session);
    AddRoleVerbs(app, session);
    AddTopVerb(app, session);
    AddMirrorVerb(app, session);
    AddMigrateVerb(app, session);
    AddCheckVerbs(app, session);
    AddCompletionVerb(app, session);
    AddManPageVerb(app, session);
    std::reverse(words.begin(), words.end());
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, std::cout, std::cerr);  // --help
    const bool lacks_command = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
    if (lacks_command && !app.get_subcommands().empty()) {
      std::cout << app.get_subcommands().front()->help();  // kvctl lease
      return kExitSuccess;
    }
    if (lacks_command && verb.empty()) {
      std::cout << app.help();
      return kExitSuccess;
    }
    std::cerr << "Error: " << WhatIsWrong(error, verb) << " (see kvctl --help)\n";
    return kExitError;
  }

  Outcome outcome = Success();
  if (const auto format = ParseFormat(session.flags.write_out); !format.ok()) {
    outcome = Fail(kExitBadFeature, std::string(base::ToStd(format.status().message())));
  } else {
    outcome = session.run();
  }
  std::cout.flush();
  if (!outcome.text.empty()) std::cerr << outcome.text << "\n";
  return outcome.exit_code;
}

}  // namespace
}  // namespace keel::kvctl

int main(int argc, char** argv) { return keel::kvctl::Main(argc, argv); }
