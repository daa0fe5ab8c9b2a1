// One call or stream of a Channel, from its start to its end.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "rpc/client.h"
#include "rpc/http2_connection.h"

namespace keel::rpc::internal {

// Owned by the operation that carries it to the loop, then by the list it is
// in: the channel's waiting calls, or its connection's streams.
struct ClientCall final : Http2Stream {
  void OnDeadline() override;

  // Tells the caller, once. The callback may close the channel, and with it
  // destroy this: touch nothing after it.
  void End(absl::Status status);

  bool unary() const { return stream == nullptr; }

  std::shared_ptr<ChannelCore> core;
  ClientConnection* connection = nullptr;  // null while waiting for one
  std::string_view path;
  CallOptions options;
  bool ended = false;

  Channel::UnaryDone done;  // unary
  std::string response;
  bool got_response = false;

  ClientStreamPtr stream;  // else
  std::shared_ptr<ClientStreamHandler> handler;

  // Of the response's headers and trailers.
  int http_status = 0;
  bool got_status = false;
  std::string status_code;
  std::string status_message;
};

// What is to be done on the channel's loop.
struct ClientOp {
  enum class Kind { kStart, kSend, kCloseSend, kCancel, kPauseReading, kResumeReading };
  Kind kind;
  std::unique_ptr<ClientCall> call;  // of kStart
  ClientStreamPtr stream;            // of the others
  Message message;
};

}  // namespace keel::rpc::internal
