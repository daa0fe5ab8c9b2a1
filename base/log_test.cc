#include "base/log.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace keel::base {
namespace {

TEST(LogTest, TakesEtcdsLevelNamesAndRefusesOthers) {
  for (const char* level : {"debug", "warn", "error", "panic", "fatal", "info"}) {
    EXPECT_TRUE(SetLogLevel(level).ok()) << level;
  }
  ASSERT_TRUE(SetLogLevel("warn").ok());
  const absl::Status status = SetLogLevel("loud");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(ToStd(status.message()).find("loud"), std::string::npos);
  EXPECT_EQ(Log().level(), spdlog::level::warn);
}

}  // namespace
}  // namespace keel::base
