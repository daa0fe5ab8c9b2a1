// Certificates that nobody vouches for: they encrypt, and prove nothing.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace keel::base {

// Makes a key (ECDSA, P-256) and a certificate for `hosts` (names and addresses) that signs itself:
// DIR/key.pem (mode 0600) and DIR/cert.pem. The folder is made. When both are there already and
// the certificate is still valid, they stay. InvalidArgument, Unavailable naming the file.
absl::Status EnsureSelfSigned(const std::string& dir, const std::vector<std::string>& hosts,
                              uint32_t validity_years);

}  // namespace keel::base
