#include "kvstore/server/server_metrics.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "kvstore/server/maintenance_service.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

// etcd warns of a request from there on (--warning-apply-duration).
constexpr base::Duration kSlowApply = std::chrono::milliseconds(100);

// gRPC's names of its codes, as go-grpc-prometheus labels them.
constexpr const char* kCodes[] = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

std::string MethodLabels(std::string_view path, bool stream) {
  const size_t slash = path.rfind('/');
  return StrCat("grpc_method=\"", path.substr(slash + 1), "\",grpc_service=\"",
                path.substr(1, slash - 1), "\",grpc_type=\"", stream ? "bidi_stream" : "unary",
                "\"");
}

}  // namespace

std::string ServerMetrics::Exposition() const {
  std::string out;
  out.reserve(32 * 1024);
  AppendServer(&out);
  AppendHealth(&out);
  AppendPeers(&out);
  AppendRpc(&out);
  for (const auto& append : more) append(&out);
  AppendProcessMetrics(&out);
  return out;
}

void ServerMetrics::AppendServer(std::string* out) const {
  const raft::Node& node = *context->node;
  const std::string id = absl::StrFormat("%x", context->member_id);
  AppendFamily("etcd_server_version",
               "Which version is running. 1 for 'server_version' label with current version.",
               "gauge", out);
  AppendSample("etcd_server_version", StrCat("server_version=\"", kEtcdVersion, "\""), 1, out);
  if (const std::string version = context->machine->cluster_version(); !version.empty()) {
    AppendFamily(
        "etcd_cluster_version",
        "Which version is running. 1 for 'cluster_version' label with current cluster version",
        "gauge", out);
    AppendSample("etcd_cluster_version", StrCat("cluster_version=\"", version, "\""), 1, out);
  }
  AppendGauge("keel_cluster_level", "Level up to which the cluster uses commands.",
              context->machine->cluster_level(), out);
  AppendFamily(
      "etcd_server_id",
      "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
      "gauge", out);
  AppendSample("etcd_server_id", StrCat("server_id=\"", id, "\""), 1, out);
  AppendGauge("etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not.",
              context->HasLeader(), out);
  AppendGauge("etcd_server_is_leader",
              "Whether or not this member is a leader. 1 if is, 0 otherwise.", context->IsLeader(),
              out);
  AppendGauge("etcd_server_is_learner",
              "Whether or not this member is a learner. 1 if is, 0 otherwise.",
              context->is_learner.load(), out);
  AppendCounter("etcd_server_leader_changes_seen_total", "The number of leader changes seen.",
                static_cast<double>(leader_changes.load()), out);
  AppendGauge("etcd_server_proposals_committed_total",
              "The total number of consensus proposals committed.",
              static_cast<double>(node.commit_index()), out);
  AppendGauge("etcd_server_proposals_applied_total",
              "The total number of consensus proposals applied.",
              static_cast<double>(node.applied_index()), out);
  AppendGauge("etcd_server_proposals_pending", "The current number of pending proposals to commit.",
              static_cast<double>(proposals->pending()), out);
  AppendCounter("etcd_server_proposals_failed_total", "The total number of failed proposals seen.",
                static_cast<double>(proposals->failed_total()), out);
  // Without a quota a very large one: alerts divide by it.
  const uint64_t quota = context->config.quota_backend_bytes;
  AppendGauge("etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes.",
              quota != 0 ? static_cast<double>(quota) : static_cast<double>(INT64_MAX), out);
  AppendCounter("etcd_server_slow_apply_total",
                "The total number of slow apply requests (likely overloaded from slow disk).",
                static_cast<double>(slow_applies.load()), out);
  wal_fsync.Append("etcd_disk_wal_fsync_duration_seconds",
                   "The latency distributions of fsync called by WAL.", out);

  backend_commit.Append("etcd_disk_backend_commit_duration_seconds",
                        "The latency distributions of commit called by backend.", out);
  AppendCounter("etcd_mvcc_put_total", "Total number of puts seen by this member.",
                static_cast<double>(puts.load()), out);
  AppendCounter("etcd_mvcc_delete_total", "Total number of deletes seen by this member.",
                static_cast<double>(deletes.load()), out);
  AppendCounter("etcd_mvcc_txn_total", "Total number of txns seen by this member.",
                static_cast<double>(txns.load()), out);

  const StoreSizes sizes = context->machine->sizes();
  const std::shared_ptr<const ReadView> view = context->machine->view();
  AppendGauge("etcd_mvcc_db_total_size_in_bytes",
              "Total size of the underlying database physically allocated in bytes.",
              static_cast<double>(sizes.db_bytes), out);
  AppendGauge("etcd_mvcc_db_total_size_in_use_in_bytes",
              "Total size of the underlying database logically in use in bytes.",
              static_cast<double>(sizes.in_use_bytes), out);
  AppendGauge("etcd_debugging_mvcc_db_total_size_in_bytes",
              "Total size of the underlying database physically allocated in bytes.",
              static_cast<double>(sizes.db_bytes), out);
  AppendGauge("etcd_debugging_mvcc_current_revision", "The current revision of store.",
              static_cast<double>(view->revision()), out);
  AppendGauge("etcd_debugging_mvcc_compact_revision",
              "The revision of the last compaction in store.",
              static_cast<double>(view->compact_revision()), out);
  AppendCounter("etcd_debugging_lease_granted_total", "The total number of granted leases.",
                static_cast<double>(leases_granted.load()), out);
  AppendCounter("etcd_debugging_lease_renewed_total",
                "The number of renewed leases seen by the leader.",
                static_cast<double>(leases_renewed.load()), out);
  AppendCounter("etcd_server_slow_read_indexes_total",
                "The total number of pending read indexes not in sync with leader's or timed out.",
                static_cast<double>(slow_reads ? slow_reads() : 0), out);
  AppendCounter("etcd_server_read_indexes_failed_total",
                "The total number of failed read indexes seen.",
                static_cast<double>(failed_read_indexes ? failed_read_indexes() : 0), out);
  AppendCounter("etcd_debugging_lease_revoked_total", "The total number of revoked leases.",
                static_cast<double>(leases_revoked.load()), out);
  AppendCounter("etcd_debugging_server_lease_expired_total", "The total number of expired leases.",
                static_cast<double>(lease_expired.load()), out);
}

