// lease grant, revoke, timetolive, list, keep-alive.
#include <future>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

Outcome ParseLease(const std::string& text, int64_t* lease) {
  const auto parsed = ParseInt64(text, 16);
  if (!parsed) {
    return Fail(kExitBadArgs, base::StrCat("bad lease ID arg (strconv.ParseInt: parsing ",
                                           Quote(text), ": invalid syntax), expecting ID in Hex"));
  }
  *lease = *parsed;
  return Success();
}

// The one argument of most verbs.
Outcome OneLease(const Arguments& arguments, const char* verb, int64_t* lease) {
  const auto given = arguments.Get();
  if (given.size() != 1) {
    return Fail(kExitBadArgs, base::StrCat("lease ", verb, " command needs lease ID as argument"));
  }
  return ParseLease(given[0], lease);
}

// A server's refusal, with what was tried around it; else as FailWith.
Outcome FailTo(const char* what, const absl::Status& status) {
  Outcome plain = FailWith(status);
  if (!plain.text.starts_with("Error: ")) return plain;
  return Fail(kExitError,
              base::StrCat("failed to ", what, " lease (", base::ToStd(status.message()), ")"));
}

void AddGrant(CLI::App& lease_app, Session& session) {
  CLI::App* verb =
      AddVerb(lease_app, "grant", "Grants a lease", "  kvctl lease grant 60             # seconds");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{"<ttl>"});
  verb->callback([&session, arguments] {
    session.run = [&session, arguments]() -> Outcome {
      const auto given = arguments->Get();
      if (given.size() != 1) return Fail(kExitBadArgs, "lease grant command needs TTL argument");
      const auto ttl = ParseInt64(given[0]);
      if (!ttl) {
        return Fail(kExitBadArgs, base::StrCat("bad TTL (strconv.ParseInt: parsing ",
                                               Quote(given[0]), ": invalid syntax)"));
      }
      if (Outcome connected = session.Connect(); !connected.ok()) return connected;
      const auto response = session.client().Grant(std::chrono::seconds(*ttl));
      if (!response.ok()) return FailTo("grant", response.status());
      auto printer = session.MakePrinter();
      printer->Grant(*response);
      return session.Finish(*printer);
    };
  });
}

void AddRevoke(CLI::App& lease_app, Session& session) {
  CLI::App* verb = AddVerb(lease_app, "revoke", "Revokes a lease; its keys are deleted",
                           "  kvctl lease revoke 32695410dcc0ca06");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{"<leaseID>"});
  verb->callback([&session, arguments] {
    session.run = [&session, arguments]() -> Outcome {
      int64_t lease = 0;
      if (Outcome parsed = OneLease(*arguments, "revoke", &lease); !parsed.ok()) return parsed;
      if (Outcome connected = session.Connect(); !connected.ok()) return connected;
      const auto response = session.client().Revoke(lease);
      if (!response.ok()) return FailTo("revoke", response.status());
      auto printer = session.MakePrinter();
      printer->Revoke(lease, *response);
      return session.Finish(*printer);
    };
  });
}

void AddTimeToLive(CLI::App& lease_app, Session& session) {
  CLI::App* verb = AddVerb(lease_app, "timetolive", "Tells how long a lease has left",
                           "  kvctl lease timetolive 32695410dcc0ca06 --keys");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{"<leaseID>"});
  auto keys = std::make_shared<bool>(false);
  verb->add_flag("--keys", *keys, "list the keys attached, too");
  verb->callback([&session, arguments, keys] {
    session.run = [&session, arguments, keys]() -> Outcome {
      int64_t lease = 0;
      if (Outcome parsed = OneLease(*arguments, "timetolive", &lease); !parsed.ok()) return parsed;
      etcdserverpb::LeaseTimeToLiveRequest request;
      request.set_id(lease);
      request.set_keys(*keys);
      return session.CallAndPrint(request, [&](Printer& printer, const auto& response) {
        printer.TimeToLive(response, *keys);
      });
    };
  });
}

void AddList(CLI::App& lease_app, Session& session) {
  CLI::App* verb = AddVerb(lease_app, "list", "Lists the leases", "  kvctl lease list");
  verb->callback([&session] {
    session.run = [&session] {
      return session.CallAndPrint(
          etcdserverpb::LeaseLeasesRequest(),
          [](Printer& printer, const auto& response) { printer.Leases(response); });
    };
  });
}

Outcome KeepAliveOnce(Session& session, int64_t lease) {
  const auto response = session.client().KeepAliveOnce(lease);
  if (!response.ok()) {
    Outcome failed = FailWith(response.status());
    failed.exit_code = kExitBadConnection;
    return failed;
  }
  auto printer = session.MakePrinter();
  printer->KeepAlive(*response);
  return session.Finish(*printer);
}

Outcome KeepAlive(Session& session, int64_t lease) {
  auto printer = session.MakePrinter();
  std::promise<absl::Status> lost;
  const auto keeper = session.client().KeepAlive(
      lease,
      [&](const etcdserverpb::LeaseKeepAliveResponse& response) {
        printer->KeepAlive(response);
        std::cout.flush();
      },
      [&](const absl::Status& status) { lost.set_value(status); });
  const absl::Status why = lost.get_future().get();
  if (!absl::IsNotFound(why)) return FailWith(why);
  if (session.format() == Format::kSimple) {
    std::cout << absl::StrFormat("lease %016x expired or revoked.\n", lease);
  }
  return session.Finish(*printer);
}

void AddKeepAlive(CLI::App& lease_app, Session& session) {
  CLI::App* verb = AddVerb(lease_app, "keep-alive", "Renews a lease until interrupted",
                           "  kvctl lease keep-alive 32695410dcc0ca06\n"
                           "  kvctl lease keep-alive --once 32695410dcc0ca06");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{"<leaseID>"});
  auto once = std::make_shared<bool>(false);
  verb->add_flag("--once", *once, "renew it once");
  verb->callback([&session, arguments, once] {
    session.run = [&session, arguments, once]() -> Outcome {
      int64_t lease = 0;
      if (Outcome parsed = OneLease(*arguments, "keep-alive", &lease); !parsed.ok()) return parsed;
      if (Outcome connected = session.Connect(); !connected.ok()) return connected;
      return *once ? KeepAliveOnce(session, lease) : KeepAlive(session, lease);
    };
  });
}

}  // namespace

void AddLeaseVerbs(CLI::App& app, Session& session) {
  CLI::App* lease = AddVerb(app, "lease", "Leases: what keys can die with", "");
  lease->require_subcommand(1);
  AddGrant(*lease, session);
  AddRevoke(*lease, session);
  AddTimeToLive(*lease, session);
  AddList(*lease, session);
  AddKeepAlive(*lease, session);
}

}  // namespace keel::kvctl
