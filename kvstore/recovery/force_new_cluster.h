// --force-new-cluster: makes the member of a data directory the only one of its
// cluster, when the others are lost for good.
//
//   KEEL_RETURN_IF_ERROR(ForceNewCluster(base::PosixFileSystem(), config, &data_dir.identity));
//   ... open the node as ever
//
// Kept: keys, history, leases, users, the ids of the cluster and of this member.
// The others count as removed. Every entry of this member's log is applied,
// committed or not: what was acknowledged is among them as far as it reached
// this disk, and nothing else can tell which that is.
#pragma once

#include "absl/status/status.h"
#include "base/file.h"
#include "kvstore/server/config.h"
#include "kvstore/server/identity.h"

namespace keel::kvstore {

// REQUIRES: the data directory's lock is held, and nothing of it is open. A crash at any point
// leaves a directory that the next start, with the flag or without, goes on from. Errors: those of
// opening the log and the store.
absl::Status ForceNewCluster(base::FileSystem& fs, const ServerConfig& config, Identity* identity);

}  // namespace keel::kvstore
