// What every command of kvctl has at hand: the global flags, the client, the
// printer.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "kvstore/client/client.h"
#include "kvstore/kvctl/failure.h"
#include "kvstore/kvctl/printer.h"

namespace keel::kvctl {

struct GlobalFlags {
  std::vector<std::string> endpoints = {"127.0.0.1:2379"};
  base::Duration dial_timeout = std::chrono::seconds(2);
  base::Duration command_timeout = std::chrono::seconds(5);
  base::Duration keepalive_time = std::chrono::seconds(10);
  base::Duration keepalive_timeout = std::chrono::seconds(6);
  std::string write_out = "simple";
  bool hex = false;
  std::string user;      // "name" or "name:password"
  std::string password;  // then `user` is the name
  // TLS, where one of the files is given, or insecure_transport is off.
  std::string cacert;
  std::string cert;
  std::string key;
  bool insecure_transport = true;
  bool insecure_skip_tls_verify = false;
};

class Session {
 public:
  // The global flags, on the root of the command line. Defaults come from
  // KVCTL_NAME and ETCDCTL_NAME, in this order.
  void AddGlobalFlags(CLI::App& app);

  GlobalFlags flags;

  // Set by the command that was chosen; run by main after parsing.
  std::function<Outcome()> run;

  // Connects with the first call only. Fails for an endpoint that is none.
  Outcome Connect(std::vector<std::string> endpoints = {});
  // For https:// endpoints and those without a scheme; nullopt without any flag of TLS.
  std::optional<base::TlsOptions> Tls() const;
  // Another client with the same flags, for the same endpoints unless others are given.
  absl::StatusOr<std::unique_ptr<kvstore::Client>> NewClient(
      std::vector<std::string> endpoints = {});
  // Ends what is open.
  void Disconnect() { client_.reset(); }
  // REQUIRES: Connect succeeded.
  kvstore::Client& client() { return *client_; }

  // One call, one answer, printed: what most commands are.
  template <typename Request, typename Print>
  Outcome CallAndPrint(const Request& request, Print print, PrintOptions options = {});

  // REQUIRES: flags.write_out was checked (main does).
  Format format() const { return *ParseFormat(flags.write_out); }
  std::unique_ptr<Printer> MakePrinter(PrintOptions options = {}) const;
  // What Printer::unsupported means for the command.
  Outcome Finish(const Printer& printer) const;

 private:
  std::unique_ptr<kvstore::Client> client_;
  std::string asked_password_;  // asked for once
};

template <typename Request, typename Print>
Outcome Session::CallAndPrint(const Request& request, Print print, PrintOptions options) {
  if (Outcome connected = Connect(); !connected.ok()) return connected;
  auto response = client().Await(request);
  if (!response.ok()) return FailWith(response.status());
  auto printer = MakePrinter(options);
  print(*printer, *response);
  return Finish(*printer);
}

// The arguments of a verb that are no flags. One more than are allowed is
// taken, so that the verb itself can say what it wants.
class Arguments {
 public:
  // `names`: "<key>", "[range_end]", as the usage line is to show them.
  Arguments(CLI::App* app, const std::vector<std::string>& names);
  // Those given, in order.
  std::vector<std::string> Get() const;

 private:
  std::vector<CLI::Option*> options_;
  std::shared_ptr<std::vector<std::string>> values_;
};

// A flag that takes a Go duration.
CLI::Option* AddDuration(CLI::App& app, const std::string& name, base::Duration& value,
                         const std::string& description);

// Help with a usage line for people, and without CLI11's list of arguments.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override;
  std::string make_positionals(const CLI::App*) const override { return ""; }
};

// A subcommand with examples under its help; global flags may follow it.
CLI::App* AddVerb(CLI::App& parent, const std::string& name, const std::string& description,
                  const std::string& examples);

// Each of these adds verbs to the root.
void AddKeyVerbs(CLI::App& app, Session& session);
void AddTxnVerb(CLI::App& app, Session& session);
void AddWatchVerb(CLI::App& app, Session& session, std::vector<std::string> exec_args,
                  bool separator_seen);
void AddConcurrencyVerbs(CLI::App& app, Session& session, std::vector<std::string> exec_args);
void AddLeaseVerbs(CLI::App& app, Session& session);
void AddMemberVerbs(CLI::App& app, Session& session);
void AddEndpointVerbs(CLI::App& app, Session& session);
void AddSnapshotVerbs(CLI::App& app, Session& session);
void AddAuthVerbs(CLI::App& app, Session& session);
void AddBackupVerbs(CLI::App& app, Session& session);
void AddUserVerbs(CLI::App& app, Session& session);
void AddRoleVerbs(CLI::App& app, Session& session);
void AddTopVerb(CLI::App& app, Session& session);
void AddMirrorVerb(CLI::App& app, Session& session);
void AddCheckVerbs(CLI::App& app, Session& session);
void AddCompletionVerb(CLI::App& app, Session& session);
void AddManPageVerb(CLI::App& app, Session& session);

}  // namespace keel::kvctl
