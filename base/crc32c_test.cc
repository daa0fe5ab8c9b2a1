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

}  // namespace
}  // namespace keel::base
