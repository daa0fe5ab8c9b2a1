// All objects of one resource in the order of namespace and name, their recent changes, and who
// wants to hear of the next.
//
// Thread-safety: on its loop only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "orchestrator/apiserver/cached_object.h"
#include "orchestrator/apiserver/event_ring.h"

namespace keel::orchestrator {

// Who is told of changes. What `key` rules out it is not told, so that thousands of listeners for
// one node's pods each cost nothing per change of another's.
class ChangeListener {
 public:
  struct Key {
    std::string ns{}, name{};  // empty: any
    int field = -1;            // of Kind::selectable_fields: only objects with this `value`
    std::string value{};
  };
  virtual ~ChangeListener() = default;
  virtual void OnChange(const ObjectChange& change) = 0;
  // The cache was loaded anew; what changed meanwhile is not told. It is removed already.
  virtual void OnReset() = 0;
};

class ResourceCache {
 public:
  ResourceCache(std::string resource, std::vector<std::string> fields, size_t ring_events,
                size_t ring_bytes)
      : resource_(std::move(resource)),
        fields_(std::move(fields)),
        ring_(ring_events, ring_bytes) {}

  const std::string& resource() const { return resource_; }
  const std::vector<std::string>& fields() const { return fields_; }
  size_t size() const { return objects_.size(); }
  size_t object_bytes() const { return object_bytes_; }
  const EventRing& ring() const { return ring_; }
  uint64_t version() const { return version_; }
  // Of the newest change.
  int64_t revision() const { return revision_; }

  // Null when there is none.
  CachedObjectPtr Find(std::string_view ns, std::string_view name) const;
  // Calls fn(const CachedObjectPtr&) in order from (from_ns, from_name) on, in one namespace if
  // `ns` is not empty, until it returns false.
  template <typename Fn>
  void ForEach(std::string_view ns, std::string_view from_ns, std::string_view from_name,
               Fn fn) const {
    auto at = objects_.lower_bound(
        NameKey{from_ns < ns ? ns : from_ns, from_ns < ns ? std::string_view() : from_name});
    for (; at != objects_.end(); ++at) {
      if (!ns.empty() && (*at)->ns != ns) break;
      if (!fn(*at)) break;
    }
  }

  // Without telling anyone: while loading.
  void Load(CachedObjectPtr object);
  // Begins anew: forgets all and resets the listeners. History starts after `revision`.
  void Reset(int64_t revision);
  void StartHistoryAt(int64_t revision) { ring_.StartAt(revision); }

  void Put(CachedObjectPtr object);
  void Delete(std::string_view ns, std::string_view name, int64_t revision);

  void Listen(ChangeListener& listener, const ChangeListener::Key& key);
  void Unlisten(ChangeListener& listener);
  size_t listeners() const { return keys_.size(); }

 private:
  using NameKey = std::pair<std::string_view, std::string_view>;
  struct Less {
    using is_transparent = void;
    static NameKey KeyOf(const CachedObjectPtr& object) { return {object->ns, object->name}; }
    static const NameKey& KeyOf(const NameKey& key) { return key; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return KeyOf(a) < KeyOf(b);
    }
  };
  static std::string IndexKey(const ChangeListener::Key& key);
  void Tell(ObjectChange change, const std::string& ns, const std::string& name);
  void TellAll(const std::string& index_key, const ObjectChange& change);

  const std::string resource_;
  const std::vector<std::string> fields_;
  absl::btree_set<CachedObjectPtr, Less> objects_;
  size_t object_bytes_ = 0;
  EventRing ring_;
  uint64_t version_ = 0;
  int64_t revision_ = 0;

  // Listeners by what they want; in each the removed ones are null until nobody is being told.
  absl::flat_hash_map<std::string, std::vector<ChangeListener*>> index_;
  absl::flat_hash_map<ChangeListener*, std::string> keys_;
  std::vector<size_t> fields_listened_;  // how many listeners name each field
  std::vector<std::string> swept_;       // keys of index_ with nulls in them
  int telling_ = 0;
};

}  // namespace keel::orchestrator
