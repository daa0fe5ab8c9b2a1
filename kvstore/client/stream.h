// A bidirectional stream that is opened again, on the next server, whenever it
// breaks. Internal to the client: watches and lease keep-alives ride on it.
//
// Everything happens on the client's loop. The owner is told of each opening
// and sends again what the new server must know.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "kvstore/client/core.h"
#include "rpc/client.h"

namespace keel::kvstore {

class StreamOwner {
 public:
  virtual ~StreamOwner() = default;
  // A new stream, to a server not known to answer yet: say what must be said.
  virtual void OnOpened() = 0;
  virtual void OnMessage(std::string_view message) = 0;
  // The stream broke, or could not be opened. Before it is opened again the
  // owner may Stop it.
  virtual void OnBroken(const absl::Status& status) = 0;
  // The server's refusal: not opened again.
  virtual void OnRefused(const absl::Status& status) = 0;
};

class ReopeningStream : public std::enable_shared_from_this<ReopeningStream> {
 public:
  // REQUIRES: `path` is a literal; `owner` outlives every callback, that is:
  // Stop before it goes.
  ReopeningStream(std::shared_ptr<ClientCore> core, std::string_view path, StreamOwner* owner)
      : core_(std::move(core)), path_(path), owner_(owner) {}

  // Opens it unless it is open or about to be.
  void Start();
  // False, and dropped, while no stream is open.
  bool Send(std::string message);
  // Lets go of the present server, as if it had failed with `why`.
  void Abandon(absl::Status why);
  // No callback follows. Start begins anew.
  void Stop();

  // Since when nothing has been heard from any server, unless stopped.
  base::TimePoint silent_since() const { return silent_since_; }

 private:
  class Handler;

  // With a token, if one is needed.
  void Open();
  void OpenNow();
  void OpenAfter(base::Duration pause);
  void OnFinished(absl::Status status);

  const std::shared_ptr<ClientCore> core_;
  const std::string_view path_;
  StreamOwner* const owner_;

  bool running_ = false;
  std::shared_ptr<Handler> handler_;  // of the open stream
  rpc::ClientStreamPtr stream_;
  size_t server_ = 0;
  std::string token_;   // shown when it was opened
  bool heard_ = false;  // from the open stream
  base::TimePoint silent_since_{};
  std::vector<bool> tried_;  // since something was heard
  std::vector<absl::Status> errors_;
  int rounds_ = 0;
  base::TimerId timer_ = 0;
};

}  // namespace keel::kvstore
