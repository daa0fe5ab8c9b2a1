#include <string>

#include "base/check.h"
#include "bench/guard/cases.h"
#include "rpc/frame.h"

namespace keel::bench {
namespace {

constexpr int kBatch = 64;

// 64 messages in chunks as HTTP/2 hands them over: whole, or cut by frames of DATA.
class DecodeMessages final : public Workload {
 public:
  explicit DecodeMessages(size_t chunk_bytes) : chunk_bytes_(chunk_bytes) {
    const std::string message(300, 'm');
    for (int i = 0; i < kBatch; ++i) {
      const auto header = rpc::internal::EncodeFrameHeader(static_cast<uint32_t>(message.size()));
      bytes_.append(header.data(), header.size()).append(message);
    }
  }
  void Run(int operations) override {
    for (int done = 0; done < operations; done += kBatch) {
      rpc::internal::FrameDecoder decoder(1 << 20);
      int messages = 0;
      for (size_t at = 0; at < bytes_.size(); at += chunk_bytes_) {
        std::string_view chunk = std::string_view(bytes_).substr(at, chunk_bytes_);
        std::string_view message;
        while (decoder.Next(&chunk, &message) == rpc::internal::FrameDecoder::Result::kMessage) {
          ++messages;
        }
      }
      KEEL_CHECK(messages == kBatch);
    }
  }

 private:
  const size_t chunk_bytes_;
  std::string bytes_;
};

constexpr Case kCases[] = {
    {"rpc/decode", "a gRPC message of 300 bytes, read where it lies", kBatch, 64000,
     []() -> std::unique_ptr<Workload> { return std::make_unique<DecodeMessages>(305); }},
    {"rpc/decode-split", "a gRPC message of 300 bytes, most cut in two by HTTP/2", kBatch, 64000,
     []() -> std::unique_ptr<Workload> { return std::make_unique<DecodeMessages>(203); }},
};

}  // namespace

std::span<const Case> RpcCases() { return kCases; }

}  // namespace keel::bench
