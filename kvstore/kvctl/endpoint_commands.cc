// endpoint status, health, hashkv; alarm list, disarm; defrag: what each server
// is asked for itself.
#include <future>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

using Clock = std::chrono::steady_clock;

// --cluster: the client URLs of all members instead of the endpoints given.
Outcome Servers(Session& session, bool cluster, std::vector<std::string>* servers) {
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  if (!cluster) {
    *servers = session.flags.endpoints;
    return Success();
  }
  const auto members = session.client().Await(etcdserverpb::MemberListRequest());
  if (!members.ok()) return FailWith(members.status());
  for (const auto& member : members->members()) {
    for (const std::string& url : member.clienturls()) servers->push_back(url);
  }
  return Success();
}

template <typename Response>
struct Answer {
  std::string endpoint;
  absl::StatusOr<Response> response;
  std::chrono::nanoseconds took;
};

// Asks all servers at once; the answers are in the order of the servers.
template <typename Request>
std::vector<Answer<kvstore::ResponseOf<Request>>> AskAll(Session& session,
                                                         const std::vector<std::string>& servers,
                                                         const Request& request) {
  using Response = kvstore::ResponseOf<Request>;
  std::vector<std::promise<std::pair<absl::StatusOr<Response>, Clock::time_point>>> promises(
      servers.size());
  const auto start = Clock::now();
  for (size_t i = 0; i < servers.size(); ++i) {
    session.client().Call(request,
                          [&promises, i](absl::StatusOr<Response> response) {
                            promises[i].set_value({std::move(response), Clock::now()});
                          },
                          {.endpoint = servers[i]});
  }
  std::vector<Answer<Response>> answers;
  for (size_t i = 0; i < servers.size(); ++i) {
    auto [response, at] = promises[i].get_future().get();
    answers.push_back({servers[i], std::move(response), at - start});
  }
  return answers;
}

// Failed on some of the servers, which standard error has been told.
Outcome Partly(bool failed) { return failed ? Outcome{kExitError, ""} : Success(); }

Outcome Status(Session& session, bool cluster) {
  std::vector<std::string> servers;
  if (Outcome known = Servers(session, cluster, &servers); !known.ok()) return known;
  std::vector<EndpointStatus> all;
  bool failed = false;
  for (auto& answer : AskAll(session, servers, etcdserverpb::StatusRequest())) {
    if (answer.response.ok()) {
      all.push_back({answer.endpoint, *std::move(answer.response)});
      continue;
    }
    failed = true;
    std::cerr << "Failed to get the status of endpoint " << answer.endpoint << " ("
              << ReasonOf(answer.response.status()) << ")\n";
  }
  auto printer = session.MakePrinter();
  printer->Status(all);
  if (Outcome done = session.Finish(*printer); !done.ok()) return done;
  return Partly(failed);
}

// As etcdctl: a server that reads a key with the cluster's consent is healthy,
// unless an alarm is raised.
Outcome Health(Session& session, bool cluster) {
  std::vector<std::string> servers;
  if (Outcome known = Servers(session, cluster, &servers); !known.ok()) return known;
  const auto reads = AskAll(session, servers, kvstore::MakeGet("health"));
  etcdserverpb::AlarmRequest alarm_request;
  const auto alarms = AskAll(session, servers, alarm_request);
  std::vector<EndpointHealth> all;
  bool sick = false;
  for (size_t i = 0; i < servers.size(); ++i) {
    EndpointHealth health{servers[i], reads[i].took, ""};
    const absl::Status& read = reads[i].response.status();
    if (!read.ok() && !absl::IsPermissionDenied(read)) {
      health.error = ReasonOf(read);
    } else if (alarms[i].response.ok() && !alarms[i].response->alarms().empty()) {
      health.error = "Active Alarm(s): ";
      for (const auto& alarm : alarms[i].response->alarms()) {
        absl::StrAppend(&health.error, etcdserverpb::AlarmType_Name(alarm.alarm()), " ");
      }
    }
    sick |= !health.error.empty();
    all.push_back(std::move(health));
  }
  auto printer = session.MakePrinter();
  printer->Health(all);
  if (Outcome done = session.Finish(*printer); !done.ok()) return done;
  return sick ? Fail(kExitError, "unhealthy cluster") : Success();
}

