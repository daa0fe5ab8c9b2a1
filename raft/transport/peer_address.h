// Whether a peer's certificate is for the address that it calls from: what etcd
// asks of peers unless --peer-skip-client-san-verification is given.
//
// A certificate without names and addresses fits all. One of its addresses must
// be the caller's; or, if it has names, the caller's address must have one of
// them (by reverse look-up; "*.a.example" stands for any name that ends with
// ".a.example"), or one of them, but for those with a "*", must lead to the
// address (forward look-up).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>

#include "absl/status/status.h"
#include "base/tls/session.h"

namespace keel::raft {

// PermissionDenied with etcd's text.
boost::asio::awaitable<absl::Status> CheckCallerAddress(base::TlsNames names,
                                                        boost::asio::ip::address caller);

}  // namespace keel::raft
