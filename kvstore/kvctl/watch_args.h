// The flags and arguments of watch: of the verb, and of the lines of its
// interactive mode.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "kvstore/client/watch.h"
#include "kvstore/kvctl/failure.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {

// What to watch, and the command to run for each event (empty: none).
struct WatchRequest {
  std::string key;
  kvstore::WatchOptions options;
  std::vector<std::string> exec_args;
};

class WatchArgs {
 public:
  explicit WatchArgs(CLI::App* app);
  // Without a key the environment gives it: KVCTL_WATCH_KEY and
  // KVCTL_WATCH_RANGE_END, else ETCDCTL_WATCH_KEY and ETCDCTL_WATCH_RANGE_END.
  // `exec_args`: what stood behind "--", if `separator` did.
  Outcome ToRequest(std::vector<std::string> exec_args, bool separator,
                    WatchRequest* request) const;

  bool interactive = false;

 private:
  Arguments arguments_;
  int64_t revision_ = 0;
  bool prefix_ = false, prev_kv_ = false, progress_notify_ = false;
};

// "watch [flags] key [range_end] [-- command ...]", without its first word.
Outcome ParseWatchLine(std::vector<std::string> words, WatchRequest* request);

}  // namespace keel::kvctl
