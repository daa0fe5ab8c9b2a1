// All objects of a kind, as they are and as they change, to two functions; keeps but their keys.
//
//   ObjectFeed nodes(client, {"", "v1", "nodes"}, {},
//                    [&](const json::object& node) { cluster.SetNode(...); },
//                    [&](const ObjectKey& key) { cluster.RemoveNode(key.name); });
//   nodes.Start([&] { ... every object has been told });
//
// What an Informer does without holding the objects: the scheduler's cluster holds what it needs of
// them. On the client's loop only.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "orchestrator/client/informer.h"

namespace keel::orchestrator::sched {

class ObjectFeed final : private Reflector::Sink {
 public:
  using OnObject = std::function<void(const json::object& object)>;
  using OnGone = std::function<void(const ObjectKey& key)>;

  ObjectFeed(ApiClient& client, Resource resource, InformerOptions options, OnObject on_object,
             OnGone on_gone)
      : client_(client),
        resource_(std::move(resource)),
        options_(std::move(options)),
        on_object_(std::move(on_object)),
        on_gone_(std::move(on_gone)) {}

  void Start(std::function<void()> on_synced) {
    on_synced_ = std::move(on_synced);
    reflector_ = Reflector::Start(client_, resource_, options_, *this);
  }
  bool synced() const { return synced_; }

 private:
  void ListBegins() override { listed_.clear(); }
  void Listed(const json::object& object) override {
    ObjectKey key = KeyOf(object);
    listed_.insert(key);
    known_.insert(std::move(key));
    on_object_(object);
  }
  void ListEnds() override {
    std::vector<ObjectKey> gone;
    for (const ObjectKey& key : known_) {
      if (!listed_.contains(key)) gone.push_back(key);
    }
    for (const ObjectKey& key : gone) {
      known_.erase(key);
      on_gone_(key);
    }
    listed_ = {};
    if (!std::exchange(synced_, true) && on_synced_) on_synced_();
  }
  void Changed(const json::object& object, bool deleted) override {
    ObjectKey key = KeyOf(object);
    if (deleted) {
      known_.erase(key);
      on_gone_(key);
    } else {
      known_.insert(std::move(key));
      on_object_(object);
    }
  }

  ApiClient& client_;
  const Resource resource_;
  const InformerOptions options_;
  const OnObject on_object_;
  const OnGone on_gone_;
  std::function<void()> on_synced_;
  bool synced_ = false;
  absl::flat_hash_set<ObjectKey> known_, listed_;
  std::unique_ptr<Reflector> reflector_;
};

}  // namespace keel::orchestrator::sched
