#include "orchestrator/api/patch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/strings.h"
#include "orchestrator/api/schema_testing.h"

namespace keel::orchestrator {
namespace {

using ::testing::HasSubstr;

json::value Merged(std::string_view target, std::string_view patch) {
  json::value object = Json(target);
  EXPECT_TRUE(ApplyMergePatch(object, Json(patch)).ok());
  return object;
}

TEST(MergePatch, ExamplesOfTheRfc) {
  // RFC 7386, appendix A: those with an object for a patch.
  EXPECT_EQ(Merged(R"({"a":"b"})", R"({"a":"c"})"), Json(R"({"a":"c"})"));
  EXPECT_EQ(Merged(R"({"a":"b"})", R"({"b":"c"})"), Json(R"({"a":"b","b":"c"})"));
  EXPECT_EQ(Merged(R"({"a":"b"})", R"({"a":null})"), Json("{}"));
  EXPECT_EQ(Merged(R"({"a":"b","b":"c"})", R"({"a":null})"), Json(R"({"b":"c"})"));
  EXPECT_EQ(Merged(R"({"a":["b"]})", R"({"a":"c"})"), Json(R"({"a":"c"})"));
  EXPECT_EQ(Merged(R"({"a":"c"})", R"({"a":["b"]})"), Json(R"({"a":["b"]})"));
  EXPECT_EQ(Merged(R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})"),
            Json(R"({"a":{"b":"d"}})"));
  EXPECT_EQ(Merged(R"({"a":[{"b":"c"}]})", R"({"a":[1]})"), Json(R"({"a":[1]})"));
  EXPECT_EQ(Merged(R"({"e":null})", R"({"a":1})"), Json(R"({"e":null,"a":1})"));
  EXPECT_EQ(Merged("[1,2]", R"({"a":"b","c":null})"), Json(R"({"a":"b"})"));
  EXPECT_EQ(Merged("{}", R"({"a":{"bb":{"ccc":null}}})"), Json(R"({"a":{"bb":{}}})"));
}

TEST(MergePatch, MustBeAnObject) {
  json::value object = Json("{}");
  EXPECT_EQ(ApiErrorOf(ApplyMergePatch(object, Json("[]"))).code, 400);
}

RC_GTEST_PROP(MergePatch, DoneTwiceIsDoneOnce, ()) {
  auto draw = [](auto&& self, int depth) -> json::value {
    if (depth == 0 || *rc::gen::inRange(0, 3) == 0) {
      return *rc::gen::inRange(0, 2) == 0 ? json::value(nullptr)
                                          : json::value(*rc::gen::inRange(0, 9));
    }
    json::object object;
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
      object[std::string(1, static_cast<char>('a' + *rc::gen::inRange(0, 4)))] =
          self(self, depth - 1);
    }
    return object;
  };
  json::value target = draw(draw, 3);
  json::value patch{{"x", draw(draw, 3)}, {"y", draw(draw, 2)}};
  RC_ASSERT(ApplyMergePatch(target, patch).ok());
  json::value again = target;
  RC_ASSERT(ApplyMergePatch(again, patch).ok());
  RC_ASSERT(again == target);
}

json::value Patched(std::string_view target, std::string_view patch) {
  json::value object = Json(target);
  const absl::Status status = ApplyJsonPatch(object, Json(patch));
  EXPECT_TRUE(status.ok()) << status;
  return object;
}

ApiError PatchError(std::string_view target, std::string_view patch) {
  json::value object = Json(target);
  const absl::Status status = ApplyJsonPatch(object, Json(patch));
  EXPECT_FALSE(status.ok()) << patch;
  return status.ok() ? ApiError() : ApiErrorOf(status);
}

