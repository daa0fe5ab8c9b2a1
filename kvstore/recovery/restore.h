// A data directory for a member of a new cluster, made from a snapshot file.
//
//   RestoreOptions options;
//   options.snapshot = "backup.db";
//   options.config.data_dir = "/var/lib/kvd";
//   options.config.name = "a";
//   options.config.initial_cluster = ...;
//   KEEL_ASSIGN_OR_RETURN(RestoreResult restored, RestoreSnapshotFile(fs, options));
//
// Keys, their history and leases are the snapshot's; members and ids are those
// that kvd would derive from the same flags. Every member of the new cluster is
// restored on its own, from the same file, with the same --initial-cluster.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "kvstore/apply/members.h"
#include "kvstore/mvcc/store.h"
#include "kvstore/mvcc/store_options.h"
#include "kvstore/recovery/snapshot_file.h"
#include "kvstore/server/config.h"
#include "kvstore/server/identity.h"

namespace keel::kvstore {

// Where a store that was given a new cluster stands in that one's log: at its first entry, so that
// no member can be brought up to date by entries alone.
inline constexpr uint64_t kRebasedIndex = 1;
inline constexpr uint64_t kRebasedTerm = 1;

struct RestoreOptions {
  std::string snapshot;  // path
  // Of it are used: data_dir, wal_dir, name, initial_cluster, initial_cluster_token,
  // initial_advertise_peer_urls.
  ServerConfig config;
  SnapshotHash hash = SnapshotHash::kRequired;
  // So many revisions are left out behind the snapshot's, and, when there are any, everything up
  // to the new one counts as compacted: who watched the old cluster beyond the snapshot is told
  // so, instead of seeing other events under revisions it knows.
  int64_t bump_revision = 0;
  bool mark_compacted = false;
  // Called with the store as the snapshot has it, before it becomes the new cluster's; what it
  // writes and commits is kept. Its error ends the restore. Null: nothing to do.
  std::function<absl::Status(Store&)> prepare;
};

struct RestoreResult {
  SnapshotHeader header;
  Identity identity;
  int64_t revision = 0;  // of the new cluster
};

// Errors, after which nothing is left behind: those of VerifySnapshot; InvalidArgument for flags
// that make no sense; AlreadyExists for a data directory that is not empty.
absl::StatusOr<RestoreResult> RestoreSnapshotFile(base::FileSystem& fs,
                                                  const RestoreOptions& options,
                                                  SnapshotProgress progress);

// Makes the store in the folder of the options given, which does not exist yet.
using FillStore = absl::FunctionRef<absl::Status(const StoreOptions&)>;

// The same around any store: `fill` makes it, and it becomes the new cluster's. Of `options` the
// snapshot and what is done with it are not looked at. `header` of the result is empty.
absl::StatusOr<RestoreResult> BuildDataDir(base::FileSystem& fs, const RestoreOptions& options,
                                           FillStore fill);

// Writes `members` (voters) into the store in `options.dir` in place of all it knew of its
// cluster: members, those removed, configuration, alarms, version. It then stands at entry
// `index` of the log. Returns its revision.
absl::StatusOr<int64_t> AssignCluster(const StoreOptions& options,
                                      const std::vector<Member>& members, uint64_t index,
                                      uint64_t term, int64_t bump_revision, bool mark_compacted);

}  // namespace keel::kvstore
