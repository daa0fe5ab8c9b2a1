// Every field on a line of its own: "Name" : value.
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/printer.h"

namespace keel::kvctl {
namespace {

class FieldsPrinter final : public Printer {
 public:
  FieldsPrinter(const PrintOptions& options, std::ostream& out) : Printer(out), options_(options) {}

  void Get(const etcdserverpb::RangeResponse& response) override {
    Header(response.header());
    for (const auto& kv : response.kvs()) Record("", kv);
    Field("More", Bool(response.more()));
    Field("Count", response.count());
  }
  void Put(const etcdserverpb::PutResponse& response) override {
    Header(response.header());
    if (response.has_prev_kv()) Record("Prev", response.prev_kv());
  }
  void Delete(const etcdserverpb::DeleteRangeResponse& response) override {
    Header(response.header());
    Field("Deleted", response.deleted());
    for (const auto& kv : response.prev_kvs()) Record("Prev", kv);
  }
  void Txn(const etcdserverpb::TxnResponse& response) override {
    Header(response.header());
    Field("Succeeded", Bool(response.succeeded()));
    for (const auto& op : response.responses()) {
      if (op.has_response_put()) Put(op.response_put());
      if (op.has_response_range()) Get(op.response_range());
      if (op.has_response_delete_range()) Delete(op.response_delete_range());
      if (op.has_response_txn()) Txn(op.response_txn());
    }
  }
  void Watch(const etcdserverpb::WatchResponse& response) override {
    Header(response.header());
    for (const auto& event : response.events()) {
      Field("Type", event.type() == mvccpb::Event::PUT ? "PUT" : "DELETE");
      if (event.has_prev_kv()) Record("Prev", event.prev_kv());
      Record("", event.kv());
    }
  }

  void Grant(const etcdserverpb::LeaseGrantResponse& response) override {
    Header(response.header());
    Field("ID", response.id());
    Field("TTL", response.ttl());
  }
  void Revoke(int64_t, const etcdserverpb::LeaseRevokeResponse& response) override {
    Header(response.header());
  }
  void KeepAlive(const etcdserverpb::LeaseKeepAliveResponse& response) override {
    Header(response.header());
    Field("ID", response.id());
    Field("TTL", response.ttl());
  }
  void TimeToLive(const etcdserverpb::LeaseTimeToLiveResponse& response, bool) override {
    Header(response.header());
    Field("ID", response.id());
    Field("TTL", response.ttl());
    Field("GrantedTTL", response.grantedttl());
    for (const std::string& key : response.keys()) Field("Key", Bytes(key));
  }
  void Leases(const etcdserverpb::LeaseLeasesResponse& response) override {
    Header(response.header());
    for (const auto& lease : response.leases()) Field("ID", lease.id());
  }

  void MemberList(const etcdserverpb::MemberListResponse& response) override {
    Header(response.header());
    for (const auto& member : response.members()) Member(member);
  }
  void MemberAdd(const etcdserverpb::MemberAddResponse& response) override {
    Header(response.header());
    Member(response.member());
  }
  void MemberRemove(uint64_t, const etcdserverpb::MemberRemoveResponse& response) override {
    Header(response.header());
  }
  void MemberUpdate(uint64_t, const etcdserverpb::MemberUpdateResponse& response) override {
    Header(response.header());
  }
  void MemberPromote(uint64_t, const etcdserverpb::MemberPromoteResponse& response) override {
    Header(response.header());
  }

  void Status(const std::vector<EndpointStatus>& all) override {
    for (const auto& one : all) {
      const auto& s = one.status;
      Header(s.header());
      Field("Version", Quote(s.version()));
      Field("DBSize", s.dbsize());
      Field("Leader", s.leader());
      Field("IsLearner", Bool(s.islearner()));
      Field("RaftIndex", s.raftindex());
      Field("RaftTerm", s.raftterm());
      Field("RaftAppliedIndex", s.raftappliedindex());
      Field("Errors", "[" + absl::StrJoin(s.errors(), " ") + "]");
      Field("Endpoint", Quote(one.endpoint));
      out_ << "\n";
    }
  }
  void Health(const std::vector<EndpointHealth>& all) override {
    for (const auto& one : all) {
      Field("Endpoint", Quote(one.endpoint));
      Field("Health", Bool(one.error.empty()));
      Field("Took", FormatDuration(one.took));
      Field("Error", one.error);
      out_ << "\n";
    }
  }
  void HashKV(const std::vector<EndpointHashKV>& all) override {
    for (const auto& one : all) {
      Header(one.hash.header());
      Field("Endpoint", Quote(one.endpoint));
      Field("Hash", one.hash.hash());
      out_ << "\n";
    }
  }
  void Alarm(const etcdserverpb::AlarmResponse& response) override {
    Header(response.header());
    for (const auto& alarm : response.alarms()) {
      Field("MemberID", alarm.memberid());
      Field("AlarmType", etcdserverpb::AlarmType_Name(alarm.alarm()));
      out_ << "\n";
    }
  }
  void MoveLeader(uint64_t, uint64_t, const etcdserverpb::MoveLeaderResponse& response) override {
    Header(response.header());
  }

