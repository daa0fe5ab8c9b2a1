#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kvstore/apply/testing.h"

namespace keel::kvstore {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

using etcdserverpb::Compare;
using etcdserverpb::RangeRequest;
using etcdserverpb::TxnRequest;

RangeRequest Prefix(const std::string& key, const std::string& end) {
  RangeRequest request;
  request.set_key(key);
  request.set_range_end(end);
  return request;
}

std::vector<std::string> Keys(const etcdserverpb::RangeResponse& response) {
  std::vector<std::string> keys;
  for (const auto& kv : response.kvs()) keys.push_back(kv.key());
  return keys;
}

class StateMachineTest : public ::testing::Test {
 protected:
  TempDir dir_;
  TestMachine machine_{dir_ / "store"};
};

TEST_F(StateMachineTest, EmptyStoreIsAtRevisionOne) {
  EXPECT_EQ(machine_->view()->revision(), 1);
  EXPECT_EQ(machine_->view()->compact_revision(), -1);
  EXPECT_EQ(machine_.Get("a"), "(none)");
}

TEST_F(StateMachineTest, PutsCountRevisionsAndVersions) {
  EXPECT_EQ(machine_.Run(PutCommand("a", "1")).revision, 2);
  EXPECT_EQ(machine_.Run(PutCommand("a", "2")).revision, 3);
  const auto response = machine_.Range(Prefix("a", ""));
  ASSERT_TRUE(response.ok());
  ASSERT_EQ(response->kvs_size(), 1);
  EXPECT_EQ(response->count(), 1);
  EXPECT_EQ(response->kvs(0).value(), "2");
  EXPECT_EQ(response->kvs(0).create_revision(), 2);
  EXPECT_EQ(response->kvs(0).mod_revision(), 3);
  EXPECT_EQ(response->kvs(0).version(), 2);
  EXPECT_EQ(machine_.Get("a", 2), "1");
  EXPECT_EQ(machine_.Get("a", 1), "(none)");
}

TEST_F(StateMachineTest, LaterEntriesOfABatchSeeEarlierOnes) {
  auto put = PutCommand("a", "3");
  put.mutable_put()->set_prev_kv(true);
  const auto results =
      machine_.Run(std::vector<kv::Command>{PutCommand("a", "1"), PutCommand("b", "1"),
                                            DeleteCommand("a", "c"), PutCommand("a", "2"), put});
  ASSERT_EQ(results.size(), 5u);
  EXPECT_EQ(TestMachine::Parse<etcdserverpb::DeleteRangeResponse>(results[2].body).deleted(), 2);
  const auto response = TestMachine::Parse<etcdserverpb::PutResponse>(results[4].body);
  EXPECT_EQ(response.prev_kv().value(), "2");
  EXPECT_EQ(response.prev_kv().create_revision(), 5);
  EXPECT_EQ(results[4].revision, 6);
  EXPECT_EQ(machine_.Get("b", 3), "1");
  EXPECT_EQ(machine_.Get("b"), "(none)");
  EXPECT_EQ(machine_.Get("a", 4), "(none)");
}

TEST_F(StateMachineTest, ATransactionComparesWithWhatTheBatchWroteBeforeIt) {
  kv::Command txn;
  auto* compare = txn.mutable_txn()->add_compare();
  compare->set_key("a");
  compare->set_target(Compare::VALUE);
  compare->set_result(Compare::EQUAL);
  compare->set_value("new");
  txn.mutable_txn()->add_success()->mutable_request_put()->set_key("b");
  machine_.Run({PutCommand("a", "old")});
  const auto results = machine_.Run(
      std::vector<kv::Command>{PutCommand("a", "new"), txn, PutCommand("a", "newer"), txn});
  ASSERT_EQ(results.size(), 4u);
  EXPECT_TRUE(TestMachine::Parse<etcdserverpb::TxnResponse>(results[1].body).succeeded());
  EXPECT_FALSE(TestMachine::Parse<etcdserverpb::TxnResponse>(results[3].body).succeeded());
}

TEST_F(StateMachineTest, DeletingNothingMakesNoRevision) {
  const ApplyResult result = machine_.Run(DeleteCommand("a", std::string(1, '\0')));
  EXPECT_TRUE(result.status.ok());
  EXPECT_EQ(result.revision, 1);
  EXPECT_EQ(result.body, "");
}

TEST_F(StateMachineTest, DeleteHandsOutWhatWent) {
  machine_.Run({PutCommand("a", "1"), PutCommand("b", "2"), PutCommand("c", "3")});
  auto command = DeleteCommand("a", "c");
  command.mutable_delete_range()->set_prev_kv(true);
  const auto response =
      TestMachine::Parse<etcdserverpb::DeleteRangeResponse>(machine_.Run(command).body);
  EXPECT_EQ(response.deleted(), 2);
  ASSERT_EQ(response.prev_kvs_size(), 2);
  EXPECT_EQ(response.prev_kvs(0).value(), "1");
  EXPECT_EQ(response.prev_kvs(1).value(), "2");
}

TEST_F(StateMachineTest, RecreatedKeyStartsAnew) {
  machine_.Run(
      {PutCommand("a", "1"), PutCommand("a", "2"), DeleteCommand("a"), PutCommand("a", "3")});
  const auto response = machine_.Range(Prefix("a", ""));
  EXPECT_EQ(response->kvs(0).version(), 1);
  EXPECT_EQ(response->kvs(0).create_revision(), 5);
}

// The shapes below were read off etcd 3.4.23.
TEST_F(StateMachineTest, NestedResponsesCarryEtcdsHeaders) {
  TxnRequest request;
  auto* put = request.add_success()->mutable_request_put();
  put->set_key("a");
  put->set_value("x");
  request.add_success()->mutable_request_range()->set_key("a");
  auto* nested = request.add_success()->mutable_request_txn();
  nested->add_success()->mutable_request_range()->set_key("a");
  nested->add_success()->mutable_request_put()->set_key("b");
  request.add_success()->mutable_request_delete_range()->set_key("q");
  const auto response = machine_.RunTxn(request);
  ASSERT_EQ(response.responses_size(), 4);
  EXPECT_TRUE(response.succeeded());
  EXPECT_EQ(response.responses(0).response_put().header().revision(), 2);
  EXPECT_EQ(response.responses(1).response_range().header().revision(), 2);
  EXPECT_EQ(response.responses(1).response_range().kvs(0).value(), "x");
  EXPECT_EQ(response.responses(1).response_range().kvs(0).mod_revision(), 2);
  const auto& inner = response.responses(2).response_txn();
  EXPECT_TRUE(inner.has_header());
  EXPECT_EQ(inner.header().revision(), 0);
  EXPECT_TRUE(inner.succeeded());
  EXPECT_EQ(inner.responses(0).response_range().count(), 1);
  EXPECT_EQ(inner.responses(1).response_put().header().revision(), 2);
  EXPECT_EQ(response.responses(3).response_delete_range().header().revision(), 2);
  EXPECT_EQ(response.responses(3).response_delete_range().deleted(), 0);
  EXPECT_EQ(machine_->view()->revision(), 2);
}

TEST_F(StateMachineTest, TxnReadsThePastBesideItsOwnWrites) {
  machine_.Run({PutCommand("a", "old"), PutCommand("b", "old")});
  TxnRequest request;
  auto* put = request.add_success()->mutable_request_put();
  put->set_key("a");
  put->set_value("new");
  auto* past = request.add_success()->mutable_request_range();
  *past = Prefix("a", "c");
  past->set_revision(3);
  *request.add_success()->mutable_request_range() = Prefix("a", "c");
  kv::Command txn;
  *txn.mutable_txn() = request;
  // Behind another entry of the same batch.
  auto results = machine_.Run(std::vector<kv::Command>{PutCommand("z", "1"), txn});
  const auto response = TestMachine::Parse<etcdserverpb::TxnResponse>(results[1].body);
  EXPECT_EQ(response.responses(1).response_range().kvs(0).value(), "old");
  EXPECT_EQ(response.responses(1).response_range().header().revision(), 5);
  EXPECT_EQ(response.responses(2).response_range().kvs(0).value(), "new");
  EXPECT_EQ(response.responses(2).response_range().kvs(1).value(), "old");
}

TEST_F(StateMachineTest, TxnWithoutWritesMakesNoRevision) {
  TxnRequest request;
  request.add_success()->mutable_request_range()->set_key("a");
  request.add_success()->mutable_request_delete_range()->set_key("a");
  machine_.RunTxn(request);
  EXPECT_EQ(machine_->view()->revision(), 1);
}

TEST_F(StateMachineTest, PutThenDeleteInSiblingTxnsShareARevision) {
  TxnRequest request;
  request.add_success()->mutable_request_txn()->add_success()->mutable_request_put()->set_key("c");
  request.add_success()
      ->mutable_request_txn()
      ->add_success()
      ->mutable_request_delete_range()
      ->set_key("c");
  RecordingSubscriber subscriber;
  machine_->Subscribe(&subscriber);
  const auto response = machine_.RunTxn(request);
  EXPECT_EQ(response.responses(1).response_txn().responses(0).response_delete_range().deleted(), 1);
  EXPECT_EQ(machine_.Get("c"), "(none)");
  EXPECT_EQ(machine_.Get("c", 2), "(none)");
  ASSERT_EQ(subscriber.revisions.size(), 1u);
  EXPECT_EQ(subscriber.revisions[0].events.size(), 2u);
  ChangeFeed::HistoryOptions options;
  options.key = "c";
  const auto history = machine_->ReadHistory(options);
  ASSERT_TRUE(history.ok()) << history.status();
  ASSERT_EQ(history->revisions.size(), 1u);
  ASSERT_EQ(history->revisions[0].events.size(), 2u);
  EXPECT_EQ(history->revisions[0].events[0].type, Event::Type::kPut);
  EXPECT_EQ(history->revisions[0].events[1].type, Event::Type::kDelete);
}

TEST_F(StateMachineTest, ComparesOnMissingKeys) {
  auto holds = [&](Compare::CompareTarget target, Compare::CompareResult result,
                   bool range = false) {
    TxnRequest request;
    auto* compare = request.add_compare();
    compare->set_key("none");
    if (range) compare->set_range_end("o");
    compare->set_target(target);
    compare->set_result(result);
    if (target == Compare::VALUE) compare->set_value("");
    request.add_failure()->mutable_request_range()->set_key("x");
    return machine_.RunTxn(request).succeeded();
  };
  for (const auto target : {Compare::VERSION, Compare::CREATE, Compare::MOD, Compare::LEASE}) {
    EXPECT_TRUE(holds(target, Compare::EQUAL));
    EXPECT_FALSE(holds(target, Compare::GREATER));
    EXPECT_FALSE(holds(target, Compare::LESS));
    EXPECT_FALSE(holds(target, Compare::NOT_EQUAL));
  }
  for (const auto result : {Compare::EQUAL, Compare::GREATER, Compare::LESS, Compare::NOT_EQUAL}) {
    EXPECT_FALSE(holds(Compare::VALUE, result));
    EXPECT_FALSE(holds(Compare::VALUE, result, /*range=*/true));
  }
}

TEST_F(StateMachineTest, CompareOverARangeHoldsIfItDoesForEachKey) {
  machine_.Run({PutCommand("a", "1"), PutCommand("b", "1")});
  auto holds = [&](int64_t version) {
    TxnRequest request;
    auto* compare = request.add_compare();
    compare->set_key("a");
    compare->set_range_end("c");
    compare->set_target(Compare::VERSION);
    compare->set_version(version);
    return machine_.RunTxn(request).succeeded();
  };
  EXPECT_TRUE(holds(1));
  machine_.Run(PutCommand("b", "2"));
  EXPECT_FALSE(holds(1));
  EXPECT_FALSE(holds(2));
}

TEST_F(StateMachineTest, IgnoreValueAndLeaseKeepWhatIsThere) {
  machine_.Run({GrantCommand(5, 100), PutCommand("a", "1", 5)});
  kv::Command command;
  command.mutable_put()->set_key("a");
  command.mutable_put()->set_ignore_value(true);
  machine_.Run(command);
  auto response = machine_.Range(Prefix("a", ""));
  EXPECT_EQ(response->kvs(0).value(), "1");
  EXPECT_EQ(response->kvs(0).lease(), 0);
  EXPECT_THAT(*machine_->view()->LeaseKeys(5), IsEmpty());

  machine_.Run(PutCommand("a", "2", 5));
  command.Clear();
  command.mutable_put()->set_key("a");
  command.mutable_put()->set_value("3");
  command.mutable_put()->set_ignore_lease(true);
  machine_.Run(command);
  response = machine_.Range(Prefix("a", ""));
  EXPECT_EQ(response->kvs(0).value(), "3");
  EXPECT_EQ(response->kvs(0).lease(), 5);
}

TEST_F(StateMachineTest, CompactionForbidsThePast) {
  machine_.Run({PutCommand("a", "1"), PutCommand("a", "2"), PutCommand("a", "3")});
  EXPECT_TRUE(machine_.Run(CompactCommand(3)).status.ok());
  EXPECT_EQ(machine_.Get("a", 2),
            "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(machine_.Get("a", 3), "2");
  EXPECT_EQ(machine_.Get("a", 9),
            "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision");
  EXPECT_EQ(machine_.Run(CompactCommand(3)).status.message(),
            "etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(machine_.Run(CompactCommand(9)).status.message(),
            "etcdserver: mvcc: required revision is a future revision");
  EXPECT_THAT(machine_.sink.notices, ElementsAre("compacted 3"));
}

TEST_F(StateMachineTest, FeedCarriesEachRevisionOnceWithWhatWasBefore) {
  RecordingSubscriber subscriber;
  EXPECT_EQ(machine_->Subscribe(&subscriber), 1);
  machine_.Run(
      {PutCommand("a", "1"), PutCommand("b", "1"), DeleteCommand("a", "z"), DeleteCommand("x")});
  ASSERT_EQ(subscriber.revisions.size(), 3u);
  const auto& events = subscriber.revisions[2].events;
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].type, Event::Type::kDelete);
  EXPECT_EQ(events[0].kv.key, "a");
  EXPECT_EQ(events[0].kv.mod_revision, 4);
  ASSERT_NE(events[0].prev, nullptr);
  EXPECT_EQ(events[0].prev->value, "1");
  machine_->Unsubscribe(&subscriber);
  machine_.Run(PutCommand("a", "1"));
  EXPECT_EQ(subscriber.revisions.size(), 3u);
}

