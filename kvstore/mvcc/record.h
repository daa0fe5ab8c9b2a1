// One version of a key as the store hands it out: a view into its memory.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/functional/function_ref.h"

namespace keel::kvstore {

// The names are those of mvccpb.KeyValue. `key` and `value` are valid only
// inside the call that hands the record over, unless said otherwise.
struct RecordView {
  std::string_view key;
  std::string_view value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  int64_t lease = 0;
};

using RecordVisitor = absl::FunctionRef<void(const RecordView&)>;

}  // namespace keel::kvstore
