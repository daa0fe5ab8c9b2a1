// How a new member of a running cluster learns who it is
// (--initial-cluster-state=existing): it asks the members it was told of.
//
// The cluster must have added it before (MemberAdd): its peer URLs say which
// member it is, as in etcd.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "kvstore/apply/members.h"
#include "kvstore/server/identity.h"

namespace keel::kvstore {

// The encoded keel.kv.ClusterInfo that a member of this identity gives.
std::string EncodeClusterInfo(const Identity& identity, const std::vector<Member>& members);

// Asks the other members of config.initial_cluster in turn, until one knows us; `ask` gets
// "host:port" or "https://host:port" and returns an encoded ClusterInfo. Errors: Unavailable when
// nobody answers (worth trying again); FailedPrecondition when the cluster has
// no member with our peer URLs, or another token.
absl::StatusOr<Identity> IdentityFromCluster(
    const ServerConfig& config,
    absl::FunctionRef<absl::StatusOr<std::string>(const std::string&)> ask);

}  // namespace keel::kvstore
