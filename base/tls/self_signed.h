// Certificates that nobody vouches for: they encrypt, and prove nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/pki/certificate.h"

namespace keel::base {

// A key (ECDSA, P-256) and a certificate for `hosts` (names and addresses) that signs itself.
// InvalidArgument for a host that is no name and for no years.
absl::StatusOr<KeyPair> MakeSelfSigned(const std::vector<std::string>& hosts,
                                       uint32_t validity_years);

// Makes such a pair as DIR/key.pem (mode 0600) and DIR/cert.pem. The folder is made. When both are
// there already and the certificate is still valid, they stay. InvalidArgument, Unavailable naming
// the file.
absl::Status EnsureSelfSigned(const std::string& dir, const std::vector<std::string>& hosts,
                              uint32_t validity_years);

}  // namespace keel::base
