#include "orchestrator/api/schema_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "orchestrator/api/schema.h"

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  TypeRegistry types;
  absl::Status status = types.Add(text);
  if (status.ok()) status = types.Resolve();
  return std::string(base::ToStd(status.message()));
}

TEST(SchemaText, ReadsFieldsModifiersAndComments) {
  TypeRegistry types;
  ASSERT_TRUE(types
                  .Add(R"(
    # How a thing is
    # made.
    Spec {
      replicas   int32 = 1 min(0) max(9)   -- How many
                                              are wanted -- really.
      type!      string = "A" enum(A, "B C")
                                           -- Which.
      ports      [Port] key(port, protocol) dups
      labels     {string}
      nested     {[{int64}]}
      names      [string] set merge
                 maxlen(63)  pattern("^[a-z{}]+$")
      other      Other = {} immutable nullable   -- Of them all.
    }
    Port { port int32  protocol string = "TCP" }
    Other atomic { key! string -- A field may be called like a modifier. }
    Empty {}
  )")
                  .ok());
  ASSERT_TRUE(types.Resolve().ok());

  const Schema* spec = types.FindType("Spec");
  ASSERT_NE(spec, nullptr);
  EXPECT_EQ(spec->description, "How a thing is made.");
  ASSERT_EQ(spec->fields.size(), 7u);

  const Field* replicas = spec->FindField("replicas");
  EXPECT_EQ(replicas->description, "How many are wanted -- really.");
  EXPECT_EQ(replicas->schema->type, FieldType::kInt32);
  EXPECT_EQ(replicas->schema->default_value, json::value(1));
  EXPECT_EQ(replicas->schema->minimum, 0);
  EXPECT_EQ(replicas->schema->maximum, 9);
  EXPECT_FALSE(replicas->required);

  const Field* type = spec->FindField("type");
  EXPECT_TRUE(type->required);
  EXPECT_EQ(type->description, "Which.");
  EXPECT_THAT(type->schema->enum_values, ElementsAre("A", "B C"));

  const Schema* ports = spec->FindField("ports")->schema;
  EXPECT_EQ(ports->list_kind, Schema::ListKind::kMap);
  EXPECT_THAT(ports->map_keys, ElementsAre("port", "protocol"));
  EXPECT_TRUE(ports->duplicates_allowed);
  EXPECT_EQ(ports->items, types.FindType("Port"));
  ASSERT_EQ(ports->items->fields.size(), 2u);
  EXPECT_EQ(ports->items->FindField("protocol")->schema->default_value, json::value("TCP"));

  EXPECT_EQ(spec->FindField("labels")->schema->items->type, FieldType::kString);
  EXPECT_EQ(spec->FindField("nested")->schema->items->items->items->type, FieldType::kInt64);
  const Schema* names = spec->FindField("names")->schema;
  EXPECT_EQ(names->list_kind, Schema::ListKind::kSet);
  EXPECT_TRUE(names->merge_scalars);
  EXPECT_EQ(names->items->max_length, 63);
  EXPECT_EQ(names->items->pattern, "^[a-z{}]+$");

  // A type with modifiers is the type, and what they say.
  const Schema* other = spec->FindField("other")->schema;
  EXPECT_NE(other, types.FindType("Other"));
  EXPECT_EQ(other->name, "Other");
  EXPECT_TRUE(other->atomic);
  EXPECT_TRUE(other->immutable);
  EXPECT_TRUE(other->nullable);
  EXPECT_EQ(other->default_value, json::value(json::object()));
  ASSERT_NE(other->FindField("key"), nullptr);
  EXPECT_EQ(other->FindField("key")->description, "A field may be called like a modifier.");
  EXPECT_FALSE(types.FindType("Other")->immutable);
  EXPECT_TRUE(types.FindType("Empty")->fields.empty());
}

