#include "orchestrator/api/field_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "orchestrator/api/schema_testing.h"

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;

FieldSet Set(std::string_view text) {
  auto set = FieldSet::FromFieldsV1(Json(text));
  EXPECT_TRUE(set.ok()) << set.status();
  return set.ok() ? *set : FieldSet();
}

constexpr char kOwned[] =
    R"({"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{},"f:name":{}}},
        "f:finalizers":{"v:\"x\"":{}},"f:replicas":{}}})";

TEST(FieldSet, IsWrittenAsKubernetesWritesIt) {
  EXPECT_EQ(json::value(Set(kOwned).ToFieldsV1()), Json(kOwned));
  EXPECT_THAT(Set(kOwned).Paths(),
              ElementsAre(".spec.containers[name=\"a\"]", ".spec.containers[name=\"a\"].image",
                          ".spec.containers[name=\"a\"].name", ".spec.finalizers[=\"x\"]",
                          ".spec.replicas"));
  EXPECT_TRUE(Set(kOwned).Has({"f:spec", "f:replicas"}));
  EXPECT_FALSE(Set(kOwned).Has({"f:spec"}));
  EXPECT_FALSE(Set(kOwned).Has({"f:spec", "f:replicas", "f:x"}));
}

TEST(FieldSet, KeysAreTheSameInAnyOrder) {
  EXPECT_EQ(Set(R"({"k:{\"port\":1,\"protocol\":\"TCP\"}":{}})"),
            Set(R"({"k:{ \"protocol\":\"TCP\",\"port\":1}":{}})"));
}

TEST(FieldSet, RefusesWhatIsNone) {
  for (const char* bad : {"[]", R"({"spec":{}})", R"({"f:a":1})", R"({"x:a":{}})", R"({"k:1":{}})",
                          R"({"k:{":{}})", R"({"i:-1":{}})", R"({"":{}})", R"({"v:":{}})"}) {
    EXPECT_FALSE(FieldSet::FromFieldsV1(Json(bad)).ok()) << bad;
  }
}

TEST(FieldSet, InsertAndErase) {
  FieldSet set;
  set.Insert({"f:a", "f:b"});
  set.Insert({"f:a"});
  set.Insert({"f:c"});
  EXPECT_EQ(json::value(set.ToFieldsV1()), Json(R"({"f:a":{".":{},"f:b":{}},"f:c":{}})"));
  set.Erase({"f:a", "f:b"});
  set.Erase({"f:nope", "f:b"});
  EXPECT_EQ(json::value(set.ToFieldsV1()), Json(R"({"f:a":{},"f:c":{}})"));
  set.Erase({"f:a"});
  set.Erase({"f:c"});
  EXPECT_TRUE(set.empty());
}

FieldSet Arbitrary(int depth) {
  FieldSet set;
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    set.Put(std::string("f:") + static_cast<char>('a' + *rc::gen::inRange(0, 4)),
            *rc::gen::inRange(0, 2) == 0, depth > 0 ? Arbitrary(depth - 1) : FieldSet());
  }
  return set;
}

RC_GTEST_PROP(FieldSet, IsASetOfPaths, ()) {
  const FieldSet a = Arbitrary(3);
  const FieldSet b = Arbitrary(3);
  const std::vector<std::string> of_a = a.Paths();
  const std::vector<std::string> of_b = b.Paths();
  const std::set<std::string> paths_a(of_a.begin(), of_a.end());
  const std::set<std::string> paths_b(of_b.begin(), of_b.end());
  auto check = [&](const FieldSet& set, auto&& is_in) {
    std::set<std::string> expected;
    for (const auto& side : {paths_a, paths_b}) {
      for (const std::string& path : side) {
        if (is_in(paths_a.contains(path), paths_b.contains(path))) expected.insert(path);
      }
    }
    const std::vector<std::string> found = set.Paths();
    RC_ASSERT(std::set<std::string>(found.begin(), found.end()) == expected);
    RC_ASSERT(found.size() == expected.size());
  };
  check(a.Union(b), [](bool x, bool y) { return x || y; });
  check(a.Intersection(b), [](bool x, bool y) { return x && y; });
  check(a.Difference(b), [](bool x, bool y) { return x && !y; });
  RC_ASSERT(*FieldSet::FromFieldsV1(a.ToFieldsV1()) == a);
}

}  // namespace
}  // namespace keel::orchestrator
