// Leases, members, alarms, and the text of every refusal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kvstore/apply/check.h"
#include "kvstore/apply/testing.h"

namespace keel::kvstore {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using etcdserverpb::AlarmRequest;
using etcdserverpb::TxnRequest;

class RulesTest : public ::testing::Test {
 protected:
  std::string Refusal(const kv::Command& command) {
    const int64_t before = machine_->view()->revision();
    const ApplyResult result = machine_.Run(command);
    EXPECT_FALSE(result.status.ok());
    EXPECT_EQ(result.body, "");
    EXPECT_EQ(result.revision, before);
    return result.status.ToString();
  }
  std::string Refusal(const TxnRequest& request) {
    kv::Command command;
    *command.mutable_txn() = request;
    return Refusal(command);
  }

  TempDir dir_;
  TestMachine machine_{dir_ / "store", false, {{1, "", {"http://a:1"}, {}, false}}};
};

etcdserverpb::RequestOp PutOp(const std::string& key) {
  etcdserverpb::RequestOp op;
  op.mutable_request_put()->set_key(key);
  return op;
}
etcdserverpb::RequestOp DeleteOp(const std::string& key, const std::string& end = "") {
  etcdserverpb::RequestOp op;
  op.mutable_request_delete_range()->set_key(key);
  op.mutable_request_delete_range()->set_range_end(end);
  return op;
}
etcdserverpb::RequestOp RangeOp(const std::string& key, int64_t revision) {
  etcdserverpb::RequestOp op;
  op.mutable_request_range()->set_key(key);
  op.mutable_request_range()->set_revision(revision);
  return op;
}
using Ops = std::vector<etcdserverpb::RequestOp>;
TxnRequest Txn(const Ops& success, const Ops& failure = {}) {
  TxnRequest request;
  for (const auto& op : success) *request.add_success() = op;
  for (const auto& op : failure) *request.add_failure() = op;
  return request;
}
etcdserverpb::RequestOp TxnOp(const Ops& success, const Ops& failure = {}) {
  etcdserverpb::RequestOp op;
  *op.mutable_request_txn() = Txn(success, failure);
  return op;
}

// ---- refusals

TEST_F(RulesTest, PutsAreRefusedWithEtcdsTexts) {
  EXPECT_EQ(Refusal(PutCommand("", "x")), "INVALID_ARGUMENT: etcdserver: key is not provided");
  EXPECT_EQ(Refusal(PutCommand("a", "x", 77)), "NOT_FOUND: etcdserver: requested lease not found");
  kv::Command command = PutCommand("a", "x");
  command.mutable_put()->set_ignore_value(true);
  EXPECT_EQ(Refusal(command), "INVALID_ARGUMENT: etcdserver: value is provided");
  command.mutable_put()->clear_value();
  EXPECT_EQ(Refusal(command), "INVALID_ARGUMENT: etcdserver: key not found");
  command = PutCommand("a", "x", 77);
  command.mutable_put()->set_ignore_lease(true);
  EXPECT_EQ(Refusal(command), "INVALID_ARGUMENT: etcdserver: lease is provided");
  command.mutable_put()->clear_lease();
  EXPECT_EQ(Refusal(command), "INVALID_ARGUMENT: etcdserver: key not found");
  EXPECT_EQ(Refusal(DeleteCommand("")), "INVALID_ARGUMENT: etcdserver: key is not provided");
}

TEST_F(RulesTest, TransactionsAreRefusedWithEtcdsTexts) {
  EXPECT_EQ(Refusal(Txn({PutOp("")})), "INVALID_ARGUMENT: etcdserver: key is not provided");
  EXPECT_EQ(Refusal(Txn({{}})), "INVALID_ARGUMENT: etcdserver: key not found");
  TxnRequest compare;
  compare.add_compare();
  EXPECT_EQ(Refusal(compare), "INVALID_ARGUMENT: etcdserver: key is not provided");
  EXPECT_EQ(Refusal(Txn({PutOp("a"), RangeOp("a", 1000)})),
            "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision");
  EXPECT_EQ(Refusal(Txn({PutOp("a"), RangeOp("a", 2)})),
            "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision");
  EXPECT_EQ(Refusal(Txn({RangeOp("a", -5)})),
            "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted");
  etcdserverpb::RequestOp leased = PutOp("a");
  leased.mutable_request_put()->set_lease(77);
  EXPECT_EQ(Refusal(Txn({PutOp("b"), leased})), "NOT_FOUND: etcdserver: requested lease not found");
  // In a transaction the key is looked for before the lease.
  leased.mutable_request_put()->set_ignore_value(true);
  EXPECT_EQ(Refusal(Txn({PutOp("b"), leased})), "INVALID_ARGUMENT: etcdserver: key not found");
  etcdserverpb::RequestOp sorted = RangeOp("a", 0);
  sorted.mutable_request_range()->set_sort_order(
      static_cast<etcdserverpb::RangeRequest::SortOrder>(7));
  EXPECT_EQ(Refusal(Txn({sorted})), "INVALID_ARGUMENT: etcdserver: invalid sort option");
  // Nothing of a refused transaction has happened.
  EXPECT_EQ(machine_.Get("a"), "(none)");
  EXPECT_EQ(machine_.Get("b"), "(none)");
}

TEST_F(RulesTest, NoKeyIsWrittenTwiceOnOnePath) {
  const std::string duplicate = "INVALID_ARGUMENT: etcdserver: duplicate key given in txn request";
  EXPECT_EQ(Refusal(Txn({PutOp("d"), PutOp("d")})), duplicate);
  EXPECT_EQ(Refusal(Txn({PutOp("d"), DeleteOp("d")})), duplicate);
  EXPECT_EQ(Refusal(Txn({PutOp("d"), DeleteOp("a", "z")})), duplicate);
  EXPECT_EQ(Refusal(Txn({}, {PutOp("d"), PutOp("d")})), duplicate);
  EXPECT_EQ(Refusal(Txn({DeleteOp("d"), TxnOp({PutOp("d")}, {PutOp("d")})})), duplicate);
  EXPECT_EQ(Refusal(Txn({TxnOp({DeleteOp("d")}), TxnOp({PutOp("d")})})), duplicate);
  EXPECT_EQ(Refusal(Txn({TxnOp({PutOp("d")}), PutOp("d")})), duplicate);
  // What etcd 3.4.23 lets pass.
  for (const TxnRequest& fine :
       {Txn({PutOp("d")}, {PutOp("d")}), Txn({DeleteOp("d"), DeleteOp("a", "z")}),
        Txn({TxnOp({PutOp("d")}, {PutOp("d")})}), Txn({TxnOp({DeleteOp("d")}, {PutOp("d")})}),
        Txn({TxnOp({PutOp("d")}), TxnOp({DeleteOp("d")})})}) {
    EXPECT_TRUE(CheckTxn(fine, 0).ok()) << fine.DebugString();
  }
}

TEST_F(RulesTest, OperationsAreCountedPerLevelAndDownwards) {
  const Ops three{PutOp("a"), PutOp("b"), PutOp("c")};
  EXPECT_TRUE(CheckTxn(Txn(three, three), 3).ok());
  EXPECT_EQ(CheckTxn(Txn(three), 2).ToString(),
            "INVALID_ARGUMENT: etcdserver: too many operations in txn request");
  // The nested one gets what the outer one leaves.
  EXPECT_TRUE(CheckTxn(Txn({TxnOp(three)}), 4).ok());
  EXPECT_FALSE(CheckTxn(Txn({TxnOp(three)}), 3).ok());
}

// ---- leases

TEST_F(RulesTest, LeasesAreRefusedWithEtcdsTexts) {
  EXPECT_TRUE(machine_.Run(GrantCommand(5, 100)).status.ok());
  EXPECT_EQ(Refusal(GrantCommand(5, 100)), "FAILED_PRECONDITION: etcdserver: lease already exists");
  EXPECT_EQ(Refusal(GrantCommand(6, 9'000'000'001)),
            "OUT_OF_RANGE: etcdserver: too large lease TTL");
  EXPECT_EQ(Refusal(RevokeCommand(999)), "NOT_FOUND: etcdserver: requested lease not found");
  kv::Command checkpoint;
  checkpoint.mutable_lease_checkpoint()->add_checkpoints()->set_id(999);
  EXPECT_EQ(Refusal(checkpoint), "NOT_FOUND: etcdserver: requested lease not found");
}

TEST_F(RulesTest, GrantAnswersWithIdAndTimeToLive) {
  const auto response = TestMachine::Parse<etcdserverpb::LeaseGrantResponse>(
      machine_.Run(GrantCommand(-5, 100)).body);
  EXPECT_EQ(response.id(), -5);
  EXPECT_EQ(response.ttl(), 100);
  EXPECT_THAT(machine_->leases().List(), ElementsAre(Lease{-5, 100, 0}));
  EXPECT_THAT(machine_.sink.notices, ElementsAre("granted -5"));
}

TEST_F(RulesTest, RevokeDeletesItsKeysInOneRevisionAndOrder) {
  RecordingSubscriber subscriber;
  machine_->Subscribe(&subscriber);
  const auto results = machine_.Run(std::vector<kv::Command>{
      GrantCommand(5, 100), PutCommand("c", "1", 5), PutCommand("a", "1", 5), PutCommand("b", "1"),
      PutCommand("moved", "1", 5), PutCommand("moved", "2"), PutCommand("gone", "1", 5),
      DeleteCommand("gone"), RevokeCommand(5)});
  for (const auto& result : results) EXPECT_TRUE(result.status.ok()) << result.status;
  ASSERT_EQ(subscriber.revisions.size(), 8u);
  const auto& events = subscriber.revisions.back().events;
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kv.key, "a");
  EXPECT_EQ(events[1].kv.key, "c");
  EXPECT_EQ(events[0].type, Event::Type::kDelete);
  EXPECT_EQ(events[1].kv.mod_revision, subscriber.revisions.back().revision);
  EXPECT_EQ(machine_.Get("moved"), "2");
  EXPECT_EQ(machine_.Get("b"), "1");
  EXPECT_THAT(machine_->leases().List(), IsEmpty());
  EXPECT_THAT(*machine_->view()->LeaseKeys(5), IsEmpty());
  EXPECT_THAT(machine_.sink.notices, ElementsAre("granted 5", "revoked 5"));
}

TEST_F(RulesTest, RevokingALeaseWithoutKeysMakesNoRevision) {
  machine_.Run(GrantCommand(5, 100));
  EXPECT_EQ(machine_.Run(RevokeCommand(5)).revision, 1);
}

// A leader that was paused proposes on waking what it had decided; its successor may have renewed
// the lease since. Entries of these tests are of term 1.
TEST_F(RulesTest, WhatALeaderDecidedIsVoidInAnotherTerm) {
  machine_.Run({GrantCommand(5, 100), PutCommand("a", "1", 5)});
  kv::Command revoke = RevokeCommand(5);
  kv::Command checkpoint;
  checkpoint.mutable_lease_checkpoint()->add_checkpoints()->set_id(5);
  checkpoint.mutable_lease_checkpoint()->mutable_checkpoints(0)->set_remaining_ttl(40);
  for (const uint64_t term : {2, 7}) {
    revoke.set_only_in_term(term);
    checkpoint.set_only_in_term(term);
    const ApplyResult refused = machine_.Run(revoke);
    EXPECT_TRUE(absl::IsFailedPrecondition(refused.status)) << refused.status;
    EXPECT_EQ(refused.revision, 2);
    EXPECT_FALSE(machine_.Run(checkpoint).status.ok());
  }
  EXPECT_EQ(machine_.Get("a"), "1");
  EXPECT_EQ(machine_->leases().Find(5)->remaining_ttl, 0);
  checkpoint.set_only_in_term(1);
  EXPECT_TRUE(machine_.Run(checkpoint).status.ok());
  EXPECT_EQ(machine_->leases().Find(5)->remaining_ttl, 40);
  revoke.set_only_in_term(1);
  EXPECT_TRUE(machine_.Run(revoke).status.ok());
  EXPECT_FALSE(machine_->leases().Find(5).has_value());
}

TEST_F(RulesTest, KeysMoveFromLeaseToLease) {
  machine_.Run({GrantCommand(5, 100), GrantCommand(6, 100), PutCommand("a", "1", 5),
                PutCommand("a", "2", 6), PutCommand("b", "1", 6)});
  EXPECT_THAT(*machine_->view()->LeaseKeys(5), IsEmpty());
  EXPECT_THAT(*machine_->view()->LeaseKeys(6), ElementsAre("a", "b"));
  machine_.Run(RevokeCommand(5));
  EXPECT_EQ(machine_.Get("a"), "2");
}

TEST_F(RulesTest, CheckpointsAreKept) {
  machine_.Run(GrantCommand(5, 100));
  kv::Command checkpoint;
  checkpoint.mutable_lease_checkpoint()->add_checkpoints()->set_id(5);
  checkpoint.mutable_lease_checkpoint()->mutable_checkpoints(0)->set_remaining_ttl(40);
  EXPECT_TRUE(machine_.Run(checkpoint).status.ok());
  EXPECT_EQ(machine_->leases().Find(5)->remaining_ttl, 40);
  EXPECT_THAT(machine_.sink.notices, ElementsAre("granted 5", "checkpointed 5 40"));
}

// ---- alarms

kv::Command AlarmCommand(AlarmRequest::AlarmAction action, uint64_t member,
                         etcdserverpb::AlarmType type) {
  kv::Command command;
  command.mutable_alarm()->set_action(action);
  command.mutable_alarm()->set_memberid(member);
  command.mutable_alarm()->set_alarm(type);
  return command;
}

kv::Command SpaceCommand(uint64_t member, bool is_short) {
  kv::Command command;
  command.mutable_member_space()->set_member_id(member);
  command.mutable_member_space()->set_short_(is_short);
  return command;
}

TEST_F(RulesTest, NoSpaceForbidsWhatTakesSpace) {
  machine_.Run({PutCommand("a", "1"), PutCommand("b", "1")});
  const auto raised = machine_.Run(AlarmCommand(AlarmRequest::ACTIVATE, 3, etcdserverpb::NOSPACE));
  EXPECT_EQ(TestMachine::Parse<etcdserverpb::AlarmResponse>(raised.body).alarms_size(), 1);
  EXPECT_TRUE(machine_->HasAlarm(etcdserverpb::NOSPACE));
  EXPECT_THAT(machine_->alarms(), ElementsAre(Alarm{3, etcdserverpb::NOSPACE}));

  const std::string full = "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded";
  EXPECT_EQ(Refusal(PutCommand("c", "1")), full);
  EXPECT_EQ(Refusal(Txn({PutOp("c")})), full);
  EXPECT_EQ(Refusal(Txn({TxnOp({PutOp("c")})})), full);
  EXPECT_EQ(Refusal(GrantCommand(5, 100)), full);
  EXPECT_TRUE(machine_.Run(DeleteCommand("a")).status.ok());
  EXPECT_TRUE(machine_.Run(CompactCommand(3)).status.ok());
  machine_.RunTxn(Txn({RangeOp("b", 0), DeleteOp("b")}));
  EXPECT_EQ(machine_.Get("b"), "(none)");

  machine_.Run(AlarmCommand(AlarmRequest::DEACTIVATE, 3, etcdserverpb::NOSPACE));
  EXPECT_TRUE(machine_.Run(PutCommand("c", "1")).status.ok());
  EXPECT_THAT(machine_.sink.notices, ElementsAre("alarms", "compacted 3", "alarms"));
}

TEST_F(RulesTest, CorruptForbidsAllThatTouchesKeys) {
  machine_.Run({PutCommand("a", "1"), GrantCommand(5, 100)});
  machine_.Run(AlarmCommand(AlarmRequest::ACTIVATE, 3, etcdserverpb::CORRUPT));
  const std::string corrupt = "DATA_LOSS: etcdserver: corrupt cluster";
  EXPECT_EQ(Refusal(PutCommand("c", "1")), corrupt);
  EXPECT_EQ(Refusal(DeleteCommand("a")), corrupt);
  EXPECT_EQ(Refusal(Txn({RangeOp("a", 0)})), corrupt);
  EXPECT_EQ(Refusal(CompactCommand(2)), corrupt);
  EXPECT_EQ(Refusal(GrantCommand(6, 100)), corrupt);
  EXPECT_EQ(Refusal(RevokeCommand(5)), corrupt);
}

TEST_F(RulesTest, AlarmsAreListedByKind) {
  machine_.Run(AlarmCommand(AlarmRequest::ACTIVATE, 4, etcdserverpb::CORRUPT));
  machine_.Run(AlarmCommand(AlarmRequest::ACTIVATE, 3, etcdserverpb::NOSPACE));
  machine_.Run(AlarmCommand(AlarmRequest::ACTIVATE, 3, etcdserverpb::NOSPACE));
  auto list = [&](etcdserverpb::AlarmType type) {
    return TestMachine::Parse<etcdserverpb::AlarmResponse>(
        machine_.Run(AlarmCommand(AlarmRequest::GET, 0, type)).body);
  };
  EXPECT_EQ(list(etcdserverpb::NONE).alarms_size(), 2);
  ASSERT_EQ(list(etcdserverpb::CORRUPT).alarms_size(), 1);
  EXPECT_EQ(list(etcdserverpb::CORRUPT).alarms(0).memberid(), 4u);
}

// ---- members

raft::CommittedEntry Change(TestMachine& machine, raft::ConfChangeSingle::Type type,
                            const Member& member, bool promote = false) {
  raft::CommittedEntry committed;
  committed.entry.term = 1;
  committed.entry.index = machine.applied.index + 1;
  committed.entry.type = raft::EntryType::kConfChange;
  committed.entry.data = std::make_shared<const std::string>("as the driver encodes it");
  kv::MemberChange context;
  context.set_id(committed.entry.index);
  context.set_proposer(TestMachine::kMember);
  context.set_promote(promote);
  context.mutable_member()->set_id(member.id);
  context.mutable_member()->set_name(member.name);
  for (const auto& url : member.peer_urls) context.mutable_member()->add_peerurls(url);
  committed.change.changes = {{type, member.id}};
  committed.change.context = context.SerializeAsString();
  return committed;
}

class MembersTest : public RulesTest {
 protected:
  using Type = raft::ConfChangeSingle::Type;
  // As the driver does: asks, then applies.
  std::string Apply(raft::CommittedEntry committed, const raft::ConfState& after = {}) {
    const bool accepted = machine_->AcceptConfChange(committed.entry, committed.change);
    if (accepted) committed.conf_after = after;
    const auto results = machine_.Run(std::vector<raft::CommittedEntry>{committed});
    EXPECT_EQ(results.size(), 1u);
    EXPECT_EQ(results[0].status.ok(), accepted);
    return results[0].status.ToString();
  }
};

TEST_F(MembersTest, ComeGoAndAreRemembered) {
  EXPECT_EQ(Apply(Change(machine_, Type::kAddLearner, {2, "", {"http://b:1"}, {}, false}),
                  {{1}, {2}, {}, {}, false}),
            "OK");
  EXPECT_TRUE(machine_->members().Find(2)->is_learner);
  EXPECT_EQ(Apply(Change(machine_, Type::kAddVoter, {2, "", {}, {}, false}, /*promote=*/true)),
            "OK");
  EXPECT_FALSE(machine_->members().Find(2)->is_learner);
  EXPECT_THAT(machine_->members().Find(2)->peer_urls, ElementsAre("http://b:1"));

  EXPECT_EQ(Apply(Change(machine_, Type::kAddVoter, {2, "", {"http://c:1"}, {}, false})),
            "FAILED_PRECONDITION: etcdserver: member ID already exist");
  EXPECT_EQ(Apply(Change(machine_, Type::kAddVoter, {3, "", {"http://b:1"}, {}, false})),
            "FAILED_PRECONDITION: etcdserver: Peer URLs already exists");
  EXPECT_EQ(Apply(Change(machine_, Type::kAddVoter, {2, "", {}, {}, false}, /*promote=*/true)),
            "FAILED_PRECONDITION: etcdserver: can only promote a learner member");
  EXPECT_EQ(Apply(Change(machine_, Type::kRemove, {9, "", {}, {}, false})),
            "NOT_FOUND: etcdserver: member not found");
  EXPECT_EQ(Apply(Change(machine_, Type::kRemove, {2, "", {}, {}, false})), "OK");
  EXPECT_TRUE(machine_->members().WasRemoved(2));
  EXPECT_EQ(Apply(Change(machine_, Type::kAddVoter, {2, "", {"http://d:1"}, {}, false})),
            "NOT_FOUND: etcdserver: member not found");
}

TEST_F(MembersTest, NoSpaceOfAMemberGoesWithIt) {
  ASSERT_EQ(Apply(Change(machine_, Type::kAddVoter, {2, "", {"http://b:1"}, {}, false})), "OK");
  machine_.Run(AlarmCommand(AlarmRequest::ACTIVATE, 2, etcdserverpb::NOSPACE));
  machine_.Run(AlarmCommand(AlarmRequest::ACTIVATE, 2, etcdserverpb::CORRUPT));
  machine_.sink.notices.clear();
  ASSERT_EQ(Apply(Change(machine_, Type::kRemove, {2, "", {}, {}, false})), "OK");
  // That the data may differ does not end with the member: a person has to look.
  EXPECT_THAT(machine_->alarms(), ElementsAre(Alarm{2, etcdserverpb::CORRUPT}));
  EXPECT_THAT(machine_.sink.notices, ElementsAre("alarms", "members"));
  // Its last words come late.
  const auto late = machine_.Run(AlarmCommand(AlarmRequest::ACTIVATE, 2, etcdserverpb::NOSPACE));
  EXPECT_EQ(TestMachine::Parse<etcdserverpb::AlarmResponse>(late.body).alarms_size(), 0);
  machine_.Run(SpaceCommand(2, true));
  EXPECT_FALSE(machine_->HasAlarm(etcdserverpb::NOSPACE));
}

TEST_F(MembersTest, AMemberLowersItsOwnAlarmAndNoPersons) {
  const Alarm own{1, etcdserverpb::NOSPACE, true};
  const Alarm persons{1, etcdserverpb::NOSPACE, false};
  machine_.Run(SpaceCommand(1, true));
  EXPECT_THAT(machine_->alarms(), ElementsAre(own));
  machine_.Run(SpaceCommand(2, false));  // another's
  EXPECT_THAT(machine_->alarms(), ElementsAre(own));
  machine_.Run(SpaceCommand(1, false));
  EXPECT_THAT(machine_->alarms(), IsEmpty());

  machine_.Run(AlarmCommand(AlarmRequest::ACTIVATE, 1, etcdserverpb::NOSPACE));
  machine_.Run(SpaceCommand(1, true));
  machine_.Run(SpaceCommand(1, false));
  EXPECT_THAT(machine_->alarms(), ElementsAre(persons));
  machine_.Run(AlarmCommand(AlarmRequest::DEACTIVATE, 1, etcdserverpb::NOSPACE));
  EXPECT_THAT(machine_->alarms(), IsEmpty());

  // A person's takes the place of its own, and a person lowers either.
  machine_.Run(SpaceCommand(1, true));
  machine_.Run(AlarmCommand(AlarmRequest::ACTIVATE, 1, etcdserverpb::NOSPACE));
  EXPECT_THAT(machine_->alarms(), ElementsAre(persons));
  machine_.Run(AlarmCommand(AlarmRequest::DEACTIVATE, 1, etcdserverpb::NOSPACE));
  machine_.Run(SpaceCommand(1, true));
  machine_.Run(AlarmCommand(AlarmRequest::DEACTIVATE, 1, etcdserverpb::NOSPACE));
  EXPECT_THAT(machine_->alarms(), IsEmpty());
}

TEST_F(MembersTest, LearnersAreFew) {
  EXPECT_EQ(Apply(Change(machine_, Type::kAddLearner, {2, "", {"http://b:1"}, {}, false})), "OK");
  EXPECT_EQ(Apply(Change(machine_, Type::kAddLearner, {3, "", {"http://c:1"}, {}, false})),
            "FAILED_PRECONDITION: etcdserver: too many learner members in cluster");
}

TEST_F(MembersTest, AttributesAndUrlsFollowTheLog) {
  kv::Command command;
  command.mutable_member_attributes()->set_member_id(1);
  command.mutable_member_attributes()->set_name("one");
  command.mutable_member_attributes()->add_client_urls("http://a:2");
  EXPECT_TRUE(machine_.Run(command).status.ok());
  EXPECT_EQ(machine_->members().Find(1), (Member{1, "one", {"http://a:1"}, {"http://a:2"}, false}));
  command.mutable_member_attributes()->set_member_id(5);
  EXPECT_EQ(Refusal(command), "NOT_FOUND: etcdserver: member not found");

  command.Clear();
  command.mutable_member_update()->set_id(1);
  command.mutable_member_update()->add_peerurls("http://z:1");
  EXPECT_TRUE(machine_.Run(command).status.ok());
  EXPECT_THAT(machine_->members().Find(1)->peer_urls, ElementsAre("http://z:1"));
  command.Clear();
  command.mutable_cluster_version()->set_version("3.6.0");
  EXPECT_TRUE(machine_.Run(command).status.ok());
  EXPECT_EQ(machine_->cluster_version(), "3.6.0");
  EXPECT_THAT(machine_.sink.notices, ElementsAre("members", "members", "version"));
}

TEST(MembersRestartTest, StandWhereTheyStood) {
  TempDir dir;
  const raft::ConfState conf{{1, 3}, {2}, {1, 2}, {4}, true};
  {
    TestMachine machine(dir / "store", false, {{1, "", {"http://a:1"}, {}, false}});
    auto change = Change(machine, raft::ConfChangeSingle::Type::kAddLearner,
                         {2, "", {"http://b:1"}, {}, false});
    change.conf_after = conf;
    machine.Run(std::vector<raft::CommittedEntry>{change});
    change = Change(machine, raft::ConfChangeSingle::Type::kRemove, {1, "", {}, {}, false});
    change.conf_after = conf;
    machine.Run(std::vector<raft::CommittedEntry>{change});
    machine.Run(AlarmCommand(AlarmRequest::ACTIVATE, 3, etcdserverpb::NOSPACE));
    machine.Run(SpaceCommand(2, true));
  }
  TestMachine machine(dir / "store", false, {{5, "", {}, {}, false}});
  EXPECT_EQ(machine.applied.conf, conf);
  EXPECT_THAT(machine->members().List(), ElementsAre(Member{2, "", {"http://b:1"}, {}, true}));
  EXPECT_TRUE(machine->members().WasRemoved(1));
  EXPECT_THAT(machine->alarms(),
              ElementsAre(Alarm{2, etcdserverpb::NOSPACE, true}, Alarm{3, etcdserverpb::NOSPACE}));
}

}  // namespace
}  // namespace keel::kvstore
