// user add, get, list, delete, passwd, grant-role, revoke-role.
#include <iostream>
#include <memory>

#include "base/strings.h"
#include "kvstore/kvctl/password.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

using Names = std::vector<std::string>;

Outcome Wants(const std::string& verb, const std::string& what) {
  return Fail(kExitBadArgs, base::StrCat("user ", verb, " command requires ", what));
}

// A user verb with arguments and nothing else.
void AddSimple(CLI::App& user, Session& session, const std::string& name,
               const std::string& description, const Names& arguments,
               std::function<Outcome(Session&, const Names&)> run) {
  const std::string example = arguments.empty()       ? ""
                              : arguments.size() == 1 ? " jane"
                                                      : " jane editors";
  CLI::App* verb = AddVerb(user, name, description, "  kvctl user " + name + example);
  auto given = std::make_shared<Arguments>(verb, arguments);
  verb->callback([&session, given, run = std::move(run)] {
    session.run = [&session, given, run] { return run(session, given->Get()); };
  });
}

void AddAdd(CLI::App& user, Session& session) {
  CLI::App* verb = AddVerb(user, "add", "Adds a user",
                           "  kvctl user add jane                     # asks for the password\n"
                           "  kvctl user add jane:secret\n"
                           "  kvctl user add jane --no-password       # known by its certificate");
  auto arguments = std::make_shared<Arguments>(verb, Names{"<user>"});
  auto interactive = std::make_shared<bool>(true);
  auto no_password = std::make_shared<bool>(false);
  auto new_password = std::make_shared<std::string>();
  verb->add_flag("--interactive", *interactive,
                 "ask for the password; =false: read it from standard input");
  verb->add_flag("--no-password", *no_password, "a user that has none");
  verb->add_option("--new-user-password", *new_password, "the password");
  verb->callback([&session, arguments, interactive, no_password, new_password] {
    session.run = [&session, arguments, interactive, no_password, new_password]() -> Outcome {
      const Names given = arguments->Get();
      if (given.size() != 1) return Wants("add", "user name as its argument");
      etcdserverpb::AuthUserAddRequest request;
      request.set_name(given[0]);
      if (*no_password) {
        request.mutable_options()->set_no_password(true);
      } else if (!new_password->empty()) {
        request.set_password(*new_password);
      } else if (const size_t colon = given[0].find(':'); colon != std::string::npos) {
        request.set_name(given[0].substr(0, colon));
        request.set_password(given[0].substr(colon + 1));
        if (request.name().empty()) {
          return Fail(kExitBadArgs, "empty user name is not allowed");
        }
      } else {
        Outcome asked = AskNewPassword(given[0], *interactive, request.mutable_password());
        if (!asked.ok()) return asked;
      }
      return session.CallAndPrint(request, [&](Printer& printer, const auto& response) {
        printer.UserAdd(request.name(), response);
      });
    };
  });
}

Outcome GetUser(Session& session, const std::string& name, bool detail) {
  etcdserverpb::AuthUserGetRequest request;
  request.set_name(name);
  if (!detail) {
    return session.CallAndPrint(
        request, [&](Printer& printer, const auto& response) { printer.UserGet(name, response); });
  }
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  const auto user = session.client().Await(request);
  if (!user.ok()) return FailWith(user.status());
  std::cout << "User: " << name << "\n";
  auto printer = session.MakePrinter();
  for (const std::string& role : user->roles()) {
    std::cout << "\n";
    etcdserverpb::AuthRoleGetRequest get;
    get.set_role(role);
    const auto response = session.client().Await(get);
    if (!response.ok()) return FailWith(response.status());
    printer->RoleGet(role, *response);
  }
  return session.Finish(*printer);
}

void AddGet(CLI::App& user, Session& session) {
  CLI::App* verb =
      AddVerb(user, "get", "Shows the roles of a user", "  kvctl user get jane --detail");
  auto arguments = std::make_shared<Arguments>(verb, Names{"<user>"});
  auto detail = std::make_shared<bool>(false);
  verb->add_flag("--detail", *detail, "show the permissions of its roles");
  verb->callback([&session, arguments, detail] {
    session.run = [&session, arguments, detail]() -> Outcome {
      const Names given = arguments->Get();
      if (given.size() != 1) return Wants("get", "user name as its argument");
      return GetUser(session, given[0], *detail);
    };
  });
}

void AddPasswd(CLI::App& user, Session& session) {
  CLI::App* verb = AddVerb(user, "passwd", "Changes the password of a user",
                           "  kvctl user passwd jane\n"
                           "  echo secret | kvctl user passwd jane --interactive=false");
  auto arguments = std::make_shared<Arguments>(verb, Names{"<user>"});
  auto interactive = std::make_shared<bool>(true);
  verb->add_flag("--interactive", *interactive,
                 "ask for the password; =false: read it from standard input");
  verb->callback([&session, arguments, interactive] {
    session.run = [&session, arguments, interactive]() -> Outcome {
      const Names given = arguments->Get();
      if (given.size() != 1) return Wants("passwd", "user name as its argument");
      etcdserverpb::AuthUserChangePasswordRequest request;
      request.set_name(given[0]);
      Outcome asked = AskNewPassword(given[0], *interactive, request.mutable_password());
      if (!asked.ok()) return asked;
      return session.CallAndPrint(request, [](Printer& printer, const auto& response) {
        printer.UserChangePassword(response);
      });
    };
  });
}

}  // namespace

void AddUserVerbs(CLI::App& app, Session& session) {
  CLI::App* user = AddVerb(app, "user", "Users: who may log in", "");
  user->require_subcommand(1);
  AddAdd(*user, session);
  AddGet(*user, session);
  AddPasswd(*user, session);
  AddSimple(*user, session, "delete", "Deletes a user", {"<user>"},
            [](Session& to, const Names& given) {
              if (given.size() != 1) return Wants("delete", "user name as its argument");
              etcdserverpb::AuthUserDeleteRequest request;
              request.set_name(given[0]);
              return to.CallAndPrint(request, [&](Printer& printer, const auto& response) {
                printer.UserDelete(given[0], response);
              });
            });
  AddSimple(*user, session, "list", "Lists the users", {}, [](Session& to, const Names& given) {
    if (!given.empty()) return Wants("list", "no arguments");
    return to.CallAndPrint(
        etcdserverpb::AuthUserListRequest(),
        [](Printer& printer, const auto& response) { printer.UserList(response); });
  });
  AddSimple(*user, session, "grant-role", "Gives a user a role", {"<user>", "<role>"},
            [](Session& to, const Names& given) {
              if (given.size() != 2) {
                return Wants("grant", "user name and role name as its argument");
              }
              etcdserverpb::AuthUserGrantRoleRequest request;
              request.set_user(given[0]);
              request.set_role(given[1]);
              return to.CallAndPrint(request, [&](Printer& printer, const auto& response) {
                printer.UserGrantRole(given[0], given[1], response);
              });
            });
  AddSimple(*user, session, "revoke-role", "Takes a role from a user", {"<user>", "<role>"},
            [](Session& to, const Names& given) {
              if (given.size() != 2) {
                return Fail(kExitBadArgs,  // etcdctl's words for this one
                            "user revoke-role requires user name and role name as its argument");
              }
              etcdserverpb::AuthUserRevokeRoleRequest request;
              request.set_name(given[0]);
              request.set_role(given[1]);
              return to.CallAndPrint(request, [&](Printer& printer, const auto& response) {
                printer.UserRevokeRole(given[0], given[1], response);
              });
            });
}

}  // namespace keel::kvctl
