// What may stand in the log or come from a client: commands and requests with
// damage anywhere. Applying them never fails and has the same effect on every
// member; reading them agrees with Protobuf.
#include <gtest/gtest.h>

#include "kvstore/apply/check.h"
#include "kvstore/apply/command.h"
#include "kvstore/apply/testing.h"
#include "tests/fuzz/mutator.h"

namespace keel::kvstore {
namespace {

using fuzz::Mutator;

std::string Key(Mutator& mutate) {
  return mutate.Chance(90) ? std::string(1, static_cast<char>('a' + mutate.Draw(4)))
                           : mutate.Bytes(3);
}

etcdserverpb::PutRequest Put(Mutator& mutate) {
  etcdserverpb::PutRequest put;
  put.set_key(Key(mutate));
  put.set_value(mutate.Bytes(8));
  if (mutate.Chance(30)) put.set_lease(static_cast<int64_t>(mutate.Number(4)));
  put.set_prev_kv(mutate.Chance(30));
  put.set_ignore_value(mutate.Chance(10));
  put.set_ignore_lease(mutate.Chance(10));
  return put;
}

etcdserverpb::RangeRequest Range(Mutator& mutate) {
  etcdserverpb::RangeRequest range;
  range.set_key(Key(mutate));
  if (mutate.Chance(50)) range.set_range_end(Key(mutate));
  if (mutate.Chance(30)) range.set_limit(static_cast<int64_t>(mutate.Number(3)));
  if (mutate.Chance(30)) range.set_revision(static_cast<int64_t>(mutate.Number(9)));
  range.set_sort_order(static_cast<etcdserverpb::RangeRequest::SortOrder>(mutate.Draw(4)));
  range.set_sort_target(static_cast<etcdserverpb::RangeRequest::SortTarget>(mutate.Draw(6)));
  range.set_keys_only(mutate.Chance(20));
  range.set_count_only(mutate.Chance(20));
  if (mutate.Chance(20)) range.set_min_mod_revision(static_cast<int64_t>(mutate.Number(9)));
  if (mutate.Chance(20)) range.set_max_create_revision(static_cast<int64_t>(mutate.Number(9)));
  return range;
}

etcdserverpb::TxnRequest Txn(Mutator& mutate, int depth) {
  etcdserverpb::TxnRequest txn;
  for (uint64_t i = mutate.Draw(3); i > 0; --i) {
    auto* compare = txn.add_compare();
    compare->set_key(Key(mutate));
    if (mutate.Chance(20)) compare->set_range_end(Key(mutate));
    compare->set_target(static_cast<etcdserverpb::Compare::CompareTarget>(mutate.Draw(6)));
    compare->set_result(static_cast<etcdserverpb::Compare::CompareResult>(mutate.Draw(5)));
    if (mutate.Chance(80)) compare->set_version(static_cast<int64_t>(mutate.Number(3)));
  }
  for (auto* ops : {txn.mutable_success(), txn.mutable_failure()}) {
    for (uint64_t i = mutate.Draw(3); i > 0; --i) {
      etcdserverpb::RequestOp* op = ops->Add();
      switch (mutate.Draw(depth > 0 ? 5 : 4)) {
        case 0:
          *op->mutable_request_range() = Range(mutate);
          break;
        case 1:
          *op->mutable_request_put() = Put(mutate);
          break;
        case 2:
          op->mutable_request_delete_range()->set_key(Key(mutate));
          if (mutate.Chance(50)) op->mutable_request_delete_range()->set_range_end(Key(mutate));
          break;
        case 3:
          break;  // no operation at all
        default:
          *op->mutable_request_txn() = Txn(mutate, depth - 1);
      }
    }
  }
  return txn;
}

kv::Command SomeCommand(Mutator& mutate) {
  kv::Command command;
  switch (mutate.Draw(9)) {
    case 0:
    case 1:
      *command.mutable_put() = Put(mutate);
      break;
    case 2:
    case 3:
      *command.mutable_txn() = Txn(mutate, 2);
      break;
    case 4:
      command.mutable_delete_range()->set_key(Key(mutate));
      if (mutate.Chance(50)) command.mutable_delete_range()->set_range_end(Key(mutate));
      break;
    case 5:
      command.mutable_lease_grant()->set_id(static_cast<int64_t>(mutate.Number(4)));
      command.mutable_lease_grant()->set_ttl(static_cast<int64_t>(mutate.Number(9)));
      break;
    case 6:
      command.mutable_lease_revoke()->set_id(static_cast<int64_t>(mutate.Number(4)));
      break;
    case 7: {
      auto* checkpoint = command.mutable_lease_checkpoint()->add_checkpoints();
      checkpoint->set_id(static_cast<int64_t>(mutate.Number(4)));
      checkpoint->set_remaining_ttl(static_cast<int64_t>(mutate.Number(9)));
      break;
    }
    default:
      command.mutable_compaction()->set_revision(static_cast<int64_t>(mutate.Number(20)));
  }
  return command;
}

TEST(KvFuzzTest, CommandsWithDamageApplyAlikeOnEveryMember) {
  TempDir dir;
  uint64_t applied = 0;
  uint64_t refused = 0;
  for (uint64_t seed = 1; seed <= fuzz::Seeds(12); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    TestMachine one(dir / ("a" + std::to_string(seed)));
    TestMachine two(dir / ("b" + std::to_string(seed)));
    for (int batch = 0; batch < 30; ++batch) {
      std::vector<raft::CommittedEntry> entries;
      for (uint64_t i = 1 + mutate.Draw(8); i > 0; --i) {
        raft::CommittedEntry entry =
            TestMachine::Entry(one.applied.index + 1 + entries.size(), SomeCommand(mutate));
        if (mutate.Chance(40)) {
          entry.entry.data = std::make_shared<const std::string>(mutate.Damage(*entry.entry.data));
        }
        entries.push_back(std::move(entry));
      }
      for (const ApplyResult& result : one.Run(entries)) ++(result.status.ok() ? applied : refused);
      // The other one gets them one by one.
      for (const raft::CommittedEntry& entry : entries) {
        two.Run(std::vector<raft::CommittedEntry>{entry});
      }
      ASSERT_EQ(one->current_revision(), two->current_revision());
    }
    ASSERT_EQ(one.HashKv(), two.HashKv());
    ASSERT_EQ(one->leases().size(), two->leases().size());
  }
  EXPECT_GT(applied, 200);
  EXPECT_GT(refused, 200);
}

TEST(KvFuzzTest, TheCommandsShellAgreesWithProtobuf) {
  uint64_t good = 0;
  for (uint64_t seed = 1; seed <= fuzz::Seeds(30000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    kv::Command command = SomeCommand(mutate);
    command.set_id(mutate.Number());
    command.set_proposer(mutate.Number());
    std::string bytes = command.SerializeAsString();
    if (mutate.Chance(70)) bytes = mutate.Damage(bytes);
    CommandView view;
    if (!DecodeCommand(bytes, &view).ok()) continue;
    kv::Command parsed;
    if (!parsed.ParseFromString(bytes)) continue;  // damage within the request: apply looks at it
    // To Protobuf a field it does not know is none; apply refuses it as an unknown command.
    if (kv::Command::descriptor()->FindFieldByNumber(view.field) == nullptr) continue;
    ++good;
    ASSERT_EQ(view.id, parsed.id());
    ASSERT_EQ(view.proposer, parsed.proposer());
    ASSERT_EQ(view.field, static_cast<int>(parsed.request_case()));
  }
  EXPECT_GT(good, 1000);
}

TEST(KvFuzzTest, PutsReadInPlaceAgreeWithProtobuf) {
  uint64_t good = 0;
  for (uint64_t seed = 1; seed <= fuzz::Seeds(50000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    std::string bytes = Put(mutate).SerializeAsString();
    if (mutate.Chance(70)) bytes = mutate.Damage(bytes);
    PutView view;
    const bool decoded = DecodePut(bytes, &view).ok();
    etcdserverpb::PutRequest parsed;
    if (!parsed.ParseFromString(bytes) || !decoded) continue;
    ++good;
    ASSERT_EQ(view.key, parsed.key());
    ASSERT_EQ(view.value, parsed.value());
    ASSERT_EQ(view.lease, parsed.lease());
    ASSERT_EQ(view.prev_kv, parsed.prev_kv());
    ASSERT_EQ(view.ignore_value, parsed.ignore_value());
    ASSERT_EQ(view.ignore_lease, parsed.ignore_lease());
  }
  EXPECT_GT(good, 1000);
}

TEST(KvFuzzTest, RequestsThatParseAreCheckedAndAnswered) {
  TempDir dir;
  TestMachine machine(dir / "store");
  for (const char* key : {"a", "b", "c", "a", "b"}) machine.Run(PutCommand(key, "v"));
  machine.Run(CompactCommand(3));
  uint64_t answered = 0;
  for (uint64_t seed = 1; seed <= fuzz::Seeds(10000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    etcdserverpb::RangeRequest range = Range(mutate);
    etcdserverpb::TxnRequest txn = Txn(mutate, 3);
    if (mutate.Chance(50) && !range.ParseFromString(mutate.Damage(range.SerializeAsString())))
      continue;
    if (mutate.Chance(50) && !txn.ParseFromString(mutate.Damage(txn.SerializeAsString()))) continue;
    std::string body;
    if (CheckRange(range).ok() && AppendRange(*machine->view(), range, &body).ok()) {
      etcdserverpb::RangeResponse response;
      ASSERT_TRUE(response.ParseFromString(body));
      ++answered;
    }
    body.clear();
    if (CheckTxn(txn, 128).ok() && IsReadOnly(txn) &&
        AppendReadTxn(*machine->view(), txn, &body).ok()) {
      etcdserverpb::TxnResponse response;
      ASSERT_TRUE(response.ParseFromString(body));
      ++answered;
    }
  }
  EXPECT_GT(answered, 1000);
}

}  // namespace
}  // namespace keel::kvstore
