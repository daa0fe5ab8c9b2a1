#include "orchestrator/client/event_recorder.h"

#include <gtest/gtest.h>

#include "base/manual_loop.h"
#include "base/strings.h"
#include "orchestrator/client/testing/fake_api.h"

namespace keel::orchestrator {
namespace {

const Resource kEvents{"", "v1", "events"};

class EventRecorderTest : public testing::Test {
 protected:
  void Record(const std::string& message, const std::string& name = "web") {
    events.Record({.api_version = "v1", .kind = "Pod", .ns = "default", .name = name, .uid = name},
                  EventType::kNormal, "Scheduled", message);
  }
  base::ManualLoop loop;
  FakeApi api{loop};
  EventRecorder events{api, "scheduler", [this] { return api.now(); }};
};

TEST_F(EventRecorderTest, TheSameAgainRaisesTheCount) {
  Record("a");
  Record("a");
  loop.Advance(std::chrono::seconds(10));
  Record("a");
  Record("b");
  loop.RunUntilIdle();
  const std::vector<json::object> all = api.All(kEvents);
  ASSERT_EQ(all.size(), 2u);
  const json::object& a = StringAt(all[0], {"message"}) == "a" ? all[0] : all[1];
  EXPECT_EQ(IntAt(a, {"count"}), 3);
  EXPECT_NE(StringAt(a, {"firstTimestamp"}), StringAt(a, {"lastTimestamp"}));
  EXPECT_EQ(StringAt(a, {"source", "component"}), "scheduler");
  EXPECT_EQ(StringAt(a, {"involvedObject", "name"}), "web");
}

TEST_F(EventRecorderTest, AnObjectHasSoManyAndAnotherItsOwn) {
  for (int i = 0; i < 100; ++i) Record(base::StrCat("m", i));
  Record("other", "db");
  loop.RunUntilIdle();
  EXPECT_EQ(api.All(kEvents).size(), 26u);
  loop.Advance(std::chrono::seconds(301));
  Record("later");
  Record("too soon");
  loop.RunUntilIdle();
  EXPECT_EQ(api.All(kEvents).size(), 27u);
}

TEST_F(EventRecorderTest, OneThatIsGoneIsMadeAnew) {
  Record("a");
  loop.RunUntilIdle();
  api.Erase(kEvents, "default", std::string(StringAt(api.All(kEvents)[0], {"metadata", "name"})));
  Record("a");
  loop.RunUntilIdle();
  Record("a");
  loop.RunUntilIdle();
  EXPECT_EQ(api.All(kEvents).size(), 1u);
}

TEST_F(EventRecorderTest, AServerThatFailsStopsNothing) {
  api.fail = [](const FakeApi::Request&) { return Unavailable("down"); };
  Record("a");
  loop.RunUntilIdle();
  api.fail = nullptr;
  Record("a");
  loop.RunUntilIdle();
  EXPECT_EQ(api.All(kEvents).size(), 1u);
}

}  // namespace
}  // namespace keel::orchestrator
