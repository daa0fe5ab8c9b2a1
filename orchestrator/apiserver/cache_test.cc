#include "orchestrator/apiserver/cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/manual_loop.h"
#include "orchestrator/api/error.h"
#include "orchestrator/apiserver/fake_store.h"
#include "orchestrator/apiserver/object_codec.h"

namespace keel::orchestrator {
namespace {

using testing::ElementsAre;

std::string PodText(const std::string& name, const std::string& node, const std::string& app) {
  return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
         R"(","labels":{"app":")" + app + R"("}},"spec":{"nodeName":")" + node + R"("}})";
}

class Listener final : public ChangeListener {
 public:
  void OnChange(const ObjectChange& change) override {
    const char* const types[] = {"+", "~", "-"};
    seen.push_back(types[static_cast<int>(change.type)] + change.object->name);
  }
  void OnReset() override { seen.push_back("reset"); }
  std::vector<std::string> seen;
};

class CacheTest : public testing::Test {
 protected:
  CacheTest()
      : cache_(loop_, store_, {.ring_events = 4, .load_page = 2, .fields_of = [](std::string_view) {
                                 return std::vector<std::string>{"spec.nodeName"};
                               }}) {}

  void Start() {
    cache_.Start([] {});
    loop_.RunUntilIdle();
  }
  void PutPod(const std::string& name, const std::string& node = "", const std::string& app = "a") {
    store_.Put("/registry/pods/default/" + name, PodText(name, node, app));
    loop_.RunUntilIdle();
  }

  base::ManualLoop loop_;
  FakeStore store_{loop_};
  Cache cache_;
};

TEST_F(CacheTest, LoadsInPagesAndFollows) {
  for (const char* name : {"c", "a", "b"}) PutPod(name);
  Start();
  ASSERT_TRUE(cache_.ready());
  ResourceCache& pods = cache_.Resource("pods");
  std::vector<std::string> names;
  pods.ForEach("", "", "", [&](const CachedObjectPtr& pod) {
    names.push_back(pod->name);
    return true;
  });
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
  PutPod("a", "n1");
  EXPECT_EQ(pods.Find("default", "a")->facts->fields[0], "n1");
  EXPECT_NE(pods.Find("default", "a")->bytes.find(R"("resourceVersion":"5")"), std::string::npos);
  store_.Delete("/registry/pods/default/b");
  loop_.RunUntilIdle();
  EXPECT_EQ(pods.Find("default", "b"), nullptr);
  EXPECT_EQ(pods.size(), 2u);
}

TEST_F(CacheTest, AllWhoWaitShareOneQuestion) {
  Start();
  store_.hold_events = true;
  PutPod("a");
  int ready = 0;
  for (int i = 0; i < 100; ++i) {
    cache_.WhenCurrent([&](absl::Status status) {
      ASSERT_TRUE(status.ok());
      EXPECT_NE(cache_.Resource("pods").Find("default", "a"), nullptr);
      ++ready;
    });
  }
  loop_.RunUntilIdle();
  EXPECT_EQ(ready, 0);
  EXPECT_LE(store_.revisions_asked, 2);
  store_.ReleaseEvents();
  loop_.RunUntilIdle();
  EXPECT_EQ(ready, 100);
}

TEST_F(CacheTest, ARevisionThatIsNoneOfOursIsAskedFor) {
  Start();
  store_.Put("/other", "x");
  absl::Status got = absl::UnknownError("not called");
  cache_.WhenCurrent([&](absl::Status status) { got = status; });
  loop_.RunUntilIdle();
  EXPECT_EQ(got.code(), absl::StatusCode::kUnknown);
  loop_.Advance(std::chrono::milliseconds(10));
  EXPECT_TRUE(got.ok()) << got;
}

TEST_F(CacheTest, AFutureRevisionTimesOut) {
  Start();
  absl::Status got;
  cache_.WhenAt(1000, [&](absl::Status status) { got = status; });
  for (int i = 0; i < 500; ++i) loop_.Advance(std::chrono::milliseconds(10));
  EXPECT_EQ(ApiErrorOf(got).code, 504);
  EXPECT_EQ(ApiErrorOf(got).message, "Too large resource version: 1000, current: 1");
}

TEST_F(CacheTest, ListenersHearWhatTheirKeyAllows) {
  Start();
  ResourceCache& pods = cache_.Resource("pods");
  Listener all, node, name, other;
  pods.Listen(all, {});
  pods.Listen(node, {.field = 0, .value = "n1"});
  pods.Listen(name, {.ns = "default", .name = "b"});
  pods.Listen(other, {.ns = "elsewhere"});
  PutPod("a");
  PutPod("a", "n1");
  PutPod("b");
  PutPod("a", "n2");
  EXPECT_THAT(all.seen, ElementsAre("+a", "~a", "+b", "~a"));
  EXPECT_THAT(node.seen, ElementsAre("~a", "~a"));  // came, and went
  EXPECT_THAT(name.seen, ElementsAre("+b"));
  EXPECT_THAT(other.seen, ElementsAre());
  pods.Unlisten(all);
  PutPod("c");
  EXPECT_EQ(all.seen.size(), 4u);
}

