#include "rpc/socket.h"

#include "base/strings.h"

namespace keel::rpc::internal {

void PrepareSocket(Socket& socket) {
  boost::system::error_code ignored;
  socket.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  socket.native_non_blocking(true, ignored);
}

std::string PeerName(const Socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return {};
  return HostPort(endpoint.address().to_string(), endpoint.port());
}

std::string HostPort(const std::string& host, uint16_t port) {
  if (host.find(':') != std::string::npos) return base::StrCat("[", host, "]:", port);
  return base::StrCat(host, ":", port);
}

}  // namespace keel::rpc::internal
