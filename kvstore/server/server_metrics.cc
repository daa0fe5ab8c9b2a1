#include "kvstore/server/server_metrics.h"

#include <map>

#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "kvstore/server/maintenance_service.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

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
  AppendGauge("etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes.",
              static_cast<double>(context->config.quota_backend_bytes), out);
  AppendFamily("etcd_server_health_success", "1 when no alarm stands and a leader is known.",
               "gauge", out);
  AppendSample("etcd_server_health_success", "",
               context->HasLeader() && !context->no_space.load() && !context->corrupt.load(), out);

  wal_fsync.Append("etcd_disk_wal_fsync_duration_seconds",
                   "The latency distributions of fsync called by WAL.", out);

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
  AppendCounter("etcd_debugging_lease_revoked_total", "The total number of revoked leases.",
                static_cast<double>(leases_revoked.load()), out);
  AppendCounter("etcd_debugging_server_lease_expired_total", "The total number of expired leases.",
                static_cast<double>(lease_expired.load()), out);

  AppendFamily("etcd_network_active_peers", "The current number of active peer connections.",
               "gauge", out);
  for (const Member& member : context->machine->members().List()) {
    if (member.id == context->member_id) continue;
    const bool active = context->transport->SinceHeard(member.id) < 5 * context->config.election();
    AppendSample("etcd_network_active_peers",
                 absl::StrFormat("Local=\"%s\",Remote=\"%x\"", id, member.id), active, out);
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
