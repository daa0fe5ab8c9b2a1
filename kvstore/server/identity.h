// Who a member is: ids as etcd computes them, and the data directory that
// remembers them.
//
//   KEEL_ASSIGN_OR_RETURN(DataDir dir, OpenDataDir(base::PosixFileSystem(), config));
//   dir.identity.member_id, dir.identity.cluster_id
//
// The first start decides the identity from --initial-cluster and writes it
// to member/identity; later starts read it and ignore the --initial-* flags.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "kvstore/server/config.h"

namespace keel::kvstore {

// First 8 bytes, big-endian, of SHA-1 over the sorted URLs and the cluster
// token, all joined (etcd: membership.NewMember). `salt` keeps a member added
// later apart from one that had the same URLs before; empty for initial members.
uint64_t ComputeMemberId(const std::vector<Url>& peer_urls, std::string_view cluster_token,
                         std::string_view salt = "");
// The same over the sorted ids of the initial members, big-endian.
uint64_t ComputeClusterId(std::vector<uint64_t> member_ids);

struct InitialMember {
  uint64_t id = 0;
  std::string name;
  std::vector<std::string> peer_urls;
};

struct Identity {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  std::string name;
  std::string cluster_token;
  // True when the cluster was there before this member (--initial-cluster-state=existing).
  bool joined = false;
  // As configured at the first start, by id.
  std::vector<InitialMember> initial_members;

  // Of a member that joined: whom it could reach then. Used for as long as its own copy of
  // the cluster's state does not say that it belongs to it.
  std::vector<InitialMember> contacts;

  // Of the first start, and not remembered: whether the cluster has seen this member run
  // before (its disk was lost).
  bool rejoined = false;
};

// Checks --initial-cluster against the member's own flags and computes all
// ids. InvalidArgument with etcd's words.
absl::StatusOr<Identity> IdentityFromConfig(const ServerConfig& config);

std::string EncodeIdentity(const Identity& identity);
absl::StatusOr<Identity> DecodeIdentity(std::string_view text);

struct DataDir {
  std::unique_ptr<base::FileLock> lock;  // held as long as the member runs
  Identity identity;
  bool first_start = false;
};

// Creates or opens the data directory and takes its lock; `first` says who the
// member is when the directory is new. Errors, each naming
// the folder: Unavailable when another process holds it; FailedPrecondition
// when it belongs to another member or cluster, or to etcd; DataLoss when its
// identity file is damaged.
absl::StatusOr<DataDir> OpenDataDir(
    base::FileSystem& fs, const ServerConfig& config,
    absl::FunctionRef<absl::StatusOr<Identity>(const ServerConfig&)> first = IdentityFromConfig);

}  // namespace keel::kvstore
