// A lock server: three processes, locks with a line of waiters, a time to live
// and fencing tokens. Each in a shell of its own:
//
//   PEERS=127.0.0.1:7111,127.0.0.1:7112,127.0.0.1:7113
//   build/release/bin/lockserver --id 1 --peers $PEERS --port 7211 --dir /tmp/locks/1
//   build/release/bin/lockserver --id 2 --peers $PEERS --port 7212 --dir /tmp/locks/2
//   build/release/bin/lockserver --id 3 --peers $PEERS --port 7213 --dir /tmp/locks/3
//
// Any of the three answers `curl -N telnet://127.0.0.1:7212`:
//
//   lock door alice      granted 7        (waits while somebody else holds it)
//   renew door alice     renewed          (at least every --ttl seconds)
//   holder door          alice 7
//   unlock door alice    released
#include <CLI/CLI.hpp>
#include <boost/asio.hpp>
#include <csignal>
#include <iostream>
#include <random>
#include <sstream>

#include "base/asio_loop.h"
#include "base/strings.h"
#include "examples/lockserver/lock_table.h"
#include "raft/driver/node.h"
#include "raft/transport/tcp_transport.h"

namespace lockserver {
namespace {

namespace asio = boost::asio;
namespace base = keel::base;
namespace raft = keel::raft;
using asio::ip::tcp;
using namespace std::chrono_literals;

// Everything runs on one loop: the Raft core, the table, the clients.
class Server {
 public:
  Server(base::AsioLoop* loop, raft::Node* node, LockTable* table, base::Duration ttl)
      : loop_(*loop), node_(*node), table_(*table), ttl_(ttl) {
    table_.on_answer = [this](const std::string& id, const std::string& answer) {
      if (auto call = calls_.extract(id)) call.mapped()->Finish(answer);
    };
    table_.on_grant = [this](const std::string& lock, raft::Index token) {
      deadlines_[lock] = {token, loop_.Now() + ttl_};
    };
  }

  void Start(uint16_t port) {
    acceptor_.emplace(loop_.context(), tcp::endpoint{asio::ip::address_v4::loopback(), port});
    asio::co_spawn(loop_.context(), Listen(), asio::detached);
    loop_.Post([this] { ExpireDue(); });
  }

 private:
  // A request on its way: ends with an answer, or when the timer does.
  struct Call {
    Call(const asio::any_io_executor& executor, base::Duration limit) : timer(executor, limit) {}
    void Finish(std::string text) {
      answer = std::move(text);
      timer.cancel();
    }
    asio::steady_timer timer;
    std::string answer;
  };
  struct Deadline {
    raft::Index token;
    base::TimePoint at;
  };

  // Every member keeps deadlines, by its own clock, from when it saw the grant;
  // only the leader acts. A member that comes to lead saw each grant or renewal
  // no earlier than the holder's request was made: nothing expires early.
  void ExpireDue() {
    for (auto it = deadlines_.begin(); it != deadlines_.end();) {
      const auto& [lock, deadline] = *it;
      if (!table_.Holder(lock).ends_with(base::StrCat(" ", deadline.token))) {
        it = deadlines_.erase(it);  // given back
        continue;
      }
      if (node_.role() == raft::Role::kLeader && loop_.Now() >= deadline.at) {
        Propose(base::StrCat("- expire ", lock, " ", deadline.token), nullptr);
      }
      ++it;
    }
    loop_.After(100ms, [this] { ExpireDue(); });
  }

  void Propose(const std::string& command, std::shared_ptr<Call> call) {
    node_.Propose(std::make_shared<const std::string>(command), [call](absl::Status refused) {
      if (call) call->Finish(base::StrCat("error: ", refused.message()));
    });
  }

