#include "raft/transport/shared.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstring>

#include "absl/strings/numbers.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "raft/transport/peer_table.h"

namespace keel::raft {

namespace asio = boost::asio;
using base::StrCat;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr size_t kReadBytes = 128 << 10;
}  // namespace

absl::StatusOr<HostPort> ParsePeerAddress(std::string_view address) {
  std::string_view rest = address;
  const bool tls = rest.substr(0, 8) == "https://";
  if (tls) {
    rest.remove_prefix(8);
  } else if (rest.substr(0, 7) == "http://") {
    rest.remove_prefix(7);
  }
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == rest.size() ||
      rest.find('/') != std::string_view::npos) {
    return absl::InvalidArgumentError(StrCat(
        "peer address \"", address, "\" is not host:port, http://host:port or https://host:port"));
  }
  HostPort out{std::string(rest.substr(0, colon)), std::string(rest.substr(colon + 1)), tls};
  if (out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']') {
    out.host = out.host.substr(1, out.host.size() - 2);
  }
  return out;
}

bool IsPeerAddress(std::string_view address) {
  if (address.size() > kAddressBytesMax ||
      !std::all_of(address.begin(), address.end(), [](char c) { return c > ' ' && c < 0x7f; })) {
    return false;
  }
  const auto target = ParsePeerAddress(address);
  int port = 0;
  return target.ok() && target->port.size() <= 5 && absl::SimpleAtoi(target->port, &port) &&
         port > 0 && port < 65536;
}

TransportShared::TransportShared(TcpTransportOptions given, base::AsioLoop* io,
                                 base::AsioLoop* snapshot)
    : options(std::move(given)),
      messages(io),
      snapshots(snapshot),
      peers(std::make_unique<PeerTable>()) {}

TransportShared::~TransportShared() = default;

Deadline::Deadline(SocketPtr socket, base::Duration limit) : timer_(socket->get_executor(), limit) {
  timer_.async_wait([socket](boost::system::error_code ec) {
    boost::system::error_code ignored;
    if (!ec) socket->close(ignored);
  });
}

void ConnectionGroup::Spawn(asio::awaitable<void> coroutine) {
  ++running_;
  asio::co_spawn(loop_->context(), std::move(coroutine), [this](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);  // Out of memory; nothing else throws.
    if (--running_ == 0 && ended_) std::exchange(ended_, nullptr)();
  });
}

void ConnectionGroup::Close(std::function<void()> ended) {
  closed_ = true;
  for (const SocketPtr& socket : sockets_) {
    boost::system::error_code ignored;
    socket->close(ignored);
  }
  ended_ = std::move(ended);
  if (running_ == 0 && ended_) std::exchange(ended_, nullptr)();
}

void TransportShared::Connect(base::Loop* loop, TransportHandler* handler) {
  std::lock_guard lock(gate_mu_);
  handler_ = handler;
  loop_.store(loop);
}

void TransportShared::Disconnect() {
  std::lock_guard lock(gate_mu_);
  handler_ = nullptr;
}

void TransportShared::ToHandler(bool inline_ok, absl::AnyInvocable<void(TransportHandler*)> call) {
  base::Loop* loop = loop_.load();
  if (loop == nullptr) return;
  base::Task task = [self = self_, call = std::move(call)]() mutable {
    std::lock_guard lock(self->gate_mu_);
    if (self->handler_ != nullptr) call(self->handler_);
  };
  if (inline_ok) {
    loop->Dispatch(std::move(task));
  } else {
    loop->Post(std::move(task));
  }
}

void TransportShared::DeliverMessages(std::vector<Message> received) {
  ToHandler(true, [received = std::move(received)](TransportHandler* handler) mutable {
    handler->OnMessages(received);
  });
}

void TransportShared::DeliverUser(NodeId from, std::string payload) {
  ToHandler(true, [from, payload = std::move(payload)](TransportHandler* handler) mutable {
    handler->OnUserMessage(from, std::move(payload));
  });
}

// Never at once: this happens inside calls that the handler makes.
void TransportShared::DeliverUnreachable(NodeId peer) {
  ToHandler(false, [peer](TransportHandler* handler) { handler->OnUnreachable(peer); });
}

void TransportShared::DeliverSnapshot(NodeId from, Message message, std::string dir) {
  ToHandler(false, [from, message = std::move(message),
                    dir = std::move(dir)](TransportHandler* handler) mutable {
    handler->OnSnapshotFiles(from, message, std::move(dir));
  });
}

void TransportShared::DeliverRemoved(NodeId from, Index index) {
  ToHandler(false, [from, index](TransportHandler* handler) { handler->OnRemoved(from, index); });
}

void TransportShared::ForgetInbound(NodeId peer, const SocketPtr& socket) {
  const auto it = inbound_.find(peer);
  if (it == inbound_.end()) return;
  it->second.erase(socket);
  if (it->second.empty()) inbound_.erase(it);
}

