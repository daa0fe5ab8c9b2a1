// Connections that peers open to this member.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/log.h"
#include "base/strings.h"
#include "raft/transport/peer_address.h"
#include "raft/transport/peer_table.h"
#include "raft/transport/shared.h"

namespace keel::raft {

namespace asio = boost::asio;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::string_view kMagic = "KEELPEER";

// A closed socket keeps its coroutine from going on, so nothing else is needed.
void Close(const SocketPtr& socket) {
  boost::system::error_code ignored;
  socket->close(ignored);
}

std::string RemoteOf(const Tcp::socket& socket) {
  boost::system::error_code ec;
  const auto endpoint = socket.remote_endpoint(ec);
  return ec ? "unknown" : base::StrCat(endpoint.address().to_string(), ":", endpoint.port());
}

// Reads the hello and answers it. False when the connection was refused.
asio::awaitable<bool> Accept(std::shared_ptr<TransportShared> shared, SocketPtr socket,
                             Hello* hello) {
  const std::string remote = RemoteOf(*socket);
  Deadline deadline(socket, shared->options.handshake_limit);
  std::string bytes(kHelloBytes, '\0');
  // The first bytes alone tell most of what is not a peer, without waiting for more.
  size_t got = 0;
  while (got < kHelloBytes) {
    const auto [ec, n] = co_await socket->async_read_some(
        asio::buffer(bytes.data() + got, kHelloBytes - got), kAwait);
    got += n;
    const size_t seen = std::min(got, kMagic.size());
    if (bytes.compare(0, seen, kMagic.substr(0, seen)) != 0) {
      shared->Refused(remote, "not the peer protocol");
      co_return false;
    }
    if (ec) {
      if (!shared->messages.closed()) shared->Refused(remote, "no hello");
      co_return false;
    }
  }
  const auto decoded = DecodeHello(bytes);
  HelloReply reply{HelloResult::kOk, shared->options.cluster_id, shared->options.self,
                   kTakesAddress};
  std::string why;
  Index removed_at = 0;
  if (!decoded.ok()) {
    why = base::ToStd(decoded.status().message());
    if (decoded.status().code() == absl::StatusCode::kInvalidArgument) {
      shared->Refused(remote, why);
      co_return false;
    }
    reply.result = HelloResult::kOtherVersion;
  } else if (decoded->kind == StreamKind::kIntroduction) {
    // Who asks this knows no ids yet.
  } else if (decoded->cluster_id != shared->options.cluster_id) {
    reply.result = HelloResult::kOtherCluster;
    why = base::StrCat("member ", absl::Hex(decoded->from), " belongs to cluster ",
                       absl::Hex(decoded->cluster_id), ", this member to ",
                       absl::Hex(shared->options.cluster_id));
  } else if (removed_at = shared->RemovedAt(decoded->from); removed_at != 0) {
    reply.result = HelloResult::kRemoved;
    why = base::StrCat("member ", absl::Hex(decoded->from), " was removed from the cluster");
  } else if (decoded->to != shared->options.self) {
    reply.result = HelloResult::kOtherMember;
    why = base::StrCat("member ", absl::Hex(decoded->from), " expected member ",
                       absl::Hex(decoded->to), " here, this is ", absl::Hex(shared->options.self));
  }
  const std::string answer = EncodeHelloReply(reply);
  std::string notice;
  FrameWriter writer;
  std::vector<asio::const_buffer> buffers = {asio::buffer(answer)};
  if (reply.result == HelloResult::kRemoved) {
    notice = EncodeRemovalNotice({shared->options.cluster_id, decoded->from, removed_at});
    writer.Add(FrameType::kRemoved, notice);
    for (const std::string_view part : writer.Parts()) {
      buffers.emplace_back(part.data(), part.size());
    }
  }
  const auto [ec, n] = co_await asio::async_write(*socket, buffers, kAwait);
  if (!why.empty()) shared->Refused(remote, why);
  if (ec || !why.empty()) co_return false;
  *hello = *decoded;
  co_return true;
}

// Why the stream ended; OutOfRange when the peer closed it between two frames. `learned`: what the
// table of peers made of the address that came.
asio::awaitable<absl::Status> ReadMessages(std::shared_ptr<TransportShared> shared,
                                           SocketPtr socket, Hello hello, uint64_t* learned) {
  bool first = true;
  FrameReader reader(shared->options.max_frame_bytes);
  PeerCounters& counters = shared->CountersOf(hello.from);
  while (true) {
    const absl::Status filled = co_await reader.Fill(socket);
    if (!filled.ok()) co_return filled;
    // Everything that has arrived goes to the handler at once.
    std::vector<Message> messages;
    while (true) {
      const auto frame = reader.Next();
      if (!frame.ok()) co_return frame.status();
      if (frame->bytes == 0) break;
      shared->counters.received_bytes += frame->bytes;
      counters.received_bytes += frame->bytes;
      if (std::exchange(first, false) && frame->type == FrameType::kAddress) {
        if (!IsPeerAddress(frame->payload)) {
          co_return absl::InvalidArgumentError("an address that is none");
        }
        *learned = shared->peers->Learn(shared, hello.from, std::string(frame->payload));
        continue;
      }
      if (frame->type == FrameType::kUser) {
        shared->DeliverUser(hello.from, std::string(frame->payload));
        continue;
      }
      if (frame->type != FrameType::kMessages && frame->type != FrameType::kGroupMessages) {
        co_return absl::InvalidArgumentError("a frame that does not belong on this stream");
      }
      const absl::Status decoded = DecodeMessages(frame->payload, &messages);
      if (!decoded.ok()) co_return decoded;
    }
    for (const Message& message : messages) {
      if (message.from != hello.from || message.to != shared->options.self) {
        co_return absl::InvalidArgumentError("a message of or to another member");
      }
    }
    shared->Heard(hello.from);
    if (!messages.empty()) shared->DeliverMessages(std::move(messages));
  }
}

// TLS, as the side that was called. False when the connection was refused.
asio::awaitable<bool> Secure(std::shared_ptr<TransportShared> shared, SocketPtr socket,
                             std::string remote) {
  Deadline deadline(socket, shared->options.handshake_limit);
  socket->StartTls(shared->options.tls_server->NewSession(socket->native_handle(), ""));
  const auto [ec] = co_await socket->async_handshake(kAwait);
  if (!ec) {
    if (!shared->options.check_caller_address) co_return true;
    boost::system::error_code gone;
    const auto caller = socket->remote_endpoint(gone);
    if (gone) co_return false;
    const absl::Status fits =
        co_await CheckCallerAddress(socket->tls()->peer_names(), caller.address());
    if (fits.ok()) co_return true;
    if (!shared->messages.closed()) shared->Refused(remote, base::ToStd(fits.message()));
    co_return false;
  }
  const std::string& why = socket->tls()->error();
  if (!shared->messages.closed()) {
    shared->Refused(remote, why.empty() ? "tls: the handshake timed out" : why);
  }
  co_return false;
}

asio::awaitable<void> Introduce(std::shared_ptr<TransportShared> shared, SocketPtr socket) {
  Deadline deadline(socket, shared->options.handshake_limit);
  const std::string payload = shared->options.introduction ? shared->options.introduction() : "";
  FrameWriter writer;
  writer.Add(FrameType::kUser, payload);
  std::vector<asio::const_buffer> buffers;
  for (const std::string_view part : writer.Parts()) buffers.emplace_back(part.data(), part.size());
  co_await asio::async_write(*socket, buffers, kAwait);
}

}  // namespace

