// The flags of the verbs that make a data directory: which member of which new
// cluster it is for.
//
//   auto flags = std::make_shared<RestoreFlags>();
//   flags->AddTo(*verb);
//   ...
//   return Restored(flags->ToOptions(), [&](const kvstore::RestoreOptions& options) { ... });
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "kvstore/kvctl/failure.h"
#include "kvstore/recovery/restore.h"

namespace keel::kvctl {

struct RestoreFlags {
  std::string data_dir;
  std::string wal_dir;
  std::string name = "default";
  std::string cluster = "default=http://localhost:2380";
  std::string token = "etcd-cluster";
  std::string peer_urls = "http://localhost:2380";
  uint64_t bump_revision = 0;
  bool mark_compacted = false;

  void AddTo(CLI::App& verb);
  absl::StatusOr<kvstore::RestoreOptions> ToOptions() const;
};

// Runs `restore` and says what came of it; `what` is what it was made from.
Outcome MakeDataDir(const RestoreFlags& flags, const std::string& what,
                    const std::function<absl::StatusOr<kvstore::RestoreResult>(
                        kvstore::RestoreOptions, kvstore::SnapshotProgress)>& restore);

}  // namespace keel::kvctl
