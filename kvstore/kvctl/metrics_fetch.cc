// FetchMetrics: one GET, on Asio, with TLS where the endpoint asks for it.
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "base/strings.h"
#include "base/tls/context.h"
#include "base/tls/socket.h"
#include "kvstore/kvctl/metrics_text.h"

namespace keel::kvctl {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Error = boost::system::error_code;
using base::StrCat;

constexpr size_t kMaxBytes = 16 << 20;

// From the address to the answer, a step after the other; `outcome` says how it ended.
class Get {
 public:
  Get(asio::io_context& context, std::string host, std::shared_ptr<base::TlsContext> tls)
      : host_(std::move(host)), tls_(std::move(tls)), resolver_(context), socket_(context) {}

  void Start(const std::string& port) {
    // 1.0: the answer ends with the connection, without a framing of its own.
    request_ = StrCat("GET /metrics HTTP/1.0\r\nHost: ", host_, ":", port,
                      "\r\nAccept: text/plain\r\nConnection: close\r\n\r\n");
    resolver_.async_resolve(host_, port, [this](Error error, tcp::resolver::results_type found) {
      if (error) return Fail(error.message());
      asio::async_connect(static_cast<tcp_socket&>(socket_), found,
                          [this](Error failed, const tcp::endpoint&) {
                            if (failed) return Fail(failed.message());
                            Connected();
                          });
    });
  }

  absl::StatusOr<std::string> outcome = absl::UnavailableError("no answer in time");

 private:
  using Socket = base::TlsSocket<asio::any_io_executor>;
  using tcp_socket = Socket::Base;

  void Connected() {
    if (tls_ == nullptr) return Ask();
    socket_.StartTls(tls_->NewSession(socket_.native_handle(), host_));
    socket_.async_handshake([this](Error error) {
      if (error) return Fail(socket_.tls()->error());
      Ask();
    });
  }

  void Ask() {
    asio::async_write(socket_, asio::buffer(request_), [this](Error error, size_t) {
      if (error) return Fail(error.message());
      asio::async_read(socket_, asio::dynamic_buffer(answer_, kMaxBytes),
                       [this](Error, size_t) { Finish(); });  // ends with the connection
    });
  }

  void Finish() {
    const size_t head = answer_.find("\r\n\r\n");
    const std::string line = answer_.substr(0, answer_.find("\r\n"));
    if (head == std::string::npos || !line.starts_with("HTTP/1.")) return Fail("no HTTP answer");
    if (line.find(" 200") == std::string::npos) return Fail(line);
    outcome = answer_.substr(head + 4);
  }

  void Fail(std::string_view why) { outcome = absl::UnavailableError(StrCat("/metrics: ", why)); }

  const std::string host_;
  const std::shared_ptr<base::TlsContext> tls_;
  tcp::resolver resolver_;
  Socket socket_;
  std::string request_;
  std::string answer_;
};

}  // namespace

absl::StatusOr<std::string> FetchMetrics(const std::string& endpoint,
                                         const std::optional<base::TlsOptions>& tls,
                                         base::Duration limit) {
  std::string address = endpoint;
  bool secure = tls.has_value();
  if (const size_t scheme = address.find("://"); scheme != std::string::npos) {
    secure = address.substr(0, scheme) == "https";
    address.erase(0, scheme + 3);
  }
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError(StrCat("no port in endpoint ", endpoint));
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  std::shared_ptr<base::TlsContext> context;
  if (secure) {
    base::TlsOptions options = tls.value_or(base::TlsOptions());
    options.protocols = {"http/1.1"};
    auto made = base::TlsContext::Create(std::move(options), base::TlsRole::kClient);
    if (!made.ok()) return made.status();
    context = *std::move(made);
  }
  asio::io_context io(1);
  Get get(io, host, std::move(context));
  get.Start(address.substr(colon + 1));
  io.run_for(limit);
  return std::move(get.outcome);
}

}  // namespace keel::kvctl
