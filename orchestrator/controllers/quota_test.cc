#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "orchestrator/api/quota_usage.h"
#include "orchestrator/controllers/quota_controller.h"
#include "orchestrator/controllers/quota_reconcile.h"
#include "orchestrator/controllers/testing/controller_rig.h"

namespace keel::orchestrator {
namespace {

const Resource kQuotas{"", "v1", "resourcequotas"};

struct World {
  json::object quota;
  std::map<std::string, QuotaObjects, std::less<>> objects;
  std::map<std::string, std::shared_ptr<const json::object>> parts;

  explicit World(std::string_view hard, std::string_view more = "") {
    quota = ParseJson(base::StrCat(R"({"spec":{"hard":)", hard, more, "}}"))->as_object();
  }
  void Put(const std::string& resource, const std::string& name, const std::string& text) {
    auto& part = parts[text];
    if (part == nullptr) {
      part = std::make_shared<const json::object>(QuotaPart(ParseJson(text)->as_object()));
    }
    objects[resource][name] = part;
  }
  // The status's "used" as text; "same" when nothing is to be written.
  std::string Used() {
    const auto status = ReconcileQuota(
        {.quota = quota, .counted = [this](std::string_view resource) -> const QuotaObjects* {
           const auto found = objects.find(resource);
           return found == objects.end() ? nullptr : &found->second;
         }});
    if (!status.has_value()) return "same";
    quota["status"] = *status;
    EXPECT_EQ(status->at("hard"), quota["spec"].as_object()["hard"]);
    return ToJson(status->at("used"));
  }
};

std::string Pod(std::string_view resources, std::string_view phase = "Running") {
  return base::StrCat(R"({"spec":{"containers":[{"name":"c","resources":)", resources,
                      R"(}]},"status":{"phase":")", phase, R"("}})");
}

TEST(Quota, CountsPodsAndWhatTheyAskFor) {
  World w(R"({"pods":"10","requests.cpu":"4","limits.memory":"8Gi","memory":"1Gi"})");
  const std::string pod =
      Pod(R"({"requests":{"cpu":"300m","memory":"1Mi"},"limits":{"memory":"512Mi"}})");
  for (int i = 0; i < 5; ++i) w.Put("pods", base::StrCat("p", i), pod);
  w.Put("pods", "small", Pod(R"({"requests":{"cpu":"1"}})"));
  w.Put("pods", "ended", Pod(R"({"requests":{"cpu":"1"}})", "Succeeded"));
  EXPECT_EQ(w.Used(), R"({"pods":"6","requests.cpu":"2500m","limits.memory":"2560Mi",)"
                      R"("memory":"5Mi"})");
  EXPECT_EQ(w.Used(), "same");
  // Another spelling of the same is the same.
  *Ensure(w.quota, {"status", "used", "requests.cpu"}) = "2.5";
  EXPECT_EQ(w.Used(), "same");
  w.objects["pods"].erase("small");
  EXPECT_EQ(w.Used(), R"({"pods":"5","requests.cpu":"1500m","limits.memory":"2560Mi",)"
                      R"("memory":"5Mi"})");
  // What is not bounded any more is not told.
  w.quota["spec"] = *ParseJson(R"({"hard":{"pods":"3"}})");
  EXPECT_EQ(w.Used(), R"({"pods":"5"})");
}

TEST(Quota, CountsOtherObjects) {
  World w(R"({"services":"1","services.nodeports":"2","requests.storage":"1Gi","secrets":"5",
      "gold.storageclass.storage.k8s.io/persistentvolumeclaims":"1","count/jobs.batch":"2",
      "count/pods":"4","count/nothing.example.com":"1","bananas":"7"})");
  w.Put("services", "a", R"({"spec":{"type":"NodePort","ports":[{"port":1},{"port":2}]}})");
  w.Put("services", "b", R"({"spec":{"type":"ClusterIP","ports":[{"port":1}]}})");
  w.Put("persistentvolumeclaims", "c",
        R"({"spec":{"storageClassName":"gold","resources":{"requests":{"storage":"1Gi"}}}})");
  w.Put("jobs.batch", "j", "{}");
  w.Put("jobs.batch", "k", "{}");
  w.Put("pods", "ended", Pod("{}", "Failed"));
  w.objects["secrets"];
  EXPECT_EQ(w.Used(), R"({"services":"2","services.nodeports":"2","requests.storage":"1Gi",)"
                      R"("secrets":"0",)"
                      R"("gold.storageclass.storage.k8s.io/persistentvolumeclaims":"1",)"
                      R"("count/jobs.batch":"2","count/pods":"1"})");
}

TEST(Quota, KeepsToItsScopes) {
  World w(R"({"pods":"5"})", R"(,"scopes":["BestEffort","NotTerminating"])");
  w.Put("pods", "a", Pod("{}"));
  w.Put("pods", "b", Pod(R"({"requests":{"cpu":"1"}})"));
  w.Put("pods", "c", R"({"spec":{"activeDeadlineSeconds":5,"containers":[{"name":"c"}]}})");
  EXPECT_EQ(w.Used(), R"({"pods":"1"})");
}

class QuotaShell : public ::testing::Test {
 protected:
  QuotaShell() {
    for (const char* name : {"a", "b"}) PutPod(name);
    rig.Start(controller);
  }
  void PutPod(std::string_view name) {
    rig.api.Put(kPods, base::StrCat(R"({"metadata":{"name":")", name, R"(","namespace":"d"},)",
                                    R"("spec":{"containers":[{"name":"c","resources":)",
                                    R"({"requests":{"cpu":"100m"}}}]}})"));
  }
  void PutQuota(std::string_view hard) {
    rig.api.Put(kQuotas, base::StrCat(R"({"metadata":{"name":"q","namespace":"d"},"spec":)",
                                      R"({"hard":)", hard, "}}"));
    rig.Settle();
  }
  std::string Used() {
    return ToJson(ObjectAt(*rig.api.Stored(kQuotas, "d", "q"), {"status", "used"}));
  }

