#include "kvstore/kvctl/txn_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "kvstore/kvctl/watch_args.h"

namespace keel::kvctl {
namespace {

using etcdserverpb::Compare;
using testing::ElementsAre;
using testing::HasSubstr;

Outcome Read(const std::string& text, etcdserverpb::TxnRequest* txn) {
  std::istringstream in(text);
  return ReadTxn(in, nullptr, txn);
}

TEST(SplitWords, TakesThreeKindsOfWords) {
  std::vector<std::string> words;
  ASSERT_TRUE(SplitWords(R"(put "a\x01 b"  'c "d' --lease=1 [1,2])", &words).ok());
  EXPECT_THAT(words, ElementsAre("put", "a\x01 b", "c \"d", "--lease=1", "[1,2]"));
  EXPECT_EQ(SplitWords("put \"a", &words).exit_code, kExitInvalidInput);
  EXPECT_EQ(SplitWords("put 'a", &words).exit_code, kExitInvalidInput);
}

TEST(ParseCompare, TakesEveryTarget) {
  Compare compare;
  ASSERT_TRUE(ParseCompare(R"(mod("a\x20b") > "4")", &compare).ok());
  EXPECT_EQ(compare.key(), "a b");
  EXPECT_EQ(compare.target(), Compare::MOD);
  EXPECT_EQ(compare.result(), Compare::GREATER);
  EXPECT_EQ(compare.mod_revision(), 4);
  ASSERT_TRUE(ParseCompare(R"(val("k") != "x")", &compare).ok());
  EXPECT_EQ(compare.value(), "x");
  EXPECT_EQ(compare.result(), Compare::NOT_EQUAL);
  ASSERT_TRUE(ParseCompare(R"(c("k") = "0")", &compare).ok());
  EXPECT_EQ(compare.target(), Compare::CREATE);
  EXPECT_EQ(compare.target_union_case(), Compare::kCreateRevision);
  ASSERT_TRUE(ParseCompare(R"(ver("k") < "7")", &compare).ok());
  EXPECT_EQ(compare.version(), 7);
  ASSERT_TRUE(ParseCompare(R"(lease("k") = "10")", &compare).ok());
  EXPECT_EQ(compare.lease(), 16);
}

// The texts of etcdctl 3.4.23.
TEST(ParseCompare, SaysWhatIsWrong) {
  Compare compare;
  const auto error = [&](const char* line) {
    const Outcome outcome = ParseCompare(line, &compare);
    EXPECT_EQ(outcome.exit_code, kExitInvalidInput) << line;
    return outcome.text;
  };
  EXPECT_EQ(error("bogus"), "Error: malformed comparison: bogus");
  EXPECT_EQ(error(R"(valu("a") = "1")"),
            R"(Error: malformed comparison: valu("a") = "1" (unknown target valu))");
  EXPECT_EQ(error(R"(ver("a") = "x")"), R"(Error: invalid txn compare request: ver("a") = "x")");
  EXPECT_EQ(error(R"(val("a") = 1)"),
            R"(Error: malformed comparison: val("a") = 1; got val("a") = "")");
  EXPECT_THAT(error(R"(val("a") ~ "1")"), HasSubstr("unknown operator ~"));
}

TEST(ReadTxn, ReadsThreeParts) {
  etcdserverpb::TxnRequest txn;
  const Outcome read = Read(
      "value(\"a\") = \"1\"\nmod(\"c\") > \"0\"\n\nput x 1 --prev-kv\nget a --prefix\n\n"
      "del d f\nput \"k\" \"v w\" --lease=1f\n\n",
      &txn);
  ASSERT_TRUE(read.ok()) << read.text;
  EXPECT_EQ(txn.compare_size(), 2);
  ASSERT_EQ(txn.success_size(), 2);
  EXPECT_TRUE(txn.success(0).request_put().prev_kv());
  EXPECT_EQ(txn.success(1).request_range().range_end(), "b");
  ASSERT_EQ(txn.failure_size(), 2);
  EXPECT_EQ(txn.failure(0).request_delete_range().range_end(), "f");
  EXPECT_EQ(txn.failure(1).request_put().value(), "v w");
  EXPECT_EQ(txn.failure(1).request_put().lease(), 31);
}

TEST(ReadTxn, DoesNotTakeHalfATransaction) {
  etcdserverpb::TxnRequest txn;
  for (const char* half : {"", "\n", "\nput a 1\n\n", "\nput a 1\n\nget a"}) {
    const Outcome read = Read(half, &txn);
    EXPECT_EQ(read.exit_code, kExitInvalidInput) << half;
    EXPECT_EQ(read.text, "Error: EOF") << half;
  }
}

TEST(ReadTxn, SaysWhichRequestIsWrong) {
  etcdserverpb::TxnRequest txn;
  EXPECT_EQ(Read("\nput\n\n\n", &txn).text, "Error: invalid txn compare request: put");
  EXPECT_EQ(Read("\nwatch a\n\n\n", &txn).text, "Error: invalid txn request: watch a");
  EXPECT_EQ(Read("\nget a --bad\n\n\n", &txn).text, "Error: invalid txn request: get a --bad");
  EXPECT_EQ(Read("\nput a\n\n\n", &txn).exit_code, kExitBadArgs);
  EXPECT_EQ(Read("\ndel a --from-key --prefix\n\n\n", &txn).exit_code, kExitBadArgs);
}

TEST(ParseWatchLine, TakesFlagsKeyAndCommand) {
  WatchRequest request;
  ASSERT_TRUE(
      ParseWatchLine({"--rev=3", "a", "--prev-kv", "c", "--", "sh", "-c", "x --prefix"}, &request)
          .ok());
  EXPECT_EQ(request.key, "a");
  EXPECT_EQ(request.options.range_end, "c");
  EXPECT_EQ(request.options.start_revision, 3);
  EXPECT_TRUE(request.options.prev_kv);
  EXPECT_THAT(request.exec_args, ElementsAre("sh", "-c", "x --prefix"));
  request = {};
  ASSERT_TRUE(ParseWatchLine({"", "--prefix"}, &request).ok());
  EXPECT_EQ(request.key, std::string(1, '\0'));
  EXPECT_EQ(request.options.range_end, std::string(1, '\0'));
}

TEST(ParseWatchLine, SaysWhatIsWrong) {
  WatchRequest request;
  EXPECT_EQ(ParseWatchLine({"a", "--"}, &request).text,
            "Error: bad number of arguments (found separator --, but no commands)");
  EXPECT_EQ(ParseWatchLine({"a", "b", "--prefix"}, &request).text,
            "Error: `range_end` and `--prefix` are mutually exclusive");
  EXPECT_EQ(ParseWatchLine({}, &request).exit_code, kExitBadArgs);
  EXPECT_EQ(ParseWatchLine({"a", "--nope"}, &request).exit_code, kExitInvalidInput);
}

TEST(ParseWatchLine, TakesTheKeyFromTheEnvironment) {
  setenv("ETCDCTL_WATCH_KEY", "e", 1);
  setenv("ETCDCTL_WATCH_RANGE_END", "g", 1);
  WatchRequest request;
  EXPECT_TRUE(ParseWatchLine({}, &request).ok());
  EXPECT_EQ(request.key, "e");
  EXPECT_EQ(request.options.range_end, "g");
  setenv("KVCTL_WATCH_KEY", "k", 1);
  request = {};
  EXPECT_TRUE(ParseWatchLine({}, &request).ok());
  EXPECT_EQ(request.key, "k");
  for (const char* name : {"ETCDCTL_WATCH_KEY", "ETCDCTL_WATCH_RANGE_END", "KVCTL_WATCH_KEY"})
    unsetenv(name);
}

}  // namespace
}  // namespace keel::kvctl
