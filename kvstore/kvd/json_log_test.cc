#include "kvstore/kvd/json_log.h"

#include <gtest/gtest.h>
#include <spdlog/details/log_msg.h>

namespace keel::kvstore {
namespace {

TEST(JsonLogTest, TrailingPairsAreFields) {
  EXPECT_EQ(JsonFields("ready to serve client requests name=m1 member=8e9 client_urls=http://a:1"),
            R"("msg":"ready to serve client requests","name":"m1","member":"8e9",)"
            R"("client_urls":"http://a:1")");
  EXPECT_EQ(JsonFields(R"(no connection to peer=1f error="connect 127.0.0.1:1: refused")"),
            R"("msg":"no connection to","peer":"1f","error":"connect 127.0.0.1:1: refused")");
  EXPECT_EQ(JsonFields("leader is 8e9 (this member) term=2"),
            "\"msg\":\"leader is 8e9 (this member)\",\"term\":\"2\"");
}

TEST(JsonLogTest, OtherTextStaysText) {
  EXPECT_EQ(JsonFields("kvd stops: a=b is no flag"), R"("msg":"kvd stops: a=b is no flag")");
  EXPECT_EQ(JsonFields(""), R"("msg":"")");
  EXPECT_EQ(JsonFields("a \"quoted\"\nline\\ \x01 error=\"open"),
            "\"msg\":\"a \\\"quoted\\\"\\u000aline\\\\ \\u0001 error=\\\"open\"");
}

TEST(JsonLogTest, LinesHaveLevelAndTime) {
  spdlog::details::log_msg message(
      std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'007)), {}, "",
      spdlog::level::warn, "no leader term=2");
  spdlog::memory_buf_t out;
  JsonLogFormatter().format(message, out);
  EXPECT_EQ(std::string(out.data(), out.size()),
            "{\"level\":\"warn\",\"ts\":\"2023-11-14T22:13:20.007Z\",\"msg\":\"no leader\","
            "\"term\":\"2\"}\n");
}

}  // namespace
}  // namespace keel::kvstore
