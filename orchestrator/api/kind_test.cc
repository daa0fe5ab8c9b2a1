#include "orchestrator/api/kind.h"

#include <gtest/gtest.h>

#include "base/strings.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/api/table.h"
#include "orchestrator/api/time.h"

namespace keel::orchestrator {
namespace {

const std::vector<std::string> kMeta = {"ObjectMeta { name string -- N. }"};

Kind Toy(std::string group, std::string version, std::string kind) {
  std::string plural = kind + "s";
  for (char& c : plural) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return {.group = std::move(group),
          .version = std::move(version),
          .kind = kind,
          .plural = plural,
          .types = kind + " {\n  color string -- Its color.\n}\n"};
}

TEST(KindRegistry, FindsKindsInDiscoveryOrder) {
  auto made = KindRegistry::Create(
      {Toy("zoo", "v1", "Lion"), Toy("apps", "v1", "Web"), Toy("", "v1", "Pod")}, kMeta);
  ASSERT_TRUE(made.ok()) << made.status();
  KindRegistry& registry = **made;
  const auto all = registry.All();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0]->kind, "Pod");
  EXPECT_EQ(all[1]->kind, "Web");
  EXPECT_EQ(all[2]->kind, "Lion");
  EXPECT_EQ(all[2]->singular, "lion");
  EXPECT_EQ(all[2]->list_kind, "LionList");
  EXPECT_EQ(registry.FindByKind("apps", "v1", "Web"), all[1]);
  EXPECT_EQ(registry.FindByResource("apps", "v2", "webs"), nullptr);
  EXPECT_NE(registry.SchemaOf(*all[0]).FindField("metadata"), nullptr);
  EXPECT_NE(registry.SchemaOf(*all[0]).FindField("color"), nullptr);
}

TEST(KindRegistry, TwoVersionsOfAKindAreTwoTypes) {
  Kind old = Toy("zoo", "v1", "Lion");
  old.types = "LionV1 {\n  mane string -- Its mane.\n}\n";
  old.stored_version = "v2";
  auto made = KindRegistry::Create({old, Toy("zoo", "v2", "Lion")}, kMeta);
  ASSERT_TRUE(made.ok()) << made.status();
  const auto all = (*made)->All();
  EXPECT_EQ(all[0]->version, "v2");  // the newer first
  EXPECT_NE((*made)->SchemaOf(*all[1]).FindField("mane"), nullptr);
  EXPECT_EQ((*made)->Stored(*all[1]), all[0]);
  EXPECT_EQ((*made)->Stored(*all[0]), all[0]);
}

TEST(KindRegistry, SaysWhatIsWrong) {
  Kind nameless = Toy("", "v1", "Pod");
  nameless.types = "Other { a string -- A. }";
  EXPECT_EQ(base::ToStd(KindRegistry::Create({nameless}, kMeta).status().message()),
            "Pod of v1: its types name no Pod");
  Kind lost = Toy("", "v1", "Pod");
  lost.stored_version = "v9";
  EXPECT_EQ(base::ToStd(KindRegistry::Create({lost}, kMeta).status().message()),
            "Pod: there is no stored version v9");
}

TEST(KindRegistry, TakesKindsAtRunTime) {
  auto made = KindRegistry::Create({Toy("", "v1", "Pod")}, kMeta);
  ASSERT_TRUE(made.ok());
  KindRegistry& registry = **made;
  auto schema = std::make_shared<Schema>();
  schema->type = FieldType::kObject;
  schema->fields.push_back({.name = "metadata"});
  Kind crd = Toy("zoo", "v1beta1", "Lion");
  crd.own_schema = schema;
  registry.Add(crd);
  crd.version = "v1";
  registry.Add(crd);
  registry.Add(crd);
  EXPECT_EQ(registry.generation(), 3u);
  ASSERT_EQ(registry.All().size(), 3u);
  EXPECT_EQ(registry.All()[1]->version, "v1");
  const Schema& whole = registry.SchemaOf(*registry.All()[1]);
  ASSERT_EQ(whole.fields.size(), 3u);
  EXPECT_EQ(whole.FindField("metadata")->schema, registry.types().FindType("ObjectMeta"));
  registry.RemoveGroupResource("zoo", "lions");
  registry.RemoveGroupResource("zoo", "lions");
  EXPECT_EQ(registry.generation(), 4u);
  EXPECT_EQ(registry.All().size(), 1u);
}

TEST(HumanDuration, IsKubectls) {
  for (const auto& [seconds, text] :
       std::initializer_list<std::pair<int64_t, const char*>>{{-5, "<invalid>"},
                                                              {-1, "0s"},
                                                              {0, "0s"},
                                                              {119, "119s"},
                                                              {120, "2m"},
                                                              {125, "2m5s"},
                                                              {599, "9m59s"},
                                                              {600, "10m"},
                                                              {10799, "179m"},
                                                              {10800, "3h"},
                                                              {3600 * 7 + 120, "7h2m"},
                                                              {3600 * 47, "47h"},
                                                              {86400 * 2, "2d"},
                                                              {86400 * 5 + 3 * 3600, "5d3h"},
                                                              {86400 * 100, "100d"},
                                                              {86400 * 365 * 2, "2y"},
                                                              {86400 * 365 * 3 + 86400, "3y1d"},
                                                              {86400LL * 365 * 10, "10y"}}) {
    EXPECT_EQ(HumanDuration(absl::Seconds(seconds)), text);
  }
  EXPECT_EQ(AgeOf("", absl::Now()), "<unknown>");
}

