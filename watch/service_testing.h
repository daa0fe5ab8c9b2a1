// A watch service on a real rpc::Server over loopback, and a client of it, for
// tests.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/asio_loop.h"
#include "kvstore/api/rpc.pb.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "watch/hub.h"
#include "watch/service.h"
#include "watch/testing.h"

namespace keel::watch {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

// Runs `task` on the loop and waits for it.
inline void RunOn(base::Loop& loop, std::function<void()> task) {
  std::promise<void> done;
  loop.Post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

class TestServer {
 public:
  explicit TestServer(const HubOptions& hub_options = {}, ServiceOptions options = {})
      : hub(feed, worker_, hub_options), service(hub, header_, std::move(options)) {
    for (base::AsioLoop* loop : {&apply, &worker_, &io_a_, &io_b_}) loop->Start();
    RunOn(apply, [&] { hub.Start(); });
    service.Register(server_);
    auto listening = server_.Listen("127.0.0.1", 0);
    KEEL_CHECK(listening.ok(), listening.status().ToString());
    port_ = *listening;
  }
  ~TestServer() {
    server_.Stop();
    RunOn(apply, [&] { hub.Stop(); });
    for (base::AsioLoop* loop : {&apply, &worker_, &io_a_, &io_b_}) loop->Stop();
  }

  std::string target() const { return "127.0.0.1:" + std::to_string(port_); }
  // Applies and publishes, as one revision, on the apply loop.
  int64_t Apply(std::vector<FakeFeed::Write> writes) {
    int64_t revision = 0;
    RunOn(apply, [&] {
      revision = feed.Apply(writes);
      feed.Publish();
    });
    return revision;
  }
  int64_t Put(const std::string& key, const std::string& value) { return Apply({{key, value}}); }

  FakeFeed feed;
  base::AsioLoop apply{"apply"};

 private:
  struct FixedHeader final : HeaderSource {
    HeaderFields Header() const override {
      return {.cluster_id = 11, .member_id = 22, .raft_term = 33};
    }
  };

  base::AsioLoop worker_{"worker"}, io_a_{"io-a"}, io_b_{"io-b"};
  FixedHeader header_;

 public:
  Hub hub;
  Service service;

 private:
  rpc::Server server_{{&io_a_, &io_b_}};
  uint16_t port_ = 0;
};

// One watch stream on a connection of its own.
class TestClient {
 public:
  explicit TestClient(const TestServer& server, rpc::ChannelOptions options = {},
                      rpc::CallOptions call = {})
      : loop_("client"), channel_(loop_, server.target(), options) {
    loop_.Start();
    inbox_ = std::make_shared<Inbox>();
    stream_ = channel_.OpenStream("/etcdserverpb.Watch/Watch", std::move(call), inbox_);
  }
  ~TestClient() {
    channel_.Close();
    loop_.Stop();
  }

  rpc::ClientStream& stream() { return *stream_; }
  void Send(const WatchRequest& request) { stream_->Send(request.SerializeAsString()); }
  void Create(const WatchCreateRequest& create) {
    WatchRequest request;
    *request.mutable_create_request() = create;
    Send(request);
  }
  void Create(const std::string& key, const std::string& range_end = "", int64_t start = 0) {
    WatchCreateRequest create;
    create.set_key(key);
    create.set_range_end(range_end);
    create.set_start_revision(start);
    Create(create);
  }
  void Cancel(int64_t id) {
    WatchRequest request;
    request.mutable_cancel_request()->set_watch_id(id);
    Send(request);
  }
  void RequestProgress() {
    WatchRequest request;
    request.mutable_progress_request();
    Send(request);
  }

  // The next response; fails the test when none comes for long.
  WatchResponse Next() {
    std::unique_lock lock(inbox_->mu);
    const bool came = inbox_->changed.wait_for(lock, std::chrono::seconds(20),
                                               [&] { return !inbox_->responses.empty(); });
    if (!came) {
      ADD_FAILURE() << "no response; status "
                    << (inbox_->status ? inbox_->status->ToString() : "none");
      return {};
    }
    WatchResponse response = std::move(inbox_->responses.front());
    inbox_->responses.pop_front();
    return response;
  }
  // Whether nothing comes for a while.
  bool Quiet(std::chrono::milliseconds time = std::chrono::milliseconds(100)) {
    std::unique_lock lock(inbox_->mu);
    return !inbox_->changed.wait_for(lock, time, [&] { return !inbox_->responses.empty(); });
  }
  absl::Status Status() {
    std::unique_lock lock(inbox_->mu);
    const bool ended = inbox_->changed.wait_for(lock, std::chrono::seconds(20),
                                                [&] { return inbox_->status.has_value(); });
    if (!ended) return absl::UnknownError("the stream goes on");
    return *inbox_->status;
  }

 private:
  struct Inbox final : rpc::ClientStreamHandler {
    void OnMessage(std::string_view message) override {
      WatchResponse response;
      KEEL_CHECK(response.ParseFromArray(message.data(), static_cast<int>(message.size())));
      std::lock_guard lock(mu);
      responses.push_back(std::move(response));
      changed.notify_all();
    }
    void OnFinished(absl::Status ended) override {
      std::lock_guard lock(mu);
      status = std::move(ended);
      changed.notify_all();
    }

    std::mutex mu;
    std::condition_variable changed;
    std::deque<WatchResponse> responses;
    std::optional<absl::Status> status;
  };

  base::AsioLoop loop_;
  rpc::Channel channel_;
  std::shared_ptr<Inbox> inbox_;
  rpc::ClientStreamPtr stream_;
};

}  // namespace keel::watch
