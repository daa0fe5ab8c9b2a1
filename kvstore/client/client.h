// A client of any etcd v3 cluster: Keel's kvd or etcd (3.4 or newer).
//
//   auto client = Client::Create({.endpoints = {"10.0.0.1:2379", "10.0.0.2:2379"}});
//   if (!client.ok()) ...
//   Client& kv = **client;
//
//   auto put = kv.Put("config/color", "green");                  // blocks
//   auto got = kv.Get("config/", {.range_end = PrefixEnd("config/")});
//   for (const auto& record : got->kvs()) Use(record.key(), record.value());
//
//   auto txn = kv.Txn(TxnBuilder()
//                         .If(ModRevisionIs("config/color", '=', got->header().revision()))
//                         .Then(MakePut("config/color", "red"))
//                         .Else(MakeGet("config/color")));
//
//   kv.Call(MakePut("a", "1"), [](absl::StatusOr<etcdserverpb::PutResponse> put) { ... });
//
//   auto watch = kv.Watch("config/", {.range_end = PrefixEnd("config/")},
//                         [](etcdserverpb::WatchResponse& response) { ... },
//                         [](const WatchEnd& end) { ... });
//
//   auto lease = kv.Grant(std::chrono::seconds(10));
//   auto alive = kv.KeepAlive(lease->id(), {}, [](const absl::Status& lost) { ... });
//   kv.Put("service/me", "10.0.0.9:80", {.lease = lease->id()});
//
// Which server. Reads go round the endpoints; writes go to the leader when it
// is known (see ClientOptions::follow_leader), for any member takes them but
// the others pass them on. A server that cannot be reached is passed over for
// a while. Note that serializable reads may be answered by different members
// and so see an older state than the one before did.
//
// Repetition, as etcd's own client does it. A failed read is repeated at other
// servers until its time is over. A write is repeated only when it certainly
// was not applied: there was no connection, or the server knew no leader. After
// any other failure of a write the caller must find out itself, as a rule by a
// Txn on mod_revision.
//
// Time limits. Every call ends within its timeout (RpcOptions::timeout or
// ClientOptions::request_timeout), and earlier when for dial_timeout no
// endpoint could be connected to.
//
// Errors: the server's status as it is, etcd's text included ("etcdserver: key
// is not provided"); Unavailable "no endpoint answers: 10.0.0.1:2379:
// connection refused, ..." when none could be connected to, or with another
// text when the last try failed for a passing reason; DeadlineExceeded "context
// deadline exceeded"; Cancelled once the client is closed; InvalidArgument for
// an endpoint that is no address.
//
// Thread-safety: every method may be called from any thread, and at once.
// Callbacks run on the client's loop, never inside the call that started them;
// they must not block. The blocking methods must not be called on that loop.
// Lifetime: the destructor ends what is open with Cancelled, runs those
// callbacks, and returns when none is running; it must not run inside one.
// Watcher and LeaseKeeper handles may outlive the Client.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "base/asio_loop.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/client/lease.h"
#include "kvstore/client/methods.h"
#include "kvstore/client/options.h"
#include "kvstore/client/requests.h"
#include "kvstore/client/watch.h"

namespace keel::kvstore {

class Client {
 public:
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  // `loop`: run by the caller and outliving the client; null: the client runs
  // one of its own on a thread of its own. Connects with the first call only.
  // InvalidArgument when an endpoint is no address or there is none.
  static absl::StatusOr<std::unique_ptr<Client>> Create(ClientOptions options,
                                                        base::AsioLoop* loop = nullptr);
  ~Client();

  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // ---- Any unary RPC of etcd, by its request: Client::Call(MemberListRequest(), ...)

  template <typename Request>
  void Call(const Request& request, Done<ResponseOf<Request>> done, const RpcOptions& options = {});

  // Blocks until the answer is there.
  template <typename Request>
  absl::StatusOr<ResponseOf<Request>> Await(const Request& request, const RpcOptions& options = {});

  // ---- Keys. All block.

