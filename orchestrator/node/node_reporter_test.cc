#include "orchestrator/node/node_reporter.h"

#include <gtest/gtest.h>

#include "base/manual_loop.h"
#include "orchestrator/client/testing/fake_api.h"

namespace keel::orchestrator {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const Resource kNodes{"", "v1", "nodes"};
const Resource kLeases{"coordination.k8s.io", "v1", "leases"};

class NodeReporterTest : public testing::Test {
 protected:
  void Start(uint32_t count) {
    nodes_.emplace(NodeSetOptions{.count = count});
    reporter_.emplace(
        api_, *nodes_, [this] { return api_.now(); }, NodeReporterOptions{},
        [this](uint32_t node) { changed_.push_back(node); });
    reporter_->Start([this] { registered_ = true; });
    loop_.RunUntilIdle();
  }
  std::string RenewTime(const std::string& node) {
    const json::object* lease = api_.Stored(kLeases, "kube-node-lease", node);
    return lease == nullptr ? "" : std::string(StringAt(*lease, {"spec", "renewTime"}));
  }
  std::string Heartbeat(const std::string& node) {
    const json::object* object = api_.Stored(kNodes, "", node);
    if (object == nullptr) return "";
    const json::array& conditions = ArrayAt(*object, {"status", "conditions"});
    return conditions.empty() ? "" : std::string(StringAt(conditions[3], {"lastHeartbeatTime"}));
  }
  size_t Requests(std::string_view verb, std::string_view plural) {
    return api_.Count(verb, plural);
  }

  base::ManualLoop loop_;
  FakeApi api_{loop_};
  std::optional<NodeSet> nodes_;
  std::optional<NodeReporter> reporter_;
  std::vector<uint32_t> changed_;
  bool registered_ = false;
};

TEST_F(NodeReporterTest, RegistersAllNodesWithLeasesThatBelongToThem) {
  Start(50);
  EXPECT_TRUE(registered_);
  EXPECT_EQ(api_.All(kNodes).size(), 50u);
  const std::vector<json::object> leases = api_.All(kLeases, "kube-node-lease");
  ASSERT_EQ(leases.size(), 50u);
  const json::object* node = api_.Stored(kNodes, "", "hollow-7");
  ASSERT_NE(node, nullptr);
  EXPECT_FALSE(Heartbeat("hollow-7").empty());
  const json::object* lease = api_.Stored(kLeases, "kube-node-lease", "hollow-7");
  ASSERT_NE(lease, nullptr);
  EXPECT_EQ(IntAt(*lease, {"spec", "leaseDurationSeconds"}), 40);
  const json::array& owners = ArrayAt(*lease, {"metadata", "ownerReferences"});
  ASSERT_EQ(owners.size(), 1u);
  EXPECT_EQ(StringAt(owners[0], {"uid"}), StringAt(*node, {"metadata", "uid"}));
}

TEST_F(NodeReporterTest, RenewsEachLeaseOnceAPeriodSpreadEvenly) {
  Start(100);
  api_.requests.clear();
  loop_.Advance(seconds(1));
  EXPECT_NEAR(static_cast<double>(Requests("patch", "leases")), 10, 1);
  loop_.Advance(seconds(99));
  EXPECT_NEAR(static_cast<double>(Requests("patch", "leases")), 1000, 2);
  EXPECT_NEAR(static_cast<double>(Requests("patch", "nodes")), 33, 2);
}

TEST_F(NodeReporterTest, TakesOverNodesThatAreThereAndSaysThatTheyAreReady) {
  Start(3);
  api_.Edit(kNodes, "", "hollow-1", [](json::object& node) {
    *Ensure(node, {"spec", "unschedulable"}) = true;
    Ensure(node, {"status", "conditions"})->as_array()[3].as_object()["status"] = "Unknown";
  });
  reporter_.reset();
  registered_ = false;
  Start(3);
  EXPECT_TRUE(registered_);
  const json::object* node = api_.Stored(kNodes, "", "hollow-1");
  EXPECT_TRUE(BoolAt(*node, {"spec", "unschedulable"}));
  EXPECT_EQ(StringAt(ArrayAt(*node, {"status", "conditions"})[3], {"status"}), "True");
}

TEST_F(NodeReporterTest, ADeletedNodeStaysAway) {
  Start(3);
  api_.Erase(kNodes, "", "hollow-1");
  api_.Erase(kLeases, "kube-node-lease", "hollow-1");
  loop_.Advance(minutes(1));
  EXPECT_EQ(api_.All(kNodes).size(), 2u);
  EXPECT_EQ(api_.All(kLeases, "kube-node-lease").size(), 2u);
  EXPECT_EQ(changed_, std::vector<uint32_t>{1});
}

TEST_F(NodeReporterTest, ALeaseThatIsDeletedComesBack) {
  Start(3);
  api_.Erase(kLeases, "kube-node-lease", "hollow-1");
  loop_.Advance(seconds(15));
  EXPECT_FALSE(RenewTime("hollow-1").empty());
}

TEST_F(NodeReporterTest, ANodeWithTheLabelPlaysDeadUntilItGoes) {
  Start(3);
  const auto label = [this](bool down) {
    api_.Edit(kNodes, "", "hollow-1", [down](json::object& node) {
      if (down) {
        *Ensure(node, {"metadata", "labels", kDownLabel}) = "true";
      } else {
        Remove(node, {"metadata", "labels", kDownLabel});
      }
    });
    loop_.RunUntilIdle();
  };
  label(true);
  EXPECT_TRUE(nodes_->at(1).down);
  const std::string before = RenewTime("hollow-1"), beat = Heartbeat("hollow-1");
  const std::string other = RenewTime("hollow-2");
  loop_.Advance(minutes(10));
  EXPECT_EQ(RenewTime("hollow-1"), before);
  EXPECT_EQ(Heartbeat("hollow-1"), beat);
  EXPECT_NE(RenewTime("hollow-2"), other);
  label(false);
  EXPECT_FALSE(nodes_->at(1).down);
  EXPECT_NE(RenewTime("hollow-1"), before);
  EXPECT_NE(Heartbeat("hollow-1"), beat);  // It was away for longer than its lease.
  EXPECT_EQ(changed_, (std::vector<uint32_t>{1, 1}));
}

TEST_F(NodeReporterTest, SaysReadyAgainWhenTheApiWasAwayForLong) {
  Start(3);
  api_.fail = [](const FakeApi::Request&) { return Unavailable("away"); };
  loop_.Advance(minutes(2));
  const std::string beat = Heartbeat("hollow-1");
  api_.fail = nullptr;
  loop_.Advance(seconds(15));
  EXPECT_NE(Heartbeat("hollow-1"), beat);
}

}  // namespace
}  // namespace keel::orchestrator
