#include "kvstore/kvctl/progress_bar.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"

namespace keel::kvctl {

namespace {

constexpr auto kInterval = std::chrono::milliseconds(100);
constexpr size_t kWidth = 78;

}  // namespace

std::string DrawProgress(const std::string& what, uint64_t done, uint64_t total, size_t width) {
  const double share =
      total == 0 ? 1.0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const std::string before = absl::StrFormat("%s %3d%% [", what, static_cast<int>(share * 100));
  const std::string after = base::StrCat("] ", FormatBytes(done), " of ", FormatBytes(total));
  if (before.size() + after.size() + 10 > width) return before.substr(0, before.size() - 2);
  const size_t room = width - before.size() - after.size();
  const auto full = static_cast<size_t>(share * static_cast<double>(room));
  return before + std::string(full, '=') + std::string(room - full, ' ') + after;
}

ProgressBar::ProgressBar(std::string what)
    : what_(std::move(what)), terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (drawn_) std::cerr << "\r\x1b[K" << std::flush;
}

void ProgressBar::Show(uint64_t done, uint64_t total) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (done < total && now - last_ < kInterval) return;
  last_ = now;
  drawn_ = true;
  std::cerr << "\r" << DrawProgress(what_, done, total, kWidth) << std::flush;
}

}  // namespace keel::kvctl
