// A store made from etcd's: every version of every key at the revision it had,
// leases, users and roles, the revision and the compacted one.
//
//   KEEL_ASSIGN_OR_RETURN(auto file, BboltFile::Open(fs, "etcd.db", BboltHash::kRequired));
//   KEEL_ASSIGN_OR_RETURN(EtcdContents contents, ImportEtcd(*file, store_options, progress));
//
// Buckets that are read (server/storage/schema): key, meta, lease, auth, authUsers, authRoles.
// Those that are not: members and the rest of the cluster, and alarms.
//
// Thread-safety: none. Blocks on the disk.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "kvstore/mvcc/store_options.h"
#include "kvstore/recovery/bbolt_file.h"
#include "kvstore/recovery/restore.h"

namespace keel::kvstore {

struct EtcdContents {
  int64_t revision = 1;
  int64_t compact_revision = -1;
  uint64_t keys = 0;      // that exist
  uint64_t versions = 0;  // of keys, deletions included
  uint64_t leases = 0;
  uint64_t users = 0;
  uint64_t roles = 0;
  bool auth_enabled = false;
  // Versions behind the compacted revision that do not continue the one before them, as some
  // releases of etcd have left behind. They are taken as they are.
  uint64_t gaps = 0;
};

// Makes the store in `options.dir`, which does not exist. Its log position is 0. Errors: those of
// BboltFile, and DataLoss for contents that are none of etcd's.
absl::StatusOr<EtcdContents> ImportEtcd(BboltFile& file, const StoreOptions& options,
                                        SnapshotProgress progress);

struct MigrateResult {
  RestoreResult restored;
  EtcdContents contents;
};

// A data directory as RestoreSnapshotFile makes one, and with its errors.
absl::StatusOr<MigrateResult> MigrateEtcdFile(base::FileSystem& fs, const std::string& path,
                                              BboltHash hash, const RestoreOptions& options,
                                              SnapshotProgress progress);

}  // namespace keel::kvstore
