#include "rpc/send_queue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "rpc/frame.h"

namespace keel::rpc::internal {

void SendQueue::Push(Message message, bool framed) {
  if (message.head.size() >= kReferenceBytesMin) {
    // Large private bytes become shared ones, so that the socket write can
    // reference them.
    message.shared.insert(message.shared.begin(),
                          std::make_shared<const std::string>(std::move(message.head)));
    message.head.clear();
  }
  Entry entry;
  entry.size = message.size();
  entry.header_size = framed ? kFrameHeaderBytes : 0;
  entry.message = std::move(message);
  bytes_ += entry.size + entry.header_size;
  if (entry.size + entry.header_size > 0) entries_.push_back(std::move(entry));
}

size_t SendQueue::Take(size_t bytes, OutBuffer& out) {
  KEEL_CHECK(bytes <= bytes_, "take=", bytes, " queued=", bytes_);
  bytes_ -= bytes;
  size_t message_bytes = 0;
  while (bytes > 0) {
    Entry& entry = entries_[first_];
    if (entry.taken < entry.header_size) {
      const auto header = EncodeFrameHeader(static_cast<uint32_t>(entry.size));
      const size_t take = std::min<size_t>(bytes, entry.header_size - entry.taken);
      out.Append({header.data() + entry.taken, take});
      entry.taken += take;
      bytes -= take;
    }
    // Where each part starts within header + message.
    size_t start = entry.header_size;
    const auto take_part = [&](std::string_view part, const Message::SharedBytes* owner) {
      if (bytes > 0 && entry.taken >= start && entry.taken < start + part.size()) {
        const std::string_view piece = part.substr(entry.taken - start, bytes);
        if (owner != nullptr) {
          out.AppendShared(*owner, piece);
        } else {
          out.Append(piece);
        }
        entry.taken += piece.size();
        bytes -= piece.size();
        message_bytes += piece.size();
      }
      start += part.size();
    };
    take_part(entry.message.head, nullptr);
    for (const Message::SharedBytes& part : entry.message.shared) take_part(*part, &part);
    if (entry.taken == entry.header_size + entry.size) {
      entry = Entry();
      ++first_;
    }
  }
  if (first_ == entries_.size()) {
    entries_.clear();
    first_ = 0;
  } else if (first_ > 64 && first_ > entries_.size() / 2) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(first_));
    first_ = 0;
  }
  return message_bytes;
}

size_t SendQueue::DropUntaken() {
  size_t dropped = 0;
  const size_t keep = first_ < entries_.size() && entries_[first_].taken > 0 ? first_ + 1 : first_;
  while (entries_.size() > keep) {
    const Entry& entry = entries_.back();
    bytes_ -= entry.size + entry.header_size;
    dropped += entry.size;
    entries_.pop_back();
  }
  return dropped;
}

}  // namespace keel::rpc::internal