asio::awaitable<void> RunSession(std::shared_ptr<TransportShared> shared, SocketPtr socket,
                                 bool tls) {
  shared->messages.Track(socket);
  boost::system::error_code ignored;
  socket->set_option(Tcp::no_delay(true), ignored);
  const std::string remote = RemoteOf(*socket);
  Hello hello;
  if (tls && !co_await Secure(shared, socket, remote)) {
    // Closed below.
  } else if (co_await Accept(shared, socket, &hello)) {
    if (hello.kind == StreamKind::kSnapshot) {
      shared->messages.Forget(socket);
      // To the thread that may wait for disks.
      boost::system::error_code ec;
      const auto protocol = socket->local_endpoint(ec).protocol();
      const auto handle = ec ? -1 : socket->release(ec);
      if (!ec) {
        // It keeps the descriptor that it was made for.
        shared->snapshots.loop()->Post(
            [shared, protocol, handle, hello, session = socket->TakeTls()]() mutable {
              auto moved = std::make_shared<Socket>(shared->snapshots.loop()->context());
              boost::system::error_code assigned;
              moved->assign(protocol, handle, assigned);
              if (!assigned && session != nullptr) moved->StartTls(std::move(session));
              if (assigned || shared->snapshots.closed()) return Close(moved);
              shared->snapshots.Spawn(ReceiveSnapshot(shared, moved, hello));
            });
      }
      co_return;
    }
    absl::Status ended;
    if (hello.kind == StreamKind::kIntroduction) {
      co_await Introduce(shared, socket);
    } else {
      uint64_t learned = 0;
      shared->TrackInbound(hello.from, socket);
      ended = co_await ReadMessages(shared, socket, hello, &learned);
      shared->ForgetInbound(hello.from, socket);
      shared->peers->Forget(hello.from, learned);
    }
    if (absl::IsInvalidArgument(ended) || absl::IsDataLoss(ended)) {
      shared->Refused(remote, base::ToStd(ended.message()));
    }
  }
  shared->messages.Forget(socket);
  Close(socket);
}

asio::awaitable<void> RunAcceptor(std::shared_ptr<TransportShared> shared,
                                  std::shared_ptr<Tcp::acceptor> acceptor, bool tls) {
  asio::steady_timer pause(shared->messages.loop()->context());
  while (!shared->messages.closed()) {
    auto socket = std::make_shared<Socket>(shared->messages.loop()->context());
    const auto [ec] = co_await acceptor->async_accept(*socket, kAwait);
    if (shared->messages.closed()) break;
    if (ec) {  // Out of descriptors, most likely: give others time to close some.
      base::Log().warn("cannot accept peer connections error=\"{}\"", ec.message());
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(kAwait);
      continue;
    }
    shared->messages.Spawn(RunSession(shared, socket, tls));
  }
}

}  // namespace keel::raft
