// The stream under a connection: TCP, and TLS on it where socket.tls() is not
// null. A connection waits for readiness and then reads and writes without
// blocking.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "base/tls/socket.h"

namespace keel::rpc::internal {

// With io_context's own executor: the type-erased default costs on every wait.
using Socket = base::TlsSocket<boost::asio::io_context::executor_type>;

// No delay, no blocking. Errors are ignored: they show at the first read.
void PrepareSocket(Socket& socket);

// "127.0.0.1:2379", "[::1]:2379"; empty when not connected.
std::string PeerName(const Socket& socket);

// `host:port` with brackets around an IPv6 address.
std::string HostPort(const std::string& host, uint16_t port);

}  // namespace keel::rpc::internal
