#include "rpc/server_loop.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "rpc/http1_connection.h"
#include "rpc/linger.h"
#include "rpc/server_connection.h"

namespace keel::rpc::internal {

// --- telling the protocols apart -------------------------------------------------

namespace {

// Lines about clients that are turned away, at most.
constexpr uint32_t kRejectLogBurst = 20;
constexpr uint32_t kRejectLogsPerSecond = 5;

constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// A connection whose first bytes are not here yet.
class NewConnection final : public ServerMember,
                            public DeadlineWheel::Entry,
                            public std::enable_shared_from_this<NewConnection> {
 public:
  NewConnection(std::shared_ptr<ServerLoop> loop, Socket socket)
      : loop_(std::move(loop)), socket_(std::move(socket)) {}

  void Start(const std::shared_ptr<base::TlsContext>& tls) {
    PrepareSocket(socket_);
    loop_->Join(*this);
    loop_->io->wheel().Arm(*this,
                           DeadlineWheel::Now() + loop_->registry->options.handshake_timeout);
    if (tls == nullptr) return Wait();
    in_handshake_ = true;
    peer_ = PeerName(socket_);
    socket_.StartTls(tls->NewSession(socket_.native_handle(), ""));
    WaitFor(Socket::wait_read);
  }

  void OnDeadline() override {
    if (in_handshake_) loop_->RejectedByTls(peer_, "tls: the handshake timed out");
    CloseNow();
  }
  void StartDrain() override { CloseNow(); }
  void CloseNow() override {
    Leave();
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  void Wait() {
    if (socket_.tls() != nullptr && socket_.tls()->HasPending()) return Look();
    WaitFor(Socket::wait_read);
  }

  void WaitFor(Socket::wait_type what) {
    socket_.async_wait(what, [self = shared_from_this()](const boost::system::error_code& error) {
      if (error || !self->socket_.is_open()) return;
      if (self->in_handshake_) return self->Handshake();
      self->Look();
    });
  }

  void Handshake() {
    switch (socket_.tls()->Handshake()) {
      case base::TlsSession::Result::kDone:
        in_handshake_ = false;
        loop_->counters.tls_handshakes.Add(1);
        return Wait();
      case base::TlsSession::Result::kWantRead:
        return WaitFor(Socket::wait_read);
      case base::TlsSession::Result::kWantWrite:
        return WaitFor(Socket::wait_write);
      case base::TlsSession::Result::kFailed:
        loop_->RejectedByTls(peer_, socket_.tls()->error());
        Leave();
        return CloseLingering(std::move(socket_));  // the alert that says why shall arrive
    }
  }

  ssize_t Read(char* out, size_t size) {
    return socket_.tls() == nullptr ? ::recv(socket_.native_handle(), out, size, 0)
                                    : socket_.tls()->Read(out, size);
  }

  void Look() {
    // Reads no more than the preface, so that nothing has to be given back.
    char buffer[kHttp2Preface.size()];
    const ssize_t n = Read(buffer, kHttp2Preface.size() - seen_.size());
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
  bool in_handshake_ = false;  // of TLS
  std::string peer_;           // of a connection with TLS
  std::string seen_;
};

}  // namespace

// --- ServerLoop --------------------------------------------------------------------

ServerLoop::ServerLoop(base::AsioLoop& loop, std::shared_ptr<const ServerRegistry> methods)
    : io(IoLoop::Create(loop)),
      mailbox(std::make_shared<ServerMailbox>(loop, &ServerConnection::Handle)),
      registry(std::move(methods)),
      counters(registry->methods_in_order.size()) {}

ServerLoop::LogBudget::LogBudget()
    : bucket_(kRejectLogBurst, kRejectLogsPerSecond, DeadlineWheel::Now()) {}

std::optional<std::string> ServerLoop::LogBudget::Take() {
  if (!bucket_.Take(&DeadlineWheel::Now)) {
    ++unlogged_;
    return std::nullopt;
  }
  if (unlogged_ == 0) return std::string();
  return base::StrCat(" not_logged_before=", std::exchange(unlogged_, 0));
}

void ServerLoop::RejectedByTls(const std::string& peer, std::string_view why) {
  counters.tls_handshakes_failed.Add(1);
  const std::optional<std::string> end = reject_logs_.Take();
  if (!end.has_value()) return;
  base::Log().warn("rejected connection remote={} error=\"{}\"{}", peer, why, *end);
}

void ServerLoop::Refused(const ServerMethod& method, const ServerPeer& peer,
                         const absl::Status& status) {
  const std::optional<std::string> end = refusal_logs_.Take();
  if (!end.has_value()) return;
  base::Log().warn(
      "refused call method={} remote={}{} error=\"{}\"{}", method.path, peer.name,
      peer.certificate_name.has_value() ? base::StrCat(" cn=", *peer.certificate_name) : "",
      base::ToStd(status.message()), *end);
}

void ServerLoop::Accept(Socket socket, const std::shared_ptr<base::TlsContext>& tls) {
  if (closed_ || draining_) return;
  mailbox->EnterLoop();
  counters.connections_accepted.Add(1);
  std::make_shared<NewConnection>(shared_from_this(), std::move(socket))->Start(tls);
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