Outcome HashKV(Session& session, bool cluster, int64_t revision) {
  std::vector<std::string> servers;
  if (Outcome known = Servers(session, cluster, &servers); !known.ok()) return known;
  etcdserverpb::HashKVRequest request;
  request.set_revision(revision);
  std::vector<EndpointHashKV> all;
  bool failed = false;
  for (auto& answer : AskAll(session, servers, request)) {
    if (answer.response.ok()) {
      all.push_back({answer.endpoint, *std::move(answer.response)});
      continue;
    }
    failed = true;
    std::cerr << "Failed to get the hash of endpoint " << answer.endpoint << " ("
              << ReasonOf(answer.response.status()) << ")\n";
  }
  auto printer = session.MakePrinter();
  printer->HashKV(all);
  if (Outcome done = session.Finish(*printer); !done.ok()) return done;
  return Partly(failed);
}

Outcome Defragment(Session& session, bool cluster) {
  std::vector<std::string> servers;
  if (Outcome known = Servers(session, cluster, &servers); !known.ok()) return known;
  bool failed = false;
  // One after the other: a server that defragments may not serve meanwhile.
  for (const std::string& server : servers) {
    const auto response =
        session.client().Await(etcdserverpb::DefragmentRequest(), {.endpoint = server});
    if (response.ok()) {
      std::cout << "Finished defragmenting etcd member[" << server << "]" << std::endl;
    } else {
      failed = true;
      std::cerr << "Failed to defragment etcd member[" << server << "] ("
                << ReasonOf(response.status()) << ")" << std::endl;
    }
  }
  return Partly(failed);
}

// A verb with --cluster and nothing else but what `add` adds.
void AddClusterVerb(CLI::App& app, Session& session, const char* name, const char* description,
                    const char* examples, Outcome (*run)(Session&, bool)) {
  CLI::App* verb = AddVerb(app, name, description, examples);
  auto cluster = std::make_shared<bool>(false);
  verb->add_flag("--cluster", *cluster, "ask every member of the cluster");
  verb->callback([&session, cluster, run] {
    session.run = [&session, cluster, run] { return run(session, *cluster); };
  });
}

void AddHashKV(CLI::App& endpoint, Session& session) {
  CLI::App* verb =
      AddVerb(endpoint, "hashkv", "Hashes the history of the keys: equal on equal members",
              "  kvctl endpoint hashkv --cluster");
  auto cluster = std::make_shared<bool>(false);
  auto revision = std::make_shared<int64_t>(0);
  verb->add_flag("--cluster", *cluster, "ask every member of the cluster");
  verb->add_option("--rev", *revision, "last revision to hash (0: the newest)");
  verb->callback([&session, cluster, revision] {
    session.run = [&session, cluster, revision] { return HashKV(session, *cluster, *revision); };
  });
}

void AddAlarm(CLI::App& app, Session& session) {
  CLI::App* alarm = AddVerb(app, "alarm", "Alarms that servers have raised", "");
  alarm->require_subcommand(1);
  CLI::App* list = AddVerb(*alarm, "list", "Lists the alarms", "  kvctl alarm list");
  CLI::App* disarm = AddVerb(*alarm, "disarm", "Takes back all alarms", "  kvctl alarm disarm");
  const auto ask = [&session](etcdserverpb::AlarmRequest::AlarmAction action) {
    session.run = [&session, action] {
      etcdserverpb::AlarmRequest request;
      request.set_action(action);
      return session.CallAndPrint(
          request, [](Printer& printer, const auto& response) { printer.Alarm(response); });
    };
  };
  list->callback([ask] { ask(etcdserverpb::AlarmRequest::GET); });
  disarm->callback([ask] { ask(etcdserverpb::AlarmRequest::DEACTIVATE); });
}

}  // namespace

void AddEndpointVerbs(CLI::App& app, Session& session) {
  CLI::App* endpoint = AddVerb(app, "endpoint", "The servers themselves", "");
  endpoint->require_subcommand(1);
  AddClusterVerb(*endpoint, session, "status",
                 "Tells what each server knows of itself and its leader",
                 "  kvctl endpoint status -w table --cluster", Status);
  AddClusterVerb(*endpoint, session, "health", "Tells whether each server can serve",
                 "  kvctl endpoint health --cluster", Health);
  AddHashKV(*endpoint, session);
  AddAlarm(app, session);
  AddClusterVerb(app, session, "defrag", "Lets the servers give back disk space",
                 "  kvctl defrag --cluster", Defragment);
}

}  // namespace keel::kvctl