  absl::StatusOr<etcdserverpb::RangeResponse> Get(std::string_view key,
                                                  const GetOptions& options = {}) {
    return Await(MakeGet(key, options));
  }
  absl::StatusOr<etcdserverpb::PutResponse> Put(std::string_view key, std::string_view value,
                                                const PutOptions& options = {}) {
    return Await(MakePut(key, value, options));
  }
  absl::StatusOr<etcdserverpb::DeleteRangeResponse> Delete(std::string_view key,
                                                           const DeleteOptions& options = {}) {
    return Await(MakeDelete(key, options));
  }
  // Repeated like a read when nothing in it writes.
  absl::StatusOr<etcdserverpb::TxnResponse> Txn(const TxnBuilder& txn) {
    return Await(txn.request());
  }
  // Forgets history below `revision`; `physical`: returns when it is gone from
  // the disk of the server asked.
  absl::StatusOr<etcdserverpb::CompactionResponse> Compact(int64_t revision, bool physical = false);

  // ---- Maintenance

  // A snapshot of the store, in pieces, from the server of `options.endpoint` (or the first).
  // Blocks; `take` runs on the client's loop and may block, which slows the server down. An error
  // of `take` ends it, and is returned. No time limit; a server that has gone is noticed.
  absl::Status Snapshot(absl::FunctionRef<absl::Status(const etcdserverpb::SnapshotResponse&)> take,
                        const RpcOptions& options = {});

  // ---- Leases

  // Blocks. `id` 0: the server chooses.
  absl::StatusOr<etcdserverpb::LeaseGrantResponse> Grant(std::chrono::seconds ttl, int64_t id = 0);
  absl::StatusOr<etcdserverpb::LeaseRevokeResponse> Revoke(int64_t lease);
  absl::StatusOr<etcdserverpb::LeaseTimeToLiveResponse> TimeToLive(int64_t lease,
                                                                   bool keys = false);
  // Renews once, blocking. NotFound when there is no such lease.
  absl::StatusOr<etcdserverpb::LeaseKeepAliveResponse> KeepAliveOnce(int64_t lease);
  // Renews until the handle is destroyed. Either callback may be null.
  [[nodiscard]] std::unique_ptr<LeaseKeeper> KeepAlive(int64_t lease, OnLeaseRenewed on_renewed,
                                                       OnLeaseLost on_lost);

  // ---- Watches. All share one stream. `on_end` may be null.

  [[nodiscard]] std::unique_ptr<Watcher> Watch(std::string_view key, const WatchOptions& options,
                                               OnWatchResponse on_response, OnWatchEnd on_end);

  base::AsioLoop& loop();

 private:
  struct Shared;
  class WatchHandle;
  class KeepAliveHandle;
  using BytesDone = Done<std::string>;

  explicit Client(std::shared_ptr<Shared> shared, std::unique_ptr<base::AsioLoop> own_loop);
  void CallBytes(std::string_view path, Repeat repeat, std::string request,
                 const RpcOptions& options, BytesDone done);
  void CheckMayBlock() const;

  std::unique_ptr<base::AsioLoop> own_loop_;  // null when the loop is the caller's
  std::shared_ptr<Shared> shared_;
};

// kAlways for a transaction without writes.
Repeat RepeatOf(const etcdserverpb::TxnRequest& request);
template <typename Request>
Repeat RepeatOf(const Request&) {
  return RpcOf<Request>::kRepeat;
}

template <typename Request>
void Client::Call(const Request& request, Done<ResponseOf<Request>> done,
                  const RpcOptions& options) {
  CallBytes(RpcOf<Request>::kPath, RepeatOf(request), request.SerializeAsString(), options,
            [done = std::move(done)](absl::StatusOr<std::string> bytes) mutable {
              if (!bytes.ok()) return std::move(done)(std::move(bytes).status());
              ResponseOf<Request> response;
              if (!response.ParseFromString(*bytes)) {
                return std::move(done)(absl::InternalError("the server sent a malformed response"));
              }
              std::move(done)(std::move(response));
            });
}

template <typename Request>
absl::StatusOr<ResponseOf<Request>> Client::Await(const Request& request,
                                                  const RpcOptions& options) {
  CheckMayBlock();
  std::promise<absl::StatusOr<ResponseOf<Request>>> result;
  Call(
      request,
      [&result](absl::StatusOr<ResponseOf<Request>> response) {
        result.set_value(std::move(response));
      },
      options);
  return result.get_future().get();
}

}  // namespace keel::kvstore
