#include "rpc/linger.h"

#include <errno.h>
#include <sys/socket.h>

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <utility>

namespace keel::rpc::internal {

namespace {

class Linger : public std::enable_shared_from_this<Linger> {
 public:
  explicit Linger(Socket socket) : socket_(std::move(socket)), timer_(socket_.get_executor()) {}

  void Start() {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    timer_.expires_after(std::chrono::seconds(1));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->Close();
    });
    Wait();
  }

 private:
  void Wait() {
    socket_.async_wait(Socket::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                         if (!error && self->socket_.is_open()) self->Discard();
                       });
  }

  void Discard() {
    char buffer[16 * 1024];
    const ssize_t n = ::recv(socket_.native_handle(), buffer, sizeof(buffer), 0);
    const bool again = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (n > 0 || again) return Wait();
    Close();
  }

  void Close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    timer_.cancel();
  }

  Socket socket_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>,
                                    Socket::executor_type>
      timer_;
};

}  // namespace

void CloseLingering(Socket socket) {
  if (!socket.is_open()) return;
  std::make_shared<Linger>(std::move(socket))->Start();
}

}  // namespace keel::rpc::internal
