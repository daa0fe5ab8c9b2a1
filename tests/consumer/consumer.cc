// The first program of docs/raft.md: one member, one text. Each run appends to
// the text and prints it.
//
//   consumer FOLDER
#include <chrono>
#include <functional>
#include <future>
#include <iostream>
#include <thread>

#include "base/asio_loop.h"
#include "raft/driver/memory_state_machine.h"
#include "raft/driver/node.h"
#include "raft/transport/tcp_transport.h"

namespace raft = keel::raft;

class Text final : public raft::MemoryStateMachine {
 public:
  using MemoryStateMachine::MemoryStateMachine;
  void ApplyCommand(const raft::Entry& entry) override {
    text += *entry.data;
    if (on_apply) on_apply();
  }
  std::string Save() const override { return text; }
  absl::Status Load(std::string_view saved) override {
    text = saved;
    return absl::OkStatus();
  }
  std::string text;
  std::function<void()> on_apply;
};

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string dir = argv[1];
  keel::base::AsioLoop loop("consumer");
  Text text(dir + "/state");
  raft::TcpTransportOptions tcp;
  tcp.self = 1;
  tcp.listen = {"127.0.0.1:0"};
  tcp.io = &loop;
  auto transport = raft::TcpTransport::Create(std::move(tcp));
  if (!transport.ok()) return std::cerr << transport.status() << "\n", 1;
  raft::NodeOptions options;
  options.id = 1;
  options.loop = options.apply_loop = &loop;
  options.log_dir = dir + "/log";
  options.segment_bytes = 1 << 20;
  options.initial_conf.voters = {1};
  auto node = raft::Node::Open(options, transport->get(), &text);
  if (!node.ok()) return std::cerr << node.status() << "\n", 1;
  loop.Start();

  // Once a read is allowed, the state holds all that was ever committed.
  std::promise<void> applied;
  for (bool ready = false; !ready;) {
    std::promise<bool> read;
    (*node)->ReadIndex([&](absl::StatusOr<raft::Index> index) {
      if (index.ok()) text.on_apply = [&] { applied.set_value(); };
      read.set_value(index.ok());
    });
    ready = read.get_future().get();
    if (!ready) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  (*node)->Propose(std::make_shared<const std::string>("x"), nullptr);
  applied.get_future().wait();
  (*node)->Stop(std::chrono::seconds(0));
  loop.Stop();
  std::cout << text.text << "\n";
  return 0;
}
