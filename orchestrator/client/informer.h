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
ObjectKey KeyOf(const json::object& object);     // from its metadata
uint64_t VersionOf(const json::object& object);  // metadata.resourceVersion; 0 when it is no number

// The object itself.
struct RawObject {
  json::object object;
  static RawObject Parse(const json::object& object) { return {object}; }
};

struct InformerOptions {
  std::string ns{};  // empty: all namespaces
  std::string label_selector{};
  std::string field_selector{};
  size_t page_size = 1000;  // of the list: what is in memory as JSON at once
};

// The part that knows no T: lists in pages (the first time from what the server has at hand, after
// its history ran out from what is newest), watches with bookmarks, backs off with jitter, lists
// again when history has gone.
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
    return found == objects_.end() ? nullptr : std::shared_ptr<const T>(found->second);
  }
  // An object, and what else is known of it. Reads as the pointer that it is.
  struct Held : std::shared_ptr<const T> {
    uint64_t version = 0;  // metadata.resourceVersion
    uint32_t list = 0;     // the last list that had it
  };
  const absl::flat_hash_map<ObjectKey, Held>& objects() const { return objects_; }

 private:
  void ListBegins() override { ++list_; }
  void Listed(const json::object& object) override { Set(KeyOf(object), object); }
  void ListEnds() override {
    std::vector<ObjectKey> gone;
    for (const auto& [key, held] : objects_) {
      if (held.list != list_) gone.push_back(key);
    }
    for (const ObjectKey& key : gone) Erase(key);
    if (!std::exchange(synced_, true) && on_synced_) on_synced_();
  }
  void Changed(const json::object& object, bool deleted) override {
    const ObjectKey key = KeyOf(object);
    if (deleted) {
      // What it was at its end may say more than the last change.
      Replace(key, object);
      Erase(key);
    } else {
      Set(key, object);
    }
  }

  void Set(const ObjectKey& key, const json::object& object) {
    const uint64_t version = VersionOf(object);
    Held& held = objects_[key];
    held.list = list_;
    // Listed again, and nothing happened to it meanwhile.
    if (held != nullptr && held.version == version && version != 0) return;
    held.version = version;
    auto now = std::make_shared<const T>(T::Parse(object));
    const std::shared_ptr<const T> before = held;
    static_cast<std::shared_ptr<const T>&>(held) = now;
    for (const Handler& handler : handlers_) handler(key, before.get(), now.get());
  }
  void Replace(const ObjectKey& key, const json::object& object) {
    auto found = objects_.find(key);
    if (found == objects_.end()) return;
    static_cast<std::shared_ptr<const T>&>(found->second) =
        std::make_shared<const T>(T::Parse(object));
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
  uint32_t list_ = 0;
  absl::flat_hash_map<ObjectKey, Held> objects_;
  std::unique_ptr<Reflector> reflector_;
};

}  // namespace keel::orchestrator
