// Users, roles and permissions where commands are applied.
#include <gtest/gtest.h>

#include "kvstore/apply/testing.h"
#include "kvstore/auth/errors.h"
#include "kvstore/auth/state.h"

namespace keel::kvstore {
namespace {

using std::string_literals::operator""s;

class ApplyAuthTest : public testing::Test {
 protected:
  kv::Command As(std::string user, kv::Command command) {
    command.set_user(std::move(user));
    command.set_auth_revision(machine_->auth().revision());
    return command;
  }
  absl::Status Run(const kv::Command& command) { return machine_.Run(command).status; }
  absl::Status RunAs(const std::string& user, kv::Command command) {
    return Run(As(user, std::move(command)));
  }

  static kv::Command AddUser(const std::string& name) {
    kv::Command command;
    command.mutable_user_add()->set_name(name);
    command.mutable_user_add()->set_hashedpassword("$2b$04$hash of " + name);
    return command;
  }
  static kv::Command AddRole(const std::string& name) {
    kv::Command command;
    command.mutable_role_add()->set_name(name);
    return command;
  }
  static kv::Command GrantRole(const std::string& user, const std::string& role) {
    kv::Command command;
    command.mutable_user_grant_role()->set_user(user);
    command.mutable_user_grant_role()->set_role(role);
    return command;
  }
  static kv::Command Permit(const std::string& role, authpb::Permission::Type type,
                            const std::string& key, const std::string& range_end = "") {
    kv::Command command;
    auto* request = command.mutable_role_grant_permission();
    request->set_name(role);
    request->mutable_perm()->set_permtype(type);
    request->mutable_perm()->set_key(key);
    request->mutable_perm()->set_range_end(range_end);
    return command;
  }
  static kv::Command Enable() {
    kv::Command command;
    command.mutable_auth_enable();
    return command;
  }
  static kv::Command Txn(const etcdserverpb::TxnRequest& txn) {
    kv::Command command;
    *command.mutable_txn() = txn;
    return command;
  }

  // root, and jane who may read [r, s), read and write [w, x) and write the key "only".
  void SetUp() override {
    for (const kv::Command& command :
         {AddUser("root"), GrantRole("root", "root"), AddUser("jane"), AddRole("r"),
          Permit("r", authpb::Permission::READ, "r", "s"),
          Permit("r", authpb::Permission::READWRITE, "w", "x"),
          Permit("r", authpb::Permission::WRITE, "only"), GrantRole("jane", "r"), Enable()}) {
      ASSERT_TRUE(Run(command).ok());
    }
  }

