// What stands behind a Channel: its connection, or the attempts to get one, and
// the calls that wait for it.
//
// Thread-safety: the loop only, but for what says otherwise. Lifetime: shared
// by the Channel, its streams and its connections; Close() cuts the ties.
#pragma once

#include <nghttp2/nghttp2.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "rpc/client.h"
#include "rpc/client_call.h"
#include "rpc/io_loop.h"
#include "rpc/mailbox.h"

namespace keel::rpc::internal {

class ClientConnection;
class Connector;

class ChannelCore : public std::enable_shared_from_this<ChannelCore> {
 public:
  ChannelCore(base::AsioLoop& loop, std::string target, ChannelOptions options);
  ~ChannelCore();

  // Any thread: now when on the loop, else through the mailbox.
  void Do(ClientOp op);
  bool connected() const { return connected_.load(std::memory_order_relaxed); }
  const std::string& target() const { return target_; }
  const ChannelOptions& options() const { return options_; }
  base::AsioLoop& loop() { return loop_; }

  void Close();

  // Of a connection.
  void ConnectionLeaves(ClientConnection& connection);  // takes no more calls
  void ConnectionClosed(ClientConnection& connection);
  // Of a call: its deadline has passed, or it is cancelled.
  void Stop(ClientCall& call, absl::Status status);
  std::vector<nghttp2_nv>& header_scratch() { return header_scratch_; }

  // Of the Connector.
  void Connected(Socket socket);
  void ConnectFailed(std::string_view why);

 private:
  struct RetryEntry : DeadlineWheel::Entry {
    explicit RetryEntry(ChannelCore* owner) : core(owner) {}
    void OnDeadline() override { core->Retry(); }
    ChannelCore* core;
  };

  static void Handle(ClientOp& op);
  void Start(std::unique_ptr<ClientCall> call);
  // Ends a call that was never on a connection, after this turn. Any thread.
  void FailLater(std::unique_ptr<ClientCall> call, absl::Status status);
  void Connect();
  void Retry();
  // Ends (or keeps, when they wait for readiness) the calls without connection.
  void FailWaiting(const absl::Status& status, bool also_patient);

  base::AsioLoop& loop_;
  const std::string target_;
  const ChannelOptions options_;
  const std::shared_ptr<IoLoop> io_;
  const std::shared_ptr<Mailbox<ClientOp>> mailbox_;
  std::atomic<bool> connected_{false};

  std::shared_ptr<ClientConnection> current_;
  absl::flat_hash_set<std::shared_ptr<ClientConnection>> leaving_;
  std::shared_ptr<Connector> connector_;  // while an attempt is under way
  StreamList waiting_;
  absl::Status last_error_;
  base::Duration backoff_{0};
  base::TimePoint retry_at_{};  // no attempt before
  RetryEntry retry_{this};
  bool closed_ = false;
  std::vector<nghttp2_nv> header_scratch_;
};

}  // namespace keel::rpc::internal
