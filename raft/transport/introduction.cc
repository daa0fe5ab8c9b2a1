#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/status.h"
#include "base/strings.h"
#include "raft/transport/shared.h"

namespace keel::raft {

namespace asio = boost::asio;
using base::StrCat;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr size_t kMaxIntroductionBytes = 16 << 20;

asio::awaitable<absl::StatusOr<std::string>> Ask(SocketPtr socket, std::string address,
                                                 base::Duration limit,
                                                 std::shared_ptr<base::TlsContext> tls) {
  const auto failed = [&](std::string_view doing, const boost::system::error_code& ec) {
    return absl::UnavailableError(StrCat(doing, " ", address, ": ", ec.message()));
  };
  const auto target = ParsePeerAddress(address);
  if (!target.ok()) co_return target.status();
  Deadline deadline(socket, limit);
  Tcp::resolver resolver(socket->get_executor());
  const auto [resolve_error, endpoints] =
      co_await resolver.async_resolve(target->host, target->port, kAwait);
  if (resolve_error) co_return failed("resolve", resolve_error);
  const auto [connect_error, endpoint] = co_await asio::async_connect(*socket, endpoints, kAwait);
  if (connect_error) co_return failed("connect", connect_error);

  if (target->tls) {
    if (tls == nullptr) {
      co_return absl::FailedPreconditionError(
          StrCat(address, " asks for TLS, and this member has no certificates for it"));
    }
    const absl::Status secured = co_await SecureToPeer(socket, tls, target->host, address);
    if (!secured.ok()) co_return secured;
  }

  const std::string hello = EncodeHello({.kind = StreamKind::kIntroduction});
  const auto [write_error, written] =
      co_await asio::async_write(*socket, asio::buffer(hello), kAwait);
  if (write_error) co_return failed("write", write_error);
  std::string answer(kHelloReplyBytes, '\0');
  const auto [read_error, got] = co_await asio::async_read(*socket, asio::buffer(answer), kAwait);
  if (read_error) co_return failed("handshake with", read_error);
  const auto reply = DecodeHelloReply(answer);
  if (!reply.ok() || reply->result != HelloResult::kOk) {
    co_return absl::FailedPreconditionError(StrCat(address, " does not introduce a cluster"));
  }
  FrameReader reader(kMaxIntroductionBytes);
  if (absl::Status filled = co_await reader.Fill(socket); !filled.ok()) co_return filled;
  const auto frame = reader.Next();
  if (!frame.ok()) co_return frame.status();
  if (frame->type != FrameType::kUser) {
    co_return absl::FailedPreconditionError(StrCat(address, " does not introduce a cluster"));
  }
  co_return std::string(frame->payload);
}

}  // namespace

absl::StatusOr<std::string> AskIntroduction(const std::string& address, base::Duration limit,
                                            std::shared_ptr<base::TlsContext> tls) {
  asio::io_context context(1);
  absl::StatusOr<std::string> out = absl::UnavailableError(StrCat("no answer from ", address));
  auto socket = std::make_shared<Socket>(context);
  asio::co_spawn(context, Ask(socket, address, limit, std::move(tls)),
                 [&](std::exception_ptr error, absl::StatusOr<std::string> answer) {
                   if (!error) out = std::move(answer);
                 });
  // A name that does not resolve has no socket that the deadline could close.
  context.run_for(limit + std::chrono::seconds(1));
  return out;
}

}  // namespace keel::raft
