#include "kvstore/kvctl/restore_flags.h"

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/kvctl/progress_bar.h"

namespace keel::kvctl {

void RestoreFlags::AddTo(CLI::App& verb) {
  verb.add_option("--data-dir", data_dir, "the new data directory (NAME.etcd)");
  verb.add_option("--wal-dir", wal_dir, "where kvd will keep the log; must be empty");
  verb.add_option("--name", name, "name of the member");
  verb.add_option("--initial-cluster", cluster, "all members of the new cluster");
  verb.add_option("--initial-cluster-token", token, "token of the new cluster");
  verb.add_option("--initial-advertise-peer-urls", peer_urls, "peer URLs of this member");
  verb.add_option("--bump-revision", bump_revision,
                  "so many revisions are left out behind those that are restored");
  verb.add_flag("--mark-compacted", mark_compacted,
                "count all revisions up to the new one as compacted");
}

absl::StatusOr<kvstore::RestoreOptions> RestoreFlags::ToOptions() const {
  kvstore::RestoreOptions options;
  options.config.name = name;
  options.config.data_dir = data_dir.empty() ? name + ".etcd" : data_dir;
  while (options.config.data_dir.size() > 1 && options.config.data_dir.back() == '/') {
    options.config.data_dir.pop_back();
  }
  options.config.wal_dir = wal_dir;
  options.config.initial_cluster_token = token;
  KEEL_ASSIGN_OR_RETURN(options.config.initial_cluster, kvstore::ParseInitialCluster(cluster));
  KEEL_ASSIGN_OR_RETURN(options.config.initial_advertise_peer_urls, kvstore::ParseUrls(peer_urls));
  options.bump_revision = static_cast<int64_t>(bump_revision);
  options.mark_compacted = mark_compacted;
  return options;
}

Outcome MakeDataDir(const RestoreFlags& flags, const std::string& what,
                    const std::function<absl::StatusOr<kvstore::RestoreResult>(
                        kvstore::RestoreOptions, kvstore::SnapshotProgress)>& restore) {
  const absl::StatusOr<kvstore::RestoreOptions> options = flags.ToOptions();
  if (!options.ok())
    return Fail(kExitBadArgs, std::string(base::ToStd(options.status().message())));
  absl::StatusOr<kvstore::RestoreResult> restored;
  {
    ProgressBar bar("restoring");
    restored = restore(*options, [&](uint64_t done, uint64_t total) { bar.Show(done, total); });
  }
  if (!restored.ok()) {
    const int code = absl::IsInvalidArgument(restored.status()) ? kExitBadArgs : kExitError;
    return Fail(code, std::string(base::ToStd(restored.status().message())));
  }
  base::Log().info("restored {} data_dir={} revision={} member={:x} cluster={:x}", what,
                   options->config.data_dir, restored->revision, restored->identity.member_id,
                   restored->identity.cluster_id);
  return Success();
}

}  // namespace keel::kvctl
