// The format for people: one thing a line, nothing else.
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kvstore/client/requests.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/printer.h"

namespace keel::kvctl {
namespace {

class SimplePrinter final : public Printer {
 public:
  SimplePrinter(const PrintOptions& options, std::ostream& out) : Printer(out), options_(options) {}

  void Get(const etcdserverpb::RangeResponse& response) override {
    if (options_.count_only) out_ << response.count() << "\n";
    for (const auto& kv : response.kvs()) Record(kv, options_.value_only);
  }
  void Put(const etcdserverpb::PutResponse& response) override {
    out_ << "OK\n";
    if (response.has_prev_kv()) Record(response.prev_kv(), false);
  }
  void Delete(const etcdserverpb::DeleteRangeResponse& response) override {
    out_ << response.deleted() << "\n";
    for (const auto& kv : response.prev_kvs()) Record(kv, false);
  }
  void Txn(const etcdserverpb::TxnResponse& response) override {
    out_ << (response.succeeded() ? "SUCCESS" : "FAILURE") << "\n";
    for (const auto& op : response.responses()) {
      out_ << "\n";
      if (op.has_response_put()) Put(op.response_put());
      if (op.has_response_range()) Get(op.response_range());
      if (op.has_response_delete_range()) Delete(op.response_delete_range());
      if (op.has_response_txn()) Txn(op.response_txn());
    }
  }
  void Watch(const etcdserverpb::WatchResponse& response) override {
    for (const auto& event : response.events()) {
      out_ << (event.type() == mvccpb::Event::PUT ? "PUT" : "DELETE") << "\n";
      if (event.has_prev_kv()) Record(event.prev_kv(), false);
      Record(event.kv(), false);
    }
  }

  void Grant(const etcdserverpb::LeaseGrantResponse& response) override {
    out_ << absl::StrFormat("lease %016x granted with TTL(%ds)\n", response.id(), response.ttl());
  }
  void Revoke(int64_t lease, const etcdserverpb::LeaseRevokeResponse&) override {
    out_ << absl::StrFormat("lease %016x revoked\n", lease);
  }
  void KeepAlive(const etcdserverpb::LeaseKeepAliveResponse& response) override {
    out_ << absl::StrFormat("lease %016x keepalived with TTL(%d)\n", response.id(), response.ttl());
  }
  void TimeToLive(const etcdserverpb::LeaseTimeToLiveResponse& response, bool keys) override {
    if (response.grantedttl() == 0 && response.ttl() == -1) {
      out_ << absl::StrFormat("lease %016x already expired\n", response.id());
      return;
    }
    out_ << absl::StrFormat("lease %016x granted with TTL(%ds), remaining(%ds)", response.id(),
                            response.grantedttl(), response.ttl());
    if (keys) out_ << ", attached keys([" << absl::StrJoin(response.keys(), " ") << "])";
    out_ << "\n";
  }
  void Leases(const etcdserverpb::LeaseLeasesResponse& response) override {
    out_ << absl::StrFormat("found %d leases\n", response.leases_size());
    for (const auto& lease : response.leases()) out_ << absl::StrFormat("%016x\n", lease.id());
  }

  void MemberList(const etcdserverpb::MemberListResponse& response) override {
    for (const auto& member : response.members()) Line(MemberCells(member));
  }
  void MemberAdd(const etcdserverpb::MemberAddResponse& response) override {
    Member(response.member().id(), "added to", response.header());
  }
  void MemberRemove(uint64_t id, const etcdserverpb::MemberRemoveResponse& response) override {
    Member(id, "removed from", response.header());
  }
  void MemberUpdate(uint64_t id, const etcdserverpb::MemberUpdateResponse& response) override {
    Member(id, "updated in", response.header());
  }
  void MemberPromote(uint64_t id, const etcdserverpb::MemberPromoteResponse& response) override {
    Member(id, "promoted in", response.header());
  }

  void Status(const std::vector<EndpointStatus>& all) override {
    for (const auto& one : all) Line(StatusCells(one));
  }
  void Health(const std::vector<EndpointHealth>& all) override {
    for (const auto& one : all) {
      out_ << one.endpoint;
      if (one.error.empty()) {
        out_ << " is healthy: successfully committed proposal: took = " << FormatDuration(one.took);
      } else {
        out_ << " is unhealthy: failed to commit proposal: " << one.error;
      }
      out_ << "\n";
    }
  }
  void HashKV(const std::vector<EndpointHashKV>& all) override {
    for (const auto& one : all) out_ << one.endpoint << ", " << one.hash.hash() << "\n";
  }
  void Alarm(const etcdserverpb::AlarmResponse& response) override {
    for (const auto& alarm : response.alarms()) {
      out_ << absl::StrFormat("memberID:%d alarm:%s \n", alarm.memberid(),
                              etcdserverpb::AlarmType_Name(alarm.alarm()));
    }
  }
  void MoveLeader(uint64_t from, uint64_t to, const etcdserverpb::MoveLeaderResponse&) override {
    out_ << absl::StrFormat("Leadership transferred from %x to %x\n", from, to);
  }

