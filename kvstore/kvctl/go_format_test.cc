#include "kvstore/kvctl/go_format.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "kvstore/api/rpc.pb.h"
#include "kvstore/kvctl/go_json.h"
#include "kvstore/kvctl/table.h"

namespace keel::kvctl {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// What etcdctl 3.4.23 prints with -w fields for these bytes.
TEST(Quote, IsGos) {
  EXPECT_EQ(Quote("a"), R"("a")");
  EXPECT_EQ(Quote("b\nx"), R"("b\nx")");
  EXPECT_EQ(Quote("q\"\xff\x01\xc3\xa9"), "\"q\\\"\\xff\\x01\xc3\xa9\"");
  EXPECT_EQ(Quote("\xc2\xad\xe2\x80\x8b\xf0\x9f\x98\x80"), "\"\\u00ad\\u200b\xf0\x9f\x98\x80\"");
  EXPECT_EQ(Quote("\x7f\\\t"), R"("\x7f\\\t")");
  EXPECT_EQ(Quote("\xe2\x82"), R"("\xe2\x82")");
  EXPECT_EQ(Quote("\xed\xa0\x80"), R"("\xed\xa0\x80")");
}

RC_GTEST_PROP(Quote, IsReadBack, (const std::string& bytes)) {
  const std::string quoted = Quote(bytes) + " rest";
  std::string_view text = quoted;
  RC_ASSERT(TakeQuoted(text) == bytes);
  RC_ASSERT(text == " rest");
}

TEST(TakeQuoted, ReadsGosEscapes) {
  const auto take = [](std::string_view text) { return TakeQuoted(text); };
  EXPECT_EQ(take(R"("\x61\142\u00e9\U0001F600\a")"), "ab\xc3\xa9\xf0\x9f\x98\x80\a");
  for (const char* bad : {"", "a", "\"", "\"a", R"("\q")", R"("\x6")", R"("\x6g")", R"("\ud800")",
                          R"("\400")", "\"a\nb\"", R"("\)"}) {
    EXPECT_EQ(take(bad), std::nullopt) << bad;
  }
}

TEST(Duration, IsGos) {
  EXPECT_EQ(FormatDuration(nanoseconds(0)), "0s");
  EXPECT_EQ(FormatDuration(nanoseconds(999)), "999ns");
  EXPECT_EQ(FormatDuration(nanoseconds(1500)), "1.5µs");
  EXPECT_EQ(FormatDuration(nanoseconds(1980944)), "1.980944ms");
  EXPECT_EQ(FormatDuration(nanoseconds(23154920)), "23.15492ms");
  EXPECT_EQ(FormatDuration(nanoseconds(5000381499)), "5.000381499s");
  EXPECT_EQ(FormatDuration(seconds(90)), "1m30s");
  EXPECT_EQ(FormatDuration(hours(2)), "2h0m0s");
  EXPECT_EQ(ParseDuration("1m30s"), seconds(90));
  EXPECT_EQ(ParseDuration("1.5s"), milliseconds(1500));
  EXPECT_EQ(ParseDuration("250ms"), milliseconds(250));
  EXPECT_EQ(ParseDuration("0"), nanoseconds(0));
  for (const char* bad : {"", "5", "s", "1x", "-1s", "1..5s", "1s2"}) {
    EXPECT_EQ(ParseDuration(bad), std::nullopt) << bad;
  }
}

TEST(Bytes, AreInPowersOfAThousand) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(20480), "20 kB");
  EXPECT_EQ(FormatBytes(24576), "25 kB");
  EXPECT_EQ(FormatBytes(1500), "1.5 kB");
  EXPECT_EQ(FormatBytes(8'589'934'592), "8.6 GB");
}

TEST(JsonString, EscapesAsGo) {
  EXPECT_EQ(JsonString("a\"<>&\n\x01\xff\xc3\xa9"),
            "\"a\\\"\\u003c\\u003e\\u0026\\n\\u0001\\ufffd\xc3\xa9\"");
}

// Taken from etcdctl 3.4.23.
TEST(GoJson, IsWhatGoWritesForEtcdsStructs) {
  etcdserverpb::TxnResponse txn;
  txn.mutable_header()->set_cluster_id(324952591200643719);
  txn.mutable_header()->set_revision(30);
  txn.set_succeeded(true);
  txn.add_responses()->mutable_response_put()->mutable_header()->set_revision(30);
  auto* range = txn.add_responses()->mutable_response_range();
  auto* kv = range->add_kvs();
  kv->set_key("b\nx");
  kv->set_value("q\"\xff\x01\xc3\xa9");
  range->set_count(1);
  EXPECT_EQ(
      GoJson(txn),
      R"({"header":{"cluster_id":324952591200643719,"revision":30},"succeeded":true,"responses":[)"
      R"({"Response":{"ResponsePut":{"header":{"revision":30}}}},)"
      R"({"Response":{"ResponseRange":{"kvs":[{"key":"Ygp4","value":"cSL/AcOp"}],"count":1}}}]})");
  EXPECT_EQ(GoJson(etcdserverpb::AlarmResponse()), "{}");
  mvccpb::Event event;
  event.set_type(mvccpb::Event::DELETE);
  event.mutable_kv();
  EXPECT_EQ(GoJson(event), R"({"type":1,"kv":{}})");
}

TEST(Table, IsEtcdctls) {
  EXPECT_EQ(DrawTable({"endpoint", "health", "took", "error"},
                      {{"127.0.0.1:23790", "true", "23.15492ms", ""},
                       {"127.0.0.1:1", "false", "5.000381499s", "context deadline exceeded"}}),
            "+-----------------+--------+--------------+---------------------------+\n"
            "|    ENDPOINT     | HEALTH |     TOOK     |           ERROR           |\n"
            "+-----------------+--------+--------------+---------------------------+\n"
            "| 127.0.0.1:23790 |   true |   23.15492ms |                           |\n"
            "|     127.0.0.1:1 |  false | 5.000381499s | context deadline exceeded |\n"
            "+-----------------+--------+--------------+---------------------------+\n");
}

TEST(Numbers, AreWholeAndInRange) {
  EXPECT_EQ(ParseInt64("-5"), -5);
  EXPECT_EQ(ParseInt64("2040a203bbd7380f", 16), 0x2040a203bbd7380f);
  EXPECT_EQ(ParseUint64("9f22d46acfdb3143", 16), 0x9f22d46acfdb3143);
  EXPECT_EQ(ParseInt64("9f22d46acfdb3143", 16), std::nullopt);
  for (const char* bad : {"", "x", "5 ", "5.0", "99999999999999999999"}) {
    EXPECT_EQ(ParseInt64(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace keel::kvctl
