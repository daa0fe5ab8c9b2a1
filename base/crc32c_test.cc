#include "base/crc32c.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace keel::base {
namespace {

// RFC 3720, appendix B.4, and the check value of the CRC catalogue.
TEST(Crc32cTest, PublishedVectors) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string ascending;
  for (int i = 0; i < 32; ++i) ascending.push_back(static_cast<char>(i));
  EXPECT_EQ(Crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(internal::ExtendCrc32cPortable(0, ascending), 0x46dd794eu);
}

RC_GTEST_PROP(Crc32cTest, PortableAndExtendedAgree, (const std::string& a, const std::string& b)) {
  RC_ASSERT(ExtendCrc32c(Crc32c(a), b) == Crc32c(a + b));
  RC_ASSERT(internal::ExtendCrc32cPortable(0, a + b) == Crc32c(a + b));
}

// Lengths about the blocks that the hardware's way takes side by side, begun anywhere.
TEST(Crc32cTest, LongDataAgreeWithThePortableWay) {
  std::string data(60000, '\0');
  uint32_t random = 12345;
  for (char& byte : data) byte = static_cast<char>((random = random * 1664525 + 1013904223) >> 24);
  for (const size_t about : {768, 1536, 12288, 13056, 24576, 50000}) {
    for (size_t length = about - 17; length <= about + 17; ++length) {
      for (size_t from = 0; from < 9; ++from) {
        const std::string_view part = std::string_view(data).substr(from, length);
        ASSERT_EQ(ExtendCrc32c(0x9e3779b9, part), internal::ExtendCrc32cPortable(0x9e3779b9, part))
            << from << " " << length;
      }
    }
  }
}

}  // namespace
}  // namespace keel::base
