// A server of scripted answers for the client's tests: each RPC does what the
// test says, on a port of its own.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/asio_loop.h"
#include "base/check.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"
#include "rpc/server.h"

namespace keel::kvstore {

class FakeServer {
 public:
  // An answer, an error, or (nullopt-like) silence when the call is kept.
  using Unary = std::function<absl::StatusOr<std::string>(std::string_view request)>;
  using OnStreamMessage = std::function<void(rpc::ServerCall& call, std::string_view message)>;

  // `port` 0: a free one.
  explicit FakeServer(uint16_t port = 0) : loop_("fake") {
    loop_.Start();
    server_ = std::make_unique<rpc::Server>(std::vector<base::AsioLoop*>{&loop_});
    for (const char* path : {"/etcdserverpb.KV/Range", "/etcdserverpb.KV/Put",
                             "/etcdserverpb.KV/Txn", "/etcdserverpb.Maintenance/Status"}) {
      server_->RegisterUnary(path, [this, path = std::string(path)](rpc::ServerCallPtr call) {
        std::lock_guard lock(mu_);
        ++calls_[path];
        const auto handler = unary_.find(path);
        if (handler == unary_.end()) return call->Finish(absl::UnimplementedError("no script"));
        auto answer = handler->second(call->request());
        if (answer.ok()) return call->Reply(*std::move(answer));
        // Silence: the client must run into its own time limit.
        if (absl::IsAborted(answer.status())) return kept_.push_back(std::move(call));
        call->Finish(answer.status());
      });
    }
    for (const char* path : {"/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive"}) {
      server_->RegisterStream(path, [this, path = std::string(path)](rpc::ServerCallPtr call) {
        std::lock_guard lock(mu_);
        ++calls_[path];
        return std::make_shared<StreamHandler>(*this, path, std::move(call));
      });
    }
    auto listening = server_->Listen("127.0.0.1", port);
    KEEL_CHECK(listening.ok(), listening.status().ToString());
    port_ = *listening;
  }
  ~FakeServer() {
    server_->Stop();
    loop_.Stop();
  }

  void On(const std::string& path, Unary handler) {
    std::lock_guard lock(mu_);
    unary_[path] = std::move(handler);
  }
  void OnStream(const std::string& path, OnStreamMessage handler) {
    std::lock_guard lock(mu_);
    streams_[path] = std::move(handler);
  }
  int calls(const std::string& path) const {
    std::lock_guard lock(mu_);
    const auto found = calls_.find(path);
    return found == calls_.end() ? 0 : found->second;
  }
  // Ends every open stream.
  void BreakStreams(const absl::Status& status) {
    std::vector<rpc::ServerCallPtr> calls;
    {
      std::lock_guard lock(mu_);
      calls.swap(open_streams_);
    }
    for (auto& call : calls) call->Finish(status);
  }
  uint16_t port() const { return port_; }
  std::string target() const { return base::StrCat("127.0.0.1:", port_); }

 private:
  class StreamHandler final : public rpc::ServerStreamHandler {
   public:
    // REQUIRES: server.mu_ is held.
    StreamHandler(FakeServer& server, std::string path, rpc::ServerCallPtr call)
        : server_(server), path_(std::move(path)), call_(std::move(call)) {
      server_.open_streams_.push_back(call_);
    }
    void OnMessage(std::string_view message) override {
      OnStreamMessage handler;
      {
        std::lock_guard lock(server_.mu_);
        handler = server_.streams_[path_];
      }
      if (handler) handler(*call_, message);
    }
    void OnEnd() override {
      std::lock_guard lock(server_.mu_);
      std::erase(server_.open_streams_, call_);
      call_.reset();
    }

   private:
    FakeServer& server_;
    const std::string path_;
    rpc::ServerCallPtr call_;
  };

  base::AsioLoop loop_;
  mutable std::mutex mu_;
  std::map<std::string, Unary> unary_;
  std::map<std::string, OnStreamMessage> streams_;
  std::map<std::string, int> calls_;
  std::vector<rpc::ServerCallPtr> kept_;
  std::vector<rpc::ServerCallPtr> open_streams_;
  uint16_t port_ = 0;
  std::unique_ptr<rpc::Server> server_;  // last: stops before the rest goes
};

inline constexpr const char* kRange = "/etcdserverpb.KV/Range";
inline constexpr const char* kPut = "/etcdserverpb.KV/Put";
inline constexpr const char* kTxn = "/etcdserverpb.KV/Txn";
inline constexpr const char* kStatus = "/etcdserverpb.Maintenance/Status";
inline constexpr const char* kWatch = "/etcdserverpb.Watch/Watch";
inline constexpr const char* kKeepAlive = "/etcdserverpb.Lease/LeaseKeepAlive";

// For FakeServer::On: keep the call, answer nothing.
inline absl::Status Silence() { return absl::AbortedError("silence"); }

}  // namespace keel::kvstore
