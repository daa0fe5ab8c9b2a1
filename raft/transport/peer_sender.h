// This member's messages to one peer: keeps a connection to it, queues while a
// write runs, and writes all that queued as one.
//
// Everything on the io loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "raft/transport/shared.h"

namespace keel::raft {

class PeerSender : public std::enable_shared_from_this<PeerSender> {
 public:
  PeerSender(std::shared_ptr<TransportShared> shared, NodeId peer, std::string address);

  void Start();
  // Drops what cannot be taken: nothing is connected, or too much is waiting.
  void Send(Message message);
  void SendUser(std::string payload);
  void Close();

  const std::string& address() const { return address_; }

 private:
  enum class State { kDown, kConnecting, kUp };

  static boost::asio::awaitable<void> Run(std::shared_ptr<PeerSender> self);
  // Connects and writes until the connection breaks; why it did.
  static boost::asio::awaitable<absl::Status> Session(std::shared_ptr<PeerSender> self,
                                                      SocketPtr socket);
  bool MakeRoom(uint64_t bytes);
  void CountDropped(uint64_t messages);
  void CountSent(Socket& socket, uint64_t bytes);
  void WatchForClose(SocketPtr socket);

  const std::shared_ptr<TransportShared> shared_;
  const NodeId peer_;
  const std::string address_;
  PeerCounters& counters_;
  base::TimePoint sampled_at_{};
  boost::asio::steady_timer wake_;
  SocketPtr socket_;
  State state_ = State::kDown;
  bool closed_ = false;
  bool was_up_ = false;      // in the last Session
  bool overflowed_ = false;  // reported since the queue was last empty
  std::vector<Message> messages_;
  std::vector<std::string> user_;
  uint64_t queued_bytes_ = 0;
};

}  // namespace keel::raft
