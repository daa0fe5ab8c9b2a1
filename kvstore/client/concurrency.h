// Locks and elections among clients of a store, by etcd's recipe (etcd,
// client/v3/concurrency), so that holders and waiters may be clients of either.
//
//   auto campaign = std::make_shared<Campaign>(store, "jobs/cleanup", lease, "host-7");
//   campaign->Start([](absl::StatusOr<Place> won) { ... });     // leads, or holds the lock
//   ...
//   campaign->Resign([](absl::Status status) { ... });
//
// Who wants the lock (or office) `name` puts the key "name/LEASE", the lease in
// hexadecimal; who created the oldest such key holds it; each waits for the one
// before to be deleted, so that a release wakes one waiter and not all. A key
// goes with its lease: a holder that dies makes way once its lease expires.
//
// What a lock is not. The holder may be paused past the end of its lease and go
// on as if it held it; no lock service can prevent that. What must not happen
// twice is guarded by the store itself, with a transaction that compares
// CreateRevisionIs(place.key, '=', place.revision), or by passing place.revision
// as a fencing token to what is guarded: it is greater for each later holder.
//
// Thread-safety: one thread, that of the store's callbacks.
// Lifetime: campaigns are shared pointers; a callback that is outstanding keeps
// one alive. The store must outlive the calls made to it, or drop their callbacks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {

// What the recipes need of a store.
class ConcurrencyStore {
 public:
  template <typename Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;

  // Destroyed, also inside one of its callbacks: the watch is over and no callback follows.
  class Watching {
   public:
    virtual ~Watching() = default;
  };
  struct WatchEvents {
    std::function<void(const etcdserverpb::WatchResponse& response)> on_response;
    // The watch has ended by itself.
    std::function<void(absl::Status status)> on_end;
  };

  virtual ~ConcurrencyStore() = default;
  virtual void Range(const etcdserverpb::RangeRequest& request,
                     Done<etcdserverpb::RangeResponse> done) = 0;
  virtual void Txn(const etcdserverpb::TxnRequest& request,
                   Done<etcdserverpb::TxnResponse> done) = 0;
  virtual std::unique_ptr<Watching> Watch(const etcdserverpb::WatchCreateRequest& request,
                                          WatchEvents events) = 0;
};

// A lock held or an election won.
struct Place {
  std::string key;
  int64_t revision = 0;  // at which the key was created: the fencing token
  etcdserverpb::ResponseHeader header;
};

// What has been put for `name` begins with this.
std::string CampaignPrefix(std::string_view name);

// Errors of the recipes, with etcd's texts.
absl::Status ErrElectionNotLeader();  // somebody else's turn, or nobody's
absl::Status ErrElectionNoLeader();
absl::Status ErrSessionExpired();  // the lease ended while waiting

// One attempt to get a lock (with an empty value) or to be elected.
class Campaign : public std::enable_shared_from_this<Campaign> {
 public:
  using Won = absl::AnyInvocable<void(absl::StatusOr<Place>)>;

  Campaign(std::shared_ptr<ConcurrencyStore> store, std::string_view name, int64_t lease,
           std::string value);

  // Runs `won` once, when it is this one's turn or it never will be: the store's error (NotFound
  // "etcdserver: requested lease not found"), ErrSessionExpired. A lease that is in the queue
  // already keeps its place, and its value becomes this one's. REQUIRES: called once.
  void Start(Won won);
  // Leaves the queue, or gives up what was won: deletes the key. `won` does not run any more.
  void Cancel();

  const std::string& key() const { return key_; }

 private:
  void OnEntered(absl::StatusOr<etcdserverpb::TxnResponse> entered);
  void Wait();
  void OnBefore(absl::StatusOr<etcdserverpb::RangeResponse> before);
  void CheckStillIn();
  void End(absl::StatusOr<Place> result);

  const std::shared_ptr<ConcurrencyStore> store_;
  const std::string prefix_, key_, value_;
  const int64_t lease_;
  Won won_;
  bool cancelled_ = false;
  bool waited_ = false;
  Place place_;  // revision 0: not in the queue yet
  std::unique_ptr<ConcurrencyStore::Watching> watching_;
};

// Calls done with the present leader (one key-value), or ErrElectionNoLeader.
void FindLeader(ConcurrencyStore& store, std::string_view name,
                ConcurrencyStore::Done<etcdserverpb::RangeResponse> done);

// Replaces the leader's value, while `key` still is the one created at `revision`; else
// ErrElectionNotLeader.
void Proclaim(ConcurrencyStore& store, std::string_view key, int64_t revision, int64_t lease,
              std::string_view value, ConcurrencyStore::Done<etcdserverpb::TxnResponse> done);

// Deletes `key` if it still is the one created at `revision`; fine if not.
void Resign(ConcurrencyStore& store, std::string_view key, int64_t revision,
            ConcurrencyStore::Done<etcdserverpb::TxnResponse> done);

// Follows who leads: each leader, and each value it proclaims, in order. Some that were replaced
// quickly may be left out.
class Observation : public std::enable_shared_from_this<Observation> {
 public:
  struct Events {
    std::function<void(const etcdserverpb::ResponseHeader& header, const mvccpb::KeyValue& leader)>
        on_leader;
    std::function<void(absl::Status status)> on_end;  // last
  };

  Observation(std::shared_ptr<ConcurrencyStore> store, std::string_view name, Events events);

  // REQUIRES: called once.
  void Start();
  // No event follows.
  void Stop();

 private:
  void Look();
  void AwaitFirst(int64_t revision);
  void Tell(const etcdserverpb::ResponseHeader& header, const mvccpb::KeyValue& leader,
            int64_t next_revision);
  void Follow(std::string key, int64_t revision);
  void Watch(const etcdserverpb::WatchCreateRequest& request,
             std::function<void(const etcdserverpb::WatchResponse&)> on_response);
  void End(absl::Status status);

  const std::shared_ptr<ConcurrencyStore> store_;
  const std::string name_;
  Events events_;
  bool stopped_ = false;
  std::unique_ptr<ConcurrencyStore::Watching> watching_;
};

}  // namespace keel::kvstore
