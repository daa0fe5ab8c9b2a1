// What the parts of a Client share: connections, choice of server, repetition
// of calls. Internal to the client.
//
// Thread-safety: Call, loop and options from any thread; all else on the loop.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/asio_loop.h"
#include "kvstore/client/endpoints.h"
#include "kvstore/client/login.h"
#include "kvstore/client/methods.h"
#include "kvstore/client/options.h"
#include "rpc/client.h"

namespace keel::kvstore {

class ClientCore : public std::enable_shared_from_this<ClientCore> {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;

  // `addresses`: options.endpoints, each through ParseEndpoint.
  // `tls`: for endpoints that want it; may be null where none does.
  ClientCore(base::AsioLoop& loop, ClientOptions options, std::vector<std::string> addresses,
             std::shared_ptr<base::TlsContext> tls);

  // `done` runs once, on the loop, never within this call.
  // REQUIRES: `path` lives until then.
  void Call(std::string_view path, Repeat repeat, std::string request, const RpcOptions& options,
            Done done);

  // Ends all calls with Cancelled and closes the connections. Idempotent.
  void Close();
  bool closed() const { return closed_; }

  base::AsioLoop& loop() { return loop_; }
  const ClientOptions& options() const { return options_; }

  // ---- For streams that live longer than a connection

  Endpoints& endpoints() { return endpoints_; }
  rpc::Channel& channel(size_t index) { return *channels_[index]; }
  const std::string& address(size_t index) const { return channels_[index]->target(); }
  // The channel to what `endpoint` names, made when there is none yet. InvalidArgument for what is
  // no endpoint, and for https:// when the client was made without TLS.
  absl::StatusOr<size_t> IndexOf(std::string_view endpoint);
  Login& login() { return login_; }
  // Login::Get, at any server.
  void LogIn(Login::Done done);
  // The pause before the next round when all servers failed `rounds` times.
  base::Duration Backoff(int rounds);

 private:
  struct Operation;
  using OperationPtr = std::shared_ptr<Operation>;

  // Attempt, with a token first if one is needed.
  void Begin(const OperationPtr& op);
  void Attempt(const OperationPtr& op);
  void OnAttempt(const OperationPtr& op, size_t index, absl::StatusOr<std::string> response);
  void NextRound(const OperationPtr& op, absl::Status last);
  void Finish(const OperationPtr& op, absl::StatusOr<std::string> result);
  // Asks all servers who leads, unless that was done lately; see
  // ClientOptions::follow_leader.
  void FindLeader();
  void LeaderSought();
  std::unique_ptr<rpc::Channel> MakeChannel(const std::string& address, bool secure);

  base::AsioLoop& loop_;
  const ClientOptions options_;
  Login login_;
  const std::shared_ptr<base::TlsContext> tls_;
  Endpoints endpoints_;
  // Of the endpoints, in order; behind them those of calls to one given server.
  std::vector<std::unique_ptr<rpc::Channel>> channels_;
  absl::flat_hash_set<OperationPtr> operations_;
  std::optional<base::TimePoint> leader_sought_at_;
  size_t leader_answers_awaited_ = 0;
  // Writes that wait for the answers: those of the first search.
  std::vector<OperationPtr> waiting_for_leader_;
  absl::BitGen random_;
  bool closed_ = false;
};

// "no endpoint answers: 127.0.0.1:2379: connection refused, ..." of errors that
// are Failure::kNotConnected.
absl::Status NoEndpointAnswers(const std::vector<absl::Status>& errors);

}  // namespace keel::kvstore
