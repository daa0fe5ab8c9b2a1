// Compares this member's history with the others': hashes of all versions at
// one revision (ReadView::HashKv), which equal members have in common.
//
//   - before it serves, when asked to (InitialCorruptCheck): a mismatch is an error;
//   - on the leader, at intervals (--corrupt-check-time), at the newest revision, and at
//     compacted ones (CompactHashCheck): the members in the minority get the CORRUPT alarm,
//     under which the cluster refuses writes; without a majority the alarm is of member 0,
//     which stands for the whole cluster (as etcd).
//
// Members at other compact revisions are not compared: their hashes cover other
// versions. Each hash reads the whole store, on a worker.
//
// Thread-safety: everything on the server's loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "kvstore/mvcc/read_view.h"
#include "kvstore/server/context.h"
#include "kvstore/server/leader_calls.h"
#include "kvstore/server/proposals.h"

namespace keel::kvstore {

class CorruptionCheck {
 public:
  // Answers the others' questions from then on.
  CorruptionCheck(ServerContext* context, Proposals* proposals, LeaderCalls* calls);

  // DataLoss when another member has another history at this member's revision. Members that
  // do not answer, or cannot say, are passed over.
  void CheckAgainstPeers(absl::AnyInvocable<void(absl::Status)> done);

  // Called every second or so.
  void Tick();

 private:
  using Hash = absl::StatusOr<HashResult>;
  struct Round;

  // The hash of this member's store, from a worker.
  void HashHere(int64_t revision, absl::AnyInvocable<void(Hash)> done);
  void Answer(std::string_view body, LeaderCalls::Reply reply);
  // This member's hash and those of all others at its revision (0: the newest).
  void Ask(int64_t revision, base::Duration limit,
           absl::AnyInvocable<void(std::map<uint64_t, Hash>)> done);
  void Judge(const std::map<uint64_t, Hash>& hashes);
  void Raise(uint64_t member);

  ServerContext* const context_;
  Proposals* const proposals_;
  LeaderCalls* const calls_;
  // Who waits for a hash at a revision that is being computed.
  std::map<int64_t, std::vector<LeaderCalls::Reply>> answering_;
  bool checking_ = false;
  base::TimePoint next_check_{};
  base::TimePoint next_compact_check_{};
  int64_t checked_compact_revision_ = 0;
};

// The members whose hash is not that of the majority of `members`, among those that can be
// compared; {0} when they differ and none is a majority. `self` says at which revisions the rest
// is compared.
std::vector<uint64_t> FindCorrupt(const std::map<uint64_t, absl::StatusOr<HashResult>>& hashes,
                                  uint64_t self, size_t members);

}  // namespace keel::kvstore