  asio::awaitable<std::string> Answer(std::string line) {
    std::istringstream words(line);
    std::string verb, lock, owner, more;
    words >> verb >> lock >> owner >> more;
    const bool changes = verb == "lock" || verb == "unlock" || verb == "renew";
    const bool asks = verb == "holder";
    if (!more.empty() || lock.empty() || owner.empty() == changes || changes == asks) {
      co_return "error: say 'lock|renew|unlock LOCK OWNER' or 'holder LOCK'";
    }
    // Standing in line may take long; the rest is a matter of one round.
    const base::Duration limit = verb == "lock" ? 60s : 5s;
    auto call = std::make_shared<Call>(co_await asio::this_coro::executor, limit);
    const std::string id = base::StrCat(prefix_, ".", ++next_id_);
    if (changes) {
      calls_[id] = call;
      Propose(base::StrCat(id, " ", line), call);
    } else {
      node_.ReadIndex([this, call, lock](absl::StatusOr<raft::Index> index) {
        call->Finish(index.ok() ? table_.Holder(lock)
                                : base::StrCat("error: ", index.status().message()));
      });
    }
    if (call->answer.empty()) {
      co_await call->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    calls_.erase(id);
    if (!call->answer.empty()) co_return call->answer;
    // Nobody waits for it any more.
    if (verb == "lock") Propose(base::StrCat("- leave ", lock, " ", id), nullptr);
    co_return "error: no answer in time";
  }

  // An exception of Asio's ends it when the client leaves; `detached` ignores it.
  asio::awaitable<void> Serve(tcp::socket socket) {
    for (std::string buffer;;) {
      const size_t size = co_await asio::async_read_until(
          socket, asio::dynamic_buffer(buffer, 4096), '\n', asio::use_awaitable);
      std::string answer = co_await Answer(buffer.substr(0, size - 1));
      co_await asio::async_write(socket, asio::buffer(answer += '\n'), asio::use_awaitable);
      buffer.erase(0, size);
    }
  }

  asio::awaitable<void> Listen() {
    for (;;) {
      tcp::socket socket = co_await acceptor_->async_accept(asio::use_awaitable);
      asio::co_spawn(loop_.context(), Serve(std::move(socket)), asio::detached);
    }
  }

  base::AsioLoop& loop_;
  raft::Node& node_;
  LockTable& table_;
  const base::Duration ttl_;
  const uint32_t prefix_ = std::random_device{}();  // of this process's requests
  uint64_t next_id_ = 0;
  std::optional<tcp::acceptor> acceptor_;
  std::map<std::string, std::shared_ptr<Call>> calls_;  // by id
  std::map<std::string, Deadline> deadlines_;           // by lock
};

int Run(raft::NodeId id, const std::vector<std::string>& peers, uint16_t port,
        const std::string& dir, base::Duration ttl) {
  sigset_t signals{};  // waited for below; blocked before any thread starts
  for (int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  base::AsioLoop loop("lockserver");
  LockTable table(dir + "/state");
  raft::TcpTransportOptions tcp_options;
  tcp_options.self = id;
  tcp_options.listen = {peers.at(id - 1)};
  tcp_options.io = &loop;
  tcp_options.snapshot_dir = dir + "/snapshots";
  auto transport = raft::TcpTransport::Create(std::move(tcp_options));
  if (!transport.ok()) return std::cerr << "lockserver: " << transport.status() << "\n", 1;

  raft::NodeOptions options;
  options.id = id;
  options.loop = options.apply_loop = &loop;
  options.log_dir = dir + "/log";
  options.snapshot_dir = dir + "/snapshots";
  for (size_t peer = 1; peer <= peers.size(); ++peer) {
    options.initial_conf.voters.push_back(peer);
    (*transport)->AddPeer(peer, peers[peer - 1]);
  }
  options.on_fatal = [](const absl::Status& status) {
    std::cerr << "lockserver: " << status << "\n";
    std::_Exit(1);
  };
  auto node = raft::Node::Open(options, transport->get(), &table);
  if (!node.ok()) return std::cerr << "lockserver: " << node.status() << "\n", 1;

  Server server(&loop, node->get(), &table, ttl);
  server.Start(port);
  loop.Start();
  int signal = 0;
  sigwait(&signals, &signal);
  (*node)->Stop(1s);
  loop.Stop();
  return 0;
}

}  // namespace
}  // namespace lockserver

int main(int argc, char** argv) {
  CLI::App app("A lock server replicated by keel::raft; start one process for each of --peers.");
  uint64_t id = 0;
  std::vector<std::string> peers;
  uint16_t port = 0;
  std::string dir;
  double ttl_seconds = 10;
  app.add_option("--id", id, "this member: a position in --peers, from 1")->required();
  app.add_option("--peers", peers, "HOST:PORT of each member, itself included")
      ->required()
      ->delimiter(',');
  app.add_option("--port", port, "for clients, on loopback")->required();
  app.add_option("--dir", dir, "where this member keeps its log and state")->required();
  app.add_option("--ttl", ttl_seconds, "seconds after which a lock that is not renewed is taken")
      ->check(CLI::Range(0.1, 1e6))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (id < 1 || id > peers.size()) {
    std::cerr << "lockserver: --id is from 1 to " << peers.size() << "\n";
    return 2;
  }
  return lockserver::Run(id, peers, port, dir,
                         std::chrono::nanoseconds(static_cast<int64_t>(ttl_seconds * 1e9)));
}
