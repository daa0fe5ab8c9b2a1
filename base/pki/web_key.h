// Public keys as JSON Web Keys (RFC 7517, RFC 7518 section 6).
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace keel::base {

// The members that describe the public part of a key in PEM (private or public): kty, n and e for
// RSA; kty, crv, x and y for ECDSA. Empty for what is no such key. Thread-safe.
std::vector<std::pair<std::string, std::string>> WebKeyMembers(const std::string& pem);

}  // namespace keel::base
