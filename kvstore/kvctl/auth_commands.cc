// auth enable, disable, status.
#include <iostream>
#include <memory>

#include "base/strings.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

constexpr std::string_view kRootRoleMissing = "etcdserver: root user does not have root role";

// As etcdctl: gives root its role when that is all that was missing.
Outcome Enable(Session& session) {
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  kvstore::Client& client = session.client();
  auto enabled = client.Await(etcdserverpb::AuthEnableRequest());
  if (!enabled.ok() && base::ToStd(enabled.status().message()) == kRootRoleMissing) {
    etcdserverpb::AuthRoleAddRequest add;
    add.set_name("root");
    static_cast<void>(client.Await(add));  // it may be there
    etcdserverpb::AuthUserGrantRoleRequest grant;
    grant.set_user("root");
    grant.set_role("root");
    if (const auto granted = client.Await(grant); !granted.ok()) return FailWith(granted.status());
    enabled = client.Await(etcdserverpb::AuthEnableRequest());
  }
  if (!enabled.ok()) return FailWith(enabled.status());
  std::cout << "Authentication Enabled\n";
  return Success();
}

Outcome Disable(Session& session) {
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  const auto disabled = session.client().Await(etcdserverpb::AuthDisableRequest());
  if (!disabled.ok()) return FailWith(disabled.status());
  std::cout << "Authentication Disabled\n";
  return Success();
}

Outcome Status(Session& session) {
  return session.CallAndPrint(
      etcdserverpb::AuthStatusRequest(),
      [](Printer& printer, const auto& response) { printer.AuthStatus(response); });
}

void AddAuthVerb(CLI::App& auth, Session& session, const std::string& name,
                 const std::string& description, Outcome (*run)(Session&)) {
  CLI::App* verb = AddVerb(auth, name, description, "  kvctl auth " + name);
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{});
  verb->callback([&session, arguments, name, run] {
    session.run = [&session, arguments, name, run]() -> Outcome {
      if (!arguments->Get().empty()) {
        return Fail(kExitBadArgs,
                    base::StrCat("auth ", name, " command does not accept any arguments"));
      }
      return run(session);
    };
  });
}

}  // namespace

void AddAuthVerbs(CLI::App& app, Session& session) {
  CLI::App* auth = AddVerb(app, "auth", "Authentication on and off", "");
  auth->require_subcommand(1);
  AddAuthVerb(*auth, session, "enable", "Asks clients for who they are from now on", Enable);
  AddAuthVerb(*auth, session, "disable", "Lets everybody do everything again", Disable);
  AddAuthVerb(*auth, session, "status", "Tells whether authentication is on", Status);
}

}  // namespace keel::kvctl