TEST_F(CacheTest, AListenerMayLeaveWhileItIsTold) {
  struct Leaver final : ChangeListener {
    explicit Leaver(ResourceCache& of) : pods(of) {}
    void OnChange(const ObjectChange&) override {
      ++told;
      pods.Unlisten(*this);
    }
    void OnReset() override {}
    ResourceCache& pods;
    int told = 0;
  };
  Start();
  ResourceCache& pods = cache_.Resource("pods");
  Leaver first(pods), second(pods);
  Listener last;
  pods.Listen(first, {});
  pods.Listen(second, {});
  pods.Listen(last, {});
  PutPod("a");
  PutPod("b");
  EXPECT_EQ(first.told + second.told, 2);
  EXPECT_THAT(last.seen, ElementsAre("+a", "+b"));
  EXPECT_EQ(pods.listeners(), 1u);
}

TEST_F(CacheTest, TheRingForgetsTheOldest) {
  Start();
  for (int i = 0; i < 6; ++i) PutPod("p" + std::to_string(i));
  const EventRing& ring = cache_.Resource("pods").ring();
  EXPECT_EQ(ring.end_index() - ring.first_index(), 4u);
  EXPECT_EQ(ring.oldest(), 3);
  EXPECT_EQ(ring.At(ring.IndexAfter(5)).revision(), 6);
}

TEST_F(CacheTest, ALostWatchLoadsAnewAndResetsListeners) {
  PutPod("a");
  Start();
  Listener listener;
  cache_.Resource("pods").Listen(listener, {});
  store_.hold_events = true;
  store_.Delete("/registry/pods/default/a");
  store_.Put("/registry/pods/default/b", PodText("b", "", ""));
  store_.BreakWatch();
  store_.hold_events = false;
  loop_.Advance(std::chrono::seconds(1));
  EXPECT_THAT(listener.seen, ElementsAre("reset"));
  EXPECT_EQ(cache_.Resource("pods").Find("default", "a"), nullptr);
  EXPECT_NE(cache_.Resource("pods").Find("default", "b"), nullptr);
  EXPECT_EQ(cache_.revision(), store_.revision());
}

TEST_F(CacheTest, TheViewParsesOnce) {
  PutPod("a");
  Start();
  const auto first = cache_.Get("pods", "default", "a");
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->key, "/registry/pods/default/a");
  EXPECT_EQ(first->object, cache_.Get("pods", "default", "a")->object);
  PutPod("a", "n1");
  EXPECT_EQ(StringAt(*cache_.Get("pods", "default", "a")->object, {"spec", "nodeName"}), "n1");
  EXPECT_FALSE(cache_.Get("pods", "default", "b").has_value());
}

TEST(ObjectCodecTest, PutsTheRevisionInPlace) {
  json::object object = ParseJson(R"({"spec":{"metadata":{"x":1}},"kind":"Pod",
      "metadata":{"resourceVersion":"4","name":"a"},"apiVersion":"v1"})")
                            ->as_object();
  const std::string stored = EncodeForStore(object);
  EXPECT_EQ(stored, R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},)"
                    R"("spec":{"metadata":{"x":1}}})");
  const std::string sent = *WithRevision(stored, 17);
  EXPECT_EQ(sent,
            R"({"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"17","name":"a"},)"
            R"("spec":{"metadata":{"x":1}}})");
  EXPECT_EQ(ReplaceRevision(sent, 5), *WithRevision(stored, 5));
  // Written by others, in another order; without any metadata.
  EXPECT_EQ(*WithRevision(R"({"metadata":{},"kind":"A","apiVersion":"v1"})", 3),
            R"({"apiVersion":"v1","kind":"A","metadata":{"resourceVersion":"3"}})");
  EXPECT_FALSE(WithRevision("[]", 3).ok());
  EXPECT_FALSE(WithRevision("k8s\1", 3).ok());
}

TEST(ObjectCodecTest, KeysOfTheStore) {
  const auto key = ParseStoreKey("/registry", "/registry/deployments.apps/ns/web");
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key->resource, "deployments.apps");
  EXPECT_EQ(key->ns, "ns");
  EXPECT_EQ(key->name, "web");
  EXPECT_EQ(ParseStoreKey("/registry", "/registry/nodes/n1")->ns, "");
  for (const char* bad : {"/registry", "/registry/", "/registry/pods", "/registry/a/b/c/d",
                          "/registry-addresses/ip/1", "/other/pods/a/b", "/registry/pods/a/"}) {
    EXPECT_FALSE(ParseStoreKey("/registry", bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace keel::orchestrator
