// etcd's JSON gateway: the RPCs of the API as POST requests under /v3/, for
// curl and for languages without gRPC.
//
//   curl http://127.0.0.1:2379/v3/kv/put -d '{"key":"Zm9v","value":"YmFy"}'
//   {"header":{"cluster_id":"...","revision":"2","raft_term":"2"}}
//
// Bodies are Protobuf's JSON of the request and response messages, as etcd's
// are: fields by their names in the .proto (a request may use camelCase, and
// fields that are not known are passed over), 64-bit numbers as strings, bytes
// in base64, empty fields left out. The header Authorization carries the token
// of Auth.Authenticate; Grpc-Metadata-X is passed on as the metadata x.
//
// Streams (watch, lease/keepalive, election/observe, maintenance/snapshot) answer with a line
// {"result":{...}} a message, as they come, and end with {"error":{...}} when they fail. Watch and
// keepalive take a sequence of JSON objects for a body; sent in chunks, each request is served as
// soon as it is there.
//
// Any other error is {"error":TEXT,"code":CODE,"message":TEXT,"details":[]} with
// gRPC's code, and the HTTP status that goes with it.
//
// Thread-safety: Handle is called on any connection's loop.
// Lifetime: destroyed on its loop, after the server has stopped and before it goes.
#pragma once

#include <string_view>

#include "base/loop.h"
#include "rpc/http.h"
#include "rpc/local_channel.h"
#include "rpc/server.h"

namespace keel::kvstore {

struct JsonMethod;

class JsonGateway {
 public:
  // Calls the methods of `server` on `loop`.
  JsonGateway(const rpc::Server& server, base::Loop* loop);

  JsonGateway(const JsonGateway&) = delete;
  JsonGateway& operator=(const JsonGateway&) = delete;

  // Whether a path is the gateway's to answer, be it with 404.
  static bool Serves(std::string_view path) { return path.starts_with("/v3/"); }
  // Whether the body of such a request is to be handed on as it comes
  // (rpc::Server::HttpStreamsBody).
  static bool StreamsBody(const rpc::HttpRequest& head);
  void Handle(rpc::HttpRequest request, rpc::HttpRespond respond);

 private:
  void HandleStream(const JsonMethod& method, rpc::HttpRequest request, rpc::HttpRespond respond);

  base::Loop* const loop_;
  rpc::LocalChannel channel_;
};

}  // namespace keel::kvstore
