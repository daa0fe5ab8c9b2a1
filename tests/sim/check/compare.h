// etcd's rules of comparing in a transaction (internal to the checkers).
#pragma once

#include "tests/sim/check/history.h"

namespace keel::sim {

inline bool SignHolds(int sign, Compare::Result result) {
  switch (result) {
    case Compare::Result::kEqual:
      return sign == 0;
    case Compare::Result::kGreater:
      return sign > 0;
    case Compare::Result::kLess:
      return sign < 0;
    case Compare::Result::kNotEqual:
      return sign != 0;
  }
  return false;
}

inline int64_t NumberOf(const KeyVersion& kv, Compare::Target target) {
  switch (target) {
    case Compare::Target::kVersion:
      return kv.version;
    case Compare::Target::kCreate:
      return kv.create_revision;
    case Compare::Target::kMod:
      return kv.mod_revision;
    case Compare::Target::kLease:
      return kv.lease;
    case Compare::Target::kValue:
      break;
  }
  return 0;
}

// `kv` is null for a key that does not exist: its numbers are 0, and it has no value at all.
inline bool Holds(const Compare& compare, const KeyVersion* kv) {
  if (compare.target == Compare::Target::kValue) {
    return kv != nullptr && SignHolds(kv->value.compare(compare.value), compare.result);
  }
  const int64_t number = kv == nullptr ? 0 : NumberOf(*kv, compare.target);
  return SignHolds(number < compare.number ? -1 : number > compare.number ? 1 : 0, compare.result);
}

}  // namespace keel::sim
