// A client's request on its way through the log, in the client's name while
// authentication is on, and its answer.
//
// Thread-safety: on the loop of the call.
#pragma once

#include "kvstore/server/auth_gate.h"
#include "kvstore/server/context.h"
#include "kvstore/server/proposals.h"
#include "rpc/server.h"

namespace keel::kvstore {

// Proposes the call's request and answers with the result. While authentication is on: asks
// `check` first, and proposes anew when users or roles changed on the way.
void Write(ServerContext* context, Proposals* proposals, CommandField field,
           rpc::ServerCallPtr call, AccessCheck check);

}  // namespace keel::kvstore
