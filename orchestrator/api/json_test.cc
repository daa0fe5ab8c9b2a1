#include "orchestrator/api/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/api/json_arena.h"

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Json, ReadsPathsAndWhatIsMissingReadsAsNothing) {
  const json::value pod = *ParseJson(R"({"metadata":{"name":"a","n":3,"b":true},"l":[1,2]})");
  EXPECT_EQ(StringAt(pod, {"metadata", "name"}), "a");
  EXPECT_EQ(StringAt(pod, {"metadata", "n"}), "");
  EXPECT_EQ(StringAt(pod, {"l", "name"}), "");
  EXPECT_EQ(IntAt(pod, {"metadata", "n"}), 3);
  EXPECT_EQ(IntAt(pod, {"metadata", "m"}, 7), 7);
  EXPECT_TRUE(BoolAt(pod, {"metadata", "b"}));
  EXPECT_EQ(ArrayAt(pod, {"l"}).size(), 2u);
  EXPECT_THAT(ArrayAt(pod, {"metadata"}), IsEmpty());
  EXPECT_THAT(ObjectAt(pod, {"nothing"}), IsEmpty());
}

TEST(Json, EnsureMakesTheWayAndRemoveTakesTheMember) {
  json::value value;
  *Ensure(value, {"a", "b"}) = 1;
  EXPECT_EQ(ToJson(value), R"({"a":{"b":1}})");
  EXPECT_TRUE(Remove(value, {"a", "b"}));
  EXPECT_FALSE(Remove(value, {"a", "b"}));
  EXPECT_FALSE(Remove(value, {"x", "b"}));
  EXPECT_EQ(ToJson(value), R"({"a":{}})");
}

TEST(Json, FindsMembersNamedTwice) {
  std::vector<std::string> twice;
  const auto value = ParseJson(R"({"a":1,"s":{"x":[{"y":1},{"y":1,"y":2}]},"a":2})", &twice);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(IntAt(*value, {"a"}), 2);
  EXPECT_THAT(twice, ElementsAre("s.x[1].y", "a"));
}

TEST(Json, RefusesWhatIsNotOneValue) {
  for (const char* text : {"", "{", "{}x", "{} {}", "nul", "{\"a\":}", "\"\x01\""}) {
    EXPECT_EQ(ParseJson(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  EXPECT_FALSE(ParseJson(std::string(5000, '[')).ok());
  EXPECT_TRUE(ParseJson(" {} \n").ok());
}

TEST(Json, LivesOnAnArenaWithItsCopies) {
  JsonArena arena;
  const std::string text = R"({"a":{"b":["a string that is too long to be held in place",1]}})";
  const auto value = ParseJson(text, arena.storage());
  ASSERT_TRUE(value.ok()) << value.status();
  json::object copy = value->as_object();
  EXPECT_EQ(copy.storage().get(), arena.storage().get());
  EXPECT_EQ(copy["a"].storage().get(), arena.storage().get());
  json::object elsewhere;
  elsewhere = std::move(copy);
  EXPECT_NE(elsewhere.storage().get(), arena.storage().get());
  EXPECT_NE(elsewhere["a"].as_object()["b"].storage().get(), arena.storage().get());
  EXPECT_EQ(ToJson(elsewhere), text);
  EXPECT_FALSE(ParseJson("{]", arena.storage()).ok());
}

TEST(Json, PrintsWithTwoSpaces) {
  EXPECT_EQ(ToPrettyJson(*ParseJson(R"({"a":[1,{}],"b":{"c":"\n"}})")),
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": \"\\n\"\n  }\n}");
}

}  // namespace
}  // namespace keel::orchestrator
