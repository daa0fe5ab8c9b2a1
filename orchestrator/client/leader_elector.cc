#include "orchestrator/client/leader_elector.h"

#include <unistd.h>

#include <algorithm>
#include <random>
#include <utility>

#include "base/log.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

const Resource kLeases{"coordination.k8s.io", "v1", "leases"};

std::string MicroTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

std::string OwnIdentity() {
  char host[256] = "localhost";
  ::gethostname(host, sizeof(host) - 1);
  std::random_device random;
  return absl::StrCat(host, "_", ::getpid(), "_", absl::Hex(random(), absl::kZeroPad8));
}

}  // namespace

absl::Status LeaderElectionOptions::Validate() const {
  if (lease_duration <= renew_deadline) {
    return absl::InvalidArgumentError("leaseDuration must be greater than renewDeadline");
  }
  if (renew_deadline <= retry_period + retry_period / 5) {
    return absl::InvalidArgumentError("renewDeadline must be greater than retryPeriod*1.2");
  }
  if (retry_period.count() < 1) return absl::InvalidArgumentError("retryPeriod must be positive");
  if (name.empty()) return absl::InvalidArgumentError("the lease has no name");
  return absl::OkStatus();
}

struct LeaderElector::Impl : std::enable_shared_from_this<Impl> {
  Impl(ApiClient& c, LeaderElectionOptions o, std::function<absl::Time()> n, Callbacks back)
      : client(c), options(std::move(o)), now(std::move(n)), callbacks(std::move(back)) {
    if (options.identity.empty()) options.identity = OwnIdentity();
  }

  auto Guarded(void (Impl::*then)(absl::StatusOr<json::value>)) {
    return [weak = weak_from_this(), then](absl::StatusOr<json::value> answer) {
      if (auto self = weak.lock(); self != nullptr && !self->ended) {
        (self.get()->*then)(std::move(answer));
      }
    };
  }

  // One round: read, decide, write.
  void Round() { client.Get(kLeases, options.ns, options.name, Guarded(&Impl::OnRead)); }

  void OnRead(absl::StatusOr<json::value> got) {
    if (!got.ok() && IsReason(got.status(), "NotFound")) {
      observed = json::object{{"apiVersion", "coordination.k8s.io/v1"},
                              {"kind", "Lease"},
                              {"metadata", {{"namespace", options.ns}, {"name", options.name}}}};
      return Write(true);
    }
    if (!got.ok()) return Failed(got.status());
    const std::string_view version = StringAt(*got, {"metadata", "resourceVersion"});
    if (version != seen_version) {
      seen_version = version;
      seen_at = client.loop().Now();
    }
    const std::string holder(StringAt(*got, {"spec", "holderIdentity"}));
    Observe(holder);
    observed = *std::move(got);
    if (!holder.empty() && holder != options.identity) {
      const base::Duration held = std::chrono::seconds(
          IntAt(observed, {"spec", "leaseDurationSeconds"}, Seconds(options.lease_duration)));
      if (seen_at + held > client.loop().Now()) {
        if (is_leading) return Lose("another instance holds the lease");
        return Later();
      }
    }
    Write(false);
  }

  void Write(bool create) {
    const bool renewal = StringAt(observed, {"spec", "holderIdentity"}) == options.identity;
    const std::string time = MicroTime(now());
    if (!renewal) {
      const int64_t transitions = IntAt(observed, {"spec", "leaseTransitions"});
      *Ensure(observed, {"spec", "acquireTime"}) = time;
      *Ensure(observed, {"spec", "leaseTransitions"}) = create ? 0 : transitions + 1;
    }
    *Ensure(observed, {"spec", "holderIdentity"}) = options.identity;
    *Ensure(observed, {"spec", "leaseDurationSeconds"}) = Seconds(options.lease_duration);
    *Ensure(observed, {"spec", "renewTime"}) = time;
    if (create) {
      client.Create(kLeases, options.ns, observed, Guarded(&Impl::OnWritten));
    } else {
      client.Update(kLeases, options.ns, options.name, observed, Guarded(&Impl::OnWritten));
    }
  }

