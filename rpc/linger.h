// Closes a connection without losing the last words to the peer: with unread
// input, a plain close makes TCP reset the connection, and the reset may
// overtake what was written just before.
#pragma once

#include "rpc/socket.h"

namespace keel::rpc::internal {

// Ends the sending side now, discards what still arrives, and closes when the
// peer has closed too, or after one second. Returns at once; depends on nothing
// but the socket's loop.
void CloseLingering(Socket socket);

}  // namespace keel::rpc::internal
