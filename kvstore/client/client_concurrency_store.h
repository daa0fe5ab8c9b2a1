// Locks and elections (concurrency.h) for users of a Client.
//
//   auto store = MakeConcurrencyStore(client);
//   auto campaign = std::make_shared<Campaign>(store, "jobs/cleanup", lease, "");
//   client.loop().Post([campaign] { campaign->Start([](absl::StatusOr<Place> won) { ... }); });
//
// Thread-safety: the client's loop. Lifetime: the client outlives it.
#pragma once

#include <memory>

#include "kvstore/client/client.h"
#include "kvstore/client/concurrency.h"

namespace keel::kvstore {

std::shared_ptr<ConcurrencyStore> MakeConcurrencyStore(Client& client);

}  // namespace keel::kvstore
