// What gRPC's tools ask any server: grpc.health.v1.Health (Check, Watch, List) and server
// reflection (grpc.reflection.v1 and v1alpha), which describes etcd's API to grpcurl and the like.
//
// Thread-safety: call once, before the server listens, after all services are registered.
#pragma once

#include "kvstore/server/context.h"
#include "rpc/server.h"

namespace keel::kvstore {

// SERVING while a leader is known. The only service with a state of its own is "", the whole
// server.
void RegisterHealth(rpc::Server* server, const ServerContext* context);

void RegisterReflection(rpc::Server* server);

}  // namespace keel::kvstore