void ServerMetrics::Applied(const ApplyFigures& figures) {
  backend_commit.Observe(figures.commit);
  if (figures.puts != 0) puts.fetch_add(figures.puts, std::memory_order_relaxed);
  if (figures.deletes != 0) deletes.fetch_add(figures.deletes, std::memory_order_relaxed);
  if (figures.txns != 0) txns.fetch_add(figures.txns, std::memory_order_relaxed);
  if (figures.apply > kSlowApply) slow_applies.fetch_add(1, std::memory_order_relaxed);
}

void ServerMetrics::Tick() {
  for (const raft::PeerFigures& peer : context->transport->Peers()) {
    std::lock_guard lock(mu_);
    RoundTrips& trips = round_trips_[peer.peer];
    if (std::exchange(trips.seen, peer.round_trips) == peer.round_trips) continue;
    trips.histogram.Observe(peer.round_trip);
  }
}

void ServerMetrics::CountHealth(bool healthy) {
  std::lock_guard lock(mu_);
  ++(healthy ? healthy_ : unhealthy_);
}

void ServerMetrics::CountCheck(const std::string& type, const std::string& name, bool passed) {
  std::lock_guard lock(mu_);
  CheckCounts& counts = checks_[{type, name}];
  counts.passed = passed;
  ++(passed ? counts.passes : counts.failures);
}

void ServerMetrics::AppendHealth(std::string* out) const {
  std::lock_guard lock(mu_);
  AppendCounter("etcd_server_health_success", "The total number of successful health checks",
                static_cast<double>(healthy_), out);
  AppendCounter("etcd_server_health_failures", "The total number of failed health checks",
                static_cast<double>(unhealthy_), out);
  if (checks_.empty()) return;
  AppendFamily("etcd_server_healthcheck", "The result of each kind of healthcheck.", "gauge", out);
  for (const auto& [check, counts] : checks_) {
    AppendSample("etcd_server_healthcheck",
                 StrCat("name=\"", check.second, "\",type=\"", check.first, "\""), counts.passed,
                 out);
  }
  AppendFamily("etcd_server_healthchecks_total", "The total number of each kind of healthcheck.",
               "counter", out);
  for (const auto& [check, counts] : checks_) {
    for (const bool passed : {false, true}) {
      const uint64_t count = passed ? counts.passes : counts.failures;
      if (count == 0) continue;
      AppendSample("etcd_server_healthchecks_total",
                   StrCat("name=\"", check.second, "\",status=\"", passed ? "success" : "error",
                          "\",type=\"", check.first, "\""),
                   static_cast<double>(count), out);
    }
  }
}

