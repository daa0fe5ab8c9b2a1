// The Store over etcd's API: any endpoints that kvstore::Client takes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/asio_loop.h"
#include "orchestrator/apiserver/store.h"

namespace keel::kvstore {
class Client;
}

namespace keel::orchestrator {

struct EtcdStoreOptions {
  std::vector<std::string> servers;
  std::string ca_file{}, cert_file{}, key_file{};
};

class EtcdStore : public Store {
 public:
  virtual kvstore::Client& client() = 0;
};

// `loop` must outlive it. InvalidArgument when a server is no address.
absl::StatusOr<std::unique_ptr<EtcdStore>> MakeEtcdStore(base::AsioLoop& loop,
                                                         const EtcdStoreOptions& options);

}  // namespace keel::orchestrator
