#include "orchestrator/client/informer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/manual_loop.h"
#include "base/strings.h"
#include "orchestrator/client/testing/fake_api.h"

namespace keel::orchestrator {
namespace {

using testing::ElementsAre;

const Resource kThings{"", "v1", "configmaps"};

std::string Thing(const std::string& name, const std::string& color) {
  return base::StrCat(R"({"metadata":{"namespace":"default","name":")", name,
                      R"(","labels":{"color":")", color, R"("}}})");
}

struct Color {
  std::string color;
  static Color Parse(const json::object& object) {
    return {std::string(StringAt(object, {"metadata", "labels", "color"}))};
  }
};

class InformerTest : public testing::Test {
 protected:
  void Start(InformerOptions options = {}) {
    informer = std::make_unique<Informer<Color>>(api, kThings, options);
    informer->OnChange([this](const ObjectKey& key, const Color* before, const Color* now) {
      changes.push_back(base::StrCat(key.name, ":", before == nullptr ? "-" : before->color, ">",
                                     now == nullptr ? "-" : now->color));
    });
    informer->Start([this] { ++synced; });
    loop.RunUntilIdle();
  }

  base::ManualLoop loop;
  FakeApi api{loop};
  std::unique_ptr<Informer<Color>> informer;
  std::vector<std::string> changes;
  int synced = 0;
};

TEST_F(InformerTest, ListsThenWatches) {
  api.Put(kThings, Thing("a", "red"));
  Start();
  EXPECT_EQ(synced, 1);
  api.Put(kThings, Thing("b", "blue"));
  api.Put(kThings, Thing("a", "green"));
  api.Erase(kThings, "default", "b");
  loop.RunUntilIdle();
  EXPECT_THAT(changes, ElementsAre("a:->red", "b:->blue", "a:red>green", "b:blue>-"));
  ASSERT_NE(informer->Find({"default", "a"}), nullptr);
  EXPECT_EQ(informer->Find({"default", "a"})->color, "green");
  EXPECT_EQ(informer->Find({"default", "b"}), nullptr);
}

TEST_F(InformerTest, ListsInPages) {
  for (int i = 0; i < 7; ++i) api.Put(kThings, Thing(base::StrCat("t", i), "red"));
  Start({.page_size = 3});
  EXPECT_EQ(informer->objects().size(), 7u);
  EXPECT_EQ(api.Count("list", "configmaps"), 3u);
  EXPECT_EQ(synced, 1);
}

TEST_F(InformerTest, WatchGoesOnWhereItEnded) {
  api.Put(kThings, Thing("a", "red"));
  Start();
  api.HoldEvents(true);
  api.Put(kThings, Thing("b", "blue"));
  api.EndWatches(absl::OkStatus());
  loop.RunUntilIdle();
  api.HoldEvents(false);
  loop.Advance(std::chrono::seconds(1));
  EXPECT_THAT(changes, ElementsAre("a:->red", "b:->blue"));
  EXPECT_EQ(api.Count("list", "configmaps"), 1u);
}

TEST_F(InformerTest, RelistsWhenHistoryIsGoneAndTellsDifferencesOnly) {
  api.Put(kThings, Thing("a", "red"));
  api.Put(kThings, Thing("b", "blue"));
  api.Put(kThings, Thing("c", "white"));
  Start();
  changes.clear();
  api.HoldEvents(true);
  api.Put(kThings, Thing("a", "green"));
  api.Erase(kThings, "default", "b");
  api.Put(kThings, Thing("d", "black"));
  api.Compact();
  api.EndWatches(Unavailable("the server went away"));
  loop.RunUntilIdle();
  api.HoldEvents(false);
  loop.Advance(std::chrono::seconds(5));
  EXPECT_THAT(changes, testing::UnorderedElementsAre("a:red>green", "d:->black", "b:blue>-"));
  EXPECT_EQ(api.Count("list", "configmaps"), 2u);
  // Not from a cache that may be older than what was seen.
  EXPECT_EQ(api.requests.back().verb, "watch");
  for (const FakeApi::Request& request : api.requests) {
    if (request.verb != "list") continue;
    EXPECT_EQ(request.query.find("resourceVersion=0") == std::string::npos,
              &request != &api.requests.front());
  }
  EXPECT_EQ(synced, 1);
}

TEST_F(InformerTest, ListThatFailsIsTriedAgainLaterAndLater) {
  api.Put(kThings, Thing("a", "red"));
  api.fail = [](const FakeApi::Request&) { return Unavailable("down"); };
  Start();
  loop.Advance(std::chrono::seconds(60));
  EXPECT_EQ(synced, 0);
  const size_t tries = api.Count("list", "configmaps");
  EXPECT_GE(tries, 8u);
  EXPECT_LE(tries, 30u);
  api.fail = nullptr;
  loop.Advance(std::chrono::seconds(10));
  EXPECT_EQ(synced, 1);
}

