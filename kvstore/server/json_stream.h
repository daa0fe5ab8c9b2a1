// One stream of the JSON gateway: a streaming call on one side, lines of JSON over HTTP on the
// other.
//
// Threads: Start and what belongs to the call run on the gateway's loop, the HTTP side on its
// connection's. Lifetime: kept alive by its HTTP stream; both end together.
#pragma once

#include <google/protobuf/message.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/loop.h"
#include "kvstore/server/json_codec.h"
#include "rpc/http.h"
#include "rpc/local_channel.h"

namespace keel::kvstore {

class JsonStream : public std::enable_shared_from_this<JsonStream> {
 public:
  struct Body {
    bool streamed = false;
    std::vector<std::string> messages;  // encoded; all there are, when not streamed
  };

  JsonStream(base::Loop* loop, const google::protobuf::Message& request,
             const google::protobuf::Message& response, rpc::HttpResponse head)
      : loop_(loop), request_(request), response_(response), head_(std::move(head)) {}

  // Opens the call. The head of the answer waits a moment for the first message, so that a call
  // that fails at once answers with the HTTP status of its error.
  void Start(rpc::LocalChannel& channel, const std::string& path, rpc::LocalMetadata metadata,
             Body body, rpc::HttpRespond respond);

 private:
  class Front;

  // Of the call, on the loop:
  void OnMessage(const std::string& wire);
  void OnEnd(const absl::Status& status);
  void OpenFront();
  void Write(std::string line);
  void Close();
  // Of the HTTP stream, brought to the loop:
  void Opened(rpc::ServerCallPtr http);
  void TakeBody(std::string_view bytes);
  void EndBody();
  void Resume();

  base::Loop* const loop_;
  const google::protobuf::Message& request_;
  const google::protobuf::Message& response_;
  rpc::HttpResponse head_;
  std::optional<rpc::HttpRespond> respond_;  // until the head is sent
  std::unique_ptr<rpc::LocalStream> call_;
  rpc::ServerCallPtr http_;         // once the head is sent, until the end
  std::vector<std::string> early_;  // lines until http_ is there
  JsonValues values_;
  base::TimerId head_timer_ = 0;
  bool ended_ = false;  // by the call
  bool closed_ = false;
};

}  // namespace keel::kvstore
