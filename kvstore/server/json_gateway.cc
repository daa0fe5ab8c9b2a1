#include "kvstore/server/json_gateway.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/check.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/api/v3election.pb.h"
#include "kvstore/api/v3lock.pb.h"
#include "kvstore/server/json_codec.h"
#include "kvstore/server/json_stream.h"

namespace keel::kvstore {

namespace proto = google::protobuf;

struct JsonMethod {
  std::string path;  // of the RPC
  const proto::Message* request = nullptr;
  const proto::Message* response = nullptr;
  bool answers_many = false;
  bool asks_many = false;
};

namespace {

using Method = JsonMethod;
using Routes = absl::flat_hash_map<std::string, Method>;

// Where etcd's rpc.proto puts its methods (google.api.http).
constexpr std::pair<std::string_view, std::string_view> kRoutes[] = {
    {"kv/range", "etcdserverpb.KV.Range"},
    {"kv/put", "etcdserverpb.KV.Put"},
    {"kv/deleterange", "etcdserverpb.KV.DeleteRange"},
    {"kv/txn", "etcdserverpb.KV.Txn"},
    {"kv/compaction", "etcdserverpb.KV.Compact"},
    {"lease/grant", "etcdserverpb.Lease.LeaseGrant"},
    {"lease/revoke", "etcdserverpb.Lease.LeaseRevoke"},
    {"lease/timetolive", "etcdserverpb.Lease.LeaseTimeToLive"},
    {"lease/leases", "etcdserverpb.Lease.LeaseLeases"},
    {"kv/lease/revoke", "etcdserverpb.Lease.LeaseRevoke"},
    {"kv/lease/timetolive", "etcdserverpb.Lease.LeaseTimeToLive"},
    {"kv/lease/leases", "etcdserverpb.Lease.LeaseLeases"},
    {"cluster/member/add", "etcdserverpb.Cluster.MemberAdd"},
    {"cluster/member/remove", "etcdserverpb.Cluster.MemberRemove"},
    {"cluster/member/update", "etcdserverpb.Cluster.MemberUpdate"},
    {"cluster/member/list", "etcdserverpb.Cluster.MemberList"},
    {"cluster/member/promote", "etcdserverpb.Cluster.MemberPromote"},
    {"maintenance/alarm", "etcdserverpb.Maintenance.Alarm"},
    {"maintenance/status", "etcdserverpb.Maintenance.Status"},
    {"maintenance/defragment", "etcdserverpb.Maintenance.Defragment"},
    {"maintenance/hash", "etcdserverpb.Maintenance.Hash"},
    {"maintenance/hashkv", "etcdserverpb.Maintenance.HashKV"},
    {"maintenance/transfer-leadership", "etcdserverpb.Maintenance.MoveLeader"},
    {"maintenance/downgrade", "etcdserverpb.Maintenance.Downgrade"},
    {"auth/enable", "etcdserverpb.Auth.AuthEnable"},
    {"auth/disable", "etcdserverpb.Auth.AuthDisable"},
    {"auth/status", "etcdserverpb.Auth.AuthStatus"},
    {"auth/authenticate", "etcdserverpb.Auth.Authenticate"},
    {"auth/user/add", "etcdserverpb.Auth.UserAdd"},
    {"auth/user/get", "etcdserverpb.Auth.UserGet"},
    {"auth/user/list", "etcdserverpb.Auth.UserList"},
    {"auth/user/delete", "etcdserverpb.Auth.UserDelete"},
    {"auth/user/changepw", "etcdserverpb.Auth.UserChangePassword"},
    {"auth/user/grant", "etcdserverpb.Auth.UserGrantRole"},
    {"auth/user/revoke", "etcdserverpb.Auth.UserRevokeRole"},
    {"auth/role/add", "etcdserverpb.Auth.RoleAdd"},
    {"auth/role/get", "etcdserverpb.Auth.RoleGet"},
    {"auth/role/list", "etcdserverpb.Auth.RoleList"},
    {"auth/role/delete", "etcdserverpb.Auth.RoleDelete"},
    {"auth/role/grant", "etcdserverpb.Auth.RoleGrantPermission"},
    {"auth/role/revoke", "etcdserverpb.Auth.RoleRevokePermission"},
    {"lock/lock", "v3lockpb.Lock.Lock"},
    {"lock/unlock", "v3lockpb.Lock.Unlock"},
    {"election/campaign", "v3electionpb.Election.Campaign"},
    {"election/proclaim", "v3electionpb.Election.Proclaim"},
    {"election/leader", "v3electionpb.Election.Leader"},
    {"election/resign", "v3electionpb.Election.Resign"},
    {"watch", "etcdserverpb.Watch.Watch"},
    {"lease/keepalive", "etcdserverpb.Lease.LeaseKeepAlive"},
    {"election/observe", "v3electionpb.Election.Observe"},
    {"maintenance/snapshot", "etcdserverpb.Maintenance.Snapshot"},
};

const Routes& AllRoutes() {
  static const Routes* const routes = [] {
    // The generated messages register themselves; this keeps them linked.
    v3lockpb::LockRequest::descriptor();
    v3electionpb::CampaignRequest::descriptor();
    etcdserverpb::RangeRequest::descriptor();
    const auto* pool = proto::DescriptorPool::generated_pool();
    auto* factory = proto::MessageFactory::generated_factory();
    auto* made = new Routes;
    for (const auto& [route, name] : kRoutes) {
      const proto::MethodDescriptor* method = pool->FindMethodByName(std::string(name));
      KEEL_CHECK(method != nullptr);
      Method& entry = (*made)[base::StrCat("/v3/", route)];
      entry.path = base::StrCat("/", method->service()->full_name(), "/", method->name());
      entry.request = factory->GetPrototype(method->input_type());
      entry.response = factory->GetPrototype(method->output_type());
      entry.answers_many = method->server_streaming();
      entry.asks_many = method->client_streaming();
    }
    return made;
  }();
  return *routes;
}

rpc::HttpResponse Head(int status, std::string content_type) {
  rpc::HttpResponse response;
  response.status = status;
  response.content_type = std::move(content_type);
  // Any page may call it, as with etcd's default of --cors.
  response.headers = {{"access-control-allow-origin", "*"},
                      {"access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE"},
                      {"access-control-allow-headers", "accept, content-type, authorization"}};
  return response;
}

void Answer(rpc::HttpRespond respond, int status, std::string content_type, std::string body) {
  rpc::HttpResponse response = Head(status, std::move(content_type));
  response.body = std::move(body);
  std::move(respond)(std::move(response));
}

void AnswerError(rpc::HttpRespond respond, const absl::Status& status) {
  Answer(std::move(respond), HttpStatusOf(status.code()), "application/json", ErrorJson(status));
}

rpc::LocalMetadata MetadataOf(const rpc::HttpRequest& request) {
  constexpr std::string_view kPrefix = "grpc-metadata-";
  rpc::LocalMetadata metadata;
  for (const auto& [name, value] : request.headers) {
    if (name == "authorization") metadata.emplace_back(name, value);
    if (name.starts_with(kPrefix)) metadata.emplace_back(name.substr(kPrefix.size()), value);
  }
  return metadata;
}

}  // namespace

bool JsonGateway::StreamsBody(const rpc::HttpRequest& head) {
  const auto found = AllRoutes().find(head.path);
  return found != AllRoutes().end() && found->second.asks_many && head.method == "POST" &&
         head.Header("content-length").empty();
}

JsonGateway::JsonGateway(const rpc::Server& server, base::Loop* loop)
    : loop_(loop), channel_(server, *loop, "json-gateway") {}

void JsonGateway::Handle(rpc::HttpRequest request, rpc::HttpRespond respond) {
  constexpr char kText[] = "text/plain; charset=utf-8";
  const auto found = AllRoutes().find(request.path);
  if (found == AllRoutes().end()) return Answer(std::move(respond), 404, kText, "Not Found\n");
  if (request.method == "OPTIONS") return Answer(std::move(respond), 200, kText, "");
  if (request.method != "POST") {
    return Answer(std::move(respond), 405, kText, "Method Not Allowed\n");
  }
  const Method& method = found->second;
  if (method.answers_many) return HandleStream(method, std::move(request), std::move(respond));
  absl::StatusOr<std::string> wire = ToWire(*method.request, request.body);
  if (!wire.ok()) return AnswerError(std::move(respond), wire.status());
  loop_->Dispatch([this, &method, wire = *std::move(wire), metadata = MetadataOf(request),
                   respond = std::move(respond)]() mutable {
    channel_.Call(method.path, std::move(wire), std::move(metadata),
                  [&method, respond = std::move(respond)](absl::StatusOr<std::string> got) mutable {
                    absl::StatusOr<std::string> json =
                        got.ok() ? ToJson(*method.response, *got) : got.status();
                    if (!json.ok()) return AnswerError(std::move(respond), json.status());
                    Answer(std::move(respond), 200, "application/json", *std::move(json));
                  });
  });
}

void JsonGateway::HandleStream(const JsonMethod& method, rpc::HttpRequest request,
                               rpc::HttpRespond respond) {
  const auto stream = std::make_shared<JsonStream>(loop_, *method.request, *method.response,
                                                   Head(200, "application/json"));
  JsonStream::Body body;
  body.streamed = StreamsBody(request);
  if (!body.streamed) {
    JsonValues values;
    values.Feed(request.body);
    while (std::optional<std::string> value = values.Next()) {
      absl::StatusOr<std::string> wire = ToWire(*method.request, *value);
      if (!wire.ok()) return AnswerError(std::move(respond), wire.status());
      body.messages.push_back(*std::move(wire));
      if (!method.asks_many) break;
    }
    if (!values.Done()) {
      return AnswerError(std::move(respond),
                         absl::InvalidArgumentError("the body is no sequence of JSON objects"));
    }
    // One request is due, empty or not; a stream of none is fine.
    if (!method.asks_many && body.messages.empty()) body.messages.emplace_back();
  }
  loop_->Dispatch([this, &method, stream, body = std::move(body), metadata = MetadataOf(request),
                   respond = std::move(respond)]() mutable {
    stream->Start(channel_, method.path, std::move(metadata), std::move(body), std::move(respond));
  });
}

}  // namespace keel::kvstore
