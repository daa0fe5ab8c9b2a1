#include "base/tls/figures.h"

namespace keel::base {

std::string_view TlsFailureName(TlsFailure failure) {
  static constexpr std::string_view kNames[kTlsFailures] = {
      "untrusted", "expired", "revoked",      "wrong_name", "no_certificate",
      "refused",   "not_tls", "no_agreement", "closed",     "other"};
  return kNames[static_cast<size_t>(failure)];
}

void TlsFigures::Succeeded(Duration duration) {
  ++handshakes;
  took_ns += static_cast<uint64_t>(duration.count());
  size_t bucket = 0;
  for (Duration bound = kFirstBucket; bucket < kBuckets && duration > bound; bound *= 2) ++bucket;
  ++took[bucket];
}

}  // namespace keel::base
