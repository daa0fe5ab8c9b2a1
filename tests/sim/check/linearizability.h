// Are the answers that clients got those of one store that does one thing at a
// time, each operation at some moment between its call and its return?
//
// Two checks, the cheap and strong one first:
//   CheckRevisions      the store itself says in which order it wrote. Linear in
//                       the history; exact; needs the authoritative log.
//   CheckLinearizable   knows nothing but the clients' history, and searches for
//                       an order. Exponential at worst, so bounded.
//
//   Verdict v = CheckRevisions(history, log);
//   if (v.ok()) v = CheckLinearizable(history, {.max_states = 100000});
//
// The search is Wing & Gong's ("Testing and verifying concurrent objects",
// 1993) with Lowe's memory of configurations seen ("Testing for
// linearizability", 2017) and partition into independent keys, as in
// Horn & Kroening ("Faster linearizability checking via P-compositionality", 2015).
#pragma once

#include "tests/sim/check/history.h"

namespace keel::sim {

// Holds the history against the log:
//  - an acknowledged write is in the log at its revision, exactly as asked, and
//    nothing else is in that revision; one that failed is nowhere; one of unknown
//    outcome is there at most once, after its call;
//  - a transaction's compares held (or not) at the revision before it;
//  - a read answered at revision R returns the state at R, every key of it;
//  - real time: what returned before another was invoked has no greater revision,
//    and if the other wrote, a smaller one. Serializable reads are exempt.
Verdict CheckRevisions(const History& history, const WriteLog& log);

struct SearchOptions {
  // Configurations visited, over all partitions, before giving up.
  uint64_t max_states = 1000000;
};

// Violated when no order explains the answers. Serializable reads and reads of
// the past are left out. Revisions in answers are used where they are known.
Verdict CheckLinearizable(const History& history, const SearchOptions& options = {});

}  // namespace keel::sim
