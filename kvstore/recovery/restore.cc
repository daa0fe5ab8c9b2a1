#include "kvstore/recovery/restore.h"

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/apply/cluster_state.h"
#include "kvstore/mvcc/store.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status CheckEmpty(base::FileSystem& fs, const std::string& dir, std::string_view flag) {
  if (!fs.Exists(dir)) return absl::OkStatus();
  const absl::StatusOr<std::vector<std::string>> names = fs.List(dir);
  if (names.ok() && names->empty()) return absl::OkStatus();
  return absl::AlreadyExistsError(StrCat(flag, " ", dir, " is not empty"));
}

absl::Status Check(base::FileSystem& fs, const RestoreOptions& options) {
  if (options.bump_revision < 0) {
    return absl::InvalidArgumentError("--bump-revision must not be negative");
  }
  if (options.mark_compacted != (options.bump_revision > 0)) {  // as etcdutl
    return absl::InvalidArgumentError(
        options.mark_compacted ? "--mark-compacted required to be used with --bump-revision"
                               : "--mark-compacted required if --bump-revision > 0");
  }
  KEEL_RETURN_IF_ERROR(CheckEmpty(fs, options.config.data_dir, "data-dir"));
  if (!options.config.wal_dir.empty()) {
    KEEL_RETURN_IF_ERROR(CheckEmpty(fs, options.config.wal_dir, "wal-dir"));
  }
  return absl::OkStatus();
}

// The data directory, under another name.
absl::StatusOr<RestoreResult> Build(base::FileSystem& fs, const RestoreOptions& options,
                                    Identity identity, const std::string& dir, FillStore fill) {
  ServerConfig config = options.config;
  config.data_dir = dir;
  StoreOptions store;
  store.dir = config.store_dir();
  KEEL_RETURN_IF_ERROR(fill(store));

  std::vector<Member> members;
  for (const InitialMember& member : identity.initial_members) {
    members.push_back({.id = member.id, .name = member.name, .peer_urls = member.peer_urls});
  }
  KEEL_ASSIGN_OR_RETURN(const int64_t revision,
                        AssignCluster(store, members, kRebasedIndex, kRebasedTerm,
                                      options.bump_revision, options.mark_compacted));
  KEEL_RETURN_IF_ERROR(
      base::WriteFileAtomic(fs, config.member_dir() + "/identity", EncodeIdentity(identity)));
  KEEL_RETURN_IF_ERROR(fs.SyncDir(dir));
  return RestoreResult{{}, std::move(identity), revision};
}

}  // namespace

absl::StatusOr<int64_t> AssignCluster(const StoreOptions& options,
                                      const std::vector<Member>& members, uint64_t index,
                                      uint64_t term, int64_t bump_revision, bool mark_compacted) {
  KEEL_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(options));
  Writer& writer = store->writer();
  ClusterState state;
  KEEL_RETURN_IF_ERROR(state.Load(*store));
  KEEL_RETURN_IF_ERROR(state.ForgetCluster(*store));
  raft::ConfState conf;
  for (const Member& member : members) {
    conf.voters.push_back(member.id);
    state.SetMember(writer, member);
  }
  state.SetConf(writer, conf);
  writer.SkipRevisions(bump_revision);
  if (mark_compacted) writer.Compact(writer.revision());
  store->Rebase(index, term);
  KEEL_RETURN_IF_ERROR(store->Commit(index, term));
  KEEL_RETURN_IF_ERROR(store->FlushAll());
  return writer.revision();
}

absl::StatusOr<RestoreResult> BuildDataDir(base::FileSystem& fs, const RestoreOptions& options,
                                           FillStore fill) {
  KEEL_RETURN_IF_ERROR(Check(fs, options));
  KEEL_ASSIGN_OR_RETURN(Identity identity, IdentityFromConfig(options.config));
  const std::string& target = options.config.data_dir;
  const std::string part = target + ".part";
  KEEL_RETURN_IF_ERROR(fs.RemoveAll(part));  // of a restore that was interrupted
  absl::StatusOr<RestoreResult> result = Build(fs, options, std::move(identity), part, fill);
  if (result.ok()) {
    absl::Status moved;
    if (fs.Exists(target)) moved = fs.RemoveAll(target);  // empty: Check has seen to it
    if (moved.ok()) moved = fs.Rename(part, target);
    if (moved.ok()) moved = fs.SyncDir(ParentOf(target));
    if (!moved.ok()) result = moved;
  }
  if (!result.ok()) fs.RemoveAll(part).IgnoreError();  // the error is the news
  return result;
}

absl::StatusOr<RestoreResult> RestoreSnapshotFile(base::FileSystem& fs,
                                                  const RestoreOptions& options,
                                                  SnapshotProgress progress) {
  KEEL_RETURN_IF_ERROR(Check(fs, options));
  KEEL_ASSIGN_OR_RETURN(SnapshotHeader header, VerifySnapshot(fs, options.snapshot, options.hash));
  absl::StatusOr<RestoreResult> result =
      BuildDataDir(fs, options, [&](const StoreOptions& store) -> absl::Status {
        const std::string database = store.dir + "/db-000001";
        KEEL_RETURN_IF_ERROR(fs.CreateDirs(database));
        KEEL_RETURN_IF_ERROR(ExtractSnapshot(fs, options.snapshot, header, database, progress));
        KEEL_RETURN_IF_ERROR(base::WriteFileAtomic(fs, store.dir + "/CURRENT", "db-000001\n"));
        if (!options.prepare) return absl::OkStatus();
        KEEL_ASSIGN_OR_RETURN(const std::unique_ptr<Store> opened, Store::Open(store));
        KEEL_RETURN_IF_ERROR(options.prepare(*opened));
        return opened->FlushAll();
      });
  if (result.ok()) result->header = std::move(header);
  return result;
}

}  // namespace keel::kvstore
