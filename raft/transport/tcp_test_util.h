// Sides of a TcpTransport on loopback, and what they hear: for tests.
//
//   Side a(1), b(2);
//   a.Start();
//   b.Start();
//   a.Connect(b);
//   ASSERT_TRUE(SendUntilHeard(a, b, term));
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/strings.h"
#include "raft/transport/codec.h"
#include "raft/transport/tcp_transport.h"

namespace keel::raft::testing {

class Recorder final : public TransportHandler {
 public:
  void OnMessages(std::span<Message> messages) override {
    std::lock_guard lock(mu_);
    for (Message& m : messages) messages_.push_back(std::move(m));
    cv_.notify_all();
  }
  void OnUnreachable(NodeId peer) override {
    std::lock_guard lock(mu_);
    ++unreachable_;
    cv_.notify_all();
  }
  void OnSnapshotFiles(NodeId from, const Message& message, std::string dir) override {
    std::lock_guard lock(mu_);
    snapshot_ = message;
    snapshot_dir_ = std::move(dir);
    cv_.notify_all();
  }
  void OnUserMessage(NodeId from, std::string payload) override {
    std::lock_guard lock(mu_);
    user_.push_back(std::move(payload));
    cv_.notify_all();
  }

  void OnRemoved(NodeId from, Index index) override {
    std::lock_guard lock(mu_);
    removed_by_ = from;
    removed_at_ = index;
    cv_.notify_all();
  }

  template <typename Condition>
  bool Wait(Condition condition) {
    std::unique_lock lock(mu_);
    return cv_.wait_for(lock, std::chrono::seconds(20), [&] { return condition(*this); });
  }

  std::mutex mu_;
  std::condition_variable cv_;
  std::vector<Message> messages_;
  std::vector<std::string> user_;
  int unreachable_ = 0;
  Message snapshot_;
  std::string snapshot_dir_;
  NodeId removed_by_ = kNoNode;
  Index removed_at_ = 0;
};

struct Side {
  explicit Side(NodeId id, uint64_t cluster = 7, uint16_t port = 0, bool own_thread = true)
      : dir(base::StrCat(::testing::TempDir(), "/keel_transport_", ::getpid(), "_", id)) {
    std::filesystem::remove_all(dir);
    options.self = id;
    options.cluster_id = cluster;
    options.listen = {base::StrCat("127.0.0.1:", port)};
    options.snapshot_dir = dir;
    if (!own_thread) options.io = &loop;
  }
  ~Side() {
    transport.reset();
    loop.Stop();
    std::filesystem::remove_all(dir);
  }
  void Start() {
    loop.Start();
    auto made = TcpTransport::Create(options);
    ASSERT_TRUE(made.ok()) << made.status();
    transport = *std::move(made);
    transport->Start(&loop, &recorder);
  }
  void Connect(const Side& other) {
    transport->AddPeer(other.options.self,
                       base::StrCat("http://127.0.0.1:", other.transport->port()));
  }

  const std::string dir;
  TcpTransportOptions options;
  base::AsioLoop loop{"test"};
  Recorder recorder;
  std::unique_ptr<TcpTransport> transport;
};

inline Message Heartbeat(NodeId from, NodeId to, Term term) {
  Message m;
  m.type = MessageType::kHeartbeat;
  m.from = from;
  m.to = to;
  m.term = term;
  return m;
}

inline void Send(Transport& transport, std::vector<Message> messages) { transport.Send(messages); }

// Sends until something arrives: connections take a moment, and a message may be lost.
inline bool SendUntilHeard(Side& from, Side& to, Term term) {
  for (int i = 0; i < 500; ++i) {
    Send(*from.transport, {Heartbeat(from.options.self, to.options.self, term)});
    std::unique_lock lock(to.recorder.mu_);
    if (to.recorder.cv_.wait_for(lock, std::chrono::milliseconds(20), [&] {
          for (const Message& m : to.recorder.messages_) {
            if (m.term == term) return true;
          }
          return false;
        })) {
      return true;
    }
  }
  return false;
}

// Writes bytes to the port and waits until the other side closes.
inline void SendBytes(uint16_t port, const std::string& bytes) {
  boost::asio::io_context context;
  boost::asio::ip::tcp::socket socket(context);
  boost::system::error_code ec;
  socket.connect({boost::asio::ip::make_address("127.0.0.1"), port}, ec);
  ASSERT_FALSE(ec);
  boost::asio::write(socket, boost::asio::buffer(bytes), ec);
  socket.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ec);
  char buffer[256];
  while (!ec) socket.read_some(boost::asio::buffer(buffer), ec);
}

}  // namespace keel::raft::testing
