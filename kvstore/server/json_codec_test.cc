#include "kvstore/server/json_codec.h"

#include <gtest/gtest.h>

#include <vector>

#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {
namespace {

std::vector<std::string> All(JsonValues& values) {
  std::vector<std::string> all;
  while (auto value = values.Next()) all.push_back(*std::move(value));
  return all;
}

TEST(JsonValuesTest, CutsObjectsApartWhereverTheBytesAreCut) {
  const std::string text = R"( {"a":{"b":[1,{"c":2}]}}{"s":"}\"{\\"}
{})";
  const std::vector<std::string> want = {R"( {"a":{"b":[1,{"c":2}]}})", R"({"s":"}\"{\\"})",
                                         "\n{}"};
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    JsonValues values;
    values.Feed(text.substr(0, cut));
    std::vector<std::string> got = All(values);
    values.Feed(text.substr(cut));
    for (std::string& value : All(values)) got.push_back(std::move(value));
    EXPECT_EQ(got, want) << cut;
    EXPECT_TRUE(values.Done());
    EXPECT_EQ(values.waiting_bytes(), 0u);
  }
}

TEST(JsonValuesTest, NothingButObjectsIsTaken) {
  for (const char* text : {"[1]", "5", "{}x", "\"a\"", "}"}) {
    JsonValues values;
    values.Feed(text);
    All(values);
    EXPECT_TRUE(values.broken()) << text;
    EXPECT_FALSE(values.Done());
    values.Feed("{}");
    EXPECT_TRUE(All(values).empty());
  }
  JsonValues half;
  half.Feed("{\"a\":");
  EXPECT_TRUE(All(half).empty());
  EXPECT_FALSE(half.Done());
  EXPECT_FALSE(half.broken());
}

TEST(JsonValuesTest, ManySmallObjectsDoNotCostTheirSquare) {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "{}\n";
  JsonValues values;
  values.Feed(text);
  EXPECT_EQ(All(values).size(), 200'000u);
}

TEST(JsonCodecTest, ErrorsSayCodeAndTextOfBothGateways) {
  const absl::Status status = absl::OutOfRangeError("a \"quoted\" text");
  EXPECT_EQ(StreamErrorJson(status),
            R"({"error":{"grpc_code":11,"http_code":400,"message":"a \"quoted\" text",)"
            R"("http_status":"Bad Request","code":11,"details":[]}})");
  EXPECT_EQ(
      ErrorJson(status),
      R"({"error":"a \"quoted\" text","code":11,"message":"a \"quoted\" text","details":[]})");
}

TEST(JsonCodecTest, MessagesGoThereAndBack) {
  const etcdserverpb::PutRequest prototype;
  const auto wire = ToWire(prototype, R"({"key":"YQ==","prevKv":true,"nothing":1})");
  ASSERT_TRUE(wire.ok());
  EXPECT_EQ(ToJson(prototype, *wire).value(), R"({"key":"YQ==","prev_kv":true})");
  EXPECT_EQ(ToWire(prototype, " \n").value(), "");
  EXPECT_EQ(ToWire(prototype, "{").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace keel::kvstore
