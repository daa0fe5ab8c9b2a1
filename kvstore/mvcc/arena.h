// Bytes that are wanted together and go together: copies into blocks that are kept
// for the next time.
//
// Not thread-safe.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace keel::kvstore {

class Arena {
 public:
  // Good until Clear().
  std::string_view Copy(std::string_view bytes) {
    if (blocks_.empty() || used_ + bytes.size() > blocks_.back().size) {
      const size_t size = std::max(bytes.size(), kBlockBytes);
      blocks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
      used_ = 0;
    }
    char* const to = blocks_.back().bytes.get() + used_;
    std::copy(bytes.begin(), bytes.end(), to);
    used_ += bytes.size();
    return {to, bytes.size()};
  }

  // Keeps one block of the usual size.
  void Clear() {
    if (blocks_.size() > 1) blocks_.resize(1);
    if (!blocks_.empty() && blocks_[0].size > kBlockBytes) blocks_.clear();
    used_ = 0;
  }

 private:
  static constexpr size_t kBlockBytes = 64 << 10;
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size;
  };
  std::vector<Block> blocks_;
  size_t used_ = 0;  // of the last block
};

}  // namespace keel::kvstore
