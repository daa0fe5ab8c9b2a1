// Protobuf's wire format by hand, for the few messages on the hot path: a
// reader that leaves bytes where they are, and writers that append.
// https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kvstore/mvcc/coding.h"

namespace keel::kvstore {

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

class WireReader {
 public:
  explicit WireReader(std::string_view in) : in_(in) {}

  // Moves to the next field; false at the end and for malformed input (then !ok()).
  bool Next() {
    if (in_.empty() || !ok_) return false;
    uint64_t tag = 0;
    ok_ = ReadVarint(&in_, &tag) && tag >> 3 != 0 && tag >> 3 <= UINT32_MAX >> 3;
    if (!ok_) return false;
    field_ = static_cast<int>(tag >> 3);
    type_ = static_cast<WireType>(tag & 7);
    switch (type_) {
      case WireType::kVarint:
        return ok_ = ReadVarint(&in_, &varint_);
      case WireType::kFixed64:
        return Take(8);
      case WireType::kFixed32:
        return Take(4);
      case WireType::kBytes:
        return (ok_ = ReadVarint(&in_, &varint_)) && Take(varint_);
    }
    return ok_ = false;
  }
  bool ok() const { return ok_; }

  int field() const { return field_; }
  bool Is(int field, WireType type) const { return field_ == field && type_ == type; }
  uint64_t varint() const { return varint_; }
  std::string_view bytes() const { return bytes_; }  // into the input

 private:
  bool Take(uint64_t size) {
    if (size > in_.size()) return ok_ = false;
    bytes_ = in_.substr(0, size);
    in_.remove_prefix(size);
    return true;
  }

  std::string_view in_;
  bool ok_ = true;
  int field_ = 0;
  WireType type_ = WireType::kVarint;
  uint64_t varint_ = 0;
  std::string_view bytes_;
};

inline size_t VarintSize(uint64_t value) {
  return static_cast<size_t>((__builtin_clzll(value | 1) ^ 63) * 9 + 73) / 64;
}

// As proto3 does, the default value is left out.
inline void AppendVarintField(int field, uint64_t value, std::string* out) {
  if (value == 0) return;
  AppendVarint(static_cast<uint64_t>(field) << 3, out);
  AppendVarint(value, out);
}
inline size_t VarintFieldSize(uint64_t value) { return value == 0 ? 0 : 1 + VarintSize(value); }

inline void AppendLength(int field, size_t size, std::string* out) {
  AppendVarint(static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(WireType::kBytes), out);
  AppendVarint(size, out);
}
// A message, present even when empty.
inline void AppendMessage(int field, std::string_view bytes, std::string* out) {
  AppendLength(field, bytes.size(), out);
  out->append(bytes);
}
inline void AppendBytesField(int field, std::string_view bytes, std::string* out) {
  if (!bytes.empty()) AppendMessage(field, bytes, out);
}

}  // namespace keel::kvstore
