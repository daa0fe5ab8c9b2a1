#include "kvstore/server/http_service.h"

#include <algorithm>

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

HttpService::HttpService(ServerContext* context, ReadGate* gate,
                         std::function<std::string()> metrics)
    : context_(context), gate_(gate), metrics_(std::move(metrics)) {}

void HttpService::Handle(rpc::HttpRequest request, rpc::HttpRespond respond) {
  const bool get = request.method == "GET";
  const bool health =
      request.path == "/health" || request.path == "/livez" || request.path == "/readyz";
  if (request.path == "/metrics") {  // whatever the method, as etcd
    return Respond(std::move(respond), 200, metrics_(), "text/plain; version=0.0.4; charset=utf-8");
  }
  if (!health && request.path != "/version") {
    return Respond(std::move(respond), 404, "404 page not found\n");
  }
  if (!get && (health || request.method != "HEAD")) {
    rpc::HttpResponse response;
    response.status = 405;
    response.headers.emplace_back("allow", "GET");
    response.body = "Method Not Allowed\n";
    return std::move(respond)(std::move(response));
  }
  if (request.path == "/version")
    return Respond(std::move(respond), 200, Version(), "application/json");
  if (request.path == "/health") return Health(request, std::move(respond));
  Probe(request, std::move(respond), request.path == "/readyz");
}

std::string HttpService::Version() const {
  std::string cluster = context_->machine->cluster_version();
  if (cluster.empty()) cluster = "not_decided";
  return StrCat("{\"etcdserver\":\"", kEtcdVersion, "\",\"etcdcluster\":\"", cluster,
                "\",\"keel\":\"", KEEL_VERSION, "\"}");
}

void HttpService::TryRead(bool serializable, absl::AnyInvocable<void(std::string failure)> done) {
  if (serializable) return done("");
  context_->loop->Dispatch([gate = gate_, done = std::move(done)]() mutable {
    gate->Read([done = std::move(done)](absl::StatusOr<ReadGate::ViewPtr> view) mutable {
      done(view.ok() ? std::string()
                     : StrCat("RANGE ERROR:", base::ToStd(view.status().message())));
    });
  });
}

void HttpService::Health(const rpc::HttpRequest& request, rpc::HttpRespond respond) {
  const bool serializable = Has(QueryValues(request.query, "serializable"), "true");
  const std::vector<std::string> excluded = QueryValues(request.query, "exclude");
  const auto answer = [](rpc::HttpRespond to, const std::string& reason) {
    Respond(std::move(to), reason.empty() ? 200 : 503,
            StrCat("{\"health\":\"", reason.empty() ? "true" : "false", "\",\"reason\":\"", reason,
                   "\"}"));
  };
  for (const Alarm& alarm : context_->machine->alarms()) {
    if (alarm.type == pb::NONE) continue;
    const std::string name = pb::AlarmType_Name(alarm.type);
    if (!Has(excluded, name)) return answer(std::move(respond), StrCat("ALARM ", name));
  }
  if (!context_->HasLeader() && !serializable) return answer(std::move(respond), "RAFT NO LEADER");
  TryRead(serializable, [answer, respond = std::move(respond)](std::string failure) mutable {
    answer(std::move(respond), failure);
  });
}

// Kubernetes' probes (etcd 3.6): one line a check when something failed or with ?verbose.
void HttpService::Probe(const rpc::HttpRequest& request, rpc::HttpRespond respond, bool ready) {
  const std::vector<std::string> excluded = QueryValues(request.query, "exclude");
  const bool verbose = !QueryValues(request.query, "verbose").empty();
  std::vector<Check> checks;
  if (ready) {
    checks.push_back(
        {"data_corruption", context_->corrupt.load() ? "alarm activated: CORRUPT" : ""});
    checks.push_back({"serializable_read", ""});
  } else {
    checks.push_back({"serializable_read", ""});
  }
  const auto answer = [excluded, verbose, path = request.path](rpc::HttpRespond to,
                                                               const std::vector<Check>& all) {
    std::string lines;
    bool failed = false;
    for (const Check& check : all) {
      if (Has(excluded, check.name)) {
        lines += StrCat("[+]", check.name, " excluded: ok\n");
      } else if (check.failure.empty()) {
        lines += StrCat("[+]", check.name, " ok\n");
      } else {
        failed = true;
        lines += StrCat("[-]", check.name, " failed: ", check.failure, "\n");
      }
    }
    if (failed) return Respond(std::move(to), 503, StrCat(lines, path, " check failed\n"));
    Respond(std::move(to), 200, verbose ? lines + "ok\n" : "ok\n");
  };
  if (!ready || Has(excluded, "linearizable_read")) return answer(std::move(respond), checks);
  if (!context_->HasLeader()) {
    checks.push_back({"linearizable_read", "etcdserver: no leader"});
    return answer(std::move(respond), checks);
  }
  TryRead(false, [answer, checks, respond = std::move(respond)](std::string failure) mutable {
    checks.push_back({"linearizable_read", std::move(failure)});
    answer(std::move(respond), checks);
  });
}

}  // namespace keel::kvstore
