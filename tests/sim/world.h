// The one clock and the one queue of a simulation: everything that happens is
// an event at a virtual time, and what falls on the same time is ordered by the
// seed. The same seed gives the same events, in the same order, to the bit.
//
//   World world(seed);
//   world.After(5ms, [&] { ... });
//   while (world.now() < end && world.Step()) Check();
//   printf("%016lx\n", world.hash());
//
// A task may take time: Charge moves the moments at which its effects (posts
// to loops, messages) happen, as long as it runs.
//
// Thread-safety: none; a simulation is one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/loop.h"
#include "tests/sim/check/history.h"
#include "tests/sim/random.h"

namespace keel::sim {

inline constexpr Nanos kMicro = 1'000;
inline constexpr Nanos kMilli = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

class World {
 public:
  explicit World(uint64_t seed);

  // True time; with what the running task has charged.
  Nanos now() const { return now_ + charged_; }
  // Adds to the time that the running task takes.
  void Charge(Nanos took) { charged_ += took; }

  void At(Nanos when, base::Task task);
  void After(Nanos delay, base::Task task) { At(now() + delay, std::move(task)); }
  // Runs the next event; false when there is none.
  bool Step();
  bool empty() const { return events_.empty(); }
  uint64_t events() const { return events_run_; }

  // Chance. Parts that draw much fork a stream of their own at the start.
  Random& random() { return random_; }

  // What happened, folded into the run's hash, and into the trace when it is on.
  template <typename... Args>
  void Note(uint64_t member, const absl::FormatSpec<Args...>& format, const Args&... args) {
    NoteText(member, absl::StrFormat(format, args...));
  }
  void NoteText(uint64_t member, std::string_view text);
  // For the trace alone, when it is on.
  void Print(uint64_t member, std::string_view text);
  void Mix(uint64_t value) { hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15ull ^ (hash_ >> 29); }
  void MixBytes(std::string_view bytes);
  uint64_t hash() const { return hash_; }

  // Lines go to `out` (null: nowhere).
  void set_trace(FILE* out) { trace_ = out; }
  bool tracing() const { return trace_ != nullptr; }

 private:
  struct Event {
    Nanos at;
    uint64_t tie;
    uint64_t sequence;
    base::Task task;
    bool operator>(const Event& other) const {
      if (at != other.at) return at > other.at;
      return tie != other.tie ? tie > other.tie : sequence > other.sequence;
    }
  };

  Random random_;
  Random ties_;
  Nanos now_ = 0;
  Nanos charged_ = 0;
  uint64_t next_sequence_ = 0;
  uint64_t events_run_ = 0;
  uint64_t hash_;
  std::vector<Event> events_;  // a heap
  FILE* trace_ = nullptr;
};

}  // namespace keel::sim
