#include "orchestrator/api/selector.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

json::object Labels(std::string_view text) { return ParseJson(text)->as_object(); }

std::string Read(std::string_view text) {
  const auto parsed = LabelSelector::Parse(text);
  return parsed.ok() ? parsed->ToString() : std::string(base::ToStd(parsed.status().message()));
}

bool Matches(std::string_view selector, std::string_view labels) {
  return LabelSelector::Parse(selector)->Matches(Labels(labels));
}

TEST(LabelSelector, ReadsBothSyntaxes) {
  EXPECT_EQ(Read(""), "");
  EXPECT_EQ(Read("a=b, c==d,e != f"), "a=b,c=d,e!=f");
  EXPECT_EQ(Read("x in (b,a,b),!y,z,w notin (c)"), "w notin (c),x in (a,b),!y,z");
  EXPECT_EQ(Read("a>1,b<2"), "a>1,b<2");
  EXPECT_EQ(Read("a="), "a=");
  EXPECT_EQ(Read("in in (in)"), "in in (in)");
  EXPECT_EQ(Read("a in (,)"), "a in ()");
  EXPECT_EQ(Read("example.com/a=b"), "example.com/a=b");
}

TEST(LabelSelector, SaysWhatItCannotRead) {
  EXPECT_EQ(Read("a,"), "found '', expected: identifier after ','");
  EXPECT_EQ(Read(",a"), "found ',', expected: !, identifier, or 'end of string'");
  EXPECT_EQ(Read("a in"), "unable to parse requirement: found '' expected: '('");
  EXPECT_EQ(Read("a in (b"), "unable to parse requirement: found '', expected: ',' or ')'");
  EXPECT_EQ(Read("a b"),
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, "
            "gt, lt");
  EXPECT_EQ(Read("a=b c"), "found 'c', expected: ',' or 'end of string'");
  EXPECT_EQ(Read("a in ()"),
            "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, "
            "values set can't be empty");
  EXPECT_EQ(Read("a>x"),
            "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' "
            "operators, the value must be an integer");
  EXPECT_EQ(Read("=b").substr(0, 52), "found '=', expected: !, identifier, or 'end of strin");
  EXPECT_NE(Read("-a=b").find("<nil>: Invalid value: \"-a\": name part must consist of"),
            std::string::npos);
  EXPECT_NE(Read("a=b_").find("values[0][a]: Invalid value: \"b_\": a valid label must be"),
            std::string::npos);
}

TEST(LabelSelector, Matches) {
  EXPECT_TRUE(Matches("", R"({})"));
  EXPECT_TRUE(Matches("a=b", R"({"a":"b","c":"d"})"));
  EXPECT_FALSE(Matches("a=b", R"({"a":"c"})"));
  EXPECT_FALSE(Matches("a=b", R"({})"));
  EXPECT_TRUE(Matches("a!=b", R"({})"));
  EXPECT_TRUE(Matches("a in (b,c)", R"({"a":"c"})"));
  EXPECT_TRUE(Matches("a notin (b,c)", R"({"a":"d"})"));
  EXPECT_TRUE(Matches("a notin (b,c)", R"({})"));
  EXPECT_FALSE(Matches("a notin (b,c)", R"({"a":"b"})"));
  EXPECT_TRUE(Matches("a,!b", R"({"a":""})"));
  EXPECT_FALSE(Matches("!a", R"({"a":""})"));
  EXPECT_TRUE(Matches("a>1", R"({"a":"2"})"));
  EXPECT_FALSE(Matches("a>1", R"({"a":"x"})"));
  EXPECT_FALSE(Matches("a<1", R"({})"));
  EXPECT_FALSE(LabelSelector::Nothing().Matches({}));
}

TEST(LabelSelector, OfObjects) {
  const json::value object = *ParseJson(R"({"matchLabels":{"a":"b"},"matchExpressions":[
      {"key":"c","operator":"In","values":["e","d"]},{"key":"f","operator":"DoesNotExist"}]})");
  EXPECT_EQ(LabelSelector::FromObject(&object)->ToString(), "a=b,c in (d,e),!f");
  EXPECT_EQ(FormatLabelSelector(&object), "a=b,c in (d,e),!f");
  const json::value empty = json::object();
  EXPECT_TRUE(LabelSelector::FromObject(&empty)->empty());
  EXPECT_TRUE(LabelSelector::FromObject(nullptr)->matches_nothing());
  EXPECT_EQ(FormatLabelSelector(nullptr), "<none>");
  const json::value bad =
      *ParseJson(R"({"matchExpressions":[{"key":"c","operator":"Like","values":["e"]}]})");
  EXPECT_EQ(base::ToStd(LabelSelector::FromObject(&bad).status().message()),
            "\"Like\" is not a valid label selector operator");
}

TEST(LabelSelector, ChecksObjects) {
  FieldErrors errors;
  CheckLabelSelector(*ParseJson(R"({"matchExpressions":[{"key":"a","operator":"In"},
      {"key":"b","operator":"Exists","values":["x"]},{"key":"c","operator":"Like"}]})"),
                     "spec.selector", errors);
  ASSERT_EQ(errors.causes().size(), 3u);
  EXPECT_EQ(errors.causes()[0].field, "spec.selector.matchExpressions[0].values");
  EXPECT_EQ(errors.causes()[0].message,
            "Required value: must be specified when `operator` is 'In' or 'NotIn'");
  EXPECT_EQ(errors.causes()[1].message,
            "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
  EXPECT_EQ(errors.causes()[2].message, "Invalid value: \"Like\": not a valid selector operator");
}

TEST(FieldSelector, ReadsAndMatches) {
  const json::object pod = Labels(
      R"({"metadata":{"name":"p"},"spec":{"nodeName":"n,1","hostNetwork":true},"status":{}})");
  auto matches = [&](std::string_view text) { return FieldSelector::Parse(text)->Matches(pod); };
  EXPECT_TRUE(matches(""));
  EXPECT_TRUE(matches("metadata.name=p"));
  EXPECT_TRUE(matches("metadata.name==p,status.phase!=Running"));
  EXPECT_TRUE(matches("spec.nodeName=n\\,1"));
  EXPECT_TRUE(matches("spec.hostNetwork=true"));
  EXPECT_TRUE(matches("status.phase="));
  EXPECT_FALSE(matches("metadata.name!=p"));
  EXPECT_EQ(base::ToStd(FieldSelector::Parse("a=b,cd").status().message()),
            "invalid selector: 'a=b,cd'; can't understand 'cd'");
  EXPECT_FALSE(FieldSelector::Parse("a=b\\x").ok());
}

TEST(FieldSelector, KnowsOnlySelectableFields) {
  const FieldSelector selector = *FieldSelector::Parse("metadata.name=a,spec.foo=b");
  EXPECT_TRUE(selector.CheckFields({"spec.foo"}).ok());
  EXPECT_EQ(base::ToStd(selector.CheckFields({"spec.bar"}).message()),
            "field label not supported: spec.foo");
}

}  // namespace
}  // namespace keel::orchestrator
