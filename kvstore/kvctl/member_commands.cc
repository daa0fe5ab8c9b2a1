// member list, add, remove, update, promote; move-leader.
#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

Outcome ParseMember(const Arguments& arguments, uint64_t* id) {
  const auto given = arguments.Get();
  if (given.size() != 1) return Fail(kExitBadArgs, "member ID is not provided");
  const auto parsed = ParseUint64(given[0], 16);
  if (!parsed) {
    return Fail(kExitBadArgs,
                base::StrCat("bad member ID arg (strconv.ParseUint: parsing ", Quote(given[0]),
                             ": invalid syntax), expecting ID in Hex"));
  }
  *id = *parsed;
  return Success();
}

Outcome ParseUrls(const std::string& text, std::vector<std::string>* urls) {
  if (text.empty()) return Fail(kExitBadArgs, "member peer urls not provided");
  *urls = absl::StrSplit(text, ',');
  for (const std::string& url : *urls) {
    if (!url.starts_with("http://") && !url.starts_with("https://")) {
      return Fail(kExitError, "URL scheme must be http, https, unix, or unixs: " + url);
    }
  }
  return Success();
}

void AddMemberList(CLI::App& member, Session& session) {
  CLI::App* verb =
      AddVerb(member, "list", "Lists the members of the cluster", "  kvctl member list -w table");
  verb->callback([&session] {
    session.run = [&session] {
      etcdserverpb::MemberListRequest request;
      request.set_linearizable(true);
      return session.CallAndPrint(
          request, [](Printer& printer, const auto& response) { printer.MemberList(response); });
    };
  });
}

// The settings to start the new member with.
void PrintNewMember(const std::string& name, const std::string& urls,
                    const etcdserverpb::MemberAddResponse& response) {
  std::vector<std::string> cluster;
  for (const auto& member : response.members()) {
    for (const std::string& url : member.peerurls()) {
      cluster.push_back((member.id() == response.member().id() ? name : member.name()) + "=" + url);
    }
  }
  std::cout << "\nETCD_NAME=" << Quote(name)
            << "\nETCD_INITIAL_CLUSTER=" << Quote(absl::StrJoin(cluster, ","))
            << "\nETCD_INITIAL_ADVERTISE_PEER_URLS=" << Quote(urls)
            << "\nETCD_INITIAL_CLUSTER_STATE=\"existing\"\n";
}

void AddAdd(CLI::App& member, Session& session) {
  CLI::App* verb = AddVerb(member, "add", "Adds a member to the cluster",
                           "  kvctl member add n4 --peer-urls=http://10.0.0.4:2380\n"
                           "  kvctl member add n4 --peer-urls=http://10.0.0.4:2380 --learner");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{"<name>"});
  auto urls_flag = std::make_shared<std::string>();
  auto learner = std::make_shared<bool>(false);
  verb->add_option("--peer-urls", *urls_flag, "its peer URLs, with commas between");
  verb->add_flag("--learner", *learner, "without a vote for now");
  verb->callback([&session, arguments, urls_flag, learner] {
    session.run = [&session, arguments, urls_flag, learner]() -> Outcome {
      const auto given = arguments->Get();
      if (given.empty()) return Fail(kExitBadArgs, "member name not provided");
      if (given.size() > 1) return Fail(kExitBadArgs, "too many arguments");
      std::vector<std::string> urls;
      if (Outcome parsed = ParseUrls(*urls_flag, &urls); !parsed.ok()) return parsed;
      etcdserverpb::MemberAddRequest request;
      for (const std::string& url : urls) request.add_peerurls(url);
      request.set_islearner(*learner);
      return session.CallAndPrint(request, [&](Printer& printer, const auto& response) {
        printer.MemberAdd(response);
        if (session.format() == Format::kSimple) PrintNewMember(given[0], *urls_flag, response);
      });
    };
  });
}

void AddRemove(CLI::App& member, Session& session) {
  CLI::App* verb = AddVerb(member, "remove", "Removes a member from the cluster",
                           "  kvctl member remove 8211f1d0f64f3269");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{"<memberID>"});
  verb->callback([&session, arguments] {
    session.run = [&session, arguments]() -> Outcome {
      etcdserverpb::MemberRemoveRequest request;
      uint64_t id = 0;
      if (Outcome parsed = ParseMember(*arguments, &id); !parsed.ok()) return parsed;
      request.set_id(id);
      return session.CallAndPrint(request, [id](Printer& printer, const auto& response) {
        printer.MemberRemove(id, response);
      });
    };
  });
}

