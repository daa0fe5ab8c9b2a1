#include "raft/transport/tcp_transport.h"

#include <future>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "raft/transport/peer_table.h"
#include "raft/transport/shared.h"

namespace keel::raft {

using base::StrCat;

struct TcpTransport::Impl {
  std::unique_ptr<base::AsioLoop> own_io;
  base::AsioLoop snapshot_loop{"raft-snapshot"};
  base::AsioLoop* io = nullptr;
  std::shared_ptr<TransportShared> shared;
  bool started = false;
  std::atomic<bool> stopped{false};

  // On io.
  struct Acceptor {
    std::shared_ptr<Tcp::acceptor> acceptor;
    bool tls;
  };
  std::vector<Acceptor> acceptors;

  void Send(std::span<Message> messages) {
    for (Message& message : messages) {
      if (PeerSender* const peer = shared->peers->Find(message.to)) {
        peer->Send(std::move(message));
      } else {
        ++shared->counters.dropped_messages;
      }
    }
  }
};

TcpTransport::TcpTransport() : impl_(std::make_unique<Impl>()) {}

absl::StatusOr<std::unique_ptr<TcpTransport>> TcpTransport::Create(TcpTransportOptions options) {
  if (options.fs == nullptr) options.fs = &base::PosixFileSystem();
  std::unique_ptr<TcpTransport> out(new TcpTransport());
  Impl& impl = *out->impl_;
  if (options.io == nullptr) {
    impl.own_io = std::make_unique<base::AsioLoop>("raft-net");
    options.io = impl.own_io.get();
  }
  impl.io = options.io;
  for (const std::string& address : options.listen) {
    KEEL_ASSIGN_OR_RETURN(const HostPort target, ParsePeerAddress(address));
    if (target.tls && options.tls_server == nullptr) {
      return absl::InvalidArgumentError(
          StrCat("cannot listen on TLS for ", address, ": KeyFile and CertFile are not presented"));
    }
    boost::system::error_code ec;
    Tcp::resolver resolver(impl.io->context());
    const auto found = resolver.resolve(target.host, target.port, Tcp::resolver::passive, ec);
    if (ec || found.empty()) {
      return absl::InvalidArgumentError(StrCat("cannot listen on ", address, ": ", ec.message()));
    }
    const Tcp::endpoint endpoint = found.begin()->endpoint();
    auto acceptor = std::make_shared<Tcp::acceptor>(impl.io->context());
    acceptor->open(endpoint.protocol(), ec);
    if (!ec) acceptor->set_option(Tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor->bind(endpoint, ec);
    if (!ec) acceptor->listen(boost::asio::socket_base::max_listen_connections, ec);
    if (ec) {
      const std::string text = StrCat("cannot listen on ", address, ": ", ec.message());
      return ec == boost::asio::error::address_in_use ? absl::AlreadyExistsError(text)
                                                      : absl::UnavailableError(text);
    }
    if (out->port_ == 0) out->port_ = acceptor->local_endpoint().port();
    impl.acceptors.push_back({std::move(acceptor), target.tls});
  }
  if (!options.snapshot_dir.empty()) {  // Left by a run that was interrupted.
    KEEL_RETURN_IF_ERROR(options.fs->CreateDirs(options.snapshot_dir));
    KEEL_ASSIGN_OR_RETURN(const auto names, options.fs->List(options.snapshot_dir));
    for (const std::string& name : names) {
      if (name.compare(0, 5, "recv-") == 0) {
        KEEL_RETURN_IF_ERROR(options.fs->RemoveAll(StrCat(options.snapshot_dir, "/", name)));
      }
    }
  }
  impl.shared = std::make_shared<TransportShared>(std::move(options), impl.io, &impl.snapshot_loop);
  impl.shared->self_ = impl.shared;
  return out;
}

TcpTransport::~TcpTransport() {
  Stop();
  if (impl_->shared) {
    const std::shared_ptr<TransportShared> shared = std::move(impl_->shared->self_);
  }
}

void TcpTransport::Start(base::Loop* loop, TransportHandler* handler) {
  KEEL_CHECK(!impl_->started, "started twice");
  impl_->started = true;
  impl_->shared->Connect(loop, handler);
  impl_->snapshot_loop.Start();
  if (impl_->own_io) impl_->own_io->Start();
  impl_->io->Post([impl = impl_.get(), shared = impl_->shared] {
    for (const auto& [acceptor, tls] : impl->acceptors) {
      shared->messages.Spawn(RunAcceptor(shared, acceptor, tls));
    }
  });
}

void TcpTransport::Stop() {
  if (!impl_->shared || impl_->stopped.exchange(true)) return;
  impl_->shared->Disconnect();
  const auto shared = impl_->shared;
  if (!impl_->started) {
    impl_->io->Dispatch([shared] { shared->peers->Close(); });
    return;
  }
  // Both groups end by themselves once their sockets are closed.
  auto messages_ended = std::make_shared<std::promise<void>>();
  auto snapshots_ended = std::make_shared<std::promise<void>>();
  impl_->io->Post([impl = impl_.get(), shared, messages_ended] {
    for (const auto& [acceptor, tls] : impl->acceptors) {
      boost::system::error_code ignored;
      acceptor->close(ignored);
    }
    shared->peers->Close();
    shared->messages.Close([messages_ended] { messages_ended->set_value(); });
  });
  impl_->snapshot_loop.Post([shared, snapshots_ended] {
    shared->snapshots.Close([snapshots_ended] { snapshots_ended->set_value(); });
  });
  constexpr auto kLimit = std::chrono::seconds(20);
  if (messages_ended->get_future().wait_for(kLimit) != std::future_status::ready ||
      snapshots_ended->get_future().wait_for(kLimit) != std::future_status::ready) {
    base::Log().error("peer connections did not end in time");
  }
  impl_->snapshot_loop.Stop();
  if (impl_->own_io) impl_->own_io->Stop();
}

void TcpTransport::AddPeer(NodeId peer, const std::string& address) {
  if (impl_->stopped) return;
  impl_->io->Dispatch(
      [shared = impl_->shared, peer, address] { shared->peers->Add(shared, peer, address); });
}

void TcpTransport::RemovePeer(NodeId peer) {
  if (impl_->stopped) return;
  impl_->io->Dispatch([shared = impl_->shared, peer] {
    shared->peers->Remove(peer);
    shared->messages.loop()->After(shared->options.removal_grace, [shared, peer] {
      if (!shared->messages.closed()) shared->CloseIfRemoved(peer);
    });
  });
}

void TcpTransport::Send(std::span<Message> messages) {
  if (messages.empty() || impl_->stopped) return;
  if (impl_->io->InLoop()) return impl_->Send(messages);
  // Held by this, which outlives what runs on the loop.
  impl_->io->Post([impl = impl_.get(), taken = std::vector<Message>(
                                           std::make_move_iterator(messages.begin()),
                                           std::make_move_iterator(messages.end()))]() mutable {
    impl->Send(taken);
  });
}

void TcpTransport::SendUser(NodeId to, std::string payload) {
  if (impl_->stopped) return;
  impl_->io->Dispatch([shared = impl_->shared.get(), to, payload = std::move(payload)]() mutable {
    if (PeerSender* const peer = shared->peers->Find(to)) peer->SendUser(std::move(payload));
  });
}

void TcpTransport::SendSnapshot(Message message, std::string dir,
                                absl::AnyInvocable<void(absl::Status)> done) {
  if (impl_->stopped) return;
  impl_->io->Dispatch([shared = impl_->shared, message = std::move(message), dir = std::move(dir),
                       done = std::move(done)]() mutable {
    const PeerSender* const peer = shared->peers->Find(message.to);
    if (peer == nullptr) {
      shared->DeliverDone(std::move(done), absl::NotFoundError("no such peer"));
      return;
    }
    shared->snapshots.loop()->Post([shared, address = peer->address(), message = std::move(message),
                                    dir = std::move(dir), done = std::move(done)]() mutable {
      if (shared->snapshots.closed()) return;
      shared->snapshots.Spawn(StreamSnapshot(shared, std::move(address), std::move(message),
                                             std::move(dir), std::move(done)));
    });
  });
}

std::vector<PeerFigures> TcpTransport::Peers() const { return impl_->shared->Peers(); }

base::Duration TcpTransport::SinceHeard(NodeId peer) const {
  return impl_->shared->SinceHeard(peer);
}

const TransportCounters& TcpTransport::counters() const { return impl_->shared->counters; }

}  // namespace keel::raft
