// Receives a snapshot into a file.
//
//   KEEL_RETURN_IF_ERROR(SaveSnapshot(client, "10.0.0.1:2379", fs, "backup.db", on_progress));
//
// Blocks; thread-safe as the client is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "base/file.h"
#include "kvstore/client/client.h"

namespace keel::kvctl {

// Told how many bytes have come, and how many there will be. An error ends it, and is returned.
using OnSnapshotBytes = std::function<absl::Status(uint64_t, uint64_t)>;

// Writes to `path`.part, compares the hash that ends the stream with what came, makes the file
// durable and only then gives it its name. After an error there is no file.
absl::Status SaveSnapshot(kvstore::Client& client, const std::string& endpoint,
                          base::FileSystem& fs, const std::string& path,
                          const OnSnapshotBytes& on_bytes);

}  // namespace keel::kvctl
