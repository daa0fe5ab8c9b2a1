#include "kvstore/client/client_concurrency_store.h"

#include <algorithm>
#include <utility>

namespace keel::kvstore {

namespace pb = etcdserverpb;

namespace {

class ClientWatch final : public ConcurrencyStore::Watching {
 public:
  ClientWatch(Client& client, const pb::WatchCreateRequest& request,
              ConcurrencyStore::WatchEvents events) {
    WatchOptions options;
    options.range_end = request.range_end();
    options.start_revision = request.start_revision();
    options.no_deletes = std::count(request.filters().begin(), request.filters().end(),
                                    pb::WatchCreateRequest::NODELETE) > 0;
    // Shared, so that a callback may destroy the watch it runs for.
    const auto shared = std::make_shared<ConcurrencyStore::WatchEvents>(std::move(events));
    watcher_ = client.Watch(
        request.key(), options,
        [shared](pb::WatchResponse& response) {
          const auto keep = shared;
          keep->on_response(response);
        },
        [shared](const WatchEnd& end) {
          const auto keep = shared;
          keep->on_end(end.status);
        });
  }

 private:
  std::unique_ptr<Watcher> watcher_;
};

class ClientConcurrencyStore final : public ConcurrencyStore {
 public:
  explicit ClientConcurrencyStore(Client& client) : client_(client) {}

  void Range(const pb::RangeRequest& request, Done<pb::RangeResponse> done) override {
    client_.Call(request, std::move(done));
  }
  void Txn(const pb::TxnRequest& request, Done<pb::TxnResponse> done) override {
    client_.Call(request, std::move(done));
  }
  std::unique_ptr<Watching> Watch(const pb::WatchCreateRequest& request,
                                  WatchEvents events) override {
    return std::make_unique<ClientWatch>(client_, request, std::move(events));
  }

 private:
  Client& client_;
};

}  // namespace

std::shared_ptr<ConcurrencyStore> MakeConcurrencyStore(Client& client) {
  return std::make_shared<ClientConcurrencyStore>(client);
}

}  // namespace keel::kvstore