void ServerMetrics::AppendPeers(std::string* out) const {
  const std::string id = absl::StrFormat("%x", context->member_id);
  std::vector<uint64_t> others;
  for (const Member& member : context->machine->members().List()) {
    if (member.id != context->member_id) others.push_back(member.id);
  }
  if (others.empty()) return;
  AppendFamily("etcd_network_active_peers", "The current number of active peer connections.",
               "gauge", out);
  for (const uint64_t other : others) {
    const bool active = context->transport->SinceHeard(other) < 5 * context->config.election();
    AppendSample("etcd_network_active_peers",
                 absl::StrFormat("Local=\"%s\",Remote=\"%x\"", id, other), active, out);
  }
  // Of members only: a removed one's figures are of no use to anybody.
  std::vector<raft::PeerFigures> peers = context->transport->Peers();
  std::erase_if(peers, [&others](const raft::PeerFigures& peer) {
    return std::find(others.begin(), others.end(), peer.peer) == others.end();
  });
  const auto family = [&](std::string_view name, std::string_view help, std::string_view label,
                          uint64_t raft::PeerFigures::*figure) {
    AppendFamily(name, help, "counter", out);
    for (const raft::PeerFigures& peer : peers) {
      AppendSample(name, absl::StrFormat("%s=\"%x\"", std::string(label), peer.peer),
                   static_cast<double>(peer.*figure), out);
    }
  };
  family("etcd_network_peer_sent_bytes_total", "The total number of bytes sent to peers.", "To",
         &raft::PeerFigures::sent_bytes);
  family("etcd_network_peer_received_bytes_total", "The total number of bytes received from peers.",
         "From", &raft::PeerFigures::received_bytes);
  family("etcd_network_peer_sent_failures_total", "The total number of send failures to peers.",
         "To", &raft::PeerFigures::dropped_messages);
  constexpr std::string_view kRoundTrip = "etcd_network_peer_round_trip_time_seconds";
  AppendFamily(kRoundTrip, "Round-Trip-Time histogram between peers", "histogram", out);
  std::lock_guard lock(mu_);
  for (const auto& [peer, trips] : round_trips_) {
    if (std::find(others.begin(), others.end(), peer) == others.end()) continue;
    trips.histogram.AppendSamples(kRoundTrip, absl::StrFormat("To=\"%x\"", peer), out);
  }
}

void ServerMetrics::AppendRpc(std::string* out) const {
  uint64_t received = 0, sent = 0, connections = 0;
  std::vector<rpc::ServerStats> all;
  for (const rpc::Server* server : rpc_servers) {
    all.push_back(server->Stats());
    received += all.back().bytes_received;
    sent += all.back().bytes_sent;
    connections += all.back().connections_open;
  }
  AppendCounter("etcd_network_client_grpc_received_bytes_total",
                "The total number of bytes received from grpc clients.",
                static_cast<double>(received), out);
  AppendCounter("etcd_network_client_grpc_sent_bytes_total",
                "The total number of bytes sent to grpc clients.", static_cast<double>(sent), out);
  AppendGauge("keel_client_connections", "Client connections that are open.",
              static_cast<double>(connections), out);

  const auto each = [&](auto&& visit) {
    for (const rpc::ServerStats& stats : all) {
      for (const rpc::ServerStats::Method& method : stats.methods) visit(method);
    }
  };
  // Alone or behind a read index; those within transactions are not among them.
  double ranges = 0;
  each([&](const auto& m) {
    if (m.path.starts_with("/etcdserverpb.KV/Range")) ranges += static_cast<double>(m.handled[0]);
  });
  AppendCounter("etcd_mvcc_range_total", "Total number of ranges seen by this member.", ranges,
                out);
  AppendFamily("grpc_server_started_total", "Total number of RPCs started on the server.",
               "counter", out);
  each([&](const auto& m) {
    AppendSample("grpc_server_started_total", MethodLabels(m.path, m.stream),
                 static_cast<double>(m.started), out);
  });
  AppendFamily("grpc_server_handled_total",
               "Total number of RPCs completed on the server, regardless of success or failure.",
               "counter", out);
  each([&](const auto& m) {
    for (size_t code = 0; code < std::size(kCodes); ++code) {
      if (m.handled[code] == 0) continue;
      AppendSample("grpc_server_handled_total",
                   StrCat("grpc_code=\"", kCodes[code], "\",", MethodLabels(m.path, m.stream)),
                   static_cast<double>(m.handled[code]), out);
    }
  });
  AppendFamily("grpc_server_msg_received_total",
               "Total number of RPC stream messages received on the server.", "counter", out);
  each([&](const auto& m) {
    AppendSample("grpc_server_msg_received_total", MethodLabels(m.path, m.stream),
                 static_cast<double>(m.messages_received), out);
  });
  AppendFamily("grpc_server_msg_sent_total",
               "Total number of gRPC stream messages sent by the server.", "counter", out);
  each([&](const auto& m) {
    AppendSample("grpc_server_msg_sent_total", MethodLabels(m.path, m.stream),
                 static_cast<double>(m.messages_sent), out);
  });
}

}  // namespace keel::kvstore
