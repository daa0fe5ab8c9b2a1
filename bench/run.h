// What the threads of one run share, and what each of them found.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "base/strings.h"
#include "bench/histogram.h"
#include "bench/options.h"
#include "bench/requests.h"

namespace keel::bench {

// Nanoseconds on the monotonic clock.
inline int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Run {
  explicit Run(const Options& run_options) : options(run_options) {}

  const Options& options;
  KeySequence sequence;
  // What completes within counts. Set once, while the load runs (after warm-up
  // the start; the end when it is over).
  std::atomic<int64_t> from_ns{std::numeric_limits<int64_t>::max()};
  std::atomic<int64_t> to_ns{std::numeric_limits<int64_t>::max()};
  std::atomic<bool> stop{false};
  // With --total: operations handed out and completed (warm-up has none).
  std::atomic<uint64_t> issued{0};
  std::atomic<uint64_t> completed{0};

  // Closed loop of the watch workload: puts begun, events arrived.
  std::atomic<uint64_t> puts_begun{0};
  std::atomic<uint64_t> events{0};

  bool Counts(int64_t at_ns) const {
    return at_ns >= from_ns.load(std::memory_order_relaxed) &&
           at_ns <= to_ns.load(std::memory_order_relaxed);
  }
  // Whether one more operation is wanted.
  bool TakeOne() {
    if (stop.load(std::memory_order_relaxed)) return false;
    if (options.total == 0) return true;
    return issued.fetch_add(1, std::memory_order_relaxed) < options.total;
  }
};

struct Found {
  Histogram latency_ns;        // of operations that succeeded
  Histogram event_latency_ns;  // of watch events: put's start to arrival
  uint64_t unstarted = 0;      // open loop: due, but never sent for want of a free client
  std::map<std::string, uint64_t> errors;  // by text

  void Error(const absl::Status& status) { ++errors[status.ToString()]; }
  void Add(const Found& other) {
    latency_ns.Add(other.latency_ns);
    event_latency_ns.Add(other.event_latency_ns);
    unstarted += other.unstarted;
    for (const auto& [text, count] : other.errors) errors[text] += count;
  }
};

// The load of one thread.
class Load {
 public:
  virtual ~Load() = default;
  // Connects and prepares; blocks. Not measured.
  virtual absl::Status Prepare() = 0;
  virtual void Start() = 0;
  // Ends what is under way; blocks. What was found is complete then.
  virtual void Stop() = 0;
  virtual const Found& found() const = 0;
};

}  // namespace keel::bench
