// What a failed call means for sending it again. Internal to the client.
//
// The rules are those of etcd's own client, with one addition: a write that a
// server refused because it knew of no leader is repeated too, for it was
// refused before anything was proposed.
#pragma once

#include "absl/status/status.h"
#include "kvstore/client/methods.h"

namespace keel::kvstore {

enum class Failure {
  kFinal,         // the server's answer: nothing to be gained elsewhere
  kNotConnected,  // no connection: certainly not sent
  kNotApplied,    // refused for now: certainly without effect
  kUnknown,       // may or may not have had its effect
};

// REQUIRES: !status.ok().
Failure Classify(const absl::Status& status);

inline bool MayRepeat(Failure failure, Repeat repeat) {
  switch (failure) {
    case Failure::kFinal:
      return false;
    case Failure::kNotConnected:
    case Failure::kNotApplied:
      return true;
    case Failure::kUnknown:
      return repeat == Repeat::kAlways;
  }
  return false;
}

}  // namespace keel::kvstore
