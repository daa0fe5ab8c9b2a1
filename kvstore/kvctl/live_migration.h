// Moving in from a cluster that runs: its keys and leases are copied, what
// changes meanwhile follows, and once the source is quiet both are compared.
//
//   return MigrateLive(source, destination, options);
//
// Every run first makes the destination equal to the source at one revision, page by page, and
// writes what differs only: so a run that was interrupted is resumed by another, and does little.
// Revisions, users and roles are not carried over.
#pragma once

#include <string>

#include "base/loop.h"
#include "kvstore/client/client.h"
#include "kvstore/kvctl/failure.h"

namespace keel::kvctl {

struct LiveMigrationOptions {
  // Remembers which clusters these are: a destination that holds keys is refused without it.
  std::string state_path = "keel-migrate.state";
  // Ends once nothing has changed at the source for `quiet`, and both hold the same; else it
  // follows for ever.
  bool cut_over = false;
  base::Duration quiet = std::chrono::seconds(5);
  base::Duration report_interval = std::chrono::seconds(10);
  int max_txn_ops = 128;  // in one transaction
};

// Blocks. Waits for either side when it is away. Fails for a destination that is not empty, for
// hashes that differ, and for what a server refuses.
Outcome MigrateLive(kvstore::Client& from, kvstore::Client& to,
                    const LiveMigrationOptions& options);

}  // namespace keel::kvctl
