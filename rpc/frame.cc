#include "rpc/frame.h"

#include <algorithm>
#include <cstring>

namespace keel::rpc::internal {

namespace {
// What one header may reserve ahead of the bytes themselves: a lying length
// must not cost memory.
constexpr size_t kReserveBytesMax = 64 * 1024;
// Once so many have come, room for all is made at once: to grow step by step would
// touch three times the memory, and what is not touched costs none.
constexpr size_t kReserveAllBytesMin = 512 * 1024;
}  // namespace

std::array<char, kFrameHeaderBytes> EncodeFrameHeader(uint32_t message_bytes) {
  return {0, static_cast<char>(message_bytes >> 24), static_cast<char>(message_bytes >> 16),
          static_cast<char>(message_bytes >> 8), static_cast<char>(message_bytes)};
}

FrameDecoder::Result FrameDecoder::Next(std::string_view* input, std::string_view* message) {
  if (delivered_partial_) {
    partial_.clear();
    delivered_partial_ = false;
  }
  if (header_have_ < kFrameHeaderBytes) {
    const size_t take = std::min<size_t>(kFrameHeaderBytes - header_have_, input->size());
    std::memcpy(header_.data() + header_have_, input->data(), take);
    header_have_ += static_cast<uint8_t>(take);
    input->remove_prefix(take);
    if (header_have_ < kFrameHeaderBytes) return Result::kNeedMore;
    const auto byte = [this](size_t i) {
      return static_cast<uint32_t>(static_cast<uint8_t>(header_[i]));
    };
    message_bytes_ = byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
    if (message_bytes_ > max_message_bytes_) return Result::kTooLarge;
    if (header_[0] != 0) return Result::kCompressed;
  }
  if (partial_.empty() && input->size() >= message_bytes_) {
    *message = input->substr(0, message_bytes_);
    input->remove_prefix(message_bytes_);
    header_have_ = 0;
    return Result::kMessage;
  }
  const size_t take = std::min<size_t>(message_bytes_ - partial_.size(), input->size());
  if (partial_.empty()) partial_.reserve(std::min<size_t>(message_bytes_, kReserveBytesMax));
  if (message_bytes_ > partial_.capacity() && partial_.size() >= kReserveAllBytesMin) {
    partial_.reserve(message_bytes_);
  }
  partial_.append(input->data(), take);
  input->remove_prefix(take);
  if (partial_.size() < message_bytes_) return Result::kNeedMore;
  *message = partial_;
  delivered_partial_ = true;
  header_have_ = 0;
  return Result::kMessage;
}

std::string FrameDecoder::TakeMessage(std::string_view message) {
  if (delivered_partial_ && message.data() == partial_.data()) {
    delivered_partial_ = false;
    std::string taken = std::move(partial_);
    partial_.clear();
    return taken;
  }
  return std::string(message);
}

}  // namespace keel::rpc::internal