void TransportShared::CloseIfRemoved(NodeId peer) {
  const auto it = inbound_.find(peer);
  if (it == inbound_.end() || RemovedAt(peer) == 0) return;
  for (const SocketPtr& socket : it->second) {
    boost::system::error_code ignored;
    socket->close(ignored);
  }
}

void TransportShared::DeliverDone(absl::AnyInvocable<void(absl::Status)> done,
                                  absl::Status status) {
  ToHandler(false, [done = std::move(done), status = std::move(status)](TransportHandler*) mutable {
    done(std::move(status));
  });
}

PeerCounters& TransportShared::CountersOf(NodeId peer) {
  std::lock_guard lock(counters_mu_);
  std::unique_ptr<PeerCounters>& found = of_peers_[peer];
  if (found == nullptr) found = std::make_unique<PeerCounters>();
  return *found;
}

std::vector<PeerFigures> TransportShared::Peers() const {
  std::lock_guard lock(counters_mu_);
  std::vector<PeerFigures> all;
  for (const auto& [peer, figures] : of_peers_) {
    all.push_back({.peer = peer,
                   .sent_bytes = figures->sent_bytes.load(),
                   .received_bytes = figures->received_bytes.load(),
                   .dropped_messages = figures->dropped_messages.load(),
                   .round_trip = std::chrono::microseconds(figures->round_trip_us.load()),
                   .round_trips = figures->round_trips.load()});
  }
  return all;
}

void TransportShared::Heard(NodeId peer) {
  const base::TimePoint now = messages.loop()->Now();
  std::lock_guard lock(heard_mu_);
  heard_[peer] = now;
}

base::Duration TransportShared::SinceHeard(NodeId peer) const {
  const base::TimePoint now = const_cast<ConnectionGroup&>(messages).loop()->Now();
  std::lock_guard lock(heard_mu_);
  const auto it = heard_.find(peer);
  return it == heard_.end() ? base::Duration::max() : now - it->second;
}

void TransportShared::Refused(const std::string& remote, std::string_view why) {
  const uint64_t count = ++counters.refused_connections;
  const int64_t now = messages.loop()->Now().time_since_epoch().count();
  int64_t last = refused_logged_at_ns_.load();
  if (now - last < base::Duration(std::chrono::seconds(1)).count() && last != 0) return;
  if (!refused_logged_at_ns_.compare_exchange_strong(last, now)) return;
  base::Log().warn("peer connection refused remote={} reason=\"{}\" refused_total={}", remote, why,
                   count);
}

asio::awaitable<absl::Status> SecureToPeer(SocketPtr socket,
                                           std::shared_ptr<base::TlsContext> context,
                                           std::string host, std::string address) {
  socket->StartTls(context->NewSession(socket->native_handle(), host));
  const auto [ec] = co_await socket->async_handshake(kAwait);
  if (!ec) co_return absl::OkStatus();
  const std::string& why = socket->tls()->error();
  co_return absl::UnavailableError(
      StrCat("connect ", address, ": ", why.empty() ? ec.message() : why));
}

namespace {

// What the peer says behind HelloResult::kRemoved. Only what names this cluster and this member
// counts; whether it is news is for the handler to judge.
asio::awaitable<absl::Status> ReadRemovalNotice(std::shared_ptr<TransportShared> shared,
                                                SocketPtr socket, std::string address,
                                                HelloReply reply) {
  FrameReader reader(kFrameHeaderBytes + 1024);
  if (absl::Status filled = co_await reader.Fill(socket); !filled.ok()) co_return filled;
  const auto frame = reader.Next();
  if (!frame.ok()) co_return frame.status();
  if (frame->type != FrameType::kRemoved) {
    co_return absl::FailedPreconditionError(StrCat(address, " does not speak the peer protocol"));
  }
  const auto notice = DecodeRemovalNotice(frame->payload);
  if (!notice.ok()) co_return notice.status();
  const uint64_t cluster = shared->options.cluster_id;
  if (reply.cluster_id != cluster || notice->cluster_id != cluster ||
      notice->member != shared->options.self) {
    co_return absl::FailedPreconditionError(
        StrCat(address, " speaks of the removal of another member"));
  }
  shared->DeliverRemoved(reply.member, notice->index);
  co_return absl::FailedPreconditionError(StrCat(address, " says that this member was removed"));
}

}  // namespace

