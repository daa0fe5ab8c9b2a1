#include "kvstore/client/lease_stream.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"

namespace keel::kvstore {
namespace {

// Asks again this soon when an answer is outstanding.
constexpr base::Duration kUnansweredInterval = std::chrono::milliseconds(500);

}  // namespace

LeaseStream::LeaseStream(std::shared_ptr<ClientCore> core)
    : core_(core),
      stream_(std::make_shared<ReopeningStream>(core, "/etcdserverpb.Lease/LeaseKeepAlive", this)) {
}

LeaseStream::~LeaseStream() {
  for (const auto& [id, keeper] : keepers_) core_->loop().Cancel(keeper->next);
  stream_->Stop();
}

void LeaseStream::Add(int64_t id, int64_t lease, OnLeaseRenewed on_renewed, OnLeaseLost on_lost) {
  auto keeper = std::make_shared<Keeper>();
  keeper->lease = lease;
  keeper->on_renewed = std::move(on_renewed);
  keeper->on_lost = std::move(on_lost);
  // Its time to live is not known yet.
  keeper->added_at = core_->loop().Now();
  keeper->expires_at = keeper->added_at + core_->options().request_timeout;
  KEEL_CHECK(keepers_.emplace(id, keeper).second, "keeper id ", id);
  keepers_of_lease_[lease].push_back(id);
  if (keepers_.size() == 1) {
    stream_->Start();  // OnOpened renews.
  } else {
    Renew(id, keeper);
  }
}

void LeaseStream::Renew(int64_t id, const KeeperPtr& keeper) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(keeper->lease);
  if (stream_->Send(request.SerializeAsString()) && !std::exchange(keeper->outstanding, true)) {
    keeper->asked_at = core_->loop().Now();
  }
  Arm(id, keeper, kUnansweredInterval);
}

void LeaseStream::Arm(int64_t id, const KeeperPtr& keeper, base::Duration delay) {
  base::AsioLoop& loop = core_->loop();
  loop.Cancel(keeper->next);
  const base::TimePoint now = loop.Now();
  delay = std::max(base::Duration::zero(), std::min(delay, keeper->expires_at - now));
  keeper->next = loop.After(delay, [this, id, keeper] {
    keeper->next = 0;
    if (core_->loop().Now() >= keeper->expires_at) {
      return Lose(id, absl::DeadlineExceededError("the lease could not be renewed in time"));
    }
    Renew(id, keeper);
  });
}

void LeaseStream::OnOpened() {
  std::vector<std::pair<int64_t, KeeperPtr>> all(keepers_.begin(), keepers_.end());
  for (const auto& [id, keeper] : all) {
    keeper->outstanding = false;
    Renew(id, keeper);
  }
}

void LeaseStream::OnMessage(std::string_view message) {
  etcdserverpb::LeaseKeepAliveResponse response;
  if (!response.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return stream_->Abandon(absl::UnavailableError("the server sent a malformed lease response"));
  }
  const auto of_lease = keepers_of_lease_.find(response.id());
  if (of_lease == keepers_of_lease_.end()) return;
  const std::vector<int64_t> ids = of_lease->second;
  for (const int64_t id : ids) {
    const auto found = keepers_.find(id);
    if (found == keepers_.end()) continue;  // Removed by a callback.
    const KeeperPtr keeper = found->second;
    if (response.ttl() <= 0) {
      Lose(id, absl::NotFoundError("etcdserver: requested lease not found"));
      continue;
    }
    const base::Duration ttl = std::chrono::seconds(response.ttl());
    if (std::exchange(keeper->outstanding, false)) keeper->expires_at = keeper->asked_at + ttl;
    keeper->renewed = true;
    Arm(id, keeper, ttl / 3);
    keeper->on_renewed(response);
  }
}

void LeaseStream::OnBroken(const absl::Status& status) {
  // The next server is asked as soon as there is one (OnOpened). Time that runs
  // out meanwhile is the timers' matter; one that never had contact learns why.
  std::vector<int64_t> over;
  const base::TimePoint now = core_->loop().Now();
  for (const auto& [id, keeper] : keepers_) {
    keeper->outstanding = false;
    if (!keeper->renewed && now - keeper->added_at >= core_->options().dial_timeout)
      over.push_back(id);
  }
  for (const int64_t id : over) Lose(id, status);
}

void LeaseStream::OnRefused(const absl::Status& status) {
  std::vector<int64_t> ids;
  for (const auto& [id, keeper] : keepers_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const int64_t id : ids) Lose(id, status);
}

void LeaseStream::Lose(int64_t id, const absl::Status& status) {
  const auto found = keepers_.find(id);
  if (found == keepers_.end()) return;
  const KeeperPtr keeper = found->second;
  Remove(id);
  keeper->on_lost(status);
}

void LeaseStream::Remove(int64_t id) {
  const auto found = keepers_.find(id);
  if (found == keepers_.end()) return;
  core_->loop().Cancel(found->second->next);
  const auto of_lease = keepers_of_lease_.find(found->second->lease);
  std::erase(of_lease->second, id);
  if (of_lease->second.empty()) keepers_of_lease_.erase(of_lease);
  keepers_.erase(found);
  if (keepers_.empty()) stream_->Stop();
}

void LeaseStream::Close() { OnRefused(absl::CancelledError("the client is closed")); }

}  // namespace keel::kvstore
