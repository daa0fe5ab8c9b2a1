#include "kvstore/kvctl/top_view.h"

#include <algorithm>

#include "base/strings.h"

namespace keel::kvctl {

namespace {

// The increase of a counter, per second; what it is now when the process was started anew.
std::optional<double> Rate(const Metrics* before, const Metrics& now, std::string_view name,
                           double seconds) {
  const std::optional<double> end = SumOf(now, name);
  if (!end.has_value() || before == nullptr || seconds <= 0) return std::nullopt;
  const std::optional<double> start = SumOf(*before, name);
  if (!start.has_value()) return std::nullopt;
  return (*end >= *start ? *end - *start : *end) / seconds;
}

Quantiles QuantilesOf(const Metrics* before, const Metrics& now, std::string_view name) {
  const Histogram histogram = HistogramOf(now, name, before);
  return {Quantile(0.5, histogram), Quantile(0.99, histogram)};
}

void Add(const std::optional<double>& value, std::optional<double>* sum) {
  if (value.has_value()) *sum = sum->value_or(0) + *value;
}

// Every member applies every write: the largest figure is that of the one that is not behind.
void AtLeast(const std::optional<double>& value, std::optional<double>* largest) {
  if (value.has_value()) *largest = std::max(largest->value_or(0), *value);
}

std::string RoleOf(const MemberLook& look) {
  if (look.endpoint.empty()) return "not started";
  if (!look.error.empty()) return "down";
  if (look.learner) return "learner";
  if (look.leader == 0) return "no leader";
  return look.leader == look.id ? "leader" : "follower";
}

}  // namespace

std::string PrefixOf(std::string_view key, int depth) {
  size_t end = !key.empty() && key[0] == '/' ? 1 : 0;
  for (int i = 0; i < depth; ++i) {
    const size_t slash = key.find('/', end);
    if (slash == std::string_view::npos) return std::string(key);
    end = slash + 1;
  }
  return std::string(key.substr(0, end));
}

TopView Compare(const ClusterLook& before, const ClusterLook& now) {
  TopView view;
  const double seconds = now.at_seconds - before.at_seconds;
  uint64_t applied_max = 0;
  for (const MemberLook& look : now.members) applied_max = std::max(applied_max, look.applied);
  for (const MemberLook& look : now.members) {
    MemberRow& row = view.rows.emplace_back();
    row.look = look;
    row.role = RoleOf(look);
    if (!look.error.empty() || look.endpoint.empty()) continue;
    ++view.up;
    row.lag = applied_max - look.applied;
    view.revision = std::max(view.revision, look.revision);
    const auto earlier = std::find_if(before.members.begin(), before.members.end(),
                                      [&](const MemberLook& each) { return each.id == look.id; });
    const Metrics* then =
        earlier == before.members.end() || earlier->metrics.empty() ? nullptr : &earlier->metrics;
    const auto rate = [&](std::string_view name) {
      return Rate(then, look.metrics, name, seconds);
    };
    row.gets = rate("etcd_mvcc_range_total");
    row.watch_events = rate("etcd_debugging_mvcc_events_total");
    row.received_bytes = rate("etcd_network_client_grpc_received_bytes_total");
    row.sent_bytes = rate("etcd_network_client_grpc_sent_bytes_total");
    row.fsync = QuantilesOf(then, look.metrics, "etcd_disk_wal_fsync_duration_seconds");
    row.commit = QuantilesOf(then, look.metrics, "etcd_disk_backend_commit_duration_seconds");
    row.round_trip = QuantilesOf(then, look.metrics, "etcd_network_peer_round_trip_time_seconds");
    Add(row.gets, &view.gets);
    Add(row.watch_events, &view.watch_events);
    Add(row.received_bytes, &view.received_bytes);
    Add(row.sent_bytes, &view.sent_bytes);
    AtLeast(rate("etcd_mvcc_put_total"), &view.puts);
    AtLeast(rate("etcd_mvcc_delete_total"), &view.deletes);
    AtLeast(rate("etcd_mvcc_txn_total"), &view.txns);
  }
  view.hot_error = now.writes.error;
  for (const auto& [prefix, events] : now.writes.by_prefix) {
    if (now.writes.seconds <= 0 || now.writes.events == 0) break;
    const auto count = static_cast<double>(events);
    view.hot.push_back(
        {prefix, count / now.writes.seconds, count / static_cast<double>(now.writes.events)});
  }
  std::stable_sort(view.hot.begin(), view.hot.end(),
                   [](const HotPrefix& a, const HotPrefix& b) { return a.writes > b.writes; });
  return view;
}

}  // namespace keel::kvctl
