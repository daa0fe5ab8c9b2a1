// Tells the supervisor that started this process how it is doing: the datagrams
// of sd_notify(3), for systemd units of Type=notify.
//
//   NotifySupervisor("READY=1\nSTATUS=serving clients");
//
// Without NOTIFY_SOCKET in the environment nothing happens. Thread-safe.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace keel::kvstore {

// `state`: one or more NAME=VALUE, a line each.
void NotifySupervisor(std::string_view state);

// The same to the socket named, "/a/path" or "@abstract". InvalidArgument for a name that is none,
// Unavailable when nobody takes the datagram.
absl::Status NotifySocket(std::string_view socket, std::string_view state);

}  // namespace keel::kvstore
