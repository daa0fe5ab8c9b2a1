#include "kvstore/kvctl/migrate_commands.h"

#include <iostream>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "kvstore/kvctl/live_migration.h"
#include "kvstore/kvctl/restore_flags.h"
#include "kvstore/recovery/etcd_import.h"

namespace keel::kvctl {
namespace {

using base::StrCat;

struct MigrateFlags {
  std::string from_snapshot;
  bool skip_hash_check = false;
  RestoreFlags restore;

  std::string from;  // endpoints of the source
  std::string from_user;
  base::TlsOptions from_tls;
  LiveMigrationOptions live;
};

Outcome FromSnapshot(const MigrateFlags& flags) {
  kvstore::EtcdContents contents;
  Outcome made = MakeDataDir(
      flags.restore, StrCat("etcd database path=", flags.from_snapshot),
      [&](kvstore::RestoreOptions options,
          kvstore::SnapshotProgress progress) -> absl::StatusOr<kvstore::RestoreResult> {
        auto migrated = kvstore::MigrateEtcdFile(
            base::PosixFileSystem(), flags.from_snapshot,
            flags.skip_hash_check ? kvstore::BboltHash::kSkipped : kvstore::BboltHash::kRequired,
            options, progress);
        if (!migrated.ok()) return migrated.status();
        contents = migrated->contents;
        return std::move(migrated->restored);
      });
  if (!made.ok()) return made;
  std::cout << "revision " << contents.revision << ", compacted "
            << (contents.compact_revision > 0 ? StrCat(contents.compact_revision) : "never") << ", "
            << contents.keys << " keys, " << contents.versions << " versions, " << contents.leases
            << " leases, " << contents.users << " users, " << contents.roles
            << " roles, authentication " << (contents.auth_enabled ? "on" : "off") << "\n";
  if (contents.gaps > 0) {
    base::Log().warn(
        "versions that do not continue the one before them were taken as they are count={}",
        contents.gaps);
  }
  return Success();
}

Outcome FromCluster(Session& session, const MigrateFlags& flags) {
  kvstore::ClientOptions options;
  options.endpoints = absl::StrSplit(flags.from, ',', absl::SkipEmpty());
  options.dial_timeout = session.flags.dial_timeout;
  options.request_timeout = session.flags.command_timeout;
  if (!flags.from_user.empty()) {
    const size_t colon = flags.from_user.find(':');
    if (colon == std::string::npos) return Fail(kExitBadArgs, "--from-user wants NAME:PASSWORD");
    options.username = flags.from_user.substr(0, colon);
    options.password = flags.from_user.substr(colon + 1);
  }
  const base::TlsOptions& tls = flags.from_tls;
  if (!tls.trusted_ca_file.empty() || !tls.cert_file.empty() || !tls.key_file.empty() ||
      tls.insecure_skip_verify) {
    options.tls = tls;
  }
  auto source = kvstore::Client::Create(std::move(options));
  if (!source.ok())
    return Fail(kExitBadConnection, std::string(base::ToStd(source.status().message())));
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  return MigrateLive(**source, session.client(), flags.live);
}

}  // namespace

void AddMigrateVerb(CLI::App& app, Session& session) {
  CLI::App* verb = AddVerb(
      app, "migrate", "Moves in from etcd",
      "  etcdctl snapshot save etcd.db\n"
      "  kvctl migrate --from-snapshot etcd.db --data-dir /var/lib/kvd --name a \\\n"
      "      --initial-cluster a=http://10.0.0.1:2380 \\\n"
      "      --initial-advertise-peer-urls http://10.0.0.1:2380\n"
      "makes the data directory of a member, with all revisions, leases, users and roles.\n\n"
      "  kvctl --endpoints 10.0.1.1:2379 migrate --from http://10.0.0.1:2379\n"
      "  kvctl --endpoints 10.0.1.1:2379 migrate --from http://10.0.0.1:2379 --cut-over\n"
      "copies keys and leases into an empty cluster while the source goes on, and follows it;\n"
      "with --cut-over it ends once the source is quiet and both hold the same.");
  auto flags = std::make_shared<MigrateFlags>();
  const Arguments none(verb, {});
  verb->add_option("--from-snapshot", flags->from_snapshot,
                   "a file of `etcdctl snapshot save`, or a member's member/snap/db");
  verb->add_flag("--skip-hash-check", flags->skip_hash_check,
                 "the file has no hash at its end: it is a member's own");
  flags->restore.AddTo(*verb);
  verb->add_option("--from", flags->from, "the cluster to copy: endpoints, LIST");
  verb->add_option("--from-user", flags->from_user, "NAME:PASSWORD there");
  verb->add_option("--from-cacert", flags->from_tls.trusted_ca_file, "whom to trust there");
  verb->add_option("--from-cert", flags->from_tls.cert_file, "the certificate to show there");
  verb->add_option("--from-key", flags->from_tls.key_file, "its key");
  verb->add_flag("--from-insecure-skip-tls-verify", flags->from_tls.insecure_skip_verify,
                 "take any certificate there");
  verb->add_option("--state", flags->live.state_path,
                   "remembers which clusters these are (keel-migrate.state)");
  verb->add_flag("--cut-over", flags->live.cut_over,
                 "end when the source is quiet, and compare both by hash");
  AddDuration(*verb, "--quiet", flags->live.quiet, "how long nothing must have changed for that");
  AddDuration(*verb, "--report-interval", flags->live.report_interval,
              "how often a line says how far");
  verb->add_option("--max-txn-ops", flags->live.max_txn_ops, "operations in one transaction (128)");
  verb->callback([&session, flags, none] {
    session.run = [&session, flags, none] {
      if (!none.Get().empty()) return Fail(kExitBadArgs, "migrate takes no argument");
      if (flags->from_snapshot.empty() == flags->from.empty()) {
        return Fail(kExitBadArgs, "migrate requires --from-snapshot or --from");
      }
      if (flags->live.max_txn_ops < 1) {
        return Fail(kExitBadArgs, "--max-txn-ops must be more than 0");
      }
      return flags->from.empty() ? FromSnapshot(*flags) : FromCluster(session, *flags);
    };
  });
}

}  // namespace keel::kvctl
