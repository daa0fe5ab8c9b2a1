// All watches of a client on one stream. Internal to the client; loop only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "kvstore/client/core.h"
#include "kvstore/client/stream.h"
#include "kvstore/client/watch.h"

namespace keel::kvstore {

class WatchStream final : public StreamOwner {
 public:
  explicit WatchStream(std::shared_ptr<ClientCore> core);
  ~WatchStream() override;

  // `id` is the caller's choice, never 0 and never used before.
  void Add(int64_t id, etcdserverpb::WatchCreateRequest request, base::Duration reconnect_timeout,
           OnWatchResponse on_response, OnWatchEnd on_end);
  void Remove(int64_t id);
  void RequestProgress();
  // Ends all with Cancelled.
  void Close();

 private:
  struct Entry {
    etcdserverpb::WatchCreateRequest request;
    base::Duration reconnect_timeout;
    OnWatchResponse on_response;
    OnWatchEnd on_end;

    base::TimePoint added{};
    bool created = false;                   // ever
    bool pending = false;                   // asked for on this stream, not confirmed
    int64_t next_revision = 0;              // the first one not delivered; 0: not known
    etcdserverpb::WatchResponse fragments;  // of an unfinished revision
  };
  using EntryPtr = std::shared_ptr<Entry>;

  void OnOpened() override;
  void OnMessage(std::string_view message) override;
  void OnBroken(const absl::Status& status) override;
  void OnRefused(const absl::Status& status) override;

  void SendCreate(int64_t id, Entry& watcher);
  void Deliver(int64_t id, etcdserverpb::WatchResponse& response);
  void End(int64_t id, absl::Status status,
           const etcdserverpb::WatchResponse& last = etcdserverpb::WatchResponse());
  void EndAll(const absl::Status& status);
  void ArmCreateTimer();

  const std::shared_ptr<ClientCore> core_;
  const std::shared_ptr<ReopeningStream> stream_;
  absl::flat_hash_map<int64_t, EntryPtr> watchers_;
  // Ids in the order in which their creation was asked for on this stream.
  std::deque<int64_t> pending_;
  base::TimerId create_timer_ = 0;
};

}  // namespace keel::kvstore
