// CRC-32C (Castagnoli, RFC 3720 appendix B.4), with the processor's
// instruction where there is one.
//
//   uint32_t crc = base::Crc32c("123456789");            // 0xe3069283
//   crc = base::ExtendCrc32c(base::Crc32c("1234"), "56789");  // the same
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace keel::base {

// The checksum of A‖`data`, where `crc` is that of A (0 when A is empty).
uint32_t ExtendCrc32c(uint32_t crc, std::string_view data);

inline uint32_t Crc32c(std::string_view data) { return ExtendCrc32c(0, data); }

namespace internal {
// The table-driven implementation, for machines without the instruction and for tests.
uint32_t ExtendCrc32cPortable(uint32_t crc, std::string_view data);
}  // namespace internal

}  // namespace keel::base
