// Damages bytes, from a seed: what a broken peer, a broken disk or an attacker
// may make of something valid. Deterministic, so that a failure is a seed.
//
//   Mutator mutate(seed);
//   std::string bad = mutate.Damage(valid);
//
// Each test runs a number of seeds; KEEL_FUZZ_SEEDS=n runs n instead.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

namespace keel::fuzz {

inline uint64_t Seeds(uint64_t by_default) {
  const char* more = std::getenv("KEEL_FUZZ_SEEDS");
  return more == nullptr ? by_default : std::stoull(more);
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : rng_(seed) {}

  uint64_t Draw(uint64_t n) { return n == 0 ? 0 : rng_() % n; }
  bool Chance(uint64_t percent) { return Draw(100) < percent; }

  // Mostly small, now and then at the edges of the type.
  uint64_t Number(uint64_t near = 8) {
    switch (Draw(12)) {
      case 0:
        return ~uint64_t{0} - Draw(3);
      case 1:
        return (uint64_t{1} << Draw(64)) - Draw(2);
      case 2:
        return rng_();
      default:
        return Draw(near + 1);
    }
  }

  std::string Bytes(size_t size_max) {
    std::string bytes(Draw(size_max + 1), '\0');
    for (char& c : bytes) c = static_cast<char>(Draw(4) == 0 ? 0 : rng_());
    return bytes;
  }

  // One to four changes: flipped bits, edge values, cut, repeated, inserted, swapped pieces.
  std::string Damage(std::string bytes) {
    for (uint64_t i = 1 + Draw(4); i > 0; --i) Once(&bytes);
    return bytes;
  }

 private:
  void Once(std::string* bytes) {
    if (bytes->empty()) {
      *bytes = Bytes(16);
      return;
    }
    const size_t at = Draw(bytes->size());
    const size_t count = 1 + Draw(std::min<size_t>(bytes->size() - at, 16));
    switch (Draw(8)) {
      case 0:
        (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << Draw(8)));
        break;
      case 1:
        (*bytes)[at] = static_cast<char>(rng_());
        break;
      case 2: {
        // Edge values where lengths and numbers tend to be.
        static constexpr unsigned char kEdges[] = {0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe};
        for (size_t i = 0; i < count; ++i) {
          (*bytes)[at + i] = static_cast<char>(kEdges[Draw(std::size(kEdges))]);
        }
        break;
      }
      case 3:
        bytes->resize(at);
        break;
      case 4:
        bytes->erase(at, count);
        break;
      case 5:
        bytes->insert(at, Bytes(16));
        break;
      case 6:
        bytes->insert(at, bytes->substr(Draw(bytes->size()), 1 + Draw(32)));
        break;
      default:
        std::swap((*bytes)[at], (*bytes)[Draw(bytes->size())]);
    }
  }

  std::mt19937_64 rng_;
};

}  // namespace keel::fuzz
