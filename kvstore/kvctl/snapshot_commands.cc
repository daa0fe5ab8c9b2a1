// snapshot save, status, restore.
#include <iostream>
#include <memory>

#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/strings.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/progress_bar.h"
#include "kvstore/kvctl/restore_flags.h"
#include "kvstore/kvctl/save_snapshot.h"
#include "kvstore/kvctl/session.h"
#include "kvstore/kvctl/table.h"
#include "kvstore/recovery/restore.h"
#include "kvstore/recovery/snapshot_file.h"

namespace keel::kvctl {
namespace {

using base::StrCat;
using kvstore::kSnapshotHashBytes;

Outcome OnePath(const Arguments& arguments, const char* verb, std::string* path) {
  const auto given = arguments.Get();
  if (given.size() != 1) {
    return Fail(kExitBadArgs, StrCat("snapshot ", verb, " requires exactly one argument"));
  }
  *path = given[0];
  return Success();
}

Outcome Save(Session& session, const std::string& path) {
  if (session.flags.endpoints.size() != 1) {
    return Fail(kExitBadArgs,
                StrCat("snapshot must be requested to one selected node, not multiple [",
                       session.flags.endpoints.size(), " endpoints]"));
  }
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  ProgressBar bar("saving");
  const absl::Status saved =
      SaveSnapshot(session.client(), session.flags.endpoints[0], base::PosixFileSystem(), path,
                   [&](uint64_t done, uint64_t total) {
                     bar.Show(done, total);
                     return absl::OkStatus();
                   });
  if (!saved.ok()) return FailWith(saved);
  std::cout << "Snapshot saved at " << path << "\n";
  return Success();
}

Outcome Status(Session& session, const std::string& path) {
  base::FileSystem& fs = base::PosixFileSystem();
  const auto header = kvstore::VerifySnapshot(fs, path, kvstore::SnapshotHash::kRequired);
  if (!header.ok()) return FailWith(header.status());
  const uint64_t size = kvstore::SnapshotBytes(*header) + kSnapshotHashBytes;
  const std::string hash = absl::StrFormat("%x", header->summary.hash_kv);
  switch (session.format()) {
    case Format::kSimple:
      std::cout << hash << ", " << header->revision << ", " << header->summary.keys << ", "
                << FormatBytes(size) << "\n";
      return Success();
    case Format::kTable:
      std::cout << DrawTable(
          {"hash", "revision", "total keys", "total size"},
          {{hash, StrCat(header->revision), StrCat(header->summary.keys), FormatBytes(size)}});
      return Success();
    case Format::kJson:
      std::cout << "{\"hash\":" << header->summary.hash_kv << ",\"revision\":" << header->revision
                << ",\"totalKey\":" << header->summary.keys << ",\"totalSize\":" << size << "}\n";
      return Success();
    case Format::kFields:
      std::cout << "\"Hash\" : " << header->summary.hash_kv
                << "\n\"Revision\" : " << header->revision
                << "\n\"Keys\" : " << header->summary.keys << "\n\"Size\" : " << size << "\n";
      return Success();
    case Format::kProtobuf:
      break;
  }
  return Fail(kExitBadFeature, "only support simple, json, as output format");
}

Outcome Restore(const RestoreFlags& flags, bool skip_hash_check, const std::string& path) {
  return MakeDataDir(flags, StrCat("snapshot path=", path),
                     [&](kvstore::RestoreOptions options, kvstore::SnapshotProgress progress) {
                       options.snapshot = path;
                       if (skip_hash_check) options.hash = kvstore::SnapshotHash::kSkipped;
                       return kvstore::RestoreSnapshotFile(base::PosixFileSystem(), options,
                                                           progress);
                     });
}

}  // namespace

void AddSnapshotVerbs(CLI::App& app, Session& session) {
  CLI::App* snapshot = AddVerb(app, "snapshot", "Snapshots of the store, as files", "");
  snapshot->require_subcommand(1);

  CLI::App* save = AddVerb(*snapshot, "save", "Saves a snapshot of a server's store into a file",
                           "  kvctl snapshot save backup.db");
  const Arguments save_path(save, {"<filename>"});
  save->callback([&session, save_path] {
    session.run = [&session, save_path] {
      std::string path;
      if (Outcome given = OnePath(save_path, "save", &path); !given.ok()) return given;
      return Save(session, path);
    };
  });

  CLI::App* status = AddVerb(*snapshot, "status", "Checks a snapshot file, and says what it holds",
                             "  kvctl snapshot status backup.db -w table");
  const Arguments status_path(status, {"<filename>"});
  status->callback([&session, status_path] {
    session.run = [&session, status_path] {
      std::string path;
      if (Outcome given = OnePath(status_path, "status", &path); !given.ok()) return given;
      return Status(session, path);
    };
  });

  CLI::App* restore = AddVerb(
      *snapshot, "restore", "Makes the data directory of a member of a new cluster from a snapshot",
      "  kvctl snapshot restore backup.db --data-dir /var/lib/kvd --name a \\\n"
      "      --initial-cluster a=http://10.0.0.1:2380,b=http://10.0.0.2:2380 \\\n"
      "      --initial-advertise-peer-urls http://10.0.0.1:2380");
  const Arguments restore_path(restore, {"<filename>"});
  auto flags = std::make_shared<RestoreFlags>();
  flags->AddTo(*restore);
  auto skip_hash_check = std::make_shared<bool>(false);
  restore->add_flag("--skip-hash-check", *skip_hash_check,
                    "do not look at the hash over the whole file");
  restore->callback([&session, flags, skip_hash_check, restore_path] {
    session.run = [flags, skip_hash_check, restore_path] {
      std::string path;
      if (Outcome given = OnePath(restore_path, "restore", &path); !given.ok()) return given;
      return Restore(*flags, *skip_hash_check, path);
    };
  });
}

}  // namespace keel::kvctl
