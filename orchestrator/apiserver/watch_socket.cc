#include "orchestrator/apiserver/watch_socket.h"

#include <string>
#include <utility>

#include "rpc/websocket.h"

namespace keel::orchestrator {

namespace {

class SocketSink final : public WatchSink {
 public:
  explicit SocketSink(rpc::WebSocketPtr socket) : socket_(std::move(socket)) {}

  void Send(rpc::Message line) override {
    std::string text = std::move(line.head);
    for (const auto& part : line.shared) text += *part;
    if (text.ends_with('\n')) text.pop_back();
    socket_->Send(std::move(text), /*text=*/true);
  }
  void Finish() override { socket_->Close(); }
  size_t queued_bytes() const override { return socket_->queued_bytes(); }

 private:
  const rpc::WebSocketPtr socket_;
};

class WatchSocket final : public rpc::WebSocketHandler {
 public:
  explicit WatchSocket(std::shared_ptr<WatchStream> stream) : stream_(std::move(stream)) {}

  void OnMessage(std::string_view, bool) override {}  // nothing is asked of a watch that runs
  void OnWritable() override { stream_->OnWritable(); }
  void OnEnd() override { stream_->OnEnd(); }

 private:
  const std::shared_ptr<WatchStream> stream_;
};

}  // namespace

void WatchOverWebSocket(Request& request, StartWatch start) {
  rpc::AcceptWebSocket(request.http, request.Take(101), {},
                       [start = std::move(start)](rpc::WebSocketPtr socket) mutable {
                         return std::make_shared<WatchSocket>(
                             std::move(start)(std::make_shared<SocketSink>(std::move(socket))));
                       });
}

}  // namespace keel::orchestrator
