// How the handshakes of one TlsContext went; for metrics.
//
// Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "base/loop.h"

namespace keel::base {

enum class TlsFailure : uint8_t {
  kUntrusted,  // no chain to a CA that is trusted, or a signature that is wrong
  kExpired,    // or not yet valid
  kRevoked,
  kWrongName,      // valid for another name or address
  kNoCertificate,  // one was asked for, and none shown
  kRefused,        // by the other side, for reasons of its own
  kNotTls,
  kNoAgreement,  // on version, cipher suite or protocol
  kClosed,       // before the end, or it took too long
  kOther,
};
inline constexpr size_t kTlsFailures = 10;
// "untrusted", "expired", ...
std::string_view TlsFailureName(TlsFailure failure);

struct TlsFigures {
  // Buckets of powers of two from 0.5 ms on; the last holds what is beyond.
  static constexpr Duration kFirstBucket = std::chrono::microseconds(500);
  static constexpr size_t kBuckets = 16;

  std::atomic<uint64_t> handshakes{0};  // that succeeded
  std::array<std::atomic<uint64_t>, kBuckets + 1> took{};
  std::atomic<uint64_t> took_ns{0};
  std::array<std::atomic<uint64_t>, kTlsFailures> failures{};

  void Succeeded(Duration duration);
  void Failed(TlsFailure failure) { ++failures[static_cast<size_t>(failure)]; }
};

}  // namespace keel::base
