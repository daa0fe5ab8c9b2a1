// One watcher, and the group of those with the same range.
//
// Internal to the watch hub; both belong to one shard and its loop.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <string_view>
#include <vector>

#include "watch/key_range.h"
#include "watch/response_plan.h"

namespace keel::watch {

class Stream;
struct Watcher;

// Watchers of one range: what is matched and encoded for one serves them all.
struct WatcherGroup {
  KeyRange range;
  std::vector<Watcher*> synced;
  std::vector<Watcher*> behind;
  std::vector<EventRef> matched;  // of the distribution in progress; else empty
};

using QueueHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

struct Watcher : QueueHook {
  enum class State : uint8_t {
    kSynced,   // gets what is published as it is published
    kReady,    // behind, in a queue to catch up
    kBlocked,  // behind, until its stream has drained
  };

  Stream* stream = nullptr;
  WatcherGroup* group = nullptr;
  int64_t id = 0;
  // Nothing below this revision is to be sent (again). While synced it is the
  // later of this and the shard's next revision.
  int64_t next_revision = 0;
  int64_t start_revision = 0;
  size_t position = 0;  // in group->synced or group->behind
  State state = State::kSynced;
  EventFilter filter;
  bool fragment = false;
  bool progress_notify = false;
  bool progress_due = true;  // nothing was sent since the last progress interval began
};

using WatcherQueue = boost::intrusive::list<Watcher, boost::intrusive::constant_time_size<false>>;

}  // namespace keel::watch
