// Calls a Server's HttpHandler for either protocol, and brings its answer back
// to the connection's loop.
#pragma once

#include <memory>

#include "rpc/http.h"
#include "rpc/server_loop.h"

namespace keel::rpc::internal {

// `respond` runs on the loop, once. A handler that drops its HttpRespond
// answers 500; without a handler the answer is 404.
void CallHttpHandler(const ServerRegistry& registry, HttpRequest request,
                     std::shared_ptr<ServerMailbox> mailbox,
                     absl::AnyInvocable<void(HttpResponse)> respond);

}  // namespace keel::rpc::internal
