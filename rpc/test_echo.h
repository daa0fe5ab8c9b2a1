// An echo service for the tests of this folder: unary and streaming methods
// whose handlers tests can also bend.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "rpc/client.h"
#include "rpc/server.h"

namespace keel::rpc {

inline constexpr char kEcho[] = "/test.Echo/Say";
inline constexpr char kFail[] = "/test.Echo/Fail";      // NotFound with the request as text
inline constexpr char kThread[] = "/test.Echo/Thread";  // answered by another thread
inline constexpr char kNever[] = "/test.Echo/Never";    // never answered
inline constexpr char kDrop[] = "/test.Echo/Drop";      // dropped without an answer
inline constexpr char kChat[] = "/test.Echo/Chat";      // every message comes back
inline constexpr char kBlast[] = "/test.Echo/Blast";    // "count size" → as many messages

// Echoes messages; finishes OK at the client's half close.
class ChatHandler : public ServerStreamHandler {
 public:
  explicit ChatHandler(ServerCallPtr call) : call_(std::move(call)) {}
  void OnMessage(std::string_view message) override { call_->Send(std::string(message)); }
  void OnHalfClose() override { call_->Finish(absl::OkStatus()); }

 protected:
  ServerCallPtr call_;
};

// Sends as many messages as asked, never queueing more than the mark plus one.
class BlastHandler : public ServerStreamHandler {
 public:
  explicit BlastHandler(ServerCallPtr call, std::atomic<size_t>* queued_max)
      : call_(std::move(call)), queued_max_(queued_max) {}
  void OnMessage(std::string_view message) override {
    const std::string text(message);
    if (std::sscanf(text.c_str(), "%9zu %7zu", &count_, &size_) != 2) {
      return call_->Finish(absl::InvalidArgumentError("want: count size"));
    }
    OnWritable();
  }
  void OnWritable() override {
    while (sent_ < count_ && call_->queued_bytes() <= 64 * 1024) {
      std::string body(size_, static_cast<char>('a' + sent_ % 26));
      ++sent_;
      call_->Send(std::move(body));
      if (call_->queued_bytes() > queued_max_->load()) queued_max_->store(call_->queued_bytes());
    }
    if (sent_ == count_) call_->Finish(absl::OkStatus());
  }

 private:
  ServerCallPtr call_;
  std::atomic<size_t>* queued_max_;
  size_t count_ = 0;
  size_t size_ = 0;
  size_t sent_ = 0;
};

struct EchoServer {
  explicit EchoServer(ServerOptions options = {}, size_t loop_count = 1) {
    std::vector<base::AsioLoop*> raw;
    for (size_t i = 0; i < loop_count; ++i) {
      loops.push_back(std::make_unique<base::AsioLoop>("server"));
      raw.push_back(loops.back().get());
      loops.back()->Start();
    }
    server = std::make_unique<Server>(raw, options);
    server->RegisterUnary(kEcho,
                          [](ServerCallPtr call) { call->Reply(std::string(call->request())); });
    server->RegisterUnary(kFail, [](ServerCallPtr call) {
      call->Finish(absl::NotFoundError(std::string(call->request())));
    });
    server->RegisterUnary(kThread, [this](ServerCallPtr call) {
      std::lock_guard lock(mu);
      work.push_back(std::move(call));
      changed.notify_one();
    });
    server->RegisterUnary(kNever, [this](ServerCallPtr call) {
      call->OnCancel([this] { ++cancelled; });
      std::lock_guard lock(mu);
      kept.push_back(std::move(call));
    });
    server->RegisterUnary(kDrop, [](ServerCallPtr) {});
    server->RegisterStream(
        kChat, [](ServerCallPtr call) { return std::make_shared<ChatHandler>(std::move(call)); });
    server->RegisterStream(kBlast, [this](ServerCallPtr call) {
      return std::make_shared<BlastHandler>(std::move(call), &blast_queued_max);
    });
    server->SetHttpHandler([](HttpRequest request, HttpRespond respond) {
      if (request.path == "/dropped") return;
      HttpResponse response;
      response.body = request.method + " " + request.path + " ? " + request.query + " " +
                      std::string(request.Header("x-test")) + " " + request.body;
      if (request.path == "/later") {
        std::thread([response = std::move(response), respond = std::move(respond)]() mutable {
          std::move(respond)(std::move(response));
        }).detach();
        return;
      }
      std::move(respond)(std::move(response));
    });
    worker = std::thread([this] {
      std::unique_lock lock(mu);
      while (!stop) {
        changed.wait(lock, [this] { return stop || !work.empty(); });
        std::vector<ServerCallPtr> calls = std::move(work);
        work.clear();
        lock.unlock();
        for (const ServerCallPtr& call : calls) call->Reply(std::string(call->request()));
        calls.clear();
        lock.lock();
      }
    });
  }

  // Listens on a free port of 127.0.0.1.
  uint16_t Listen() {
    auto listened = server->Listen("127.0.0.1", 0);
    port = listened.value();
    return port;
  }
  std::string target() const { return "127.0.0.1:" + std::to_string(port); }

  ~EchoServer() {
    {
      std::lock_guard lock(mu);
      stop = true;
      changed.notify_all();
    }
    worker.join();
    server->Stop();
  }

  std::vector<std::unique_ptr<base::AsioLoop>> loops;
  std::unique_ptr<Server> server;
  uint16_t port = 0;
  std::atomic<int> cancelled{0};
  std::atomic<size_t> blast_queued_max{0};
  std::mutex mu;
  std::condition_variable changed;
  std::vector<ServerCallPtr> work;
  std::vector<ServerCallPtr> kept;
  bool stop = false;
  std::thread worker;
};

}  // namespace keel::rpc
