// The messages of one stream that wait to become DATA frames, framed for gRPC
// on the way out.
//
// Thread-safety: none.
#pragma once

#include <cstddef>

#include "absl/container/inlined_vector.h"
#include "rpc/message.h"
#include "rpc/out_buffer.h"

namespace keel::rpc::internal {

class SendQueue {
 public:
  // Framed bytes that wait.
  size_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }

  // `framed`: with gRPC's 5-byte header in front (plain HTTP bodies have none).
  void Push(Message message, bool framed = true);

  // Moves the next `bytes` to `out`. Returns how many of them were message
  // bytes, headers not counted. REQUIRES: bytes <= bytes().
  size_t Take(size_t bytes, OutBuffer& out);

  // Drops all but a message that was already taken in part. Returns the
  // message bytes dropped.
  size_t DropUntaken();

 private:
  struct Entry {
    Message message;
    size_t size = 0;   // of the message
    size_t taken = 0;  // of header and message
    uint32_t header_size = 0;
  };

  absl::InlinedVector<Entry, 1> entries_;  // of a unary call one
  size_t first_ = 0;                       // entries before this one are gone
  size_t bytes_ = 0;
};

}  // namespace keel::rpc::internal