  void OnWritten(absl::StatusOr<json::value> got) {
    if (!got.ok()) return Failed(got.status());
    seen_version = StringAt(*got, {"metadata", "resourceVersion"});
    seen_at = client.loop().Now();
    observed = *std::move(got);
    renewed_at = seen_at;
    Observe(options.identity);
    if (!std::exchange(is_leading, true)) {
      base::Log().info("became leader lease={}/{} identity={}", options.ns, options.name,
                       options.identity);
      Watchdog();
      if (callbacks.on_started) callbacks.on_started();
    }
    Later();
  }

  void Failed(const absl::Status& status) {
    base::Log().warn("leader election: lease {}/{}: {}", options.ns, options.name,
                     base::ToStd(status.message()));
    Later();
  }

  // A round whose answer never comes must not keep a leader in office.
  void Watchdog() {
    const base::Duration left = renewed_at + options.renew_deadline - client.loop().Now();
    if (left.count() <= 0) return Lose("the lease could not be renewed in time");
    watchdog = client.loop().After(left, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (self != nullptr && self->is_leading && !self->ended) self->Watchdog();
    });
  }

  void Lose(std::string_view why) {
    base::Log().error("no longer the leader: {}", why);
    is_leading = false;
    ended = true;
    if (callbacks.on_stopped) callbacks.on_stopped();
  }

  void Later() {
    // Who waits comes at odd times, so that two do not collide again and again.
    base::Duration delay = options.retry_period;
    if (!is_leading) {
      delay += base::Duration(
          std::uniform_int_distribution<int64_t>(0, options.retry_period.count() / 5)(random));
    }
    timer = client.loop().After(delay, [weak = weak_from_this()] {
      if (auto self = weak.lock(); self != nullptr && !self->ended) self->Round();
    });
  }

  void Observe(const std::string& holder) {
    if (holder == leader) return;
    leader = holder;
    if (callbacks.on_leader) callbacks.on_leader(leader);
  }

  static int64_t Seconds(base::Duration duration) {
    return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  }

  ApiClient& client;
  LeaderElectionOptions options;
  const std::function<absl::Time()> now;
  const Callbacks callbacks;
  std::minstd_rand random{std::random_device()()};
  json::value observed;
  std::string seen_version, leader;
  base::TimePoint seen_at{}, renewed_at{};
  base::TimerId timer = 0, watchdog = 0;
  bool is_leading = false, ended = false;
};

LeaderElector::LeaderElector(ApiClient& client, LeaderElectionOptions options,
                             std::function<absl::Time()> now, Callbacks callbacks)
    : impl_(std::make_shared<Impl>(client, std::move(options), std::move(now),
                                   std::move(callbacks))) {}

LeaderElector::~LeaderElector() {
  impl_->ended = true;
  impl_->client.loop().Cancel(impl_->timer);
  impl_->client.loop().Cancel(impl_->watchdog);
}

void LeaderElector::Start() { impl_->Round(); }
bool LeaderElector::leading() const { return impl_->is_leading; }

void LeaderElector::Release(absl::AnyInvocable<void()> done) {
  Impl& impl = *impl_;
  impl.ended = true;
  if (!std::exchange(impl.is_leading, false)) {
    return impl.client.loop().Post(std::move(done));
  }
  const std::string time = MicroTime(impl.now());
  *Ensure(impl.observed, {"spec", "holderIdentity"}) = "";
  *Ensure(impl.observed, {"spec", "leaseDurationSeconds"}) = 1;
  *Ensure(impl.observed, {"spec", "renewTime"}) = time;
  *Ensure(impl.observed, {"spec", "acquireTime"}) = time;
  impl.client.Update(kLeases, impl.options.ns, impl.options.name, impl.observed,
                     [done = std::move(done)](absl::StatusOr<json::value>) mutable { done(); });
}

}  // namespace keel::orchestrator
