// A cache of all objects of one kind, kept true by a watch: list, then watch from there, and again
// from the start when history has gone (Kubernetes' reflector and informer).
//
//   struct PodInfo { std::string node, phase; ... static PodInfo Parse(const json::object&); };
//   Informer<PodInfo> pods(client, {"", "v1", "pods"}, {.field_selector = "spec.nodeName!="});
//   pods.OnChange([&](const ObjectKey& key, const PodInfo* before, const PodInfo* now) {
//     queue.Add(OwnerOf(now ? *now : *before));
//   });
//   pods.Start([&] { ... every informer calls this once, when it holds the whole list });
//
// T is what the user needs of the object, parsed once per change: a hundred thousand objects as
// JSON would not fit. T must have `static T Parse(const json::object& object)`; it may hold the
// json::object itself where objects are few (RawObject below).
//
// Thread-safety: on the client's loop only. Handlers run in the order of revisions; a relist gives
// the differences only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "orchestrator/client/api_client.h"

namespace keel::orchestrator {

struct ObjectKey {
  std::string ns;  // empty for objects of the cluster
  std::string name;

  std::string ToString() const { return ns.empty() ? name : ns + "/" + name; }
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const ObjectKey& key) {
    return H::combine(std::move(h), key.ns, key.name);
  }
};
ObjectKey KeyOf(const json::object& object);  // from its metadata

// The object itself.
struct RawObject {
  json::object object;
  static RawObject Parse(const json::object& object) { return {object}; }
};

struct InformerOptions {
  std::string ns{};  // empty: all namespaces
  std::string label_selector{};
  std::string field_selector{};
  size_t page_size = 5000;  // of the list
};

// The part that knows no T: lists in pages, watches with bookmarks, backs off, relists.
class Reflector {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void ListBegins() = 0;
    virtual void Listed(const json::object& object) = 0;
    virtual void ListEnds() = 0;  // what was not listed is gone
    virtual void Changed(const json::object& object, bool deleted) = 0;
  };

  static std::unique_ptr<Reflector> Start(ApiClient& client, Resource resource,
                                          InformerOptions options, Sink& sink);
  virtual ~Reflector() = default;  // Stops.
};

template <typename T>
class Informer : private Reflector::Sink {
 public:
  using Handler = std::function<void(const ObjectKey& key, const T* before, const T* now)>;

  Informer(ApiClient& client, Resource resource, InformerOptions options = {})
      : client_(client), resource_(std::move(resource)), options_(std::move(options)) {}

  void OnChange(Handler handler) { handlers_.push_back(std::move(handler)); }
  void Start(std::function<void()> on_synced) {
    on_synced_ = std::move(on_synced);
    reflector_ = Reflector::Start(client_, resource_, options_, *this);
  }
  void Stop() { reflector_.reset(); }
  bool synced() const { return synced_; }

  // Null when there is none. Valid until the loop's next turn, as is the shared pointer's object
  // for as long as it is held.
  const T* Find(const ObjectKey& key) const {
    auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : found->second.get();
  }
  std::shared_ptr<const T> Share(const ObjectKey& key) const {
    auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : found->second;
  }
  const absl::flat_hash_map<ObjectKey, std::shared_ptr<const T>>& objects() const {
    return objects_;
  }

 private:
  void ListBegins() override { listed_.clear(); }
  void Listed(const json::object& object) override {
    ObjectKey key = KeyOf(object);
    listed_[key] = true;
    Set(key, object);
  }
  void ListEnds() override {
    std::vector<ObjectKey> gone;
    for (const auto& [key, object] : objects_) {
      if (!listed_.contains(key)) gone.push_back(key);
    }
    for (const ObjectKey& key : gone) Erase(key);
    listed_.clear();
    if (!std::exchange(synced_, true) && on_synced_) on_synced_();
  }
  void Changed(const json::object& object, bool deleted) override {
    const ObjectKey key = KeyOf(object);
    if (deleted) {
      Erase(key);
    } else {
      Set(key, object);
    }
  }

  void Set(const ObjectKey& key, const json::object& object) {
    auto now = std::make_shared<const T>(T::Parse(object));
    auto& slot = objects_[key];
    const std::shared_ptr<const T> before = std::exchange(slot, now);
    for (const Handler& handler : handlers_) handler(key, before.get(), now.get());
  }
  void Erase(const ObjectKey& key) {
    auto found = objects_.find(key);
    if (found == objects_.end()) return;
    const std::shared_ptr<const T> before = std::move(found->second);
    objects_.erase(found);
    for (const Handler& handler : handlers_) handler(key, before.get(), nullptr);
  }

  ApiClient& client_;
  Resource resource_;
  InformerOptions options_;
  std::vector<Handler> handlers_;
  std::function<void()> on_synced_;
  bool synced_ = false;
  absl::flat_hash_map<ObjectKey, std::shared_ptr<const T>> objects_;
  absl::flat_hash_map<ObjectKey, bool> listed_;  // during a list
  std::unique_ptr<Reflector> reflector_;
};

}  // namespace keel::orchestrator