TEST(JsonPatch, ExamplesOfTheRfc) {
  // RFC 6902, appendix A.
  EXPECT_EQ(Patched(R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])"),
            Json(R"({"baz":"qux","foo":"bar"})"));
  EXPECT_EQ(Patched(R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])"),
            Json(R"({"foo":["bar","qux","baz"]})"));
  EXPECT_EQ(Patched(R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])"),
            Json(R"({"foo":"bar"})"));
  EXPECT_EQ(Patched(R"({"foo":["bar","qux","baz"]})", R"([{"op":"remove","path":"/foo/1"}])"),
            Json(R"({"foo":["bar","baz"]})"));
  EXPECT_EQ(Patched(R"({"baz":"qux"})", R"([{"op":"replace","path":"/baz","value":"boo"}])"),
            Json(R"({"baz":"boo"})"));
  EXPECT_EQ(Patched(R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})",
                    R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])"),
            Json(R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})"));
  EXPECT_EQ(Patched(R"({"foo":["all","grass","cows","eat"]})",
                    R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])"),
            Json(R"({"foo":["all","cows","eat","grass"]})"));
  EXPECT_EQ(Patched(R"({"baz":"qux","foo":["a",2,"c"]})",
                    R"([{"op":"test","path":"/baz","value":"qux"},
                        {"op":"test","path":"/foo/1","value":2}])"),
            Json(R"({"baz":"qux","foo":["a",2,"c"]})"));
  EXPECT_EQ(Patched(R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["abc"]}])"),
            Json(R"({"foo":["bar",["abc"]]})"));
  EXPECT_EQ(Patched(R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])"),
            Json(R"({"/":9,"~1":10})"));
  EXPECT_EQ(Patched(R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a","path":"/c"},
                                            {"op":"add","path":"/c/b","value":2}])"),
            Json(R"({"a":{"b":1},"c":{"b":2}})"));
  EXPECT_EQ(Patched(R"({"m":{"a.b/c":"x"}})", R"([{"op":"remove","path":"/m/a.b~1c"}])"),
            Json(R"({"m":{}})"));
  EXPECT_EQ(Patched(R"({"a":1})", R"([{"op":"add","path":"","value":{"b":2}}])"),
            Json(R"({"b":2})"));
  EXPECT_EQ(Patched(R"({})", R"([{"op":"test","path":"/a","value":null}])"), Json("{}"));
}

TEST(JsonPatch, MalformedIs400AndImpossibleIs422) {
  EXPECT_EQ(PatchError("{}", "{}").code, 400);
  EXPECT_EQ(PatchError("{}", "[1]").code, 400);
  EXPECT_EQ(PatchError("{}", R"([{"op":"add","value":1}])").code, 400);
  EXPECT_EQ(PatchError("{}", R"([{"op":"add","path":"a","value":1}])").code, 400);
  EXPECT_EQ(PatchError("{}", R"([{"op":"add","path":"/a"}])").code, 400);
  EXPECT_EQ(PatchError("{}", R"([{"op":"fix","path":"/a"}])").code, 400);
  EXPECT_EQ(PatchError("{}", R"([{"op":"copy","path":"/a"}])").code, 400);
  for (const char* patch :
       {R"([{"op":"add","path":"/a/b","value":1}])", R"([{"op":"remove","path":"/a"}])",
        R"([{"op":"remove","path":""}])", R"([{"op":"replace","path":"/a","value":1}])",
        R"([{"op":"test","path":"/a","value":1}])", R"([{"op":"add","path":"/l/3","value":1}])",
        R"([{"op":"add","path":"/l/01","value":1}])", R"([{"op":"remove","path":"/l/2"}])",
        R"([{"op":"move","from":"/x","path":"/y"}])", R"([{"op":"copy","from":"/x","path":"/y"}])",
        R"([{"op":"move","from":"/o","path":"/o/p"}])"}) {
    const ApiError error = PatchError(R"({"l":[1,2],"o":{}})", patch);
    EXPECT_EQ(error.code, 422) << patch;
    EXPECT_EQ(error.reason, "Invalid");
    EXPECT_FALSE(StringAt(ArrayAt(error.details, {"causes"})[0], {"message"}).empty());
  }
  EXPECT_THAT(std::string(StringAt(
                  ArrayAt(PatchError("{}", R"([{"op":"test","path":"/a","value":1}])").details,
                          {"causes"})[0],
                  {"message"})),
              HasSubstr("testing value /a failed"));
}

TEST(JsonPatch, CannotGrowWithoutBound) {
  json::array doubling;
  for (int i = 0; i < 60; ++i) {
    doubling.push_back(
        json::object{{"op", "copy"}, {"from", ""}, {"path", "/a" + std::to_string(i)}});
  }
  json::value object = Json(R"({"x":"y"})");
  EXPECT_EQ(ApiErrorOf(ApplyJsonPatch(object, doubling)).code, 413);

  json::array many(10001, json::object{{"op", "test"}, {"path", ""}, {"value", 1}});
  EXPECT_EQ(ApiErrorOf(ApplyJsonPatch(object, many)).code, 413);
}

}  // namespace
}  // namespace keel::orchestrator