  ControllerRig rig;
  QuotaController controller{rig.context};
};

TEST_F(QuotaShell, FollowsWhatComesEndsAndGoes) {
  EXPECT_EQ(rig.api.Count("list", "secrets"), 0U) << "nothing is watched that no quota bounds";
  PutQuota(R"({"pods":"10","requests.cpu":"1","secrets":"1"})");
  EXPECT_EQ(Used(), R"({"pods":"2","requests.cpu":"200m","secrets":"0"})");
  PutPod("c");
  rig.api.Put({"", "v1", "pods"}, R"({"metadata":{"name":"x","namespace":"other"}})");
  rig.api.Put({"", "v1", "secrets"}, R"({"metadata":{"name":"s","namespace":"d"}})");
  rig.Settle();
  EXPECT_EQ(Used(), R"({"pods":"3","requests.cpu":"300m","secrets":"1"})");
  rig.SetPhase(*rig.api.Stored(kPods, "d", "a"), "Succeeded");
  rig.api.Erase(kPods, "d", "b");
  rig.Settle();
  EXPECT_EQ(Used(), R"({"pods":"1","requests.cpu":"100m","secrets":"1"})");
  const size_t patches = rig.api.Count("patch", "resourcequotas");
  rig.SetPhase(*rig.api.Stored(kPods, "d", "c"), "Running");
  rig.Settle();
  EXPECT_EQ(rig.api.Count("patch", "resourcequotas"), patches) << "nothing that counts changed";
}

TEST_F(QuotaShell, LeavesAnAdditionAloneUntilTheObjectIsSeen) {
  PutQuota(R"({"pods":"10"})");
  EXPECT_EQ(Used(), R"({"pods":"2"})");
  // The API server counts a creation that the cache of pods has not seen.
  rig.api.Edit(kQuotas, "d", "q", [](json::object& quota) {
    *Ensure(quota, {"status", "used", "pods"}) = "3";
  });
  rig.Settle(std::chrono::seconds(3));
  EXPECT_EQ(Used(), R"({"pods":"3"})");
  PutPod("c");
  rig.Settle();
  EXPECT_EQ(Used(), R"({"pods":"3"})");
  // One that nothing comes of is taken back.
  rig.api.Edit(kQuotas, "d", "q", [](json::object& quota) {
    *Ensure(quota, {"status", "used", "pods"}) = "9";
  });
  rig.Settle(std::chrono::seconds(7));
  EXPECT_EQ(Used(), R"({"pods":"3"})");
}

TEST_F(QuotaShell, WritesOnlyWhatItRead) {
  PutQuota(R"({"pods":"10"})");
  rig.api.fail = [this, done = false](const FakeApi::Request& request) mutable {
    if (request.verb == "patch" && !std::exchange(done, true)) {
      rig.api.Edit(kQuotas, "d", "q", [](json::object& quota) {
        *Ensure(quota, {"metadata", "labels", "touched"}) = "yes";
      });
    }
    return absl::OkStatus();
  };
  PutPod("c");
  rig.Settle(std::chrono::milliseconds(300));
  EXPECT_EQ(Used(), R"({"pods":"2"})") << "refused: it had changed";
  rig.Settle();
  EXPECT_EQ(Used(), R"({"pods":"3"})");
}

TEST_F(QuotaShell, FindsKindsThatComeLater) {
  PutQuota(R"({"pods":"10","count/things.example.com":"2"})");
  EXPECT_EQ(Used(), R"({"pods":"2"})");
  rig.api.Put({"example.com", "v1", "things"}, R"({"metadata":{"name":"t","namespace":"d"}})");
  rig.Settle(std::chrono::seconds(31));
  EXPECT_EQ(Used(), R"({"pods":"2","count/things.example.com":"1"})");
}

}  // namespace
}  // namespace keel::orchestrator
