// What `kvctl top` shows: two looks at a cluster, made into rates and drawn.
//
//   const TopView view = Compare(before, now);
//   std::cout << DrawTop(view, 100, 40);
//
// Pure: no clock, no terminal, no network.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvstore/kvctl/metrics_text.h"

namespace keel::kvctl {

// One member, as it answered.
struct MemberLook {
  uint64_t id = 0;
  std::string name;
  std::string endpoint;  // empty: it has told of none
  std::string error;     // why there is no answer; empty: all below is its
  uint64_t leader = 0;
  bool learner = false;
  uint64_t term = 0;
  uint64_t applied = 0;
  int64_t revision = 0;
  int64_t db_bytes = 0;
  int64_t db_bytes_in_use = 0;
  std::string version;
  std::chrono::nanoseconds took{};  // of the Status call
  std::vector<std::string> alarms;
  Metrics metrics;  // empty when they could not be had
};

// Writes seen in a watch of all keys that ran for `seconds`.
struct WriteSample {
  double seconds = 0;
  uint64_t events = 0;
  std::map<std::string, uint64_t> by_prefix;
  std::string error;  // why there is none
};

struct ClusterLook {
  double at_seconds = 0;  // of any clock that does not jump
  std::vector<MemberLook> members;
  WriteSample writes;
};

struct Quantiles {
  std::optional<double> p50, p99;  // seconds
};

struct MemberRow {
  MemberLook look;
  std::string role;  // leader, follower, learner, no leader, down, not started
  uint64_t lag = 0;  // entries applied less than by the one that has applied most
  // Per second; nullopt when the member does not say.
  std::optional<double> gets, watch_events, received_bytes, sent_bytes;
  Quantiles fsync, commit, round_trip;
};

struct HotPrefix {
  std::string prefix;
  double writes = 0;  // per second
  double share = 0;   // of all in the sample
};

struct TopView {
  std::vector<MemberRow> rows;
  size_t up = 0;
  int64_t revision = 0;
  // Of the whole cluster, per second.
  std::optional<double> puts, deletes, txns, gets, watch_events, received_bytes, sent_bytes;
  std::vector<HotPrefix> hot;  // the most written first
  std::string hot_error;
};

// The first `depth` parts of a key, each with the '/' behind it: "/a/b/" of "/a/b/c/d" at 2 (a '/'
// in front is none). A key with fewer parts is its own prefix.
std::string PrefixOf(std::string_view key, int depth);

// `before` may be of another set of members, or empty: then there are no rates.
TopView Compare(const ClusterLook& before, const ClusterLook& now);

// As many lines as fit, none wider than `width`, each with a line feed.
std::string DrawTop(const TopView& view, size_t width, size_t height);
// One object on one line, without a line feed. Durations in seconds, sizes in bytes.
std::string TopJson(const TopView& view);

}  // namespace keel::kvctl
