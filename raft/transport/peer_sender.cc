#include "raft/transport/peer_sender.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/log.h"
#include "base/strings.h"

namespace keel::raft {

namespace asio = boost::asio;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// Of messages in one frame, so that the receiver can start before all has arrived.
constexpr uint64_t kFrameBytes = 4 << 20;
// May wait for a connection that is being made.
constexpr uint64_t kConnectingBytes = 1 << 20;
// Between two looks at a connection's round trip time.
constexpr base::Duration kSampleInterval = std::chrono::seconds(1);
}  // namespace

PeerSender::PeerSender(std::shared_ptr<TransportShared> shared, NodeId peer, std::string address)
    : shared_(std::move(shared)),
      peer_(peer),
      address_(std::move(address)),
      counters_(shared_->CountersOf(peer_)),
      wake_(shared_->messages.loop()->context(), asio::steady_timer::time_point::max()) {}

void PeerSender::Start() { shared_->messages.Spawn(Run(shared_from_this())); }

void PeerSender::Close() {
  closed_ = true;
  boost::system::error_code ignored;
  if (socket_) socket_->close(ignored);
  wake_.cancel();
}

bool PeerSender::MakeRoom(uint64_t bytes) {
  const uint64_t limit = state_ == State::kUp ? shared_->options.max_queue_bytes : kConnectingBytes;
  if (state_ == State::kDown || (queued_bytes_ != 0 && queued_bytes_ + bytes > limit)) {
    CountDropped(1);
    if (state_ != State::kDown && !overflowed_) {
      overflowed_ = true;
      shared_->DeliverUnreachable(peer_);
    }
    return false;
  }
  queued_bytes_ += bytes;
  if (state_ == State::kUp && messages_.empty() && user_.empty()) wake_.cancel();
  return true;
}

void PeerSender::Send(Message message) {
  const uint64_t bytes = ApproximateBytes(message);
  if (bytes > shared_->options.max_frame_bytes) {
    base::Log().error("message to peer={:x} dropped: {} bytes are more than a frame may hold",
                      peer_, bytes);
    CountDropped(1);
    return;
  }
  if (MakeRoom(bytes)) messages_.push_back(std::move(message));
}

void PeerSender::SendUser(std::string payload) {
  if (payload.size() > shared_->options.max_frame_bytes) {
    CountDropped(1);
    return;
  }
  if (MakeRoom(payload.size() + kFrameHeaderBytes)) user_.push_back(std::move(payload));
}

void PeerSender::CountDropped(uint64_t messages) {
  shared_->counters.dropped_messages += messages;
  counters_.dropped_messages += messages;
}

