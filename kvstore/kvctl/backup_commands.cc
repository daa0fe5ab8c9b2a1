// backup run, list, verify, restore.
#include <iostream>
#include <memory>
#include <utility>

#include "base/file.h"
#include "base/strings.h"
#include "kvstore/kvctl/backup_runner.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/progress_bar.h"
#include "kvstore/kvctl/restore_flags.h"
#include "kvstore/kvctl/session.h"
#include "kvstore/kvctl/table.h"
#include "kvstore/recovery/backup_restore.h"

namespace keel::kvctl {
namespace {

using base::StrCat;
using kvstore::BackupRange;
using kvstore::FormatWallTime;

Outcome OneFolder(const Arguments& arguments, const char* verb, std::string* dir) {
  const auto given = arguments.Get();
  if (given.size() != 1) {
    return Fail(kExitBadArgs, StrCat("backup ", verb, " requires exactly one argument"));
  }
  *dir = given[0];
  return Success();
}

uint64_t BytesOf(const BackupRange& range) {
  uint64_t bytes = 0;
  for (const auto& base : range.bases) bytes += base.bytes;
  for (const auto& segment : range.segments) bytes += segment.bytes;
  return bytes;
}

std::string RangeJson(const BackupRange& range) {
  std::string bases;
  for (const auto& base : range.bases) {
    bases += StrCat(bases.empty() ? "" : ",", "{\"file\":", JsonString(base.name),
                    ",\"revision\":", base.revision, ",\"compactRevision\":", base.compact_revision,
                    ",\"time\":", JsonString(FormatWallTime(base.time)), ",\"bytes\":", base.bytes,
                    ",\"authRevision\":", base.auth_revision, "}");
  }
  return StrCat("{\"firstRevision\":", range.bases[0].revision, ",\"lastRevision\":", range.last,
                ",\"from\":", JsonString(FormatWallTime(range.bases[0].time)),
                ",\"until\":", JsonString(FormatWallTime(range.until)),
                ",\"bytes\":", BytesOf(range), ",\"segments\":", range.segments.size(),
                ",\"bases\":[", bases, "]}");
}

Outcome List(Session& session, const std::string& dir) {
  const auto ranges = kvstore::ListBackup(base::PosixFileSystem(), dir);
  if (!ranges.ok()) return FailWith(ranges.status());
  switch (session.format()) {
    case Format::kSimple:
      for (const BackupRange& range : *ranges) {
        std::cout << "revisions " << range.bases[0].revision << " to " << range.last << ", "
                  << FormatWallTime(range.bases[0].time) << " to " << FormatWallTime(range.until)
                  << ", " << range.segments.size() << " segments, " << FormatBytes(BytesOf(range))
                  << "\n";
        for (const auto& base : range.bases) {
          std::cout << "  base " << base.name << ", revision " << base.revision << ", "
                    << FormatWallTime(base.time) << ", auth revision " << base.auth_revision << ", "
                    << FormatBytes(base.bytes) << "\n";
        }
      }
      return Success();
    case Format::kTable: {
      std::vector<Row> rows;
      for (const BackupRange& range : *ranges) {
        for (const auto& base : range.bases) {
          rows.push_back({base.name, StrCat(base.revision), FormatWallTime(base.time),
                          FormatBytes(base.bytes), StrCat(base.auth_revision), StrCat(range.last),
                          FormatWallTime(range.until)});
        }
      }
      std::cout << DrawTable(
          {"base", "revision", "time", "size", "auth revision", "up to revision", "up to time"},
          rows);
      return Success();
    }
    case Format::kJson: {
      std::string out;
      for (const BackupRange& range : *ranges) out += (out.empty() ? "" : ",") + RangeJson(range);
      std::cout << "{\"ranges\":[" << out << "]}\n";
      return Success();
    }
    default:
      return Fail(kExitBadFeature, "only support simple, table, json, as output format");
  }
}

Outcome Verify(const std::string& dir) {
  absl::StatusOr<kvstore::BackupCheck> check;
  {
    ProgressBar bar("verifying");
    check = kvstore::VerifyBackup(base::PosixFileSystem(), dir,
                                  [&](uint64_t done, uint64_t total) { bar.Show(done, total); });
  }
  if (!check.ok()) return FailWith(check.status());
  for (const std::string& note : check->notes) std::cout << note << "\n";
  for (const std::string& damage : check->damage) std::cout << damage << "\n";
  if (!check->damage.empty()) {
    return Fail(kExitError, StrCat("backup ", dir, " is damaged in ", check->damage.size(),
                                   check->damage.size() == 1 ? " place" : " places"));
  }
  std::cout << "backup " << dir << " is whole: " << check->bases << " bases, " << check->segments
            << " segments, " << check->revisions << " revisions, " << FormatBytes(check->bytes)
            << "\n";
  return Success();
}

struct TargetFlags {
  int64_t revision = 0;
  std::string time;
  CLI::Option* revision_given = nullptr;
};

Outcome Restore(const RestoreFlags& flags, const TargetFlags& given, const std::string& dir) {
  kvstore::BackupTarget target;
  if (given.revision_given->count() > 0) target.revision = given.revision;
  if (!given.time.empty()) {
    const auto time = kvstore::ParseWallTime(given.time);
    if (!time.ok()) {
      return Fail(kExitBadArgs, StrCat("--time: ", base::ToStd(time.status().message())));
    }
    target.time = *time;
  }
  return MakeDataDir(flags, StrCat("backup path=", dir),
                     [&](kvstore::RestoreOptions options, kvstore::SnapshotProgress progress) {
                       return kvstore::RestoreBackup(base::PosixFileSystem(), dir, target,
                                                     std::move(options), progress);
                     });
}

void AddRun(CLI::App& backup, Session& session) {
  CLI::App* run =
      AddVerb(backup, "run", "Keeps a folder in step with the cluster, until it is stopped",
              "  kvctl backup run --to /backup/keel\n"
              "  kvctl backup run --to /backup/keel --keep 168h --base-interval 24h\n"
              "Stopped or killed, it goes on where the folder ends when it is run again.");
  auto options = std::make_shared<BackupRunOptions>();
  run->add_option("--to", options->dir, "the folder; created when missing, one a cluster");
  AddDuration(*run, "--segment-interval", options->segment_interval,
              "how often what came is made durable");
  AddDuration(*run, "--base-interval", options->base_interval, "how often a new base is taken");
  AddDuration(*run, "--keep", options->keep,
              "drop what is needed for older times only; 0: keep all");
  AddDuration(*run, "--report-interval", options->report_interval, "how often a line says how far");
  run->add_option("--segment-bytes", options->segment_bytes,
                  "a segment as large is followed by another (default 67108864)");
  const Arguments none(run, {});
  run->callback([&session, options, none] {
    session.run = [&session, options, none] {
      if (!none.Get().empty()) return Fail(kExitBadArgs, "backup run takes no argument");
      if (options->dir.empty()) return Fail(kExitBadArgs, "backup run requires --to");
      if (options->segment_interval < std::chrono::milliseconds(10) ||
          options->base_interval < std::chrono::seconds(1) || options->keep.count() < 0 ||
          options->report_interval < std::chrono::milliseconds(100) ||
          options->segment_bytes < 4096) {
        return Fail(kExitBadArgs, "an interval or size is too small");
      }
      return RunBackup(session, *options);
    };
  });
}

void AddRestore(CLI::App& backup, Session& session) {
  CLI::App* restore =
      AddVerb(backup, "restore",
              "Makes the data directory of a member of a new cluster, as of any revision or time",
              "  kvctl backup restore /backup/keel --time 2026-01-31T12:00:00Z \\\n"
              "      --data-dir /var/lib/kvd --name a \\\n"
              "      --initial-cluster a=http://10.0.0.1:2380 \\\n"
              "      --initial-advertise-peer-urls http://10.0.0.1:2380\n"
              "  kvctl backup restore /backup/keel --revision 1234 --data-dir /tmp/look\n"
              "Every member of the new cluster is restored on its own, with the same target.");
  const Arguments path(restore, {"<folder>"});
  auto target = std::make_shared<TargetFlags>();
  target->revision_given =
      restore->add_option("--revision", target->revision, "the store stands at this revision");
  restore->add_option("--time", target->time,
                      "the store stands where it stood then, such as 2026-01-31T12:00:00Z");
  auto flags = std::make_shared<RestoreFlags>();
  flags->AddTo(*restore);
  restore->callback([&session, flags, target, path] {
    session.run = [flags, target, path] {
      std::string dir;
      if (Outcome given = OneFolder(path, "restore", &dir); !given.ok()) return given;
      return Restore(*flags, *target, dir);
    };
  });
}

}  // namespace

void AddBackupVerbs(CLI::App& app, Session& session) {
  CLI::App* backup = AddVerb(app, "backup", "Continuous backup, to any revision or time", "");
  backup->require_subcommand(1);
  AddRun(*backup, session);

  CLI::App* list = AddVerb(*backup, "list", "Says which revisions and times can be restored",
                           "  kvctl backup list /backup/keel\n"
                           "  kvctl backup list /backup/keel -w json");
  const Arguments list_path(list, {"<folder>"});
  list->callback([&session, list_path] {
    session.run = [&session, list_path] {
      std::string dir;
      if (Outcome given = OneFolder(list_path, "list", &dir); !given.ok()) return given;
      return List(session, dir);
    };
  });

  CLI::App* verify = AddVerb(*backup, "verify", "Reads a backup from end to end, and names damage",
                             "  kvctl backup verify /backup/keel");
  const Arguments verify_path(verify, {"<folder>"});
  verify->callback([&session, verify_path] {
    session.run = [verify_path] {
      std::string dir;
      if (Outcome given = OneFolder(verify_path, "verify", &dir); !given.ok()) return given;
      return Verify(dir);
    };
  });
  AddRestore(*backup, session);
}

}  // namespace keel::kvctl
