// The part of a file that is being read, in memory that one file after the other uses: a log of a
// gigabyte is read through one megabyte, which stays in the processor's cache between the copy
// out of the kernel and the checksum.
//
//   ReadWindow window;
//   KEEL_RETURN_IF_ERROR(window.Open(fs, path));
//   KEEL_ASSIGN_OR_RETURN(const std::string_view bytes, window.At(offset, 24));
//
// One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "base/status.h"

namespace keel::raft {

class ReadWindow {
 public:
  static constexpr uint64_t kBytes = 1 << 20;

  // Reads from that file from here on.
  absl::Status Open(base::FileSystem& fs, const std::string& path) {
    KEEL_ASSIGN_OR_RETURN(file_, fs.Open(path, base::FileSystem::Mode::kRead));
    KEEL_ASSIGN_OR_RETURN(size_, file_->Size());
    start_ = held_ = 0;
    return absl::OkStatus();
  }
  uint64_t size() const { return size_; }  // of the file

  // The bytes from `offset` on that are in memory: at least `bytes`, unless the file ends before.
  // Cheap when they are there already. Valid until the next call.
  absl::StatusOr<std::string_view> At(uint64_t offset, uint64_t bytes) {
    const uint64_t have = offset >= start_ && offset < start_ + held_ ? start_ + held_ - offset : 0;
    const uint64_t left = offset < size_ ? size_ - offset : 0;
    if (have < std::min(bytes, left)) KEEL_RETURN_IF_ERROR(Move(offset, have, bytes));
    if (offset >= start_ + held_) return std::string_view();
    return std::string_view(memory_.get() + (offset - start_), start_ + held_ - offset);
  }

 private:
  // Begins at `offset`, the first `keep` bytes from which are there already.
  absl::Status Move(uint64_t offset, uint64_t keep, uint64_t bytes) {
    const uint64_t wanted = std::min(std::max(bytes, kBytes), size_ - offset);
    std::unique_ptr<char[]> larger;
    if (wanted > capacity_) larger.reset(new char[std::max(wanted, kBytes)]);  // not zeroed
    char* const to = larger != nullptr ? larger.get() : memory_.get();
    if (keep > 0) std::memmove(to, memory_.get() + (offset - start_), keep);
    if (larger != nullptr) {
      capacity_ = std::max(wanted, kBytes);
      memory_ = std::move(larger);
    }
    start_ = offset;
    held_ = keep;
    KEEL_ASSIGN_OR_RETURN(const size_t got,
                          file_->ReadInto(offset + keep, {to + keep, wanted - keep}));
    held_ += got;
    if (held_ < wanted) size_ = start_ + held_;  // it has become shorter meanwhile
    return absl::OkStatus();
  }

  std::unique_ptr<base::File> file_;
  uint64_t size_ = 0;
  std::unique_ptr<char[]> memory_;
  uint64_t capacity_ = 0;
  uint64_t start_ = 0;  // in the file, of what is in memory
  uint64_t held_ = 0;
};

}  // namespace keel::raft