TEST_F(StateMachineTest, DamagedCommandsAreRefusedNotFatal) {
  std::vector<raft::CommittedEntry> entries(3);
  const std::string bytes[] = {"garbage", std::string("\x08\x01\x10\x07", 4),
                               std::string("\x08\x03\x10\x07\xfa\x01\x00", 7)};
  for (size_t i = 0; i < entries.size(); ++i) {
    entries[i].entry.term = 1;
    entries[i].entry.index = i + 1;
    entries[i].entry.data = std::make_shared<const std::string>(bytes[i]);
  }
  const auto results = machine_.Run(entries);
  ASSERT_EQ(results.size(), 2u);  // the first names no proposer
  EXPECT_EQ(results[0].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(results[1].status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(machine_->view()->applied_index(), 3u);
  EXPECT_EQ(machine_->view()->revision(), 1);
}

TEST_F(StateMachineTest, ResultsOfOthersProposalsStayTheirs) {
  auto entry = TestMachine::Entry(1, PutCommand("a", "1"));
  kv::Command command = PutCommand("a", "1");
  command.set_id(1);
  command.set_proposer(TestMachine::kMember + 1);
  entry.entry.data = std::make_shared<const std::string>(command.SerializeAsString());
  EXPECT_THAT(machine_.Run(std::vector<raft::CommittedEntry>{entry}), IsEmpty());
  EXPECT_EQ(machine_.Get("a"), "1");
}

TEST_F(StateMachineTest, ViewsStayAsTheyWere) {
  machine_.Run(PutCommand("a", "1"));
  const auto view = machine_->view();
  machine_.Run({PutCommand("a", "2"), PutCommand("b", "1")});
  std::string body;
  ASSERT_TRUE(AppendRange(*view, Prefix("a", "z"), &body).ok());
  const auto response = TestMachine::Parse<etcdserverpb::RangeResponse>(body);
  EXPECT_THAT(Keys(response), ElementsAre("a"));
  EXPECT_EQ(response.kvs(0).value(), "1");
  EXPECT_EQ(view->revision(), 2);
}

TEST_F(StateMachineTest, KeysWithZeroBytesKeepTheirOrder) {
  const std::string keys[] = {std::string("a"),        std::string("a\0", 2),
                              std::string("a\0\0", 3), std::string("a\0\x01", 3),
                              std::string("a\x01"),    std::string("b")};
  for (const auto& key : keys) machine_.Run(PutCommand(key, "1"));
  const int64_t revision = machine_->view()->revision();
  for (const auto& key : keys) machine_.Run(PutCommand(key, "2"));
  RangeRequest request = Prefix(std::string(1, '\0'), std::string(1, '\0'));
  request.set_revision(revision);
  EXPECT_THAT(Keys(*machine_.Range(request)), ::testing::ElementsAreArray(keys));
  request = Prefix("a", std::string("a\0\x01", 3));
  request.set_revision(revision);
  EXPECT_THAT(Keys(*machine_.Range(request)), ElementsAre(keys[0], keys[1], keys[2]));
}

}  // namespace
}  // namespace keel::kvstore
