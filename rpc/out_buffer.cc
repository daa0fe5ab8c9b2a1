#include "rpc/out_buffer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>

namespace keel::rpc::internal {

namespace {
constexpr size_t kGatherMax = 64;
// What an idle buffer may keep.
constexpr size_t kKeepBytesMax = 1024 * 1024;
// The most that one record of TLS carries (RFC 8446, section 5.1).
constexpr size_t kRecordBytes = 16 * 1024;
}  // namespace

void OutBuffer::Append(std::string_view bytes) {
  if (segments_.empty() || segments_.back().external != nullptr) {
    segments_.push_back({nullptr, copied_.size(), 0, nullptr});
  }
  copied_.append(bytes);
  segments_.back().size += bytes.size();
  size_ += bytes.size();
}

void OutBuffer::AppendShared(const Message::SharedBytes& owner, std::string_view bytes) {
  if (bytes.size() < kReferenceBytesMin) return Append(bytes);
  segments_.push_back({bytes.data(), 0, bytes.size(), owner});
  size_ += bytes.size();
}

OutBuffer::Result OutBuffer::WriteTo(int fd, size_t* written) {
  while (size_ > 0) {
    std::array<iovec, kGatherMax> parts;
    size_t count = 0;
    for (size_t i = first_; i < segments_.size() && count < kGatherMax; ++i, ++count) {
      const Segment& segment = segments_[i];
      const char* start =
          segment.external != nullptr ? segment.external : copied_.data() + segment.offset;
      parts[count] = {const_cast<char*>(start), segment.size};
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Result::kBlocked;
      return Result::kError;
    }
    *written += static_cast<size_t>(n);
    Consume(static_cast<size_t>(n));
  }
  Clear();
  return Result::kDone;
}

void OutBuffer::MoveTo(base::TlsSession& tls) {
  // Small pieces share a record: each costs 22 bytes and a call of the cipher.
  std::array<char, kRecordBytes> record;
  size_t filled = 0;
  const auto flush = [&] {
    tls.Encrypt({record.data(), filled});
    filled = 0;
  };
  for (size_t i = first_; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    std::string_view rest(
        segment.external != nullptr ? segment.external : copied_.data() + segment.offset,
        segment.size);
    while (!rest.empty()) {
      if (filled == 0 && rest.size() >= kRecordBytes) {
        const size_t whole = rest.size() - rest.size() % kRecordBytes;
        tls.Encrypt(rest.substr(0, whole));
        rest.remove_prefix(whole);
        continue;
      }
      const size_t take = std::min(rest.size(), kRecordBytes - filled);
      std::copy_n(rest.data(), take, record.data() + filled);
      filled += take;
      rest.remove_prefix(take);
      if (filled == kRecordBytes) flush();
    }
  }
  if (filled > 0) flush();
  Clear();
}

void OutBuffer::Consume(size_t bytes) {
  size_ -= bytes;
  while (bytes > 0) {
    Segment& segment = segments_[first_];
    const size_t take = std::min(bytes, segment.size);
    if (segment.external != nullptr) segment.external += take;
    segment.offset += take;
    segment.size -= take;
    bytes -= take;
    if (segment.size == 0) {
      segment.owner.reset();
      ++first_;
    }
  }
}

std::string OutBuffer::ToString() const {
  std::string text;
  for (size_t i = first_; i < segments_.size(); ++i) {
    const Segment& segment = segments_[i];
    text.append(segment.external != nullptr ? segment.external : copied_.data() + segment.offset,
                segment.size);
  }
  return text;
}

void OutBuffer::Clear() {
  segments_.clear();
  first_ = 0;
  size_ = 0;
  if (copied_.capacity() > kKeepBytesMax) {
    std::string().swap(copied_);
  } else {
    copied_.clear();
  }
}

void OutBuffer::swap(OutBuffer& other) {
  copied_.swap(other.copied_);
  segments_.swap(other.segments_);
  std::swap(first_, other.first_);
  std::swap(size_, other.size_);
}

}  // namespace keel::rpc::internal
