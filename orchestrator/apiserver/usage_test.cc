#include "orchestrator/apiserver/usage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

using testing::ElementsAre;

std::vector<std::string> Used(std::string_view annotations, std::string_view spec) {
  const json::value pod = *ParseJson(
      base::StrCat(R"({"metadata":{"annotations":{)", annotations, R"(}},"spec":{)", spec, "}}"));
  std::vector<std::string> out;
  for (const ContainerUsage& used : HollowUsage().OfPod(pod.as_object())) {
    out.push_back(
        base::StrCat(used.name, " ", used.usage.cpu.ToString(), " ", used.usage.memory.ToString()));
  }
  return out;
}

std::string Container(std::string_view name, std::string_view requests,
                      std::string_view more = "") {
  return base::StrCat(R"({"name":")", name, R"(")", more, R"(,"resources":{"requests":{)", requests,
                      "}}}");
}

CachedObject NodeWith(std::vector<std::pair<std::string, std::string>> labels) {
  CachedObject node;
  node.facts = std::make_shared<const ObjectFacts>(ObjectFacts{.labels = std::move(labels)});
  return node;
}

TEST(HollowUsageTest, ContainersUseHalfOfWhatTheyRequestOrALittle) {
  EXPECT_THAT(
      Used("", R"("containers":[)" + Container("a", R"("cpu":"100m","memory":"64Mi")") + "," +
                   Container("b", R"("cpu":1)") + "," + Container("c", R"("cpu":"1m")") + "]"),
      ElementsAre("a 50m 32Mi", "b 500m 8Mi", "c 1m 8Mi"));
  EXPECT_THAT(Used("", R"("containers":[{"name":"a"}])"), ElementsAre("a 1m 8Mi"));
}

TEST(HollowUsageTest, AnnotationsSayWhatThePodUses) {
  const std::string two = R"("containers":[)" + Container("a", R"("cpu":"100m")") + "," +
                          Container("b", R"("cpu":"100m","memory":"64Mi")") + "]";
  EXPECT_THAT(Used(R"("keel.io/hollow-cpu":"251m")", two),
              ElementsAre("a 126m 8Mi", "b 125m 32Mi"));
  EXPECT_THAT(Used(R"("keel.io/hollow-cpu":"0","keel.io/hollow-memory":"1Gi")", two),
              ElementsAre("a 0 512Mi", "b 0 512Mi"));
  // What is no amount says nothing.
  EXPECT_THAT(Used(R"("keel.io/hollow-cpu":"much","keel.io/hollow-memory":"-1Gi")", two),
              ElementsAre("a 50m 8Mi", "b 50m 32Mi"));
}

TEST(HollowUsageTest, SidecarsRunOnAndOtherInitContainersDoNot) {
  EXPECT_THAT(Used("", R"("containers":[{"name":"a"}],"initContainers":[)" +
                           Container("once", R"("cpu":"1")") + "," +
                           Container("side", R"("cpu":"1")", R"(,"restartPolicy":"Always")") + "]"),
              ElementsAre("a 1m 8Mi", "side 500m 8Mi"));
}

TEST(HollowUsageTest, KnowsHollowNodesAlone) {
  const HollowUsage source;
  const CachedObject hollow = NodeWith({{"a", "b"}, {"node.keel.io/runtime", "hollow"}});
  EXPECT_TRUE(source.Knows(hollow));
  EXPECT_FALSE(source.Knows(NodeWith({{"node.keel.io/runtime", "other"}})));
  EXPECT_FALSE(source.Knows(NodeWith({})));
  Usage pods;
  pods += {.cpu = *Quantity::Parse("1"), .memory = *Quantity::Parse("1Gi")};
  pods += {.cpu = *Quantity::Parse("500m"), .memory = *Quantity::Parse("1Mi")};
  EXPECT_EQ(ToJson(source.OfNode(hollow, pods).ToJson()), R"({"cpu":"1520m","memory":"1153Mi"})");
  // Sums beyond what fits are cut, not wrapped.
  pods += {.cpu = *Quantity::Parse("9E"), .memory = *Quantity::Parse("7Ei")};
  pods += {.cpu = *Quantity::Parse("9E"), .memory = *Quantity::Parse("7Ei")};
  EXPECT_GT(pods.cpu.Value(), int64_t{1} << 62);
  EXPECT_GT(pods.memory.Value(), int64_t{1} << 62);
}

TEST(UsageTest, OnlyPodsThatRunAndAreReadyCount) {
  auto counts = [](std::string_view status) {
    return RunsAndIsReady(ParseJson(base::StrCat(R"({"status":{)", status, "}}"))->as_object());
  };
  EXPECT_TRUE(counts(R"("phase":"Running","conditions":[{"type":"Initialized","status":"True"},
                     {"type":"Ready","status":"True"}])"));
  EXPECT_FALSE(counts(R"("phase":"Running","conditions":[{"type":"Ready","status":"False"}])"));
  EXPECT_FALSE(counts(R"("phase":"Succeeded","conditions":[{"type":"Ready","status":"True"}])"));
  EXPECT_FALSE(counts(R"("phase":"Running")"));
  EXPECT_FALSE(counts(""));
}

}  // namespace
}  // namespace keel::orchestrator