  void AuthStatus(const etcdserverpb::AuthStatusResponse& response) override {
    out_ << "Authentication Status: " << (response.enabled() ? "true" : "false")
         << "\nAuthRevision: " << response.authrevision() << "\n";
  }
  void UserAdd(const std::string& user, const etcdserverpb::AuthUserAddResponse&) override {
    out_ << "User " << user << " created\n";
  }
  void UserGet(const std::string& user,
               const etcdserverpb::AuthUserGetResponse& response) override {
    out_ << "User: " << user << "\nRoles:";
    for (const std::string& role : response.roles()) out_ << " " << role;
    out_ << "\n";
  }
  void UserList(const etcdserverpb::AuthUserListResponse& response) override {
    for (const std::string& user : response.users()) out_ << user << "\n";
  }
  void UserDelete(const std::string& user, const etcdserverpb::AuthUserDeleteResponse&) override {
    out_ << "User " << user << " deleted\n";
  }
  void UserChangePassword(const etcdserverpb::AuthUserChangePasswordResponse&) override {
    out_ << "Password updated\n";
  }
  void UserGrantRole(const std::string& user, const std::string& role,
                     const etcdserverpb::AuthUserGrantRoleResponse&) override {
    out_ << "Role " << role << " is granted to user " << user << "\n";
  }
  void UserRevokeRole(const std::string& user, const std::string& role,
                      const etcdserverpb::AuthUserRevokeRoleResponse&) override {
    out_ << "Role " << role << " is revoked from user " << user << "\n";
  }
  void RoleAdd(const std::string& role, const etcdserverpb::AuthRoleAddResponse&) override {
    out_ << "Role " << role << " created\n";
  }
  void RoleGet(const std::string& role,
               const etcdserverpb::AuthRoleGetResponse& response) override {
    out_ << "Role " << role << "\nKV Read:\n";
    for (const auto& permission : response.perm()) {
      if (permission.permtype() != authpb::Permission::WRITE) Keys(permission);
    }
    out_ << "KV Write:\n";
    for (const auto& permission : response.perm()) {
      if (permission.permtype() != authpb::Permission::READ) Keys(permission);
    }
  }
  void RoleList(const etcdserverpb::AuthRoleListResponse& response) override {
    for (const std::string& role : response.roles()) out_ << role << "\n";
  }
  void RoleDelete(const std::string& role, const etcdserverpb::AuthRoleDeleteResponse&) override {
    out_ << "Role " << role << " deleted\n";
  }
  void RoleGrantPermission(const std::string& role,
                           const etcdserverpb::AuthRoleGrantPermissionResponse&) override {
    out_ << "Role " << role << " updated\n";
  }
  void RoleRevokePermission(const etcdserverpb::AuthRoleRevokePermissionRequest& request,
                            const etcdserverpb::AuthRoleRevokePermissionResponse&) override {
    const std::string keys = request.range_end().empty()
                                 ? "key " + request.key()
                                 : "range " + Range(request.key(), request.range_end());
    out_ << "Permission of " << keys << " is revoked from role " << request.role() << "\n";
  }

 private:
  static std::string Range(const std::string& key, const std::string& range_end) {
    // etcdctl closes no bracket behind an open end.
    const bool open = range_end == std::string_view("\0", 1);
    return "[" + key + ", " + (open ? "<open ended>" : range_end + ")");
  }
  void Keys(const authpb::Permission& permission) {
    const std::string &key = permission.key(), &range_end = permission.range_end();
    out_ << "\t" << (range_end.empty() ? key : Range(key, range_end));
    if (kvstore::PrefixEnd(key) == range_end) out_ << " (prefix " << key << ")";
    out_ << "\n";
  }
  void Record(const mvccpb::KeyValue& kv, bool value_only) {
    if (!value_only) out_ << (options_.hex ? HexEscape(kv.key()) : kv.key()) << "\n";
    out_ << (options_.hex ? HexEscape(kv.value()) : kv.value()) << "\n";
  }
  void Line(const std::vector<std::string>& cells) { out_ << absl::StrJoin(cells, ", ") << "\n"; }
  void Member(uint64_t id, const char* what, const etcdserverpb::ResponseHeader& header) {
    out_ << absl::StrFormat("Member %16x %s cluster %16x\n", id, what, header.cluster_id());
  }

  const PrintOptions options_;
};

}  // namespace

std::unique_ptr<Printer> MakeSimplePrinter(const PrintOptions& options, std::ostream& out) {
  return std::make_unique<SimplePrinter>(options, out);
}

}  // namespace keel::kvctl
