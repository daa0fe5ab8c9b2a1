// The end of a ServerCall that has no HTTP/2 connection. Internal to rpc.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rpc/server_call.h"
#include "rpc/server_loop.h"

namespace keel::rpc::internal {

// What a call that is no stream of an HTTP/2 connection does: one in the same process
// (local_channel.h), or a streamed answer over HTTP/1 (http1_stream.h). Once the call has ended,
// every method is a no-op.
class LocalEnd {
 public:
  virtual ~LocalEnd() = default;

  // What ServerConnection::Handle does, at once on the loop, else posted to it.
  virtual void Do(CallOp op) = 0;
  // Always posted.
  virtual void Post(CallOp op) = 0;
  virtual void OnCancel(absl::AnyInvocable<void()> callback) = 0;

 protected:
  // The private parts of a call that a connection works with.
  static ServerCallPtr MakeCall(std::shared_ptr<const ServerPeer> peer, const ServerMethod* method,
                                std::shared_ptr<LocalEnd> end, std::string request,
                                std::vector<std::pair<std::string, std::string>> metadata) {
    ServerCallPtr call(new ServerCall(std::move(peer), method));
    call->local_ = std::move(end);
    call->request_ = std::move(request);
    call->metadata_ = std::move(metadata);
    return call;
  }
  static bool ClaimAnswer(ServerCall& call) { return !call.answered_.exchange(true); }
  static void SetCancelled(ServerCall& call) {
    call.answered_.store(true);
    call.cancelled_.store(true);
  }
  // Bytes were taken off; true when OnWritable is owed.
  static bool Taken(ServerCall& call, size_t bytes) {
    const size_t left = call.queued_bytes_.fetch_sub(bytes) - bytes;
    return left <= call.writable_mark_bytes_.load() && call.past_mark_.exchange(false);
  }
};

}  // namespace keel::rpc::internal
