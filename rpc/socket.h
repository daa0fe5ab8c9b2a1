// The stream under a connection, in one place: today plain TCP. A connection
// waits for readiness and then reads and writes without blocking.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <string>

namespace keel::rpc::internal {

// With io_context's own executor: the type-erased default costs on every wait.
using Socket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

// No delay, no blocking. Errors are ignored: they show at the first read.
void PrepareSocket(Socket& socket);

// "127.0.0.1:2379", "[::1]:2379"; empty when not connected.
std::string PeerName(const Socket& socket);

// `host:port` with brackets around an IPv6 address.
std::string HostPort(const std::string& host, uint16_t port);

}  // namespace keel::rpc::internal
