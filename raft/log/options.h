// What opening a log takes, be it of one group (Log) or of many (SharedLog).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "base/check.h"
#include "base/file.h"
#include "base/loop.h"

namespace keel::raft {

struct LogPlaceOptions {
  std::string dir;
  base::FileSystem* fs = nullptr;  // null: PosixFileSystem()
  base::Loop* loop = nullptr;
  base::Loop* write_loop = nullptr;
  base::Loop* fill_loop = nullptr;  // null: write_loop
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  uint64_t segment_bytes = 64ull << 20;
  uint64_t memory_bytes = 32ull << 20;  // of entries' data kept in memory
  std::function<uint64_t()> random;     // 64 bits; required
  // The log cannot be written any more. On `loop`, once; no Append ends after it.
  std::function<void(absl::Status)> on_error;
  // A sync took this long. On `write_loop`; may be null.
  std::function<void(base::Duration)> on_sync;

  // Checks what is required and fills in what null stands for.
  void Complete() {
    KEEL_CHECK(loop != nullptr && write_loop != nullptr && random);
    if (fs == nullptr) fs = &base::PosixFileSystem();
    if (fill_loop == nullptr) fill_loop = write_loop;
  }
};

}  // namespace keel::raft