  TempDir dir_;
  TestMachine machine_{dir_ / "db"};
};

TEST_F(ApplyAuthTest, TheRevisionCountsChangesAndNotTheSwitchingOn) {
  EXPECT_EQ(machine_->auth().revision(), 9u);  // 1, and eight changes
  ASSERT_TRUE(RunAs("root", Enable()).ok());
  ASSERT_TRUE(RunAs("root", GrantRole("jane", "r")).ok());  // she has it
  EXPECT_EQ(machine_->auth().revision(), 9u);
  kv::Command disable;
  disable.mutable_auth_disable();
  ASSERT_TRUE(RunAs("root", disable).ok());
  EXPECT_EQ(machine_->auth().revision(), 10u);
}

TEST_F(ApplyAuthTest, EveryCommandOfAClientNeedsAUser) {
  EXPECT_EQ(Run(PutCommand("w1", "1")), ErrUserEmpty());
  EXPECT_EQ(Run(AddUser("x")), ErrUserEmpty());
  EXPECT_EQ(RunAs("nobody", PutCommand("w1", "1")), ErrPermissionDenied());
  EXPECT_EQ(RunAs("jane", AddUser("x")), ErrPermissionDenied());
  EXPECT_TRUE(RunAs("jane", PutCommand("w1", "1")).ok());
  EXPECT_TRUE(RunAs("root", PutCommand("x", "1")).ok());
  EXPECT_EQ(RunAs("jane", PutCommand("x", "1")), ErrPermissionDenied());
  EXPECT_EQ(RunAs("jane", PutCommand("r1", "1")), ErrPermissionDenied());
  EXPECT_EQ(RunAs("jane", DeleteCommand("w", "y")), ErrPermissionDenied());
  EXPECT_TRUE(RunAs("jane", DeleteCommand("w", "x")).ok());
}

TEST_F(ApplyAuthTest, WhatWasCheckedBeforeAChangeIsCheckedAgain) {
  const kv::Command put = As("jane", PutCommand("w1", "1"));
  kv::Command revoke;
  revoke.mutable_user_revoke_role()->set_name("jane");
  revoke.mutable_user_revoke_role()->set_role("r");
  // In one batch, as they may come from the log.
  const auto results = machine_.Run({As("root", revoke), put});
  EXPECT_TRUE(results[0].status.ok());
  EXPECT_EQ(results[1].status, ErrAuthOldRevision());
  EXPECT_EQ(machine_.Get("w1"), "(none)");
}

TEST_F(ApplyAuthTest, PreviousValuesNeedTheRightToRead) {
  kv::Command put = PutCommand("only", "1");
  EXPECT_TRUE(RunAs("jane", put).ok());
  put.mutable_put()->set_prev_kv(true);
  EXPECT_EQ(RunAs("jane", put), ErrPermissionDenied());
  kv::Command gone = DeleteCommand("only");
  gone.mutable_delete_range()->set_prev_kv(true);
  EXPECT_EQ(RunAs("jane", gone), ErrPermissionDenied());
  etcdserverpb::TxnRequest txn;
  *txn.add_failure()->mutable_request_put() = put.put();
  EXPECT_EQ(RunAs("jane", Txn(txn)), ErrPermissionDenied());
}

TEST_F(ApplyAuthTest, TransactionsAreLookedThrough) {
  etcdserverpb::TxnRequest inner;
  inner.add_compare()->set_key("r1");
  inner.add_success()->mutable_request_put()->set_key("w1");
  etcdserverpb::TxnRequest txn;
  *txn.add_success()->mutable_request_txn() = inner;
  EXPECT_TRUE(RunAs("jane", Txn(txn)).ok());
  for (int part = 0; part < 4; ++part) {
    etcdserverpb::TxnRequest bad = txn;
    auto* nested = bad.mutable_success(0)->mutable_request_txn();
    if (part == 0) nested->add_compare()->set_key("secret");
    if (part == 1) nested->add_success()->mutable_request_put()->set_key("r1");
    if (part == 2) nested->add_failure()->mutable_request_range()->set_key("secret");
    if (part == 3) bad.add_failure()->mutable_request_delete_range()->set_key("secret");
    EXPECT_EQ(RunAs("jane", Txn(bad)), ErrPermissionDenied()) << part;
  }
}

// That a user may write all keys of a lease is remembered, and forgotten when it may not hold.
TEST_F(ApplyAuthTest, WhoMayUseALeaseIsAskedAgainWhenItMayHaveChanged) {
  ASSERT_TRUE(RunAs("root", GrantCommand(5, 60)).ok());
  const auto jane_puts = [&] { return RunAs("jane", PutCommand("w1", "v", 5)); };
  const auto jane_puts_in_txn = [&] {
    etcdserverpb::TxnRequest txn;
    auto* put = txn.add_success()->mutable_request_put();
    put->set_key("w2");
    put->set_lease(5);
    return RunAs("jane", Txn(txn));
  };
  ASSERT_TRUE(jane_puts().ok());
  ASSERT_TRUE(jane_puts().ok());
  ASSERT_TRUE(jane_puts_in_txn().ok());

  // Somebody else attaches a key, by a put, in a transaction, and by keeping the lease.
  ASSERT_TRUE(RunAs("root", PutCommand("secret", "v", 5)).ok());
  EXPECT_EQ(jane_puts(), ErrPermissionDenied());
  EXPECT_EQ(jane_puts_in_txn(), ErrPermissionDenied());
  ASSERT_TRUE(RunAs("root", DeleteCommand("secret")).ok());
  ASSERT_TRUE(jane_puts_in_txn().ok());
  etcdserverpb::TxnRequest txn;
  auto* put = txn.add_success()->mutable_request_put();
  put->set_key("secret");
  put->set_lease(5);
  ASSERT_TRUE(RunAs("root", Txn(txn)).ok());
  EXPECT_EQ(jane_puts(), ErrPermissionDenied());
  ASSERT_TRUE(RunAs("root", DeleteCommand("secret")).ok());
  ASSERT_TRUE(jane_puts().ok());

  // In one batch, where nothing is on disk yet.
  const auto results = machine_.Run(std::vector<kv::Command>{
      As("jane", PutCommand("w3", "v", 5)), As("root", PutCommand("secret", "v", 5)),
      As("jane", PutCommand("w4", "v", 5)), As("root", DeleteCommand("secret")),
      As("jane", PutCommand("w5", "v", 5))});
  EXPECT_TRUE(results[0].status.ok());
  EXPECT_EQ(results[2].status, ErrPermissionDenied());
  EXPECT_TRUE(results[4].status.ok());

  // Rights change.
  ASSERT_TRUE(RunAs("root", PutCommand("only", "v", 5)).ok());
  ASSERT_TRUE(jane_puts().ok());
  kv::Command revoke;
  revoke.mutable_role_revoke_permission()->set_role("r");
  revoke.mutable_role_revoke_permission()->set_key("only");
  ASSERT_TRUE(RunAs("root", revoke).ok());
  EXPECT_EQ(jane_puts(), ErrPermissionDenied());

  // The lease goes, and another one comes under its id.
  kv::Command end;
  end.mutable_lease_revoke()->set_id(5);
  ASSERT_TRUE(RunAs("root", end).ok());
  ASSERT_TRUE(RunAs("root", GrantCommand(5, 60)).ok());
  ASSERT_TRUE(jane_puts().ok());
}

TEST_F(ApplyAuthTest, ALeaseIsItsKeysOwners) {
  ASSERT_TRUE(RunAs("root", GrantCommand(5, 60)).ok());
  ASSERT_TRUE(RunAs("jane", PutCommand("w1", "1", 5)).ok());
  // In one batch: the attachment is pending when it is looked for.
  const auto results =
      machine_.Run({As("root", PutCommand("secret", "1", 5)), As("jane", PutCommand("w2", "1", 5)),
                    As("jane", RevokeCommand(5))});
  EXPECT_TRUE(results[0].status.ok());
  EXPECT_EQ(results[1].status, ErrPermissionDenied());
  EXPECT_EQ(results[2].status, ErrPermissionDenied());
  etcdserverpb::TxnRequest txn;
  txn.add_success()->mutable_request_put()->set_key("w3");
  txn.mutable_success(0)->mutable_request_put()->set_lease(5);
  EXPECT_EQ(RunAs("jane", Txn(txn)), ErrPermissionDenied());
  // Time is nobody's: the leader's own command.
  kv::Command expired = RevokeCommand(5);
  expired.set_only_in_term(1);
  EXPECT_TRUE(Run(expired).ok());
  EXPECT_EQ(machine_.Get("secret"), "(none)");
}

TEST_F(ApplyAuthTest, ANoSpaceAlarmDoesNotOpenTheDoor) {
  kv::Command alarm;
  alarm.mutable_alarm()->set_action(etcdserverpb::AlarmRequest::ACTIVATE);
  alarm.mutable_alarm()->set_alarm(etcdserverpb::NOSPACE);
  ASSERT_TRUE(Run(alarm).ok());
  kv::Command disable;
  disable.mutable_auth_disable();
  EXPECT_EQ(RunAs("jane", disable), ErrPermissionDenied());
  EXPECT_EQ(RunAs("jane", DeleteCommand("secret")), ErrPermissionDenied());
}

TEST_F(ApplyAuthTest, RootCannotLockItselfOut) {
  kv::Command gone;
  gone.mutable_user_delete()->set_name("root");
  EXPECT_EQ(RunAs("root", gone), ErrInvalidAuthMgmt());
  kv::Command revoked;
  revoked.mutable_user_revoke_role()->set_name("root");
  revoked.mutable_user_revoke_role()->set_role("root");
  EXPECT_EQ(RunAs("root", revoked), ErrInvalidAuthMgmt());
}

TEST_F(ApplyAuthTest, ALoginIsVoidWhenUsersChangedMeanwhile) {
  kv::Command login;
  login.mutable_authenticate()->set_name("jane");
  login.mutable_authenticate()->set_random_part("abc");
  login.mutable_authenticate()->set_checked_revision(machine_->auth().revision());
  const ApplyResult result = machine_.Run(login);
  ASSERT_TRUE(result.status.ok());
  EXPECT_EQ(TestMachine::Parse<etcdserverpb::AuthenticateResponse>(result.body).token(),
            "abc." + std::to_string(result.index));
  ASSERT_TRUE(RunAs("root", AddUser("jim")).ok());
  EXPECT_EQ(Run(login), ErrAuthOldRevision());
  login.mutable_authenticate()->set_name("nobody");
  EXPECT_EQ(Run(login), ErrAuthFailed());
}

TEST_F(ApplyAuthTest, TokensAreGoneBeforeTheRevisionThatEndsThemIsSeen) {
  std::vector<std::pair<std::string, uint64_t>> lost;
  machine_.sink.on_tokens_revoked = [&](const std::string& user) {
    lost.emplace_back(user, machine_->auth().revision());
  };
  const auto first_loss = [&](const kv::Command& command) {
    lost.clear();
    EXPECT_TRUE(RunAs("root", command).ok());
    return lost.empty() ? std::pair<std::string, uint64_t>() : lost.front();
  };
  kv::Command password, gone, off;
  password.mutable_user_change_password()->set_name("jane");
  password.mutable_user_change_password()->set_hashedpassword("$2b$04$another hash");
  gone.mutable_user_delete()->set_name("jane");
  off.mutable_auth_disable();
  EXPECT_EQ(first_loss(password), std::pair("jane"s, uint64_t{9}));
  EXPECT_EQ(first_loss(gone), std::pair("jane"s, uint64_t{10}));
  // Nobody has lost any by what is refused.
  lost.clear();
  kv::Command root = gone;
  root.mutable_user_delete()->set_name("root");
  EXPECT_FALSE(RunAs("root", root).ok());
  EXPECT_TRUE(lost.empty());
  EXPECT_EQ(first_loss(off), std::pair(""s, uint64_t{11}));
}

TEST_F(ApplyAuthTest, ItIsAllThereAfterARestart) {
  const uint64_t revision = machine_->auth().revision();
  TempDir copy;
  ASSERT_TRUE(machine_->WriteSnapshot(copy / "snapshot").ok());
  TestMachine other(copy / "db");
  ASSERT_TRUE(
      other->RestoreSnapshot(copy / "snapshot", {.index = machine_.applied.index, .term = 1}).ok());
  const AuthState& auth = other->auth();
  EXPECT_TRUE(auth.enabled());
  EXPECT_EQ(auth.revision(), revision);
  EXPECT_EQ(auth.UserNames(), (std::vector<std::string>{"jane", "root"}));
  EXPECT_EQ(auth.RoleNames(), (std::vector<std::string>{"r"}));
  EXPECT_EQ(auth.CredentialsOf("jane")->hash, "$2b$04$hash of jane");
  const auto rights = auth.RightsOf({"jane", revision});
  ASSERT_TRUE(rights.ok());
  EXPECT_TRUE((*rights)->CanRead("r", "s"));
  EXPECT_FALSE((*rights)->CanRead("r", "\0"s));
  EXPECT_TRUE((*rights)->CanWrite("only", ""));
}

}  // namespace
}  // namespace keel::kvstore
