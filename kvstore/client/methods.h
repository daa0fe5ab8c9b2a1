// The unary RPCs of etcd's API, by request type: path, response and whether
// the client may repeat them. Client::Call and Client::Await look them up here.
//
//   using Response = ResponseOf<etcdserverpb::PutRequest>;
//   std::string_view path = RpcOf<etcdserverpb::PutRequest>::kPath;
#pragma once

#include <string_view>

#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {

enum class Repeat {
  // Once the request may have reached a server it is not sent again: doing it
  // twice is not the same as doing it once.
  kNever,
  // Reading, or writing that is harmless when done twice.
  kAlways,
};

template <typename Request>
struct RpcOf;  // An etcdserverpb request that has no unary RPC is a compile error.

template <typename Request>
using ResponseOf = typename RpcOf<Request>::Response;

#define KEEL_ETCD_RPC(service, method, request, response, repeat)                    \
  template <>                                                                        \
  struct RpcOf<etcdserverpb::request> {                                              \
    using Response = etcdserverpb::response;                                         \
    static constexpr std::string_view kPath = "/etcdserverpb." #service "/" #method; \
    static constexpr Repeat kRepeat = Repeat::repeat;                                \
  }

KEEL_ETCD_RPC(KV, Range, RangeRequest, RangeResponse, kAlways);
KEEL_ETCD_RPC(KV, Put, PutRequest, PutResponse, kNever);
KEEL_ETCD_RPC(KV, DeleteRange, DeleteRangeRequest, DeleteRangeResponse, kNever);
KEEL_ETCD_RPC(KV, Txn, TxnRequest, TxnResponse, kNever);
KEEL_ETCD_RPC(KV, Compact, CompactionRequest, CompactionResponse, kNever);

// A grant whose answer was lost leaves a lease that nobody renews.
KEEL_ETCD_RPC(Lease, LeaseGrant, LeaseGrantRequest, LeaseGrantResponse, kAlways);
KEEL_ETCD_RPC(Lease, LeaseRevoke, LeaseRevokeRequest, LeaseRevokeResponse, kNever);
KEEL_ETCD_RPC(Lease, LeaseTimeToLive, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, kAlways);
KEEL_ETCD_RPC(Lease, LeaseLeases, LeaseLeasesRequest, LeaseLeasesResponse, kAlways);

KEEL_ETCD_RPC(Cluster, MemberAdd, MemberAddRequest, MemberAddResponse, kNever);
KEEL_ETCD_RPC(Cluster, MemberRemove, MemberRemoveRequest, MemberRemoveResponse, kNever);
KEEL_ETCD_RPC(Cluster, MemberUpdate, MemberUpdateRequest, MemberUpdateResponse, kNever);
KEEL_ETCD_RPC(Cluster, MemberList, MemberListRequest, MemberListResponse, kAlways);
KEEL_ETCD_RPC(Cluster, MemberPromote, MemberPromoteRequest, MemberPromoteResponse, kNever);

KEEL_ETCD_RPC(Maintenance, Alarm, AlarmRequest, AlarmResponse, kAlways);
KEEL_ETCD_RPC(Maintenance, Status, StatusRequest, StatusResponse, kAlways);
KEEL_ETCD_RPC(Maintenance, Defragment, DefragmentRequest, DefragmentResponse, kNever);
KEEL_ETCD_RPC(Maintenance, Hash, HashRequest, HashResponse, kAlways);
KEEL_ETCD_RPC(Maintenance, HashKV, HashKVRequest, HashKVResponse, kAlways);
KEEL_ETCD_RPC(Maintenance, MoveLeader, MoveLeaderRequest, MoveLeaderResponse, kNever);
KEEL_ETCD_RPC(Maintenance, Downgrade, DowngradeRequest, DowngradeResponse, kNever);

KEEL_ETCD_RPC(Auth, AuthStatus, AuthStatusRequest, AuthStatusResponse, kAlways);
KEEL_ETCD_RPC(Auth, Authenticate, AuthenticateRequest, AuthenticateResponse, kAlways);
KEEL_ETCD_RPC(Auth, AuthEnable, AuthEnableRequest, AuthEnableResponse, kNever);
KEEL_ETCD_RPC(Auth, AuthDisable, AuthDisableRequest, AuthDisableResponse, kNever);
KEEL_ETCD_RPC(Auth, UserAdd, AuthUserAddRequest, AuthUserAddResponse, kNever);
KEEL_ETCD_RPC(Auth, UserGet, AuthUserGetRequest, AuthUserGetResponse, kAlways);
KEEL_ETCD_RPC(Auth, UserList, AuthUserListRequest, AuthUserListResponse, kAlways);
KEEL_ETCD_RPC(Auth, UserDelete, AuthUserDeleteRequest, AuthUserDeleteResponse, kNever);
KEEL_ETCD_RPC(Auth, UserChangePassword, AuthUserChangePasswordRequest,
              AuthUserChangePasswordResponse, kNever);
KEEL_ETCD_RPC(Auth, UserGrantRole, AuthUserGrantRoleRequest, AuthUserGrantRoleResponse, kNever);
KEEL_ETCD_RPC(Auth, UserRevokeRole, AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse, kNever);
KEEL_ETCD_RPC(Auth, RoleAdd, AuthRoleAddRequest, AuthRoleAddResponse, kNever);
KEEL_ETCD_RPC(Auth, RoleGet, AuthRoleGetRequest, AuthRoleGetResponse, kAlways);
KEEL_ETCD_RPC(Auth, RoleList, AuthRoleListRequest, AuthRoleListResponse, kAlways);
KEEL_ETCD_RPC(Auth, RoleDelete, AuthRoleDeleteRequest, AuthRoleDeleteResponse, kNever);
KEEL_ETCD_RPC(Auth, RoleGrantPermission, AuthRoleGrantPermissionRequest,
              AuthRoleGrantPermissionResponse, kNever);
KEEL_ETCD_RPC(Auth, RoleRevokePermission, AuthRoleRevokePermissionRequest,
              AuthRoleRevokePermissionResponse, kNever);

#undef KEEL_ETCD_RPC

}  // namespace keel::kvstore
