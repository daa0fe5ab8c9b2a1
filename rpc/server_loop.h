// What a Server is made of behind its header: the table of methods, and per
// loop the mailbox through which other threads answer calls, the counters and
// the connections.
#pragma once

#include <atomic>
#include <boost/intrusive/list.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "rpc/io_loop.h"
#include "rpc/mailbox.h"
#include "rpc/server.h"
#include "rpc/socket.h"
#include "rpc/token_bucket.h"

namespace keel::rpc::internal {

struct ServerMethod {
  std::string path;
  size_t index = 0;            // into the counters
  Server::UnaryHandler unary;  // one of the two
  Server::StreamHandlerFactory stream;
};

// Immutable once the server listens.
struct ServerRegistry {
  ServerOptions options;
  absl::flat_hash_map<std::string, std::unique_ptr<ServerMethod>> methods;
  absl::flat_hash_map<std::string, int> services;
  std::vector<const ServerMethod*> methods_in_order;
  Server::HttpHandler http_handler;
  Server::HttpStreamsBody http_streams_body;
};

// Counted by one loop, read by any thread.
class Counter {
 public:
  void Add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Sub(uint64_t n) { Add(-n); }
  uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct MethodCounters {
  Counter started;
  Counter messages_received;
  Counter messages_sent;
  Counter handled[17];
};

struct ServerCounters {
  explicit ServerCounters(size_t method_count) : methods(method_count) {}
  Counter connections_open;
  Counter connections_accepted;
  Counter calls_open;
  Counter bytes_received;
  Counter bytes_sent;
  Counter http_requests;
  Counter floods;
  Counter tls_handshakes;
  Counter tls_handshakes_failed;
  std::vector<MethodCounters> methods;
};

// What a thread other than the loop's wants done with a call.
struct CallOp {
  enum class Kind { kReply, kFinish, kSend, kPauseReading, kResumeReading, kAbandoned };
  Kind kind;
  ServerCallPtr call;
  Message message;
  absl::Status status;
};

using ServerMailbox = Mailbox<CallOp>;

// What a call needs to know of its connection, also after that is gone.
struct ServerPeer {
  std::string name;
  base::Loop* loop;
  std::shared_ptr<ServerMailbox> mailbox;  // null for a call without a connection
  std::shared_ptr<const ServerRegistry> registry;
  std::optional<std::string> certificate_name;  // of the client's certificate, when it showed one
  std::shared_ptr<const base::TlsSubject> certificate{};  // the same, whole; over HTTP/1.1 too
};

// A connection of either protocol, or one not yet told apart.
class ServerMember : public boost::intrusive::list_base_hook<
                         boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  virtual ~ServerMember() = default;
  // Takes no more requests and closes once the present ones are answered.
  virtual void StartDrain() = 0;
  virtual void CloseNow() = 0;
};

// One loop of the server. Loop only, but for construction and the counters.
class ServerLoop : public std::enable_shared_from_this<ServerLoop> {
 public:
  ServerLoop(base::AsioLoop& loop, std::shared_ptr<const ServerRegistry> methods);

  // A socket just accepted: TLS first when that is given, then tells HTTP/2 from HTTP/1 by its
  // first bytes.
  void Accept(Socket socket, const std::shared_ptr<base::TlsContext>& tls);
  // A TLS handshake failed: counts it, and logs it unless too many were of late.
  void RejectedByTls(const std::string& peer, std::string_view why);
  // A call ends because of who makes it: logs it unless too many did of late.
  void Refused(const ServerMethod& method, const ServerPeer& peer, const absl::Status& status);
  void Join(ServerMember& member);
  void StartDrain();
  // Cuts everything off, and takes nothing any more.
  void CloseAll();
  bool empty() const { return members_.empty(); }
  bool draining() const { return draining_; }
  bool closed() const { return closed_; }

  const std::shared_ptr<IoLoop> io;
  const std::shared_ptr<ServerMailbox> mailbox;
  const std::shared_ptr<const ServerRegistry> registry;
  ServerCounters counters;

 private:
  boost::intrusive::list<ServerMember, boost::intrusive::constant_time_size<false>> members_;
  // Lines of one kind in the log: a burst, then some a second; the others are counted.
  class LogBudget {
   public:
    LogBudget();
    // What to end a line with; nullopt: this one is not logged.
    std::optional<std::string> Take();

   private:
    TokenBucket bucket_;
    uint64_t unlogged_ = 0;
  };
  LogBudget reject_logs_;
  LogBudget refusal_logs_;
  bool draining_ = false;
  bool closed_ = false;
};

}  // namespace keel::rpc::internal
