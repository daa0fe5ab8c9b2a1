// Calls the methods of a Server in the same process, without sockets: for
// programs that embed a server, and for simulations.
//
//   rpc::LocalChannel channel(server, loop);
//   channel.Call("/echo.Echo/Say", request, {}, [](absl::StatusOr<std::string> response) { ... });
//   auto stream = channel.OpenStream("/echo.Echo/Chat", {}, {.on_message = ..., .on_end = ...});
//   stream->Send(message);
//
// Handlers see an ordinary ServerCall, whose callbacks run on `loop`. Deadlines
// are the caller's: Cancel, or ignore the answer.
//
// Thread-safety: everything on the loop, and so are the callbacks.
// Lifetime: server and loop outlive the channel; the channel outlives what was
// not cancelled, and destroying it cancels all the rest without a callback.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "rpc/server.h"

namespace keel::rpc {

namespace internal {
struct ServerPeer;
class LocalCall;
}  // namespace internal

using LocalMetadata = std::vector<std::pair<std::string, std::string>>;

// One streaming call. Dropping it cancels the call.
class LocalStream {
 public:
  struct Events {
    std::function<void(std::string message)> on_message;
    std::function<void(absl::Status status)> on_end;  // last; not after Cancel
  };

  explicit LocalStream(std::shared_ptr<internal::LocalCall> call);
  ~LocalStream();

  // No effect once the call has ended.
  void Send(std::string_view message);
  void CloseSend();
  void Cancel();
  // While paused, answers queue up on the server's side, as for a client that does not read.
  void Pause();
  void Resume();

 private:
  const std::shared_ptr<internal::LocalCall> call_;
};

class LocalChannel {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;

  // `name` is what handlers see as the peer.
  LocalChannel(const Server& server, base::Loop& loop, std::string name = "local");
  ~LocalChannel();

  LocalChannel(const LocalChannel&) = delete;
  LocalChannel& operator=(const LocalChannel&) = delete;

  // Unimplemented for an unknown method.
  void Call(std::string_view path, std::string request, LocalMetadata metadata, Done done);
  // Null for an unknown method.
  std::unique_ptr<LocalStream> OpenStream(std::string_view path, LocalMetadata metadata,
                                          LocalStream::Events events);

 private:
  std::shared_ptr<internal::LocalCall> Make(std::string_view path, bool unary);

  const std::shared_ptr<const internal::ServerRegistry> registry_;
  base::Loop& loop_;
  const std::shared_ptr<const internal::ServerPeer> peer_;
  std::list<std::weak_ptr<internal::LocalCall>> calls_;
};

}  // namespace keel::rpc
