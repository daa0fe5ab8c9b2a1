#include "kvstore/server/http_service.h"

#include <algorithm>
#include <optional>
#include <span>

#include "absl/strings/str_split.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/server/maintenance_service.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;
using base::StrCat;

namespace {

// All values of a query parameter.
std::vector<std::string> QueryValues(const std::string& query, std::string_view name) {
  std::vector<std::string> values;
  for (absl::string_view part : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(part, absl::MaxSplits('=', 1));
    if (pair.first == name) values.push_back(pair.second);
  }
  return values;
}

bool HasQuery(const std::string& query, std::string_view name) {
  return !QueryValues(query, name).empty();
}

// The checks of /livez and /readyz in etcd 3.6.
std::span<const std::string_view> ChecksOf(std::string_view type) {
  static constexpr std::string_view kLive[] = {"serializable_read"};
  static constexpr std::string_view kReady[] = {"data_corruption", "serializable_read",
                                                "linearizable_read", "non_learner"};
  if (type == "livez") return kLive;
  return kReady;
}

// "/livez", "/readyz/non_learner".
struct ProbePath {
  std::string type;
  std::string only;  // one check; empty for all
};

std::optional<ProbePath> ParseProbePath(std::string_view path) {
  for (const std::string_view type : {"livez", "readyz"}) {
    if (!path.starts_with('/') || path.substr(1, type.size()) != type) continue;
    const std::string_view rest = path.substr(1 + type.size());
    if (rest.empty()) return ProbePath{std::string(type), ""};
    for (const std::string_view check : ChecksOf(type)) {
      if (rest.substr(1) == check && rest[0] == '/') {
        return ProbePath{std::string(type), std::string(check)};
      }
    }
  }
  return std::nullopt;
}

bool Has(const std::vector<std::string>& values, std::string_view value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

void Respond(rpc::HttpRespond respond, int status, std::string body,
             std::string content_type = "text/plain; charset=utf-8") {
  rpc::HttpResponse response;
  response.status = status;
  response.content_type = std::move(content_type);
  response.body = std::move(body);
  std::move(respond)(std::move(response));
}

}  // namespace

void HttpService::Handle(rpc::HttpRequest request, rpc::HttpRespond respond) {
  if (request.path == "/metrics") {  // whatever the method, as etcd
    return Respond(std::move(respond), 200, metrics_->Exposition(),
                   "text/plain; version=0.0.4; charset=utf-8");
  }
  const std::optional<ProbePath> probe = ParseProbePath(request.path);
  const bool health = request.path == "/health";
  if (!health && !probe.has_value() && request.path != "/version") {
    return Respond(std::move(respond), 404, "404 page not found\n");
  }
  if (request.method != "GET" && (request.path != "/version" || request.method != "HEAD")) {
    rpc::HttpResponse response;
    response.status = 405;
    response.headers.emplace_back("allow", "GET");
    response.body = "Method Not Allowed\n";
    return std::move(respond)(std::move(response));
  }
  if (request.path == "/version") {
    return Respond(std::move(respond), 200, Version(), "application/json");
  }
  if (health) return Health(request, std::move(respond));
  Probe(request, std::move(respond), probe->type, probe->only);
}

std::string HttpService::Version() const {
  std::string cluster = context_->machine->cluster_version();
  if (cluster.empty()) cluster = "not_decided";
  return StrCat("{\"etcdserver\":\"", kEtcdVersion, "\",\"etcdcluster\":\"", cluster,
                "\",\"keel\":\"", KEEL_VERSION, "\"}");
}

std::string HttpService::ReadHere() const {
  RangeOptions options;
  options.limit = 1;
  options.keys_only = true;
  const auto read = context_->machine->view()->Range(options, [](const RecordView&) {});
  return read.ok() ? std::string() : std::string(base::ToStd(read.status().message()));
}

void HttpService::ReadBehindGate(absl::AnyInvocable<void(std::string failure)> done) {
  if (!context_->HasLeader()) return done("etcdserver: no leader");
  context_->loop->Dispatch([gate = gate_, done = std::move(done)]() mutable {
    gate->Read([done = std::move(done)](absl::StatusOr<ReadGate::ViewPtr> view) mutable {
      done(view.ok() ? std::string() : std::string(base::ToStd(view.status().message())));
    });
  });
}

void HttpService::Health(const rpc::HttpRequest& request, rpc::HttpRespond respond) {
  const bool serializable = Has(QueryValues(request.query, "serializable"), "true");
  const std::vector<std::string> excluded = QueryValues(request.query, "exclude");
  const auto answer = [metrics = metrics_](rpc::HttpRespond to, const std::string& reason) {
    metrics->CountHealth(reason.empty());
    Respond(std::move(to), reason.empty() ? 200 : 503,
            StrCat("{\"health\":\"", reason.empty() ? "true" : "false", "\",\"reason\":\"", reason,
                   "\"}"));
  };
  const auto ranged = [](const std::string& failure) {
    return failure.empty() ? failure : StrCat("RANGE ERROR:", failure);
  };
  for (const Alarm& alarm : context_->machine->alarms()) {
    if (alarm.type == pb::NONE) continue;
    const std::string name = pb::AlarmType_Name(alarm.type);
    if (!Has(excluded, name)) return answer(std::move(respond), StrCat("ALARM ", name));
  }
  if (serializable) return answer(std::move(respond), ranged(ReadHere()));
  if (!context_->HasLeader()) return answer(std::move(respond), "RAFT NO LEADER");
  ReadBehindGate([answer, ranged, respond = std::move(respond)](std::string failure) mutable {
    answer(std::move(respond), ranged(failure));
  });
}

void HttpService::Probe(const rpc::HttpRequest& request, rpc::HttpRespond respond,
                        const std::string& type, const std::string& only) {
  const std::vector<std::string> excluded =
      only.empty() ? QueryValues(request.query, "exclude") : std::vector<std::string>();
  const bool verbose = HasQuery(request.query, "verbose");
  std::vector<Check> checks;
  Check* linearizable = nullptr;
  for (const std::string_view name : ChecksOf(type)) {
    if (only.empty() ? Has(excluded, name) : only != name) continue;
    checks.push_back({std::string(name), ""});
  }
  for (Check& check : checks) {
    if (check.name == "data_corruption" && context_->corrupt.load()) {
      check.failure = "alarm activated: CORRUPT";
    } else if (check.name == "serializable_read") {
      check.failure = ReadHere();
    } else if (check.name == "non_learner" && context_->is_learner.load()) {
      check.failure = "not supported for learner";
    } else if (check.name == "linearizable_read") {
      linearizable = &check;
    }
  }
  if (linearizable == nullptr) return AnswerProbe(type, checks, verbose, std::move(respond));
  const size_t at = static_cast<size_t>(linearizable - checks.data());
  ReadBehindGate([this, type, checks = std::move(checks), at, verbose,
                  respond = std::move(respond)](std::string failure) mutable {
    checks[at].failure = std::move(failure);
    AnswerProbe(type, checks, verbose, std::move(respond));
  });
}

void HttpService::AnswerProbe(const std::string& type, const std::vector<Check>& checks,
                              bool verbose, rpc::HttpRespond respond) {
  std::string lines;
  bool failed = false;
  for (const Check& check : checks) {
    metrics_->CountCheck(type, check.name, check.failure.empty());
    if (check.failure.empty()) {
      lines += StrCat("[+]", check.name, " ok\n");
    } else {
      failed = true;
      lines += StrCat("[-]", check.name, " failed: ", check.failure, "\n");
    }
  }
  // What failed is always said in detail, what passed when asked.
  rpc::HttpResponse response;
  response.status = failed ? 503 : 200;
  response.headers.emplace_back("x-content-type-options", "nosniff");
  response.body = failed ? lines + "\n" : (verbose ? lines : "") + "ok\n";
  std::move(respond)(std::move(response));
}

}  // namespace keel::kvstore
