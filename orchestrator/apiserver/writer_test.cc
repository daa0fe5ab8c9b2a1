#include "orchestrator/apiserver/writer.h"

#include <gtest/gtest.h>

#include <set>

#include "base/manual_loop.h"
#include "orchestrator/apiserver/fake_store.h"
#include "orchestrator/apiserver/service_addresses.h"
#include "orchestrator/kinds/all_kinds.h"

namespace keel::orchestrator {
namespace {

class WriterTest : public testing::Test {
 protected:
  WriterTest() {
    cache_.Start([] {});
    loop_.RunUntilIdle();
  }

  absl::StatusOr<Written> Write(WriteTarget target, Writer::Plan plan) {
    absl::StatusOr<Written> result = absl::UnknownError("not called");
    writer_.Write(std::move(target), std::move(plan),
                  [&](absl::StatusOr<Written> written) { result = std::move(written); });
    for (int i = 0; i < 100; ++i) loop_.Advance(std::chrono::milliseconds(10));
    return result;
  }
  static WriteTarget Target(const std::string& name, bool create = false) {
    return {.resource = "configmaps", .ns = "default", .name = name, .create = create};
  }
  static json::object Map(const std::string& name, int64_t value) {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"name", name}}},
            {"data", {{"n", value}}}};
  }
  // Adds one to data.n.
  static absl::StatusOr<WritePlan> AddOne(const json::object* before) {
    if (before == nullptr) return NotFound("configmaps", "m");
    WritePlan plan{.object = *before};
    *Ensure(plan.object, {"data", "n"}) = IntAt(*before, {"data", "n"}) + 1;
    return plan;
  }

  base::ManualLoop loop_;
  FakeStore store_{loop_};
  Cache cache_{loop_, store_, {}};
  std::unique_ptr<KindRegistry> kinds_ = *MakeKindRegistry();
  ServerContext context_{.loop = loop_, .store = store_, .cache = cache_, .kinds = *kinds_};
  Writer writer_{context_};
};

TEST_F(WriterTest, CreatesOnce) {
  auto plan = [](const json::object*) -> absl::StatusOr<WritePlan> {
    return WritePlan{.object = Map("m", 1)};
  };
  const auto written = Write(Target("m", true), plan);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_TRUE(written->created);
  EXPECT_NE(written->bytes.find(R"("resourceVersion":"2")"), std::string::npos) << written->bytes;
  EXPECT_TRUE(IsReason(Write(Target("m", true), plan).status(), "AlreadyExists"));
}

TEST_F(WriterTest, ALostRaceIsTriedAgainOnTheNewState) {
  ASSERT_TRUE(Write(Target("m", true), [](const json::object*) -> absl::StatusOr<WritePlan> {
                return WritePlan{.object = Map("m", 1)};
              }).ok());
  store_.hold_events = true;  // the cache stays behind
  auto object = Map("m", 10);
  store_.Put("/registry/configmaps/default/m", ToJson(object));
  absl::StatusOr<Written> result = absl::UnknownError("not called");
  writer_.Write(Target("m"), AddOne,
                [&](absl::StatusOr<Written> written) { result = std::move(written); });
  loop_.RunUntilIdle();
  store_.ReleaseEvents();
  loop_.RunUntilIdle();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(IntAt(*ParseJson(result->bytes), {"data", "n"}), 11);
}

TEST_F(WriterTest, ARefusalIsNotMadeOnOldData) {
  store_.hold_events = true;
  store_.Put("/registry/configmaps/default/m", ToJson(Map("m", 1)));
  // The cache knows of no such object; the store does.
  absl::StatusOr<Written> result = absl::UnknownError("not called");
  writer_.Write(Target("m"), AddOne,
                [&](absl::StatusOr<Written> written) { result = std::move(written); });
  loop_.RunUntilIdle();
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(IsReason(Write(Target("none"), AddOne).status(), "NotFound"));
}

TEST_F(WriterTest, WhatChangesNothingWritesNothing) {
  ASSERT_TRUE(Write(Target("m", true), [](const json::object*) -> absl::StatusOr<WritePlan> {
                return WritePlan{.object = Map("m", 1)};
              }).ok());
  const int commits = store_.commits;
  const auto written = Write(Target("m"), [](const json::object* before) {
    return absl::StatusOr<WritePlan>(WritePlan{.object = *before});
  });
  ASSERT_TRUE(written.ok());
  EXPECT_TRUE(written->unchanged);
  EXPECT_EQ(store_.commits, commits);
}

TEST_F(WriterTest, DryRunWritesNothing) {
  WriteTarget target = Target("m", true);
  target.dry_run = true;
  const auto written = Write(target, [](const json::object*) -> absl::StatusOr<WritePlan> {
    return WritePlan{.object = Map("m", 1)};
  });
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(store_.Value("/registry/configmaps/default/m"), "");
}

TEST_F(WriterTest, EveryAddressOnce) {
  ServiceAddresses addresses(cache_, *ServiceRanges::Parse("10.9.0.0/29", "30000-30001"));
  auto create = [&](const std::string& name, std::string_view type) {
    return Write(
        {.resource = "services", .ns = "default", .name = name, .create = true},
        [&](const json::object* before) -> absl::StatusOr<WritePlan> {
          WritePlan plan{.object = {{"apiVersion", "v1"},
                                    {"kind", "Service"},
                                    {"metadata", {{"name", name}, {"namespace", "default"}}},
                                    {"spec",
                                     {{"type", json::string_view(type.data(), type.size())},
                                      {"ports", json::array{json::object{{"port", 80}}}}}}}};
          absl::Status planned = addresses.Plan(before, &plan.object, plan);
          if (!planned.ok()) return planned;
          return plan;
        });
  };
  // Of eight addresses five are free: not the network's, the broadcast's and the API server's.
  std::set<std::string> seen;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    const auto written = create(name, "ClusterIP");
    ASSERT_TRUE(written.ok()) << written.status();
    seen.insert(std::string(StringAt(*ParseJson(written->bytes), {"spec", "clusterIP"})));
  }
  EXPECT_EQ(seen.size(), 5u);
  EXPECT_FALSE(seen.contains("10.9.0.1"));
  EXPECT_FALSE(create("f", "ClusterIP").ok());
  // What is deleted gives its address back.
  ASSERT_TRUE(Write({.resource = "services", .ns = "default", .name = "a"},
                    [&](const json::object* before) -> absl::StatusOr<WritePlan> {
                      WritePlan plan{.what = WritePlan::What::kDelete};
                      absl::Status planned = addresses.Plan(before, nullptr, plan);
                      if (!planned.ok()) return planned;
                      return plan;
                    })
                  .ok());
  const auto port = create("g", "NodePort");
  ASSERT_TRUE(port.ok()) << port.status();
  const json::value g = *ParseJson(port->bytes);
  const int64_t number = IntAt(ArrayAt(g, {"spec", "ports"})[0], {"nodePort"});
  EXPECT_TRUE(number == 30000 || number == 30001) << number;
}

}  // namespace
}  // namespace keel::orchestrator
