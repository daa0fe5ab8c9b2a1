// Writing Protobuf's wire format by hand, where responses are put together
// from parts that were encoded before.
//
//   std::string out;
//   wire::AppendIntField(3, revision, &out);    // left out when 0, as proto3 does
//
// Protocol Buffers, "Encoding": https://protobuf.dev/programming-guides/encoding/
// Field numbers are below 16 (one byte of tag).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace keel::watch::wire {

constexpr uint32_t kVarint = 0;
constexpr uint32_t kLengthDelimited = 2;

inline size_t VarintSize(uint64_t value) {
  size_t bytes = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++bytes;
  }
  return bytes;
}

inline void AppendVarint(uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

inline void AppendTag(uint32_t number, uint32_t type, std::string* out) {
  out->push_back(static_cast<char>(number << 3 | type));
}

// Signed numbers are encoded as their 64-bit two's complement.
inline size_t IntFieldSize(int64_t value) {
  return value == 0 ? 0 : 1 + VarintSize(static_cast<uint64_t>(value));
}

inline void AppendUintField(uint32_t number, uint64_t value, std::string* out) {
  if (value == 0) return;
  AppendTag(number, kVarint, out);
  AppendVarint(value, out);
}

inline void AppendIntField(uint32_t number, int64_t value, std::string* out) {
  AppendUintField(number, static_cast<uint64_t>(value), out);
}

inline size_t BytesFieldSize(size_t bytes) {
  return bytes == 0 ? 0 : 1 + VarintSize(bytes) + bytes;
}

inline void AppendBytesField(uint32_t number, std::string_view bytes, std::string* out) {
  if (bytes.empty()) return;
  AppendTag(number, kLengthDelimited, out);
  AppendVarint(bytes.size(), out);
  out->append(bytes);
}

}  // namespace keel::watch::wire
