#include "kvstore/kvctl/top_view.h"

#include <gtest/gtest.h>

#include <sstream>

namespace keel::kvctl {
namespace {

MemberLook Member(uint64_t id, uint64_t leader, uint64_t applied, std::string_view metrics) {
  MemberLook look;
  look.id = id;
  look.name = "m" + std::to_string(id);
  look.endpoint = "http://127.0.0.1:" + std::to_string(id);
  look.leader = leader;
  look.term = 7;
  look.applied = applied;
  look.revision = 90 + static_cast<int64_t>(id);
  look.db_bytes = 2'500'000;
  look.db_bytes_in_use = 1000;
  look.took = std::chrono::microseconds(300);
  look.metrics = ParseMetrics(metrics);
  return look;
}

ClusterLook Before() {
  ClusterLook look;
  look.at_seconds = 100;
  look.members.push_back(Member(1, 1, 1000,
                                "etcd_mvcc_put_total 500\netcd_mvcc_range_total 10\n"
                                "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"} 5\n"
                                "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"+Inf\"} 5\n"));
  look.members.push_back(Member(2, 1, 990, "etcd_mvcc_put_total 490\netcd_mvcc_range_total 100\n"));
  return look;
}

ClusterLook Now() {
  ClusterLook look;
  look.at_seconds = 102;
  look.members.push_back(Member(1, 1, 3000,
                                "etcd_mvcc_put_total 2500\netcd_mvcc_range_total 30\n"
                                "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"} 15\n"
                                "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"+Inf\"} 15\n"));
  // Started anew in between: its counters began again.
  look.members.push_back(
      Member(2, 1, 2400, "etcd_mvcc_put_total 1400\netcd_mvcc_range_total 40\n"));
  MemberLook down = Member(3, 0, 0, "");
  down.error = "connection refused";
  look.members.push_back(down);
  MemberLook none;
  none.id = 0xab;
  look.members.push_back(none);
  look.writes = {.seconds = 2,
                 .events = 400,
                 .by_prefix = {{"/registry/pods/", 300}, {"/registry/nodes/", 100}}};
  return look;
}

TEST(TopViewTest, PrefixesEndBehindASlash) {
  EXPECT_EQ(PrefixOf("/registry/pods/default/a", 1), "/registry/");
  EXPECT_EQ(PrefixOf("/registry/pods/default/a", 2), "/registry/pods/");
  EXPECT_EQ(PrefixOf("app/a", 1), "app/");
  EXPECT_EQ(PrefixOf("app/a", 2), "app/a");
  EXPECT_EQ(PrefixOf("", 2), "");
  EXPECT_EQ(PrefixOf("/", 1), "/");
}

TEST(TopViewTest, RatesLagsAndRoles) {
  const TopView view = Compare(Before(), Now());
  EXPECT_EQ(view.up, 2u);
  EXPECT_EQ(view.revision, 92);
  ASSERT_EQ(view.rows.size(), 4u);
  EXPECT_EQ(view.rows[0].role, "leader");
  EXPECT_EQ(view.rows[1].role, "follower");
  EXPECT_EQ(view.rows[2].role, "down");
  EXPECT_EQ(view.rows[3].role, "not started");
  EXPECT_EQ(view.rows[0].lag, 0u);
  EXPECT_EQ(view.rows[1].lag, 600u);
  EXPECT_EQ(view.puts, 1000);  // of the one that applied most, not of both together
  EXPECT_EQ(view.rows[0].gets, 10);
  EXPECT_EQ(view.rows[1].gets, 20);  // 40 since its start
  EXPECT_EQ(view.gets, 30);
  EXPECT_EQ(view.txns, std::nullopt);
  EXPECT_NEAR(*view.rows[0].fsync.p50, 0.0005, 1e-9);
  EXPECT_EQ(view.rows[1].fsync.p50, std::nullopt);
  ASSERT_EQ(view.hot.size(), 2u);
  EXPECT_EQ(view.hot[0].prefix, "/registry/pods/");
  EXPECT_EQ(view.hot[0].writes, 150);
  EXPECT_EQ(view.hot[0].share, 0.75);
}

TEST(TopViewTest, TheFirstLookHasNoRates) {
  const TopView view = Compare({}, Now());
  EXPECT_EQ(view.puts, std::nullopt);
  EXPECT_EQ(view.rows[0].gets, std::nullopt);
  EXPECT_EQ(view.rows[0].role, "leader");
}

TEST(TopViewTest, DrawsAsMuchAsFits) {
  const TopView view = Compare(Before(), Now());
  const std::string text = DrawTop(view, 200, 40);
  EXPECT_NE(text.find("2 of 4 members up   revision 92\n"), std::string::npos) << text;
  EXPECT_NE(text.find("per second: puts 1k  deletes -"), std::string::npos) << text;
  EXPECT_NE(text.find("m1    leader          7     3000    0  2.5MB     1kB     10 "),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("2.5MB"), std::string::npos) << text;
  EXPECT_NE(text.find("500us/990us"), std::string::npos) << text;
  EXPECT_NE(text.find("! m3: connection refused\n"), std::string::npos) << text;
  EXPECT_NE(text.find("/registry/pods/         150    75%\n"), std::string::npos) << text;
  for (const size_t width : {1, 20, 80}) {
    for (const size_t height : {1, 3, 9, 24}) {
      std::istringstream lines(DrawTop(view, width, height));
      size_t count = 0;
      for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), width);
      EXPECT_LE(count, height);
    }
  }
}

TEST(TopViewTest, WhatIsNotTextIsEscaped) {
  ClusterLook look = Now();
  look.writes.by_prefix = {{"\x1b[2J\xff/", 1}};
  look.writes.events = 1;
  const TopView view = Compare(Before(), look);
  EXPECT_EQ(DrawTop(view, 200, 40).find('\x1b'), std::string::npos);
  EXPECT_NE(DrawTop(view, 200, 40).find(R"(\x1b[2J\xff/)"), std::string::npos);
}

TEST(TopViewTest, JsonHasNullForWhatIsNotKnown) {
  const std::string json = TopJson(Compare(Before(), Now()));
  EXPECT_NE(json.find(R"("per_second":{"puts":1000,"deletes":null)"), std::string::npos) << json;
  EXPECT_NE(json.find(R"({"id":"1","name":"m1","endpoint":"http://127.0.0.1:1","role":"leader",)"
                      R"("term":7,"applied":3000,"lag":0)"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find(R"("role":"down","error":"connection refused"})"), std::string::npos);
  EXPECT_NE(json.find(R"({"prefix":"/registry/pods/","writes":150,"share":0.75})"),
            std::string::npos);
}

}  // namespace
}  // namespace keel::kvctl
