// What a watcher received, against what was written: etcd's promises on
// watches (etcd documentation, "KV API guarantees"): ordered, unique, reliable,
// atomic, resumable, bookmarkable.
//
//   WatchRecord watch{.id = 1, .key = "a", .range_end = "b", .start_revision = 5};
//   watch.responses.push_back({.kind = WatchResponse::Kind::kCreated, .revision = 9});
//   ...
//   Verdict v = CheckWatch(watch, log);
#pragma once

#include <span>

#include "tests/sim/check/history.h"

namespace keel::sim {

struct WatchEvent {
  Write write;
  std::optional<KeyVersion> prev;
};

struct WatchResponse {
  enum class Kind : uint8_t { kCreated, kEvents, kProgress, kCanceled };
  Kind kind = Kind::kEvents;
  Nanos at = 0;
  int64_t revision = 0;          // of the header
  int64_t compact_revision = 0;  // kCanceled: the revision asked for is compacted
  bool fragment = false;         // more of the same response follows
  std::vector<WatchEvent> events;
};

// One watch, from its create request to its end.
struct WatchRecord {
  uint64_t id = 0;  // for messages
  uint64_t client = 0;
  std::string key;
  std::string range_end;       // as InRange
  int64_t start_revision = 0;  // 0: what comes after the created response's revision
  bool prev_kv = false;
  bool no_put = false;  // filters
  bool no_delete = false;
  bool fragments = false;  // asked for: a revision may then be split, but only with `fragment` set
  std::vector<WatchResponse> responses;  // in the order received

  // The first revision not yet promised as delivered: where a client would
  // resume. Meaningful for a record that passes CheckWatch.
  int64_t Next() const;
};

// One watch against the log:
//  - ordered: revisions never go back;
//  - unique: no event twice;
//  - reliable: between the start and the last event or progress nothing that
//    matches is missing, and nothing is there that was not written;
//  - atomic: all matching events of a revision come in one response (or its fragments);
//  - bookmarkable: a progress response at R means that all up to R was delivered,
//    and an event response's header is not below its events;
//  - prev_kv, when asked for, is the version before (or absent when there was none
//    or it may be compacted).
// Events beyond log.last() are violations: members publish before they answer.
Verdict CheckWatch(const WatchRecord& watch, const WriteLog& log);

// A client that lost its stream and went on where it stopped: each record on
// its own, and each starts where the one before ended (WatchRecord::Next), so that the whole is
// ordered, unique and reliable too.
Verdict CheckResumed(std::span<const WatchRecord> records, const WriteLog& log);

// Once all is quiet a live watch has been brought up to `revision`: all that
// matches up to there was delivered.
Verdict CheckCaughtUp(const WatchRecord& watch, const WriteLog& log, int64_t revision);

}  // namespace keel::sim
