// The API server's picture of the store: every object of every resource, fed by one watch over the
// whole prefix after a paged list at one revision.
//
//   Cache cache(loop, store, {...});
//   cache.Start([] { ... it is whole ... });
//   cache.WhenCurrent([&](absl::Status status) {   // as new as the store when it was called
//     CachedObjectPtr pod = cache.Resource("pods").Find("default", "web-1");
//   });
//
// Revisions: the cache is at revision() when every change up to it has been told. When the watch
// breaks off because history was compacted, everything is loaded anew and all listeners are reset.
//
// Thread-safety: on its loop only. Lifetime: callbacks of the store may come until it is destroyed.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/loop.h"
#include "orchestrator/apiserver/access.h"
#include "orchestrator/apiserver/object_codec.h"
#include "orchestrator/apiserver/resource_cache.h"
#include "orchestrator/apiserver/store.h"

namespace keel::orchestrator {

struct CacheOptions {
  std::string prefix = "/registry";
  size_t ring_events = 100'000;  // per resource
  size_t ring_bytes = 48 << 20;  // per resource
  int64_t load_page = 2000;      // objects
  size_t parsed_objects = 2000;  // kept parsed for ObjectView
  base::Duration wait_limit = std::chrono::seconds(3);
  // Null: values lie in the store as they are.
  ValueTransformer* transformer = nullptr;
  // Kind::selectable_fields of a resource ("deployments.apps").
  std::function<std::vector<std::string>(std::string_view resource)> fields_of{};
};

class Cache final : public ObjectView {
 public:
  using Ready = absl::AnyInvocable<void(absl::Status)>;

  Cache(base::Loop& loop, Store& store, CacheOptions options);
  ~Cache() override;

  // How values lie in the store; `on_stale` is told the keys of those that, at the first load, lie
  // as the transformer would not write them now. Before Start.
  void SetTransformer(ValueTransformer* transformer,
                      std::function<void(std::string key)> on_stale = nullptr) {
    options_.transformer = transformer;
    on_stale_ = std::move(on_stale);
  }
  // Loads and watches; goes on trying while the store does not answer. `done` once, when it is
  // whole for the first time.
  void Start(absl::AnyInvocable<void()> done);
  bool ready() const { return ready_; }
  int64_t revision() const { return revision_; }
  const CacheOptions& options() const { return options_; }

  // Made on demand; stays.
  ResourceCache& Resource(std::string_view resource);
  const absl::flat_hash_map<std::string, std::unique_ptr<ResourceCache>>& resources() const {
    return resources_;
  }

  // Runs `done` when the cache has come at least to the store's revision of now. Those who ask
  // while the store is being asked share the next question. Unavailable, or TimedOut.
  void WhenCurrent(Ready done);
  // ... to this revision, at once if it has. TimedOut ("Too large resource version: X, current: Y")
  // after CacheOptions::wait_limit.
  void WhenAt(int64_t revision, Ready done);

  // A value read from the store as the cache would hold it.
  absl::StatusOr<CachedObjectPtr> Decode(const StoreRecord& record);

  // ObjectView:
  std::optional<Entry> Get(std::string_view resource, std::string_view ns,
                           std::string_view name) override;
  std::vector<Entry> List(std::string_view resource, std::string_view ns) override;
  uint64_t Version(std::string_view resource) override;

 private:
  struct Waiter {
    Ready done;
    base::TimePoint until;
  };
  struct Parsed {
    int64_t revision;
    std::shared_ptr<const json::object> object;
    std::list<std::string>::iterator used;
  };

  void LoadPage(std::string from, int64_t revision);
  void Loaded(int64_t revision);
  void Retry(const absl::Status& status);
  void OnEvents(std::vector<StoreEvent> events, int64_t revision);
  void Apply(StoreEvent event);
  void Advance(int64_t revision);
  void AskRevision();
  void Tick();
  Entry EntryOf(std::string_view resource, const CachedObjectPtr& object);
  absl::StatusOr<CachedObjectPtr> Decode(const StoreKey& key, const StoreRecord& record,
                                         ResourceCache& resource);

  base::Loop& loop_;
  Store& store_;
  CacheOptions options_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  absl::flat_hash_map<std::string, std::unique_ptr<ResourceCache>> resources_;
  std::function<void(std::string key)> on_stale_;
  bool ready_ = false;
  int64_t revision_ = 0;
  int failures_ = 0;
  absl::AnyInvocable<void()> on_started_;
  std::unique_ptr<StoreWatch> watch_;

  std::multimap<int64_t, Waiter> waiters_;  // by the revision they wait for
  base::TimerId tick_ = 0;
  bool asking_ = false;
  std::vector<Ready> ask_next_;

  absl::flat_hash_map<std::string, Parsed> parsed_;  // by key in the store
  std::list<std::string> used_;                      // newest first
};

}  // namespace keel::orchestrator
