// The server's figures, as kube-apiserver names them.
//
// Thread-safety: none.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "orchestrator/apiserver/cache.h"
#include "orchestrator/apiserver/request_info.h"

namespace keel::orchestrator {

class ServerMetrics {
 public:
  using Seconds = std::chrono::duration<double>;

  void Begun(const RequestInfo& info);
  // Of a watch: its answer has begun.
  void Answered(const RequestInfo& info, int code, Seconds took);
  std::string Text(const Cache& cache) const;

 private:
  static constexpr std::array kBuckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                          0.25,  0.5,    1.0,   2.5,  5.0,   10.0};
  struct Histogram {
    std::array<uint64_t, kBuckets.size() + 1> counts{};
    double sum = 0;
    uint64_t count = 0;
  };
  std::map<std::string, uint64_t> totals_;      // by labels
  std::map<std::string, Histogram> durations_;  // by labels
  int64_t running_ = 0;
};

}  // namespace keel::orchestrator