TEST_F(InformerTest, AKindThatTheServerDoesNotHaveHasNoObjects) {
  api.fail = [](const FakeApi::Request&) { return NoSuchPath(); };
  Start();
  EXPECT_EQ(synced, 1);
  api.fail = nullptr;
  api.Put(kThings, Thing("a", "red"));
  loop.Advance(std::chrono::seconds(11));
  EXPECT_EQ(informer->objects().size(), 1u);
}

TEST_F(InformerTest, SelectsOnTheServer) {
  api.Put(kThings, Thing("a", "red"));
  api.Put(kThings, Thing("b", "blue"));
  Start({.label_selector = "color in (red,green)"});
  EXPECT_EQ(informer->objects().size(), 1u);
  api.Put(kThings, Thing("b", "green"));
  api.Put(kThings, Thing("a", "blue"));
  loop.RunUntilIdle();
  EXPECT_EQ(informer->Find({"default", "a"}), nullptr);
  EXPECT_NE(informer->Find({"default", "b"}), nullptr);
}

TEST_F(InformerTest, MayBeStoppedByItsOwnHandler) {
  api.Put(kThings, Thing("a", "red"));
  Start();
  informer->OnChange([this](const ObjectKey&, const Color*, const Color*) { informer->Stop(); });
  api.Put(kThings, Thing("b", "red"));
  api.Put(kThings, Thing("c", "red"));
  loop.RunUntilIdle();
  EXPECT_THAT(changes, ElementsAre("a:->red", "b:->red"));
  EXPECT_EQ(api.open_watches(), 0u);
}

// ---- The fake itself, where controllers lean on it

class FakeApiTest : public InformerTest {
 protected:
  absl::StatusOr<json::value> Ask(std::string_view method, const std::string& path,
                                  const json::value& body = nullptr,
                                  std::string_view type = "application/json") {
    absl::StatusOr<json::value> got = absl::UnknownError("no answer");
    api.Call(method, path, type, body.is_null() ? "" : ToJson(body),
             [&](absl::StatusOr<json::value> answer) { got = std::move(answer); });
    EXPECT_EQ(got.status().message(), "no answer") << "answered inside the call";
    loop.RunUntilIdle();
    return got;
  }
};

TEST_F(FakeApiTest, RefusesAnUpdateOfAnOldVersion) {
  const auto made = Ask("POST", kThings.Path("default"), ParseJson(Thing("a", "red")).value());
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(IsReason(Ask("POST", kThings.Path("default"), *made).status(), "AlreadyExists"));
  json::value changed = *made;
  *Ensure(changed, {"data", "x"}) = "1";
  EXPECT_TRUE(Ask("PUT", kThings.Path("default", "a"), changed).ok());
  EXPECT_TRUE(IsReason(Ask("PUT", kThings.Path("default", "a"), changed).status(), "Conflict"));
  EXPECT_TRUE(IsReason(Ask("GET", kThings.Path("default", "b")).status(), "NotFound"));
}

TEST_F(FakeApiTest, KeepsStatusAndSpecApartAndCountsGenerations) {
  api.Put(kThings, R"({"metadata":{"name":"a","namespace":"d"},"spec":{"n":1},"status":{"s":1}})");
  const json::value both = {{"spec", {{"n", 2}}}, {"status", {{"s", 2}}}};
  auto got = Ask("PATCH", kThings.Path("d", "a"), both, kMergePatch);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(IntAt(*got, {"spec", "n"}), 2);
  EXPECT_EQ(IntAt(*got, {"status", "s"}), 1);
  EXPECT_EQ(IntAt(*got, {"metadata", "generation"}), 2);
  got = Ask("PATCH", kThings.Path("d", "a", "status"),
            {{"spec", {{"n", 3}}}, {"status", {{"s", 3}}}}, kMergePatch);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(IntAt(*got, {"spec", "n"}), 2);
  EXPECT_EQ(IntAt(*got, {"status", "s"}), 3);
  EXPECT_EQ(IntAt(*got, {"metadata", "generation"}), 2);
}

TEST_F(FakeApiTest, FinalizersHoldADeletedObject) {
  api.Put(kThings, Thing("a", "red"));
  ASSERT_TRUE(
      Ask("DELETE", kThings.Path("default", "a"), {{"propagationPolicy", "Foreground"}}).ok());
  ASSERT_NE(api.Stored(kThings, "default", "a"), nullptr);
  EXPECT_NE(StringAt(*api.Stored(kThings, "default", "a"), {"metadata", "deletionTimestamp"}), "");
  ASSERT_TRUE(Ask("PATCH", kThings.Path("default", "a"), {{"metadata", {{"finalizers", nullptr}}}},
                  kMergePatch)
                  .ok());
  EXPECT_EQ(api.Stored(kThings, "default", "a"), nullptr);
}

}  // namespace
}  // namespace keel::orchestrator