  void AuthStatus(const etcdserverpb::AuthStatusResponse& response) override {
    Header(response.header());
    Field("Enabled", Bool(response.enabled()));
    Field("AuthRevision", response.authrevision());
  }
  void UserAdd(const std::string&, const etcdserverpb::AuthUserAddResponse& response) override {
    Header(response.header());
  }
  void UserDelete(const std::string&,
                  const etcdserverpb::AuthUserDeleteResponse& response) override {
    Header(response.header());
  }
  void UserChangePassword(const etcdserverpb::AuthUserChangePasswordResponse& response) override {
    Header(response.header());
  }
  void UserGrantRole(const std::string&, const std::string&,
                     const etcdserverpb::AuthUserGrantRoleResponse& response) override {
    Header(response.header());
  }
  void UserRevokeRole(const std::string&, const std::string&,
                      const etcdserverpb::AuthUserRevokeRoleResponse& response) override {
    Header(response.header());
  }
  void RoleAdd(const std::string&, const etcdserverpb::AuthRoleAddResponse& response) override {
    Header(response.header());
  }
  void RoleGet(const std::string&, const etcdserverpb::AuthRoleGetResponse& response) override {
    Header(response.header());
    for (const auto& permission : response.perm()) {
      Field("PermType", " " + authpb::Permission::Type_Name(permission.permtype()));
      Field("Key", Quote(permission.key()));
      Field("RangeEnd", Quote(permission.range_end()));
    }
  }
  void RoleList(const etcdserverpb::AuthRoleListResponse& response) override {
    Header(response.header());
    out_ << "\"Roles\" :";
    for (const std::string& role : response.roles()) out_ << " " << Quote(role);
    out_ << "\n";
  }
  void RoleDelete(const std::string&,
                  const etcdserverpb::AuthRoleDeleteResponse& response) override {
    Header(response.header());
  }
  void RoleGrantPermission(const std::string&,
                           const etcdserverpb::AuthRoleGrantPermissionResponse& response) override {
    Header(response.header());
  }
  void RoleRevokePermission(
      const etcdserverpb::AuthRoleRevokePermissionRequest&,
      const etcdserverpb::AuthRoleRevokePermissionResponse& response) override {
    Header(response.header());
  }

 private:
  template <typename Value>
  void Field(const std::string& name, const Value& value) {
    out_ << '"' << name << "\" : " << value << "\n";
  }
  static const char* Bool(bool value) { return value ? "true" : "false"; }
  std::string Bytes(const std::string& bytes) const {
    return options_.hex ? "\"" + HexEscape(bytes) + "\"" : Quote(bytes);
  }
  void Header(const etcdserverpb::ResponseHeader& header) {
    Field("ClusterID", header.cluster_id());
    Field("MemberID", header.member_id());
    Field("Revision", header.revision());
    Field("RaftTerm", header.raft_term());
  }
  void Record(const std::string& prefix, const mvccpb::KeyValue& kv) {
    Field(prefix + "Key", Bytes(kv.key()));
    Field(prefix + "CreateRevision", kv.create_revision());
    Field(prefix + "ModRevision", kv.mod_revision());
    Field(prefix + "Version", kv.version());
    Field(prefix + "Value", Bytes(kv.value()));
    Field(prefix + "Lease", kv.lease());
  }
  void Member(const etcdserverpb::Member& member) {
    Field("ID", member.id());
    Field("Name", Quote(member.name()));
    for (const std::string& url : member.peerurls()) Field("PeerURL", Quote(url));
    for (const std::string& url : member.clienturls()) Field("ClientURL", Quote(url));
    Field("IsLearner", Bool(member.islearner()));
    out_ << "\n";
  }

  const PrintOptions options_;
};

}  // namespace

std::unique_ptr<Printer> MakeFieldsPrinter(const PrintOptions& options, std::ostream& out) {
  return std::make_unique<FieldsPrinter>(options, out);
}

}  // namespace keel::kvctl