TEST(SchemaText, NamesTheLineOfAMistake) {
  EXPECT_THAT(ErrorOf("A {\n  x string\n  y strin\n}"), HasSubstr("line 3: nobody describes"));
  EXPECT_THAT(ErrorOf("A {\n  x\n}"), HasSubstr("type A, line 2: x: expected a type"));
  EXPECT_THAT(ErrorOf("A {\n  x string\n"), HasSubstr("no closing brace"));
  EXPECT_THAT(ErrorOf("A {\n  x string\n    \n  x int32\n}"),
              HasSubstr("line 4: a second field x"));
  EXPECT_THAT(ErrorOf("A {\n}\nA {\n}"), HasSubstr("line 3: a second type A"));
  EXPECT_THAT(ErrorOf("A {\n  x [string\n}"), HasSubstr("line 2: x: expected ]"));
  EXPECT_THAT(ErrorOf("A {\n  x string = nope\n}"), HasSubstr("line 2: not JSON"));
  EXPECT_THAT(ErrorOf("A {\n  x string key(a)\n}"), HasSubstr("key is for lists"));
  EXPECT_THAT(ErrorOf("A {\n  x int32 min(one)\n}"), HasSubstr("min: not a number"));
  EXPECT_THAT(ErrorOf("A {\n  x string pattern(\"(\")\n}"), HasSubstr("not a regular expression"));
  EXPECT_THAT(ErrorOf("A {\n  x string\n    y string\n}"), HasSubstr("four columns"));
  EXPECT_THAT(ErrorOf("A immutable {\n}"), HasSubstr("no modifier of a type"));
  EXPECT_THAT(ErrorOf("A {\n  x string imutable\n}"), HasSubstr("imutable: expected a type"));
  EXPECT_THAT(ErrorOf("A\n"), HasSubstr("expected NAME {"));
}

TEST(SchemaText, AScopeHidesTheCommonType) {
  TypeRegistry types;
  ASSERT_TRUE(types.Add("Spec { a string }\nUser { spec Spec }\nObjectMeta { name string }").ok());
  ASSERT_TRUE(types.Add("Spec { b string }\nUser { spec Spec }", "x/v2").ok());
  ASSERT_TRUE(types.Add("Thing { spec Spec  status Spec immutable }", "x/v2").ok());
  ASSERT_TRUE(types.MakeTop("Thing", "x/v2").ok());
  EXPECT_FALSE(types.MakeTop("User", "y/v1").ok());
  ASSERT_TRUE(types.Resolve().ok());

  EXPECT_NE(types.FindType("User")->fields[0].schema->FindField("a"), nullptr);
  EXPECT_NE(types.FindType("User", "x/v2")->fields[0].schema->FindField("b"), nullptr);
  EXPECT_EQ(types.FindType("User", "y/v1"), types.FindType("User"));
  EXPECT_EQ(types.FindType("Nobody"), nullptr);
  EXPECT_EQ(types.FindType("Spec", "x/v2")->scope, "x/v2");

  const Schema* thing = types.FindType("Thing", "x/v2");
  ASSERT_EQ(thing->fields.size(), 5u);
  EXPECT_EQ(thing->fields[0].name, "apiVersion");
  EXPECT_EQ(thing->fields[1].name, "kind");
  EXPECT_EQ(thing->fields[2].schema, types.FindType("ObjectMeta"));
  EXPECT_NE(thing->fields[3].schema->FindField("b"), nullptr);
  EXPECT_TRUE(thing->fields[4].schema->immutable);
  EXPECT_EQ(types.Types().size(), 6u);
}

TEST(SchemaText, KnowsWhatIsBelowThroughCircles) {
  TypeRegistry types;
  ASSERT_TRUE(types
                  .Add(R"(
    Props { items Props  properties {Props}  name string }
    Deep { props Props  more Deeper }
    Deeper { up Deep  leaf [Leaf] }
    Leaf { x int32 = 1 }
  )")
                  .ok());
  ASSERT_TRUE(types.Resolve().ok());
  EXPECT_FALSE(types.FindType("Props")->has_defaults);
  EXPECT_TRUE(types.FindType("Deep")->has_defaults);
  EXPECT_TRUE(types.FindType("Deeper")->has_defaults);
  EXPECT_FALSE(types.FindType("Deep")->has_immutable);
}

}  // namespace
}  // namespace keel::orchestrator
