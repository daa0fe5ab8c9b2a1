// A watch over a WebSocket: one text message per event, as browsers' clients ask for it.
//
//   if (rpc::WantsWebSocket(request->http)) return WatchOverWebSocket(*request, start);
//
// Thread-safety: on the server's loop only.
#pragma once

#include <memory>

#include "absl/functional/any_invocable.h"
#include "orchestrator/apiserver/request.h"
#include "orchestrator/apiserver/watch_stream.h"

namespace keel::orchestrator {

// Makes the stream of a sink and lets it go.
using StartWatch = absl::AnyInvocable<std::shared_ptr<WatchStream>(std::shared_ptr<WatchSink>) &&>;

// REQUIRES: rpc::WantsWebSocket(request.http).
void WatchOverWebSocket(Request& request, StartWatch start);

}  // namespace keel::orchestrator
