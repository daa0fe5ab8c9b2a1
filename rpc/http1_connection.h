// Plain HTTP/1 on a server's port, by Boost.Beast.
#pragma once

#include <memory>
#include <string_view>

#include "rpc/server_loop.h"

namespace keel::rpc::internal {

// Serves the connection from now on. `first` is what was already read of it.
void StartHttp1(std::shared_ptr<ServerLoop> loop, Socket socket, std::string_view first);

}  // namespace keel::rpc::internal
