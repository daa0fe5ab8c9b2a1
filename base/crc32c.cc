#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace keel::base {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected

// kTables[k][b]: the effect of byte b followed by k zero bytes (slicing-by-8).
constexpr std::array<std::array<uint32_t, 256>, 8> MakeTables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    tables[0][b] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t b = 0; b < 256; ++b) {
      tables[k][b] = (tables[k - 1][b] >> 8) ^ tables[0][tables[k - 1][b] & 0xff];
    }
  }
  return tables;
}
constexpr auto kTables = MakeTables();

#if defined(__x86_64__)
// What a state becomes by zero bytes behind it: [k][b] for byte b at place k of the state.
using ZeroBytes = std::array<std::array<uint32_t, 256>, 4>;

// Over bits: column i is what bit i of a state becomes.
using Matrix = std::array<uint32_t, 32>;

constexpr uint32_t Times(const Matrix& matrix, uint32_t bits) {
  uint32_t sum = 0;
  for (size_t i = 0; i < 32; ++i) {
    if ((bits >> i & 1) != 0) sum ^= matrix[i];
  }
  return sum;
}

// Of so many zero bytes, a power of two.
constexpr ZeroBytes MakeZeroBytes(size_t bytes) {
  Matrix matrix{};  // of one zero bit, then of twice as many
  matrix[0] = kPolynomial;
  for (size_t i = 1; i < 32; ++i) matrix[i] = 1u << (i - 1);
  for (size_t bits = 1; bits < 8 * bytes; bits *= 2) {
    Matrix square{};
    for (size_t i = 0; i < 32; ++i) square[i] = Times(matrix, matrix[i]);
    matrix = square;
  }
  ZeroBytes out{};
  for (size_t k = 0; k < 4; ++k) {
    for (uint32_t b = 0; b < 256; ++b) out[k][b] = Times(matrix, b << (8 * k));
  }
  return out;
}

template <size_t kBytes>
uint32_t AfterZeroBytes(uint64_t state) {
  static constexpr ZeroBytes kZeroBytes = MakeZeroBytes(kBytes);
  return kZeroBytes[0][state & 0xff] ^ kZeroBytes[1][(state >> 8) & 0xff] ^
         kZeroBytes[2][(state >> 16) & 0xff] ^ kZeroBytes[3][(state >> 24) & 0xff];
}

uint64_t Word(const char* p) {
  uint64_t word;
  std::memcpy(&word, p, 8);
  return word;
}

// The instruction begins anew each cycle but takes three: three blocks that lie behind each other
// at once, whose states are then put together (Gopal and others, "Fast CRC Computation for iSCSI
// Polynomial Using CRC32 Instruction", Intel 2011).
template <size_t kBlock>
__attribute__((target("sse4.2"))) uint64_t ThreeBlocks(uint64_t state, const char** data,
                                                       size_t* size) {
  const char* p = *data;
  size_t n = *size;
  for (; n >= 3 * kBlock; n -= 3 * kBlock, p += 3 * kBlock) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < kBlock; i += 8) {
      state = _mm_crc32_u64(state, Word(p + i));
      second = _mm_crc32_u64(second, Word(p + kBlock + i));
      third = _mm_crc32_u64(third, Word(p + 2 * kBlock + i));
    }
    state = AfterZeroBytes<kBlock>(state) ^ second;
    state = AfterZeroBytes<kBlock>(state) ^ third;
  }
  *data = p;
  *size = n;
  return state;
}

__attribute__((target("sse4.2"))) uint32_t ExtendHardware(uint32_t crc, std::string_view data) {
  const char* p = data.data();
  size_t n = data.size();
  uint64_t state = ~crc;
  state = ThreeBlocks<4096>(state, &p, &n);
  state = ThreeBlocks<256>(state, &p, &n);
  for (; n >= 8; n -= 8, p += 8) state = _mm_crc32_u64(state, Word(p));
  auto narrow = static_cast<uint32_t>(state);
  while (n > 0) {
    narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*p));
    ++p;
    --n;
  }
  return ~narrow;
}
#endif

}  // namespace

namespace internal {

uint32_t ExtendCrc32cPortable(uint32_t crc, std::string_view data) {
  const auto* p = reinterpret_cast<const unsigned char*>(data.data());
  size_t n = data.size();
  uint32_t state = ~crc;
  while (n >= 8) {
    const uint32_t low = state ^ (uint32_t{p[0]} | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 |
                                  uint32_t{p[3]} << 24);
    state = kTables[7][low & 0xff] ^ kTables[6][(low >> 8) & 0xff] ^
            kTables[5][(low >> 16) & 0xff] ^ kTables[4][low >> 24] ^ kTables[3][p[4]] ^
            kTables[2][p[5]] ^ kTables[1][p[6]] ^ kTables[0][p[7]];
    p += 8;
    n -= 8;
  }
  while (n > 0) {
    state = (state >> 8) ^ kTables[0][(state ^ *p) & 0xff];
    ++p;
    --n;
  }
  return ~state;
}

}  // namespace internal

uint32_t ExtendCrc32c(uint32_t crc, std::string_view data) {
#if defined(__x86_64__)
  static const bool hardware = __builtin_cpu_supports("sse4.2");
  if (hardware) return ExtendHardware(crc, data);
#endif
  return internal::ExtendCrc32cPortable(crc, data);
}

}  // namespace keel::base
