// An allowance that refills with time, for flood limits.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/loop.h"

namespace keel::rpc::internal {

class TokenBucket {
 public:
  TokenBucket(uint32_t burst, uint32_t per_second, base::TimePoint now)
      : burst_(burst), per_second_(per_second), tokens_(burst), refilled_at_(now) {}

  // Takes one token; false when there is none. `now` gives the time and is
  // asked only when the bucket has run dry.
  template <typename NowFunction>
  bool Take(NowFunction now) {
    if (tokens_ < 1) Refill(now());
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

  void Give(double tokens) { tokens_ = std::min(tokens_ + tokens, burst_); }

 private:
  void Refill(base::TimePoint now) {
    Give(std::chrono::duration<double>(now - refilled_at_).count() * per_second_);
    refilled_at_ = now;
  }

  double burst_;
  double per_second_;
  double tokens_;
  base::TimePoint refilled_at_;
};

}  // namespace keel::rpc::internal
