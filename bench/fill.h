// Writes the whole key space, many keys a transaction: what reads will find, or
// the state of a given size that a measurement starts from.
//
// etcd takes at most 128 operations a transaction and 1.5 MiB a request; a
// transaction here holds 100 keys, or fewer when the values are large.
#pragma once

#include "absl/status/status.h"
#include "bench/run.h"

namespace keel::bench {

// Blocks until every key of `options` is written through its first endpoint.
// `found`, when not null, gets the latency of each transaction. Stops at the
// first error.
absl::Status Fill(const Options& options, Found* found);

}  // namespace keel::bench