TEST(Time, ReadsAndWrites) {
  const absl::Time t = absl::FromUnixMicros(1'700'000'000'123'456);
  EXPECT_EQ(orchestrator::FormatTime(t), "2023-11-14T22:13:20Z");
  EXPECT_EQ(FormatMicroTime(t), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(*ParseTime(FormatMicroTime(t)), t);
  EXPECT_EQ(*ParseTime("2023-11-14T23:13:20+01:00"), absl::FromUnixSeconds(1'700'000'000));
  for (const char* bad : {"", "now", "2023-11-14", "2023-11-14T22:13:20", "infinite-future",
                          " 2023-11-14T22:13:20Z", "2023-13-14T22:13:20Z"}) {
    EXPECT_FALSE(ParseTime(bad).ok()) << bad;
  }
}

TEST(Table, HasColumnsAndRows) {
  const Kind kind{.kind = "Toy",
                  .columns = {TextColumn("Color", {"spec", "color"}, "<none>"),
                              TextColumn("Size", {"spec", "size"}, "", 1), AgeColumn()}};
  const json::object toy =
      ParseJson(R"({"kind":"Toy","metadata":{"name":"t","creationTimestamp":"2023-11-14T22:13:20Z"},
                    "spec":{"color":"red","size":3}})")
          ->as_object();
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000 + 61);
  EXPECT_EQ(
      ToJson(ColumnDefinitions(kind)),
      R"([{"name":"Name","type":"string","format":"name","description":"Unique within a namespace for this kind of object.","priority":0},)"
      R"({"name":"Color","type":"string","format":"","description":"","priority":0},)"
      R"({"name":"Size","type":"string","format":"","description":"","priority":1},)"
      R"({"name":"Age","type":"string","format":"","description":"How long ago the object was created.","priority":0}])");
  EXPECT_EQ(ToJson(TableCells(kind, toy, now)), R"(["t","red","3","61s"])");
  EXPECT_EQ(
      ToJson(PartialMetadata(toy, "meta.k8s.io/v1")),
      R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"t","creationTimestamp":"2023-11-14T22:13:20Z"}})");
}

std::string Complaint(const Kind& kind, std::string_view object, std::string_view before = "") {
  FieldErrors errors;
  const json::object now = ParseJson(object)->as_object();
  if (before.empty()) {
    CheckObjectMeta(kind, now, errors);
  } else {
    CheckObjectMetaUpdate(kind, now, ParseJson(before)->as_object(), errors);
  }
  if (errors.empty()) return "";
  return std::string(base::ToStd(Invalid("", "Toy", "t", errors).message()));
}

TEST(ObjectMeta, IsCheckedOnCreate) {
  const Kind kind{.kind = "Toy"};
  EXPECT_EQ(Complaint(kind, R"({"metadata":{"name":"a","namespace":"b","labels":{"x":"y"}}})"), "");
  EXPECT_EQ(
      Complaint(kind, R"({"metadata":{"namespace":"b"}})"),
      "Toy \"t\" is invalid: metadata.name: Required value: name or generateName is required");
  EXPECT_EQ(Complaint(kind, R"({"metadata":{"name":"a"}})"),
            "Toy \"t\" is invalid: metadata.namespace: Required value");
  EXPECT_EQ(Complaint(kind, R"({"metadata":{"name":"a-b","generateName":"a-","namespace":"b"}})"),
            "");
  EXPECT_NE(Complaint(kind, R"({"metadata":{"name":"A","namespace":"b"}})")
                .find("metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain"),
            std::string::npos);
  EXPECT_NE(Complaint(kind, R"({"metadata":{"name":"a","namespace":"b","labels":{"x":"y z"}}})")
                .find("metadata.labels: Invalid value: \"y z\": a valid label must be"),
            std::string::npos);
  Kind wide = kind;
  wide.namespaced = false;
  EXPECT_EQ(Complaint(wide, R"({"metadata":{"name":"a","namespace":"b"}})"),
            "Toy \"t\" is invalid: metadata.namespace: Forbidden: not allowed on this type");
  const std::string big(256 * 1024, 'x');
  EXPECT_NE(Complaint(wide, R"({"metadata":{"name":"a","annotations":{"k":")" + big + "\"}}}")
                .find("metadata.annotations: Too long: may not be more than 262144 bytes"),
            std::string::npos);
  EXPECT_NE(
      Complaint(wide, R"({"metadata":{"name":"a","ownerReferences":[{"apiVersion":"v1","kind":"K",
          "name":"n","uid":"u","controller":true},{"apiVersion":"v1","kind":"K","name":"m",
          "uid":"v","controller":true}]}})")
          .find("Only one reference can have Controller set to true. Found \"true\" in references "
                "for n and m"),
      std::string::npos);
}

TEST(ObjectMeta, IsCheckedOnUpdate) {
  const Kind kind{.kind = "Toy"};
  constexpr char kOld[] = R"({"metadata":{"name":"a","namespace":"b","uid":"1"}})";
  EXPECT_EQ(Complaint(kind, kOld, kOld), "");
  EXPECT_EQ(Complaint(kind, R"({"metadata":{"name":"a","namespace":"b","uid":"2"}})", kOld),
            "Toy \"t\" is invalid: metadata.uid: Invalid value: \"2\": field is immutable");
  EXPECT_EQ(
      Complaint(kind, R"({"metadata":{"name":"a","deletionTimestamp":"t","finalizers":["x","y"]}})",
                R"({"metadata":{"name":"a","deletionTimestamp":"t","finalizers":["x"]}})"),
      "Toy \"t\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the "
      "object is being deleted, found new finalizers []string{\"y\"}");
}

}  // namespace
}  // namespace keel::orchestrator
