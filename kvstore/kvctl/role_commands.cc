// role add, get, list, delete, grant-permission, revoke-permission.
#include <memory>

#include "absl/strings/ascii.h"
#include "base/strings.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

using Names = std::vector<std::string>;

constexpr std::string_view kNoEnd("\0", 1);

Outcome Wants(const std::string& verb, const std::string& what) {
  return Fail(kExitBadArgs, base::StrCat("role ", verb, " command requires ", what));
}

void AddSimple(CLI::App& role, Session& session, const std::string& name,
               const std::string& description, const Names& arguments,
               std::function<Outcome(Session&, const Names&)> run) {
  CLI::App* verb = AddVerb(role, name, description,
                           "  kvctl role " + name + (arguments.empty() ? "" : " editors"));
  auto given = std::make_shared<Arguments>(verb, arguments);
  verb->callback([&session, given, run = std::move(run)] {
    session.run = [&session, given, run] { return run(session, given->Get()); };
  });
}

// The keys that grant-permission and revoke-permission speak of: <key> [endkey], --prefix,
// --from-key.
struct KeyFlags {
  bool prefix = false;
  bool from_key = false;
};

std::shared_ptr<KeyFlags> AddKeyFlags(CLI::App* verb) {
  auto flags = std::make_shared<KeyFlags>();
  verb->add_flag("--prefix", flags->prefix, "all keys that begin with it");
  verb->add_flag("--from-key", flags->from_key, "all keys from it on");
  return flags;
}

Outcome RangeOf(const Names& keys, const KeyFlags& flags, std::string* key,
                std::string* range_end) {
  *key = keys[0];
  if (keys.size() == 2) {
    if (flags.prefix) return Fail(kExitBadArgs, "unexpected endkey argument with --prefix flag");
    if (flags.from_key) {
      return Fail(kExitBadArgs, "unexpected endkey argument with --from-key flag");
    }
    *range_end = keys[1];
    return Success();
  }
  if (flags.prefix && flags.from_key) {
    return Fail(kExitBadArgs, "--from-key and --prefix flags are mutually exclusive");
  }
  if (flags.from_key || (flags.prefix && key->empty())) {
    if (key->empty()) *key = kNoEnd;
    *range_end = kNoEnd;
  } else if (flags.prefix) {
    *range_end = kvstore::PrefixEnd(*key);
  }
  return Success();
}

void AddGrant(CLI::App& role, Session& session) {
  CLI::App* verb = AddVerb(role, "grant-permission", "Lets a role read or write keys",
                           "  kvctl role grant-permission editors readwrite docs/ --prefix\n"
                           "  kvctl role grant-permission readers read a z");
  auto arguments = std::make_shared<Arguments>(
      verb, Names{"<role>", "<read|write|readwrite>", "<key>", "[endkey]"});
  auto flags = AddKeyFlags(verb);
  verb->callback([&session, arguments, flags] {
    session.run = [&session, arguments, flags]() -> Outcome {
      const Names given = arguments->Get();
      if (given.size() < 3 || given.size() > 4) {
        return Wants("grant", "role name, permission type, and key [endkey] as its argument");
      }
      etcdserverpb::AuthRoleGrantPermissionRequest request;
      request.set_name(given[0]);
      authpb::Permission::Type type;
      if (!authpb::Permission::Type_Parse(absl::AsciiStrToUpper(given[1]), &type)) {
        return Fail(kExitBadArgs, "invalid permission type: " + given[1]);
      }
      authpb::Permission& permission = *request.mutable_perm();
      permission.set_permtype(type);
      Outcome range = RangeOf(Names(given.begin() + 2, given.end()), *flags,
                              permission.mutable_key(), permission.mutable_range_end());
      if (!range.ok()) return range;
      return session.CallAndPrint(request, [&](Printer& printer, const auto& response) {
        printer.RoleGrantPermission(given[0], response);
      });
    };
  });
}

void AddRevoke(CLI::App& role, Session& session) {
  CLI::App* verb = AddVerb(role, "revoke-permission", "Takes keys from a role",
                           "  kvctl role revoke-permission editors docs/ --prefix");
  auto arguments = std::make_shared<Arguments>(verb, Names{"<role>", "<key>", "[endkey]"});
  auto flags = AddKeyFlags(verb);
  verb->callback([&session, arguments, flags] {
    session.run = [&session, arguments, flags]() -> Outcome {
      const Names given = arguments->Get();
      if (given.size() < 2 || given.size() > 3) {
        return Wants("revoke-permission", "role name and key [endkey] as its argument");
      }
      etcdserverpb::AuthRoleRevokePermissionRequest request;
      request.set_role(given[0]);
      Outcome range = RangeOf(Names(given.begin() + 1, given.end()), *flags, request.mutable_key(),
                              request.mutable_range_end());
      if (!range.ok()) return range;
      return session.CallAndPrint(request, [&](Printer& printer, const auto& response) {
        printer.RoleRevokePermission(request, response);
      });
    };
  });
}

}  // namespace

void AddRoleVerbs(CLI::App& app, Session& session) {
  CLI::App* role = AddVerb(app, "role", "Roles: what users may read and write", "");
  role->require_subcommand(1);
  AddSimple(*role, session, "add", "Adds a role", {"<role>"}, [](Session& to, const Names& given) {
    if (given.size() != 1) return Wants("add", "role name as its argument");
    etcdserverpb::AuthRoleAddRequest request;
    request.set_name(given[0]);
    return to.CallAndPrint(request, [&](Printer& printer, const auto& response) {
      printer.RoleAdd(given[0], response);
    });
  });
  AddSimple(*role, session, "get", "Shows what a role may do", {"<role>"},
            [](Session& to, const Names& given) {
              if (given.size() != 1) return Wants("get", "role name as its argument");
              etcdserverpb::AuthRoleGetRequest request;
              request.set_role(given[0]);
              return to.CallAndPrint(request, [&](Printer& printer, const auto& response) {
                printer.RoleGet(given[0], response);
              });
            });
  AddSimple(*role, session, "list", "Lists the roles", {}, [](Session& to, const Names& given) {
    if (!given.empty()) return Wants("list", "no arguments");
    return to.CallAndPrint(
        etcdserverpb::AuthRoleListRequest(),
        [](Printer& printer, const auto& response) { printer.RoleList(response); });
  });
  AddSimple(*role, session, "delete", "Deletes a role", {"<role>"},
            [](Session& to, const Names& given) {
              if (given.size() != 1) return Wants("delete", "role name as its argument");
              etcdserverpb::AuthRoleDeleteRequest request;
              request.set_role(given[0]);
              return to.CallAndPrint(request, [&](Printer& printer, const auto& response) {
                printer.RoleDelete(given[0], response);
              });
            });
  AddGrant(*role, session);
  AddRevoke(*role, session);
}

}  // namespace keel::kvctl