asio::awaitable<absl::Status> ConnectToPeer(std::shared_ptr<TransportShared> shared,
                                            ConnectionGroup* group, SocketPtr socket,
                                            std::string address, Hello hello, uint32_t* features) {
  auto target = ParsePeerAddress(address);
  if (!target.ok()) co_return target.status();
  const auto failed = [&](std::string_view doing, const boost::system::error_code& ec) {
    return absl::UnavailableError(StrCat(doing, " ", address, ": ", ec.message()));
  };
  std::vector<Tcp::endpoint> endpoints;
  boost::system::error_code parse_error;
  const auto ip = asio::ip::make_address(target->host, parse_error);
  const int port = std::atoi(target->port.c_str());
  if (!parse_error && port > 0 && port < 65536) {
    endpoints.emplace_back(ip, static_cast<uint16_t>(port));
  } else {
    Tcp::resolver resolver(socket->get_executor());
    const auto [ec, results] = co_await resolver.async_resolve(target->host, target->port, kAwait);
    if (ec) co_return failed("resolve", ec);
    for (const auto& result : results) endpoints.push_back(result.endpoint());
  }
  if (group->closed()) co_return absl::CancelledError("stopping");
  Deadline deadline(socket, shared->options.handshake_limit);
  const auto [connect_error, endpoint] = co_await asio::async_connect(*socket, endpoints, kAwait);
  if (connect_error) co_return failed("connect", connect_error);
  if (group->closed()) co_return absl::CancelledError("stopping");
  boost::system::error_code ignored;
  socket->set_option(Tcp::no_delay(true), ignored);
  // A peer that vanished without a word: give up on unacknowledged bytes.
  socket->set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>(10'000),
                     ignored);

  if (target->tls) {
    if (shared->options.tls_client == nullptr) {
      co_return absl::FailedPreconditionError(
          StrCat(address, " asks for TLS, and this member has no certificates for it"));
    }
    const absl::Status secured =
        co_await SecureToPeer(socket, shared->options.tls_client, target->host, address);
    if (!secured.ok()) co_return secured;
  }

  const std::string bytes = EncodeHello(hello);
  const auto [write_error, written] =
      co_await asio::async_write(*socket, asio::buffer(bytes), kAwait);
  if (write_error) co_return failed("write", write_error);
  std::string answer(kHelloReplyBytes, '\0');
  const auto [read_error, got] = co_await asio::async_read(*socket, asio::buffer(answer), kAwait);
  if (read_error && socket->tls() != nullptr && !socket->tls()->error().empty()) {
    // With TLS 1.3 the other side judges our certificate after our half of the handshake.
    co_return absl::UnavailableError(StrCat("connect ", address, ": ", socket->tls()->error()));
  }
  if (read_error) co_return failed("handshake with", read_error);
  const auto reply = DecodeHelloReply(answer);
  if (!reply.ok()) {
    co_return absl::FailedPreconditionError(StrCat(address, " does not speak the peer protocol"));
  }
  const auto hex = [](uint64_t v) { return absl::StrCat(absl::Hex(v)); };
  switch (reply->result) {
    case HelloResult::kOk:
      if (features != nullptr) *features = reply->features;
      co_return absl::OkStatus();
    case HelloResult::kOtherCluster:
      co_return absl::FailedPreconditionError(StrCat(address, " belongs to cluster ",
                                                     hex(reply->cluster_id), ", this member to ",
                                                     hex(hello.cluster_id)));
    case HelloResult::kOtherMember:
      co_return absl::FailedPreconditionError(
          StrCat(address, " is member ", hex(reply->member), ", expected was ", hex(hello.to)));
    case HelloResult::kRemoved:
      co_return co_await ReadRemovalNotice(shared, socket, address, *reply);
    case HelloResult::kOtherVersion:
      break;
  }
  co_return absl::FailedPreconditionError(StrCat(address, " speaks another protocol version"));
}

asio::awaitable<absl::Status> FrameReader::Fill(SocketPtr socket) {
  while (true) {
    const auto frame = ParseFrame({buffer_.data() + begin_, end_ - begin_}, max_frame_bytes_);
    if (!frame.ok()) co_return frame.status();
    if (frame->bytes != 0) co_return absl::OkStatus();
    // Room for the frame, but not more than twice what has arrived: a length alone buys no memory.
    const size_t have = end_ - begin_;
    const size_t want = std::max(std::min(frame->needed, have * 2), have + kReadBytes);
    if (buffer_.size() - begin_ < want) {
      if (buffer_.size() < want) {
        std::vector<char> larger(want);
        std::copy_n(buffer_.data() + begin_, have, larger.data());
        buffer_.swap(larger);
      } else {
        std::memmove(buffer_.data(), buffer_.data() + begin_, have);
      }
      begin_ = 0;
      end_ = have;
    }
    const auto [ec, n] = co_await socket->async_read_some(
        asio::buffer(buffer_.data() + end_, buffer_.size() - end_), kAwait);
    if (ec == asio::error::eof && end_ == begin_) co_return absl::OutOfRangeError("closed");
    if (ec) co_return absl::UnavailableError(ec.message());
    end_ += n;
  }
}

absl::StatusOr<FrameView> FrameReader::Next() {
  auto frame = ParseFrame({buffer_.data() + begin_, end_ - begin_}, max_frame_bytes_);
  if (frame.ok()) begin_ += frame->bytes;
  if (begin_ == end_) begin_ = end_ = 0;  // The view stays valid: nothing is written before Fill.
  return frame;
}

}  // namespace keel::raft