void PeerSender::CountSent(Socket& socket, uint64_t bytes) {
  shared_->counters.sent_bytes += bytes;
  counters_.sent_bytes += bytes;
  const base::TimePoint now = shared_->messages.loop()->Now();
  if (now - sampled_at_ < kSampleInterval) return;
  sampled_at_ = now;
  // The kernel measures it on every acknowledgement: no message of ours is needed.
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (::getsockopt(socket.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return;
  counters_.round_trip_us = info.tcpi_rtt;
  ++counters_.round_trips;
}

// Nothing but the end of the stream ever comes back.
void PeerSender::WatchForClose(SocketPtr socket) {
  auto byte = std::make_shared<char>();
  socket->async_read_some(asio::buffer(byte.get(), 1), [self = shared_from_this(), socket, byte](
                                                           boost::system::error_code, size_t) {
    boost::system::error_code ignored;
    socket->close(ignored);
    self->wake_.cancel();
  });
}

asio::awaitable<absl::Status> PeerSender::Session(std::shared_ptr<PeerSender> self,
                                                  SocketPtr socket) {
  TransportShared& shared = *self->shared_;
  uint32_t features = 0;
  const absl::Status connected = co_await ConnectToPeer(
      self->shared_, &shared.messages, socket, self->address_,
      Hello{StreamKind::kMessages, shared.options.cluster_id, shared.options.self, self->peer_},
      &features);
  if (!connected.ok()) co_return connected;
  if ((features & kTakesAddress) != 0 && !shared.options.advertise.empty()) {
    FrameWriter frame;
    frame.Add(FrameType::kAddress, shared.options.advertise);
    std::vector<asio::const_buffer> buffers;
    for (const std::string_view part : frame.Parts())
      buffers.emplace_back(part.data(), part.size());
    const auto [ec, written] = co_await asio::async_write(*socket, buffers, kAwait);
    self->CountSent(*socket, written);
    if (ec) {
      co_return absl::UnavailableError(base::StrCat("write ", self->address_, ": ", ec.message()));
    }
  }
  self->was_up_ = true;
  self->state_ = State::kUp;
  base::Log().info("connected to peer={:x} address={}", self->peer_, self->address_);
  self->WatchForClose(socket);
  while (!self->closed_ && socket->is_open()) {
    if (self->messages_.empty() && self->user_.empty()) {
      self->overflowed_ = false;
      self->wake_.expires_at(asio::steady_timer::time_point::max());
      co_await self->wake_.async_wait(kAwait);
      continue;
    }
    // Kept alive until written: the frames point into them.
    const std::vector<Message> messages = std::exchange(self->messages_, {});
    const std::vector<std::string> user = std::exchange(self->user_, {});
    self->queued_bytes_ = 0;
    FrameWriter frames;
    size_t first = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < messages.size(); ++i) {
      bytes += ApproximateBytes(messages[i]);
      if (bytes >= kFrameBytes || i + 1 == messages.size()) {
        frames.AddMessages(std::span(messages).subspan(first, i + 1 - first));
        first = i + 1;
        bytes = 0;
      }
    }
    for (const std::string& payload : user) frames.Add(FrameType::kUser, payload);
    std::vector<asio::const_buffer> buffers;
    for (const std::string_view part : frames.Parts()) {
      buffers.emplace_back(part.data(), part.size());
    }
    const auto [ec, written] = co_await asio::async_write(*socket, buffers, kAwait);
    self->CountSent(*socket, written);
    if (ec) {
      co_return absl::UnavailableError(base::StrCat("write ", self->address_, ": ", ec.message()));
    }
  }
  co_return absl::UnavailableError(base::StrCat(self->address_, " closed the connection"));
}

asio::awaitable<void> PeerSender::Run(std::shared_ptr<PeerSender> self) {
  TransportShared& shared = *self->shared_;
  base::Duration back_off = shared.options.reconnect_min;
  std::string last_error;
  while (!self->closed_ && !shared.messages.closed()) {
    self->state_ = State::kConnecting;
    self->was_up_ = false;
    self->socket_ = std::make_shared<Socket>(shared.messages.loop()->context());
    shared.messages.Track(self->socket_);
    const absl::Status status = co_await Session(self, self->socket_);
    shared.messages.Forget(self->socket_);
    boost::system::error_code ignored;
    self->socket_->close(ignored);
    self->state_ = State::kDown;
    self->CountDropped(self->messages_.size() + self->user_.size());
    self->messages_.clear();
    self->user_.clear();
    self->queued_bytes_ = 0;
    if (self->closed_ || shared.messages.closed()) break;

    if (self->was_up_) {
      ++shared.counters.broken_connections;
      back_off = shared.options.reconnect_min;
    }
    const std::string error(base::ToStd(status.message()));
    if (error != last_error || self->was_up_) {
      base::Log().warn("no connection to peer={:x} error=\"{}\"", self->peer_, error);
      last_error = error;
    }
    shared.DeliverUnreachable(self->peer_);
    self->wake_.expires_after(back_off);
    co_await self->wake_.async_wait(kAwait);
    back_off = std::min(back_off * 2, shared.options.reconnect_max);
  }
}

}  // namespace keel::raft
