// How far something has got, on standard error when that is a terminal, in one
// line that is drawn again.
//
//   ProgressBar bar("saving");
//   bar.Show(1000, 5000);     // "saving  20% [====                ] 1.0 kB of 5.0 kB"
//
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace keel::kvctl {

class ProgressBar {
 public:
  explicit ProgressBar(std::string what);
  ~ProgressBar();  // Removes it.

  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // Drawn ten times a second at most.
  void Show(uint64_t done, uint64_t total);

 private:
  const std::string what_;
  const bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{};
};

// The line, `width` characters wide at most.
std::string DrawProgress(const std::string& what, uint64_t done, uint64_t total, size_t width);

}  // namespace keel::kvctl
