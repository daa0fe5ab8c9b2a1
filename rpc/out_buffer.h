// Bytes on their way to a socket: small pieces are copied one behind the other,
// large shared ones are referenced, and all go out by gather writes.
//
// Thread-safety: none.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/tls/session.h"
#include "rpc/message.h"

namespace keel::rpc::internal {

// From here on a piece is referenced instead of copied: about where a copy
// costs more than a further entry of the gather list (and its reference).
inline constexpr size_t kReferenceBytesMin = 4 * 1024;

class OutBuffer {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  void Append(std::string_view bytes);
  // `bytes` lies within `owner`.
  void AppendShared(const Message::SharedBytes& owner, std::string_view bytes);

  enum class Result { kDone, kBlocked, kError };
  // Writes to a non-blocking socket until it takes no more. kError leaves errno.
  // `written` is increased.
  Result WriteTo(int fd, size_t* written);

  // Encrypts all of it, and is empty then.
  void MoveTo(base::TlsSession& tls);

  // What is in it, for tests and messages.
  std::string ToString() const;

  void Clear();
  void swap(OutBuffer& other);

 private:
  struct Segment {
    const char* external;  // null: in copied_, from `offset`
    size_t offset;
    size_t size;
    Message::SharedBytes owner;
  };
  void Consume(size_t bytes);

  std::string copied_;
  std::vector<Segment> segments_;
  size_t first_ = 0;  // segments before this one are written
  size_t size_ = 0;
};

}  // namespace keel::rpc::internal
