#include "kvstore/client/retry.h"

#include <string_view>

#include "base/check.h"
#include "base/strings.h"

namespace keel::kvstore {

Failure Classify(const absl::Status& status) {
  KEEL_CHECK(!status.ok());
  const std::string_view text = base::ToStd(status.message());
  if (status.code() != absl::StatusCode::kUnavailable) return Failure::kFinal;
  // rpc::Channel: "connect HOST:PORT: REASON".
  if (text.starts_with("connect ")) return Failure::kNotConnected;
  if (text == "etcdserver: no leader") return Failure::kNotApplied;
  return Failure::kUnknown;
}

}  // namespace keel::kvstore
