// All leases of a client that are kept alive, on one stream. Internal to the
// client; loop only.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "kvstore/client/core.h"
#include "kvstore/client/lease.h"
#include "kvstore/client/stream.h"

namespace keel::kvstore {

class LeaseStream final : public StreamOwner {
 public:
  explicit LeaseStream(std::shared_ptr<ClientCore> core);
  ~LeaseStream() override;

  // `id`: of the keeper, the caller's choice, never used before.
  void Add(int64_t id, int64_t lease, OnLeaseRenewed on_renewed, OnLeaseLost on_lost);
  void Remove(int64_t id);
  // Ends all with Cancelled.
  void Close();

 private:
  struct Keeper {
    int64_t lease = 0;
    OnLeaseRenewed on_renewed;
    OnLeaseLost on_lost;
    base::TimePoint added_at{};
    bool renewed = false;      // ever
    bool outstanding = false;  // asked on this stream and not answered
    base::TimePoint asked_at{};
    // When the lease may be gone: counted from the moment of asking, for the
    // server counts from one later than that.
    base::TimePoint expires_at{};
    base::TimerId next = 0;
  };
  using KeeperPtr = std::shared_ptr<Keeper>;

  void OnOpened() override;
  void OnMessage(std::string_view message) override;
  void OnBroken(const absl::Status& status) override;
  void OnRefused(const absl::Status& status) override;

  // Asks for renewal now and arms the timer for what follows.
  void Renew(int64_t id, const KeeperPtr& keeper);
  void Arm(int64_t id, const KeeperPtr& keeper, base::Duration delay);
  void Lose(int64_t id, const absl::Status& status);

  const std::shared_ptr<ClientCore> core_;
  const std::shared_ptr<ReopeningStream> stream_;
  absl::flat_hash_map<int64_t, KeeperPtr> keepers_;
  absl::flat_hash_map<int64_t, std::vector<int64_t>> keepers_of_lease_;
};

}  // namespace keel::kvstore