void AddUpdate(CLI::App& member, Session& session) {
  CLI::App* verb =
      AddVerb(member, "update", "Changes the peer URLs of a member",
              "  kvctl member update 8211f1d0f64f3269 --peer-urls=http://10.0.0.5:2380");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{"<memberID>"});
  auto urls_flag = std::make_shared<std::string>();
  verb->add_option("--peer-urls", *urls_flag, "its peer URLs, with commas between");
  verb->callback([&session, arguments, urls_flag] {
    session.run = [&session, arguments, urls_flag]() -> Outcome {
      etcdserverpb::MemberUpdateRequest request;
      uint64_t id = 0;
      if (Outcome parsed = ParseMember(*arguments, &id); !parsed.ok()) return parsed;
      std::vector<std::string> urls;
      if (Outcome parsed = ParseUrls(*urls_flag, &urls); !parsed.ok()) return parsed;
      request.set_id(id);
      for (const std::string& url : urls) request.add_peerurls(url);
      return session.CallAndPrint(request, [id](Printer& printer, const auto& response) {
        printer.MemberUpdate(id, response);
      });
    };
  });
}

void AddPromote(CLI::App& member, Session& session) {
  CLI::App* verb = AddVerb(member, "promote", "Gives a learner its vote",
                           "  kvctl member promote 8211f1d0f64f3269");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{"<memberID>"});
  verb->callback([&session, arguments] {
    session.run = [&session, arguments]() -> Outcome {
      etcdserverpb::MemberPromoteRequest request;
      uint64_t id = 0;
      if (Outcome parsed = ParseMember(*arguments, &id); !parsed.ok()) return parsed;
      request.set_id(id);
      return session.CallAndPrint(request, [id](Printer& printer, const auto& response) {
        printer.MemberPromote(id, response);
      });
    };
  });
}

// The leader alone takes the request: it is looked for among the endpoints.
Outcome MoveLeader(Session& session, uint64_t target) {
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  absl::Status last;
  for (const std::string& endpoint : session.flags.endpoints) {
    const auto status =
        session.client().Await(etcdserverpb::StatusRequest(), {.endpoint = endpoint});
    if (!status.ok()) {
      last = status.status();
      continue;
    }
    if (status->leader() != status->header().member_id()) continue;
    etcdserverpb::MoveLeaderRequest request;
    request.set_targetid(target);
    const auto response = session.client().Await(request, {.endpoint = endpoint});
    if (!response.ok()) return FailWith(response.status());
    auto printer = session.MakePrinter();
    printer->MoveLeader(status->leader(), target, *response);
    return session.Finish(*printer);
  }
  if (!last.ok()) return FailWith(last);
  return Fail(kExitBadArgs, base::StrCat("no leader endpoint given at [",
                                         absl::StrJoin(session.flags.endpoints, " "), "]"));
}

void AddMoveLeader(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(app, "move-leader", "Hands leadership to another member",
                           "  kvctl move-leader c89feb932daef420");
  auto arguments = std::make_shared<Arguments>(verb, std::vector<std::string>{"<memberID>"});
  verb->callback([&session, arguments] {
    session.run = [&session, arguments]() -> Outcome {
      const auto given = arguments->Get();
      if (given.size() != 1) return Fail(kExitBadArgs, "move-leader command needs 1 argument");
      const auto target = ParseUint64(given[0], 16);
      if (!target) {
        return Fail(kExitBadArgs, base::StrCat("strconv.ParseUint: parsing ", Quote(given[0]),
                                               ": invalid syntax"));
      }
      return MoveLeader(session, *target);
    };
  });
}

}  // namespace

void AddMemberVerbs(CLI::App& app, Session& session) {
  CLI::App* member = AddVerb(app, "member", "The members of the cluster", "");
  member->require_subcommand(1);
  AddMemberList(*member, session);
  AddAdd(*member, session);
  AddRemove(*member, session);
  AddUpdate(*member, session);
  AddPromote(*member, session);
  AddMoveLeader(app, session);
}

}  // namespace keel::kvctl
