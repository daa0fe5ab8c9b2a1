#include "rpc/connector.h"

#include <boost/asio/connect.hpp>
#include <utility>

#include "rpc/channel_core.h"

namespace keel::rpc::internal {

using boost::asio::ip::tcp;

Connector::Connector(ChannelCore& core, boost::asio::io_context& context)
    : core_(&core), resolver_(context), socket_(context), timer_(context) {}

void Connector::Start(const std::string& target, base::Duration limit) {
  timer_.expires_after(limit);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error) self->Fail("timed out");
  });
  const size_t colon = target.rfind(':');
  if (colon == std::string::npos || colon + 1 == target.size()) {
    boost::asio::post(timer_.get_executor(),
                      [self = shared_from_this()] { self->Fail("the address has no port"); });
    return;
  }
  std::string host = target.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  host_ = host;
  // An address is no work for the resolver's thread.
  boost::system::error_code not_address;
  const auto address = boost::asio::ip::make_address(host, not_address);
  if (!not_address) {
    const auto port = static_cast<uint16_t>(std::strtoul(target.c_str() + colon + 1, nullptr, 10));
    return Connect(tcp::resolver::results_type::create(tcp::endpoint(address, port), host, ""));
  }
  resolver_.async_resolve(host, target.substr(colon + 1),
                          [self = shared_from_this()](boost::system::error_code error,
                                                      tcp::resolver::results_type found) {
                            if (self->core_ == nullptr) return;
                            if (error) return self->Fail(error.message());
                            self->Connect(std::move(found));
                          });
}

void Connector::Connect(tcp::resolver::results_type found) {
  boost::asio::async_connect(
      socket_, found,
      [self = shared_from_this()](boost::system::error_code error, const tcp::endpoint&) {
        if (self->core_ == nullptr) return;
        if (error) return self->Fail(error.message());
        if (self->core_->options().tls != nullptr) return self->StartTls();
        self->Done();
      });
}

void Connector::StartTls() {
  PrepareSocket(socket_);
  socket_.StartTls(core_->options().tls->NewSession(socket_.native_handle(), host_));
  socket_.async_handshake([self = shared_from_this()](boost::system::error_code error) {
    if (self->core_ == nullptr) return;
    if (!error) return self->Done();
    const std::string& why = self->socket_.tls()->error();
    self->Fail(why.empty() ? error.message() : why);
  });
}

void Connector::Done() {
  timer_.cancel();
  std::exchange(core_, nullptr)->Connected(std::move(socket_));
}

void Connector::Fail(std::string_view why) {
  if (core_ == nullptr) return;
  ChannelCore* core = std::exchange(core_, nullptr);
  Stop();
  core->ConnectFailed(why);
}

void Connector::Stop() {
  core_ = nullptr;
  resolver_.cancel();
  timer_.cancel();
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace keel::rpc::internal
