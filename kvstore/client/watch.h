// Watching keys change. See Client::Watch and, for a blocking loop, WatchReader.
//
// Promises (etcd's): events arrive in the order of their revisions, each once,
// all those of one revision together. When a server or connection fails, the
// watch goes on at the next server from the first revision not delivered yet;
// that server then sends what was missed. Should that have been compacted
// meanwhile, the watch ends with OutOfRange and says from where on history is
// still there.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {

class Client;

struct WatchOptions {
  std::string range_end;       // as in Get; empty: the one key
  int64_t start_revision = 0;  // 0: what happens from now on
  bool prev_kv = false;
  // Say now and then that nothing happened (a response without events).
  bool progress_notify = false;
  bool no_puts = false;
  bool no_deletes = false;
  // Let the server split a revision too large for one message. It is delivered whole.
  bool fragment = false;
  // Ends with Unavailable when, after it was established, no server could be
  // heard for this long. (To be established it has ClientOptions::dial_timeout
  // to connect and request_timeout to hear from a server.)
  base::Duration reconnect_timeout = base::Duration::max();
};

// First a response that says `created`, once; from then on responses with
// events, and without (then header.revision says up to where nothing is
// missing). The message may be changed or moved from.
using OnWatchResponse = absl::AnyInvocable<void(etcdserverpb::WatchResponse& response)>;

struct WatchEnd {
  // OutOfRange: history was compacted away. Unavailable: see reconnect_timeout.
  // Cancelled: the client was closed. Else: the server's refusal.
  absl::Status status;
  int64_t compact_revision = 0;         // the oldest revision one can watch from
  etcdserverpb::ResponseHeader header;  // of the server that refused, if one did
};
// Nothing follows.
using OnWatchEnd = absl::AnyInvocable<void(const WatchEnd& end)>;

// A watch going on; destroyed: cancelled. After that no callback runs (on
// another thread than the client's loop the destructor waits for one that is
// running).
class Watcher {
 public:
  virtual ~Watcher() = default;
  // Asks for a response that tells how far the watch is.
  virtual void RequestProgress() = 0;
};

// Pulls what a watch says, one response at a time, on any one thread.
// Responses that nobody pulls pile up.
//
//   WatchReader reader(client, "config/", {.range_end = PrefixEnd("config/")});
//   while (auto response = reader.Next(); response.ok()) { ... }
class WatchReader {
 public:
  WatchReader(Client& client, std::string_view key, const WatchOptions& options = {});
  ~WatchReader();

  // The next response that has events (or, with progress_notify, has none).
  // Blocks. DeadlineExceeded: none in time; call again. Any other error: the
  // watch has ended, see WatchEnd.
  absl::StatusOr<etcdserverpb::WatchResponse> Next(base::Duration timeout = base::Duration::max());

  // Blocks until the watch is established: what changes from now on is not
  // missed. Errors as Next.
  absl::Status WaitUntilCreated(base::Duration timeout = base::Duration::max());

  // Asks for a response that tells how far the watch is.
  void RequestProgress() { watch_->RequestProgress(); }

  // Why it ended; nullopt while it goes on.
  std::optional<WatchEnd> end() const;

 private:
  template <typename Ready>
  bool WaitFor(std::unique_lock<std::mutex>& lock, base::Duration timeout, Ready ready);

  mutable std::mutex mu_;
  std::condition_variable changed_;
  bool created_ = false;                               // guarded by mu_
  std::deque<etcdserverpb::WatchResponse> responses_;  // guarded by mu_
  std::optional<WatchEnd> end_;                        // guarded by mu_
  std::unique_ptr<Watcher> watch_;                     // last: stops before the rest goes
};

}  // namespace keel::kvstore
