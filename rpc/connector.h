// One attempt to connect to "host:port", with TLS where the channel asks for
// it, within a time limit.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "base/loop.h"
#include "rpc/io_loop.h"
#include "rpc/socket.h"

namespace keel::rpc::internal {

class ChannelCore;

// Tells its core Connected or ConnectFailed, once, later, unless stopped.
class Connector : public std::enable_shared_from_this<Connector> {
 public:
  Connector(ChannelCore& core, boost::asio::io_context& context);

  void Start(const std::string& target, base::Duration limit);
  void Stop();

 private:
  void Connect(boost::asio::ip::tcp::resolver::results_type found);
  void StartTls();
  void Done();
  void Fail(std::string_view why);

  ChannelCore* core_;  // null once told or stopped
  std::string host_;
  boost::asio::ip::tcp::resolver resolver_;
  Socket socket_;
  boost::asio::steady_timer timer_;
};

}  // namespace keel::rpc::internal
