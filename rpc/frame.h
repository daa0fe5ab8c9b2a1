// gRPC's message framing inside HTTP/2 DATA (gRPC over HTTP/2, "Length-Prefixed-
// Message"): 1 byte compressed flag, 4 bytes big-endian length, the message.
//
//   FrameDecoder decoder(max_bytes);
//   while (decoder.Next(&chunk, &message) == FrameDecoder::Result::kMessage) Use(message);
//
// Thread-safety: none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace keel::rpc::internal {

inline constexpr size_t kFrameHeaderBytes = 5;

// The header of an uncompressed message.
std::array<char, kFrameHeaderBytes> EncodeFrameHeader(uint32_t message_bytes);

class FrameDecoder {
 public:
  enum class Result {
    kMessage,     // `message` is complete
    kNeedMore,    // the input is used up
    kTooLarge,    // message_bytes() exceeds the limit; the stream is unusable
    kCompressed,  // the message is compressed; the stream is unusable
  };

  explicit FrameDecoder(size_t max_message_bytes = 0) : max_message_bytes_(max_message_bytes) {}

  void set_max_message_bytes(size_t bytes) { max_message_bytes_ = bytes; }

  // Consumes from the front of `input` up to the end of one message. `message`
  // is valid until the next call and as long as the input's bytes.
  Result Next(std::string_view* input, std::string_view* message);

  // The message of the last kMessage as a string of one's own; spares the copy
  // when it was assembled from several chunks.
  std::string TakeMessage(std::string_view message);

  // Whether the input so far ends inside a message.
  bool InMessage() const { return header_have_ > 0; }
  // Length announced by the current header.
  size_t message_bytes() const { return message_bytes_; }

 private:
  size_t max_message_bytes_;
  std::array<char, kFrameHeaderBytes> header_;
  uint8_t header_have_ = 0;  // bytes of header_ seen
  uint32_t message_bytes_ = 0;
  std::string partial_;  // of a message that spans inputs
  bool delivered_partial_ = false;
};

}  // namespace keel::rpc::internal
