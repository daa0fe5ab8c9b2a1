// The daemon behind `kvctl backup run`: an ordinary client that keeps a folder
// in step with a cluster.
//
//   return RunBackup(session, options);      // until SIGINT or SIGTERM
//
// One watch of all keys is appended to the folder, and made durable once an interval. Bases are
// taken beside it, by a thread with a connection of its own; the watch is there first, so that
// whatever is compacted while a base is under way is in the folder already. What is compacted
// before the watch got to it begins a new chain, with a new base.
#pragma once

#include <string>
#include <vector>

#include "base/loop.h"
#include "kvstore/kvctl/failure.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {

struct BackupRunOptions {
  std::string dir;
  base::Duration segment_interval = std::chrono::seconds(1);  // between two fsyncs
  base::Duration base_interval = std::chrono::hours(24);
  base::Duration keep = base::Duration::zero();  // what is needed for older times goes; 0: nothing
  base::Duration report_interval = std::chrono::seconds(10);
  uint64_t segment_bytes = 64 << 20;
};

// Returns Success after SIGINT or SIGTERM, which it takes over for the process; fails when there is
// no server at the beginning, for a folder that is no use, and when the disk fails. A server that
// goes away later is waited for. REQUIRES: no client was made yet (threads inherit what signals
// they block).
Outcome RunBackup(Session& session, const BackupRunOptions& options);

}  // namespace keel::kvctl
