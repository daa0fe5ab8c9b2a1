// A fast 64-bit hash of bytes whose values never change between versions and
// machines: members compare sums of it. Multiply-and-fold over 16 bytes a
// step, the construction of wyhash (Wang Yi, https://github.com/wangyi-fudan/wyhash);
// not for adversarial inputs.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace keel::kvstore {

inline uint64_t MultiplyFold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint64_t StableHash(std::string_view data, uint64_t seed) {
  constexpr uint64_t kA = 0xa0761d6478bd642full;
  constexpr uint64_t kB = 0xe7037ed1a0b428dbull;
  uint64_t state = seed ^ kA;
  const size_t size = data.size();
  auto load = [](const char* from, size_t bytes) {
    uint64_t value = 0;  // little-endian, as every platform supported is
    if (bytes > 0) std::memcpy(&value, from, bytes);
    return value;
  };
  while (data.size() > 16) {
    state = MultiplyFold(load(data.data(), 8) ^ kA, load(data.data() + 8, 8) ^ state ^ kB);
    data.remove_prefix(16);
  }
  const size_t low = data.size() < 8 ? data.size() : 8;
  const uint64_t a = load(data.data(), low);
  const uint64_t b = load(data.data() + low, data.size() - low);
  return MultiplyFold(MultiplyFold(a ^ kA, b ^ state ^ kB) ^ kB, size ^ kA);
}

inline uint64_t StableHash(uint64_t value, uint64_t seed) {
  return MultiplyFold(value ^ 0xa0761d6478bd642full, seed ^ 0xe7037ed1a0b428dbull);
}

}  // namespace keel::kvstore
