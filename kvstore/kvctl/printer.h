// What commands print, in the format asked for with --write-out. Standard
// output gets the same bytes as from etcdctl 3.4.
//
//   auto printer = MakePrinter("json", {.hex = false}, std::cout);
//   (*printer)->Get(response);
//
// Thread-safety: none.
#pragma once

#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::kvctl {

struct PrintOptions {
  bool hex = false;         // bytes as \x61\x62
  bool value_only = false;  // of records: not the key (simple only)
  bool count_only = false;  // of a get: the count (simple only)
};

struct EndpointStatus {
  std::string endpoint;
  etcdserverpb::StatusResponse status;
};
struct EndpointHealth {
  std::string endpoint;
  std::chrono::nanoseconds took{};
  std::string error;  // empty: healthy
};
struct EndpointHashKV {
  std::string endpoint;
  etcdserverpb::HashKVResponse hash;
};

enum class Format { kSimple, kFields, kJson, kTable, kProtobuf };

// A format that cannot show a kind of answer prints nothing and records that;
// see unsupported().
class Printer {
 public:
  explicit Printer(std::ostream& out) : out_(out) {}
  virtual ~Printer() = default;

  virtual void Get(const etcdserverpb::RangeResponse& response) { Other(response); }
  virtual void Put(const etcdserverpb::PutResponse& response) { Other(response); }
  virtual void Delete(const etcdserverpb::DeleteRangeResponse& response) { Other(response); }
  virtual void Txn(const etcdserverpb::TxnResponse& response) { Other(response); }
  virtual void Watch(const etcdserverpb::WatchResponse& response) { Other(response); }

  virtual void Grant(const etcdserverpb::LeaseGrantResponse& response) { Other(response); }
  virtual void Revoke(int64_t lease, const etcdserverpb::LeaseRevokeResponse& response) {
    Other(response);
  }
  virtual void KeepAlive(const etcdserverpb::LeaseKeepAliveResponse& response) { Other(response); }
  virtual void TimeToLive(const etcdserverpb::LeaseTimeToLiveResponse& response, bool keys) {
    Other(response);
  }
  virtual void Leases(const etcdserverpb::LeaseLeasesResponse& response) { Other(response); }

  virtual void MemberList(const etcdserverpb::MemberListResponse& response) { Other(response); }
  virtual void MemberAdd(const etcdserverpb::MemberAddResponse& response) { Other(response); }
  virtual void MemberRemove(uint64_t id, const etcdserverpb::MemberRemoveResponse& response) {
    Other(response);
  }
  virtual void MemberUpdate(uint64_t id, const etcdserverpb::MemberUpdateResponse& response) {
    Other(response);
  }
  virtual void MemberPromote(uint64_t id, const etcdserverpb::MemberPromoteResponse& response) {
    Other(response);
  }

  virtual void Status(const std::vector<EndpointStatus>& all) { unsupported_ = true; }
  virtual void Health(const std::vector<EndpointHealth>& all) { unsupported_ = true; }
  virtual void HashKV(const std::vector<EndpointHashKV>& all) { unsupported_ = true; }
  virtual void Alarm(const etcdserverpb::AlarmResponse& response) { Other(response); }
  virtual void MoveLeader(uint64_t from, uint64_t to,
                          const etcdserverpb::MoveLeaderResponse& response) {
    Other(response);
  }

  virtual void AuthStatus(const etcdserverpb::AuthStatusResponse& response) { Other(response); }
  virtual void UserAdd(const std::string& user, const etcdserverpb::AuthUserAddResponse& response) {
    Other(response);
  }
  virtual void UserGet(const std::string& user, const etcdserverpb::AuthUserGetResponse& response) {
    Other(response);
  }
  virtual void UserList(const etcdserverpb::AuthUserListResponse& response) { Other(response); }
  virtual void UserDelete(const std::string& user,
                          const etcdserverpb::AuthUserDeleteResponse& response) {
    Other(response);
  }
  virtual void UserChangePassword(const etcdserverpb::AuthUserChangePasswordResponse& response) {
    Other(response);
  }
  virtual void UserGrantRole(const std::string& user, const std::string& role,
                             const etcdserverpb::AuthUserGrantRoleResponse& response) {
    Other(response);
  }
  virtual void UserRevokeRole(const std::string& user, const std::string& role,
                              const etcdserverpb::AuthUserRevokeRoleResponse& response) {
    Other(response);
  }
  virtual void RoleAdd(const std::string& role, const etcdserverpb::AuthRoleAddResponse& response) {
    Other(response);
  }
  virtual void RoleGet(const std::string& role, const etcdserverpb::AuthRoleGetResponse& response) {
    Other(response);
  }
  virtual void RoleList(const etcdserverpb::AuthRoleListResponse& response) { Other(response); }
  virtual void RoleDelete(const std::string& role,
                          const etcdserverpb::AuthRoleDeleteResponse& response) {
    Other(response);
  }
  virtual void RoleGrantPermission(const std::string& role,
                                   const etcdserverpb::AuthRoleGrantPermissionResponse& response) {
    Other(response);
  }
  virtual void RoleRevokePermission(
      const etcdserverpb::AuthRoleRevokePermissionRequest& request,
      const etcdserverpb::AuthRoleRevokePermissionResponse& response) {
    Other(response);
  }

  // Something was to be printed that this format has no form for.
  bool unsupported() const { return unsupported_; }

 protected:
  virtual void Other(const google::protobuf::Message& response) { unsupported_ = true; }

  std::ostream& out_;
  bool unsupported_ = false;
};

// "simple", "fields", "json", "table" or "protobuf".
absl::StatusOr<Format> ParseFormat(const std::string& name);
std::unique_ptr<Printer> MakePrinter(Format format, const PrintOptions& options, std::ostream& out);

std::unique_ptr<Printer> MakeSimplePrinter(const PrintOptions& options, std::ostream& out);
std::unique_ptr<Printer> MakeFieldsPrinter(const PrintOptions& options, std::ostream& out);
std::unique_ptr<Printer> MakeJsonPrinter(std::ostream& out);
std::unique_ptr<Printer> MakeTablePrinter(std::ostream& out);

// The cells of the simple and the table format, which are the same.
std::vector<std::string> MemberCells(const etcdserverpb::Member& member);
std::vector<std::string> StatusCells(const EndpointStatus& status);

}  // namespace keel::kvctl
