// Calls a Server's HttpHandler for either protocol, and brings its answer back
// to the connection's loop.
#pragma once

#include <memory>

#include "rpc/http.h"
#include "rpc/server_loop.h"

namespace keel::rpc::internal {

// Sets path and query from the target.
void SplitTarget(HttpRequest& request);

// Whether the handler is to be called before the body has come.
bool StreamsBody(const ServerRegistry& registry, const HttpRequest& head);

// `answer` is called on the loop, once. A handler that drops its HttpRespond
// answers 500; without a handler the answer is 404.
void CallHttpHandler(const ServerRegistry& registry, HttpRequest request,
                     std::shared_ptr<ServerMailbox> mailbox, std::unique_ptr<HttpAnswer> answer);

// What Upgrade answers where there is no connection to give over.
HttpResponse NoUpgrade();

}  // namespace keel::rpc::internal
