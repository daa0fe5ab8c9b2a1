#include "orchestrator/apiserver/etcd_store.h"

#include <utility>

#include "base/status.h"
#include "kvstore/client/client.h"

namespace keel::orchestrator {

namespace {

namespace kv = kvstore;

// Reads may wait longer than a write: a page of thousands of objects is megabytes.
constexpr base::Duration kReadTimeout = std::chrono::seconds(30);

StoreRecord RecordOf(mvccpb::KeyValue& from) {
  return {.key = std::move(*from.mutable_key()),
          .value = std::move(*from.mutable_value()),
          .create_revision = from.create_revision(),
          .mod_revision = from.mod_revision()};
}

class WatchOfPrefix final : public StoreWatch {
 public:
  WatchOfPrefix(Store::OnEvents on_events, Store::OnEnd on_end)
      : on_events_(std::move(on_events)), on_end_(std::move(on_end)) {}

  void Start(kv::Client& client, const std::string& prefix, int64_t start_revision) {
    kv::WatchOptions options;
    options.range_end = PrefixEndOf(prefix);
    options.start_revision = start_revision;
    options.progress_notify = true;
    options.fragment = true;
    watcher_ = client.Watch(
        prefix, options, [this](etcdserverpb::WatchResponse& response) { OnResponse(response); },
        [this](const kv::WatchEnd& end) {
          if (on_end_) std::exchange(on_end_, nullptr)(end.status);
        });
  }

  void RequestProgress() override { watcher_->RequestProgress(); }

 private:
  void OnResponse(etcdserverpb::WatchResponse& response) {
    if (response.created()) return;
    std::vector<StoreEvent> events;
    events.reserve(static_cast<size_t>(response.events_size()));
    for (mvccpb::Event& event : *response.mutable_events()) {
      events.push_back({.deleted = event.type() == mvccpb::Event::DELETE,
                        .record = RecordOf(*event.mutable_kv())});
    }
    const int64_t revision =
        events.empty() ? response.header().revision() : events.back().record.mod_revision;
    on_events_(std::move(events), revision);
  }

  Store::OnEvents on_events_;
  Store::OnEnd on_end_;
  std::unique_ptr<kv::Watcher> watcher_;  // last: stops before the rest goes
};

class EtcdStoreOfClient final : public EtcdStore {
 public:
  explicit EtcdStoreOfClient(std::unique_ptr<kv::Client> client) : client_(std::move(client)) {}

  kv::Client& client() override { return *client_; }

  void Range(std::string from, std::string end, int64_t revision, int64_t limit,
             Done<StorePage> done) override {
    kv::GetOptions options;
    options.range_end = std::move(end);
    options.revision = revision;
    options.limit = limit;
    kv::RpcOptions rpc;
    rpc.timeout = kReadTimeout;
    client_->Call(
        kv::MakeGet(from, options),
        [revision,
         done = std::move(done)](absl::StatusOr<etcdserverpb::RangeResponse> response) mutable {
          if (!response.ok()) return done(response.status());
          StorePage page;
          page.revision = revision != 0 ? revision : response->header().revision();
          page.count = response->count();
          page.more = response->more();
          page.records.reserve(static_cast<size_t>(response->kvs_size()));
          for (mvccpb::KeyValue& record : *response->mutable_kvs()) {
            page.records.push_back(RecordOf(record));
          }
          done(std::move(page));
        },
        rpc);
  }

  void Commit(StoreTxn txn, Done<StoreCommit> done) override {
    kv::TxnBuilder builder;
    for (const StoreCompare& compare : txn.compares) {
      builder.If(kv::ModRevisionIs(compare.key, '=', compare.mod_revision));
    }
    for (const StoreOp& op : txn.ops) {
      if (op.deletes) {
        builder.Then(kv::MakeDelete(op.key));
      } else {
        kv::PutOptions options;
        options.lease = op.lease;
        builder.Then(kv::MakePut(op.key, op.value, options));
      }
    }
    if (!txn.read.empty()) builder.Else(kv::MakeGet(txn.read));
    client_->Call(
        builder.request(),
        [done = std::move(done)](absl::StatusOr<etcdserverpb::TxnResponse> response) mutable {
          if (!response.ok()) return done(response.status());
          StoreCommit commit;
          commit.succeeded = response->succeeded();
          commit.revision = response->header().revision();
          if (!commit.succeeded) {
            for (auto& op : *response->mutable_responses()) {
              for (auto& record : *op.mutable_response_range()->mutable_kvs()) {
                commit.found.push_back(RecordOf(record));
              }
            }
          }
          done(std::move(commit));
        });
  }

  void Revision(Done<int64_t> done) override {
    kv::GetOptions options;
    options.count_only = true;
    client_->Call(
        kv::MakeGet("\x01", options),
        [done = std::move(done)](absl::StatusOr<etcdserverpb::RangeResponse> response) mutable {
          if (!response.ok()) return done(response.status());
          done(response->header().revision());
        });
  }

  std::unique_ptr<StoreWatch> Watch(std::string prefix, int64_t start_revision, OnEvents on_events,
                                    OnEnd on_end) override {
    auto watch = std::make_unique<WatchOfPrefix>(std::move(on_events), std::move(on_end));
    watch->Start(*client_, prefix, start_revision);
    return watch;
  }

  void GrantLease(int64_t seconds, Done<int64_t> done) override {
    etcdserverpb::LeaseGrantRequest request;
    request.set_ttl(seconds);
    client_->Call(request, [done = std::move(done)](
                               absl::StatusOr<etcdserverpb::LeaseGrantResponse> response) mutable {
      if (!response.ok()) return done(response.status());
      done(response->id());
    });
  }

  void Compact(int64_t revision, Done<int64_t> done) override {
    etcdserverpb::CompactionRequest request;
    request.set_revision(revision);
    client_->Call(request, [done = std::move(done)](
                               absl::StatusOr<etcdserverpb::CompactionResponse> response) mutable {
      if (!response.ok()) return done(response.status());
      done(response->header().revision());
    });
  }

 private:
  const std::unique_ptr<kv::Client> client_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<EtcdStore>> MakeEtcdStore(base::AsioLoop& loop,
                                                         const EtcdStoreOptions& options) {
  kv::ClientOptions client_options;
  client_options.endpoints = options.servers;
  if (!options.ca_file.empty() || !options.cert_file.empty()) {
    base::TlsOptions tls;
    tls.trusted_ca_file = options.ca_file;
    tls.cert_file = options.cert_file;
    tls.key_file = options.key_file;
    client_options.tls = std::move(tls);
  }
  KEEL_ASSIGN_OR_RETURN(auto client, kv::Client::Create(std::move(client_options), &loop));
  return std::make_unique<EtcdStoreOfClient>(std::move(client));
}

}  // namespace keel::orchestrator
