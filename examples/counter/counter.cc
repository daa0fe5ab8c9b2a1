// A replicated counter: three processes that agree on one number. Each in a
// shell of its own:
//
//   PEERS=127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103
//   build/release/bin/counter 1 $PEERS 7201 /tmp/counter/1
//   build/release/bin/counter 2 $PEERS 7202 /tmp/counter/2
//   build/release/bin/counter 3 $PEERS 7203 /tmp/counter/3
//
// Then `curl -N telnet://127.0.0.1:7202` (any of the three), and type `add 5` or
// `get`. Kill one, even with -9: the others go on; start it again: it catches up.
#include <boost/asio.hpp>
#include <csignal>
#include <iostream>
#include <map>
#include <random>
#include <sstream>

#include "base/asio_loop.h"
#include "base/strings.h"
#include "raft/driver/memory_state_machine.h"
#include "raft/driver/node.h"
#include "raft/transport/tcp_transport.h"

using namespace keel;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

// A client's request on its way: ends with an answer, or when the timer does.
struct Call {
  explicit Call(const asio::any_io_executor& executor) : timer(executor, 5s) {}
  void Finish(std::string text) {
    answer = std::move(text);
    timer.cancel();
  }
  asio::steady_timer timer;
  std::string answer;
};

// The state machine. A command is "<id> <number>"; the member that proposed it
// finds the waiting client by the id once the command is applied there.
class Counter final : public raft::MemoryStateMachine {
 public:
  using MemoryStateMachine::MemoryStateMachine;

  void ApplyCommand(const raft::Entry& entry) override {
    std::istringstream command(*entry.data);
    std::string id;
    int64_t number = 0;
    command >> id >> number;
    value += static_cast<uint64_t>(number);
    if (auto call = waiting.extract(id)) call.mapped()->Finish(Save());
  }
  std::string Save() const override { return std::to_string(static_cast<int64_t>(value)); }
  absl::Status Load(std::string_view saved) override {
    value = static_cast<uint64_t>(std::stoll(std::string(saved)));
    return absl::OkStatus();
  }

  uint64_t value = 0;  // two's complement: wraps around
  std::map<std::string, std::shared_ptr<Call>> waiting;
};

asio::awaitable<std::string> Answer(std::string line, raft::Node& node, Counter& counter) {
  auto call = std::make_shared<Call>(co_await asio::this_coro::executor);
  static std::random_device random;
  const std::string id = base::StrCat(random(), ".", random());  // of this request
  std::istringstream words(line);
  std::string verb;
  int64_t number = 0;
  words >> verb;
  if (verb == "add" && words >> number) {
    counter.waiting[id] = call;
    auto command = std::make_shared<const std::string>(base::StrCat(id, " ", number));
    node.Propose(command, [call](absl::Status refused) {
      call->Finish(base::StrCat("error: ", refused.message()));
    });
  } else if (verb == "get") {
    node.ReadIndex([call, &counter](absl::StatusOr<raft::Index> index) {
      call->Finish(index.ok() ? counter.Save() : base::StrCat("error: ", index.status().message()));
    });
  } else {
    co_return "error: say 'add NUMBER' or 'get'";
  }
  if (call->answer.empty()) co_await call->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  counter.waiting.erase(id);
  co_return call->answer.empty() ? "error: no answer in time; it may still happen" : call->answer;
}

// An exception of Asio's ends it when the client leaves; `detached` ignores it.
asio::awaitable<void> Serve(tcp::socket socket, raft::Node& node, Counter& counter) {
  for (std::string buffer;;) {
    const size_t size = co_await asio::async_read_until(socket, asio::dynamic_buffer(buffer, 4096),
                                                        '\n', asio::use_awaitable);
    std::string answer = co_await Answer(buffer.substr(0, size - 1), node, counter);
    co_await asio::async_write(socket, asio::buffer(answer += '\n'), asio::use_awaitable);
    buffer.erase(0, size);
  }
}

asio::awaitable<void> Listen(tcp::acceptor& acceptor, raft::Node& node, Counter& counter) {
  for (;;) {
    tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
    asio::co_spawn(acceptor.get_executor(), Serve(std::move(socket), node, counter),
                   asio::detached);
  }
}

int main(int argc, char** argv) {
  if (argc != 5) return std::cerr << "usage: counter ID PEERS CLIENT_PORT FOLDER\n", 2;
  const std::string dir = argv[4];
  std::vector<std::string> peers;
  std::istringstream list(argv[2]);
  for (std::string peer; std::getline(list, peer, ',');) peers.push_back(peer);
  sigset_t signals{};  // waited for below; blocked before any thread starts
  for (int signal : {SIGINT, SIGTERM}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  base::AsioLoop loop("counter");  // one thread for everything but the log's writes
  Counter counter(dir + "/state");
  raft::NodeOptions options;
  options.id = std::stoull(argv[1]);
  options.loop = options.apply_loop = &loop;
  options.log_dir = dir + "/log";
  options.snapshot_dir = dir + "/snapshots";
  options.on_fatal = [](const absl::Status& status) {
    std::cerr << "counter: " << status << "\n";
    std::_Exit(1);  // the disk failed: as a crash; nothing is lost
  };
  for (size_t i = 1; i <= peers.size(); ++i) options.initial_conf.voters.push_back(i);
  raft::TcpTransportOptions tcp_options{.self = options.id, .listen = {peers.at(options.id - 1)}};
  tcp_options.io = &loop;
  tcp_options.snapshot_dir = options.snapshot_dir;
  auto transport = raft::TcpTransport::Create(std::move(tcp_options));
  if (!transport.ok()) return std::cerr << transport.status() << "\n", 1;
  for (size_t i = 1; i <= peers.size(); ++i) (*transport)->AddPeer(i, peers[i - 1]);
  auto node = raft::Node::Open(options, transport->get(), &counter);
  if (!node.ok()) return std::cerr << node.status() << "\n", 1;

  tcp::acceptor acceptor(loop.context(), {asio::ip::address_v4::loopback(),
                                          static_cast<uint16_t>(std::stoul(argv[3]))});
  asio::co_spawn(loop.context(), Listen(acceptor, **node, counter), asio::detached);
  loop.Start();
  int signal = 0;
  sigwait(&signals, &signal);
  (*node)->Stop(1s);  // hands leadership over first
  loop.Stop();
  return 0;
}
