#include "orchestrator/apiserver/dashboard/dashboard.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/strings.h"
#include "orchestrator/api/json.h"
#include "orchestrator/apiserver/dashboard/files.h"

namespace keel::orchestrator {
namespace {

constexpr base::Duration kShared = std::chrono::seconds(1);
constexpr base::Duration kAnswerLimit = std::chrono::milliseconds(800);

std::string_view ContentType(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "text/javascript; charset=utf-8";
}

json::object ErrorOf(const absl::Status& status) {
  return {{"role", "down"}, {"error", base::ToStd(status.message())}};
}

json::object Describe(const etcdserverpb::StatusResponse& status) {
  const uint64_t self = status.header().member_id();
  const char* role = status.islearner()        ? "learner"
                     : status.leader() == self ? "leader"
                     : status.leader() == 0    ? "candidate"
                                               : "follower";
  json::array errors;
  for (const std::string& error : status.errors()) errors.emplace_back(error);
  return {{"role", role},
          {"term", status.raftterm()},
          {"raftIndex", status.raftindex()},
          {"appliedIndex", status.raftappliedindex()},
          {"revision", status.header().revision()},
          {"dbSize", status.dbsize()},
          {"dbSizeInUse", status.dbsizeinuse()},
          {"version", status.version()},
          {"errors", std::move(errors)}};
}

}  // namespace

struct Dashboard::State : std::enable_shared_from_this<Dashboard::State> {
  explicit State(kvstore::Client& s) : store(s) {}

  void Ask() {
    etcdserverpb::MemberListRequest request;
    request.set_linearizable(false);  // Also without a leader: that is when one looks.
    store.Call(request, [self = shared_from_this()](
                            absl::StatusOr<etcdserverpb::MemberListResponse> members) {
      if (!members.ok()) return self->Finish({}, ErrorOf(members.status()));
      self->AskEach(*members);
    });
  }

  void AskEach(const etcdserverpb::MemberListResponse& list) {
    struct Round {
      json::array members;
      size_t open = 0;
    };
    auto round = std::make_shared<Round>();
    round->members.resize(list.members_size());
    round->open = list.members_size();
    for (int i = 0; i < list.members_size(); ++i) {
      const auto& member = list.members(i);
      json::object head{{"id", absl::StrFormat("%x", member.id())}, {"name", member.name()}};
      const std::string endpoint = member.clienturls_size() > 0 ? member.clienturls(0) : "";
      head["endpoint"] = endpoint;
      auto done = [self = shared_from_this(), round, i, head = std::move(head)](
                      absl::StatusOr<etcdserverpb::StatusResponse> status) mutable {
        for (auto& [key, value] : status.ok() ? Describe(*status) : ErrorOf(status.status())) {
          head[key] = std::move(value);
        }
        round->members[i] = std::move(head);
        if (--round->open == 0) self->Finish(std::move(round->members), {});
      };
      if (endpoint.empty()) {
        --round->open;
        round->members[i] = json::object{{"name", "(not started)"}, {"role", "down"}};
        continue;
      }
      store.Call(etcdserverpb::StatusRequest(), std::move(done),
                 {.timeout = kAnswerLimit, .endpoint = endpoint});
    }
    if (round->members.empty()) Finish({}, {});
  }

  void Finish(json::array members, json::object error) {
    json::object all;
    all["members"] = std::move(members);
    all["time"] = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
    if (!error.empty()) all["error"] = error["error"];
    answer = json::serialize(all);
    answered_at = store.loop().Now();
    asking = false;
    for (rpc::HttpRespond& respond : std::exchange(waiting, {})) Send(std::move(respond));
  }

  void Send(rpc::HttpRespond respond) {
    std::move(respond)({.content_type = "application/json",
                        .headers = {{"cache-control", "no-store"}},
                        .body = answer});
  }

  kvstore::Client& store;
  bool asking = false;
  std::vector<rpc::HttpRespond> waiting;
  std::string answer;
  base::TimePoint answered_at{};
};

Dashboard::Dashboard(kvstore::Client& store) : state_(std::make_shared<State>(store)) {}

Dashboard::~Dashboard() = default;

std::optional<rpc::HttpResponse> Dashboard::Page(std::string_view path) {
  constexpr std::string_view kFolder = "/dashboard";
  if (!path.starts_with(kFolder)) return std::nullopt;
  path.remove_prefix(kFolder.size());
  if (path.empty()) {
    return rpc::HttpResponse{.status = 301, .headers = {{"location", "/dashboard/"}}};
  }
  if (path[0] != '/') return std::nullopt;
  path.remove_prefix(1);
  if (path.empty()) path = "index.html";
  for (const PageFile& file : kPageFiles) {
    if (file.name != path) continue;
    return rpc::HttpResponse{
        .content_type = std::string(ContentType(path)),
        // The token lies in the page's memory: nothing foreign may run in it, nor frame it.
        .headers = {{"cache-control", "no-cache"},
                    {"content-security-policy",
                     "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' "
                     "'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
                     "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"},
                    {"x-content-type-options", "nosniff"},
                    {"referrer-policy", "no-referrer"}},
        .body = std::string(file.bytes())};
  }
  return rpc::HttpResponse{.status = 404, .body = "404 page not found\n"};
}

void Dashboard::AnswerStore(rpc::HttpRespond respond) {
  State& state = *state_;
  if (!state.answer.empty() && state.store.loop().Now() - state.answered_at < kShared) {
    return state.Send(std::move(respond));
  }
  state.waiting.push_back(std::move(respond));
  if (!std::exchange(state.asking, true)) state.Ask();
}

}  // namespace keel::orchestrator
