#include "examples/lockserver/lock_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace lockserver {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class LockTableTest : public testing::Test {
 protected:
  LockTableTest() {
    table_.on_answer = [this](const std::string& id, const std::string& answer) {
      answers_.emplace_back(id, answer);
    };
    table_.on_grant = [this](const std::string& lock, keel::raft::Index token) {
      grants_.emplace_back(lock, token);
    };
  }

  // The answers to which one command led.
  std::vector<std::pair<std::string, std::string>> Do(const std::string& command) {
    answers_.clear();
    table_.ApplyCommand({1, ++index_, keel::raft::EntryType::kNormal,
                         std::make_shared<const std::string>(command)});
    return answers_;
  }

  LockTable table_{"unused"};
  keel::raft::Index index_ = 0;
  std::vector<std::pair<std::string, std::string>> answers_;
  std::vector<std::pair<std::string, keel::raft::Index>> grants_;
};

TEST_F(LockTableTest, GrantsInOrderWithRisingTokens) {
  EXPECT_THAT(Do("a lock door alice"), ElementsAre(Pair("a", "granted 1")));
  EXPECT_THAT(Do("b lock door bob"), IsEmpty());
  EXPECT_THAT(Do("c lock door carol"), IsEmpty());
  EXPECT_EQ(table_.Holder("door"), "alice 1");
  EXPECT_THAT(Do("d unlock door alice"),
              ElementsAre(Pair("b", "granted 4"), Pair("d", "released")));
  EXPECT_THAT(Do("e unlock door carol"), ElementsAre(Pair("e", "released")));  // leaves the line
  EXPECT_THAT(Do("f unlock door bob"), ElementsAre(Pair("f", "released")));
  EXPECT_EQ(table_.Holder("door"), "nobody");
  EXPECT_THAT(grants_, ElementsAre(Pair("door", 1), Pair("door", 4)));
}

TEST_F(LockTableTest, AskingAgainKeepsTheTokenAndThePlace) {
  Do("a lock door alice");
  EXPECT_THAT(Do("b lock door alice"),
              ElementsAre(Pair("a", "error: asked again"), Pair("b", "granted 1")));
  Do("c lock door bob");
  EXPECT_THAT(Do("d lock door bob"), ElementsAre(Pair("c", "error: asked again")));
  EXPECT_THAT(Do("e unlock door alice"),
              ElementsAre(Pair("d", "granted 5"), Pair("e", "released")));
}

TEST_F(LockTableTest, OnlyTheHolderRenewsAndOnlyItsTokenExpires) {
  Do("a lock door alice");
  Do("b lock door bob");
  EXPECT_THAT(Do("c renew door bob"), ElementsAre(Pair("c", "error: not yours")));
  EXPECT_THAT(Do("d renew door alice"), ElementsAre(Pair("d", "renewed")));
  EXPECT_THAT(Do("- expire door 7"), IsEmpty());
  EXPECT_EQ(table_.Holder("door"), "alice 1");
  EXPECT_THAT(Do("- expire door 1"), ElementsAre(Pair("b", "granted 6")));
  EXPECT_THAT(Do("- expire door 1"), IsEmpty());  // proposed twice
  EXPECT_EQ(table_.Holder("door"), "bob 6");
  EXPECT_THAT(Do("e unlock door alice"), ElementsAre(Pair("e", "error: not yours")));
}

TEST_F(LockTableTest, ARequestThatWasGivenUpLeavesTheLineAndNoOther) {
  Do("a lock door alice");
  Do("b lock door bob");
  Do("- leave door c");
  Do("c lock door bob");
  Do("- leave door b");  // asked again since
  EXPECT_THAT(Do("d unlock door alice"),
              ElementsAre(Pair("c", "granted 6"), Pair("d", "released")));
  Do("- leave door c");  // granted too late: nobody knows of it
  EXPECT_EQ(table_.Holder("door"), "nobody");
}

TEST_F(LockTableTest, NonsenseChangesNothing) {
  Do("a lock door alice");
  for (const char* command : {"x", "x paint door red", "x expire", "x expire door", "x unlock"}) {
    Do(command);
    EXPECT_EQ(table_.Holder("door"), "alice 1") << command;
  }
}

TEST_F(LockTableTest, ComesBackFromBytes) {
  Do("a lock door alice");
  Do("b lock door bob");
  Do("c lock gate bob");
  const std::string saved = table_.Save();
  LockTable copy("unused");
  ASSERT_TRUE(copy.Load(saved).ok());
  EXPECT_EQ(copy.Save(), saved);
  EXPECT_EQ(copy.Holder("door"), "alice 1");
  EXPECT_EQ(copy.Holder("gate"), "bob 3");
  ASSERT_TRUE(copy.Load("").ok());
  EXPECT_EQ(copy.Holder("door"), "nobody");
  EXPECT_TRUE(absl::IsDataLoss(copy.Load(saved.substr(0, 15))));
}

}  // namespace
}  // namespace lockserver
