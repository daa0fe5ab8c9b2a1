#include "rpc/server_loop.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>

#include "rpc/http1_connection.h"
#include "rpc/server_connection.h"

namespace keel::rpc::internal {

// --- telling the protocols apart -------------------------------------------------

namespace {

constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// A connection whose first bytes are not here yet.
class NewConnection final : public ServerMember,
                            public DeadlineWheel::Entry,
                            public std::enable_shared_from_this<NewConnection> {
 public:
  NewConnection(std::shared_ptr<ServerLoop> loop, Socket socket)
      : loop_(std::move(loop)), socket_(std::move(socket)) {}

  void Start() {
    PrepareSocket(socket_);
    loop_->Join(*this);
    loop_->io->wheel().Arm(*this,
                           DeadlineWheel::Now() + loop_->registry->options.handshake_timeout);
    Wait();
  }

  void OnDeadline() override { CloseNow(); }
  void StartDrain() override { CloseNow(); }
  void CloseNow() override {
    Leave();
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  void Wait() {
    socket_.async_wait(Socket::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                         if (!error && self->socket_.is_open()) self->Look();
                       });
  }

  void Look() {
    // Reads no more than the preface, so that nothing has to be given back.
    char buffer[kHttp2Preface.size()];
    const ssize_t n =
        ::recv(socket_.native_handle(), buffer, kHttp2Preface.size() - seen_.size(), 0);
    if (n == 0) return CloseNow();
    if (n < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return Wait();
      return CloseNow();
    }
    seen_.append(buffer, static_cast<size_t>(n));
    loop_->counters.bytes_received.Add(static_cast<uint64_t>(n));
    if (seen_ == kHttp2Preface) {
      Leave();
      std::make_shared<ServerConnection>(loop_, std::move(socket_))->Start(seen_);
    } else if (kHttp2Preface.substr(0, seen_.size()) == seen_) {
      Wait();
    } else {
      Leave();
      StartHttp1(loop_, std::move(socket_), seen_);
    }
  }

  void Leave() {
    Entry::Disarm();
    ServerMember::unlink();
  }

  const std::shared_ptr<ServerLoop> loop_;
  Socket socket_;
  std::string seen_;
};

}  // namespace

// --- ServerLoop --------------------------------------------------------------------

ServerLoop::ServerLoop(base::AsioLoop& loop, std::shared_ptr<const ServerRegistry> methods)
    : io(IoLoop::Create(loop)),
      mailbox(std::make_shared<ServerMailbox>(loop, &ServerConnection::Handle)),
      registry(std::move(methods)),
      counters(registry->methods_in_order.size()) {}

void ServerLoop::Accept(Socket socket) {
  if (closed_ || draining_) return;
  mailbox->EnterLoop();
  counters.connections_accepted.Add(1);
  std::make_shared<NewConnection>(shared_from_this(), std::move(socket))->Start();
}

void ServerLoop::Join(ServerMember& member) { members_.push_back(member); }

void ServerLoop::StartDrain() {
  draining_ = true;
  // A member may leave, or turn into another, while it is told.
  std::vector<ServerMember*> all;
  for (ServerMember& member : members_) all.push_back(&member);
  for (ServerMember* member : all) {
    const bool there = std::any_of(members_.begin(), members_.end(),
                                   [member](ServerMember& m) { return &m == member; });
    if (there) member->StartDrain();
  }
}

void ServerLoop::CloseAll() {
  if (closed_) return;
  closed_ = true;
  while (!members_.empty()) members_.front().CloseNow();
  io->wheel().Stop();
  mailbox->Close();
}

}  // namespace keel::rpc::internal
