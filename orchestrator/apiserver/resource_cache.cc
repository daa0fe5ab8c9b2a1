#include "orchestrator/apiserver/resource_cache.h"

#include <algorithm>

#include "base/strings.h"
#include "orchestrator/apiserver/object_codec.h"

namespace keel::orchestrator {

CachedObjectPtr ResourceCache::Find(std::string_view ns, std::string_view name) const {
  auto found = objects_.find(NameKey{ns, name});
  return found == objects_.end() ? nullptr : *found;
}

void ResourceCache::Load(CachedObjectPtr object) {
  object_bytes_ += object->MemoryBytes();
  revision_ = std::max(revision_, object->revision);
  objects_.insert(std::move(object));
  ++version_;
}

void ResourceCache::Reset(int64_t revision) {
  objects_.clear();
  object_bytes_ = 0;
  ++version_;
  ring_.Clear();
  ring_.StartAt(revision);
  const auto listeners = std::exchange(keys_, {});
  index_.clear();
  swept_.clear();
  for (const auto& [listener, key] : listeners) listener->OnReset();
}

void ResourceCache::Put(CachedObjectPtr object) {
  ObjectChange change{.type = ChangeType::kAdded, .object = object, .before = nullptr};
  object_bytes_ += object->MemoryBytes();
  auto found = objects_.find(NameKey{object->ns, object->name});
  if (found != objects_.end()) {
    change.type = ChangeType::kModified;
    change.before = (*found)->facts;
    object_bytes_ -= (*found)->MemoryBytes();
    // The order stays: same namespace and name.
    const_cast<CachedObjectPtr&>(*found) = object;
  } else {
    objects_.insert(object);
  }
  Tell(std::move(change), object->ns, object->name);
}

void ResourceCache::Delete(std::string_view ns, std::string_view name, int64_t revision) {
  auto found = objects_.find(NameKey{ns, name});
  if (found == objects_.end()) return;
  auto last = std::make_shared<CachedObject>(**found);
  last->bytes = ReplaceRevision(last->bytes, revision);
  last->revision = revision;
  object_bytes_ -= (*found)->MemoryBytes();
  ObjectChange change{.type = ChangeType::kDeleted, .object = last, .before = (*found)->facts};
  objects_.erase(found);
  Tell(std::move(change), last->ns, last->name);
}

std::string ResourceCache::IndexKey(const ChangeListener::Key& key) {
  if (!key.name.empty()) return base::StrCat("N", key.ns, "/", key.name);
  if (key.field >= 0) return base::StrCat("F", key.field, "=", key.value);
  return key.ns.empty() ? std::string() : base::StrCat("S", key.ns);
}

void ResourceCache::Listen(ChangeListener& listener, const ChangeListener::Key& key) {
  std::string index_key = IndexKey(key);
  index_[index_key].push_back(&listener);
  if (index_key.starts_with('F')) {
    fields_listened_.resize(std::max(fields_listened_.size(), fields_.size()));
    ++fields_listened_[static_cast<size_t>(key.field)];
  }
  keys_.emplace(&listener, std::move(index_key));
}

void ResourceCache::Unlisten(ChangeListener& listener) {
  auto found = keys_.find(&listener);
  if (found == keys_.end()) return;
  const std::string index_key = std::move(found->second);
  keys_.erase(found);
  if (index_key.starts_with('F')) {
    --fields_listened_[static_cast<size_t>(std::stoi(index_key.substr(1)))];
  }
  auto& list = index_[index_key];
  auto at = std::find(list.begin(), list.end(), &listener);
  if (telling_ > 0) {
    *at = nullptr;
    swept_.push_back(index_key);
    return;
  }
  *at = list.back();
  list.pop_back();
  if (list.empty()) index_.erase(index_key);
}

void ResourceCache::TellAll(const std::string& index_key, const ObjectChange& change) {
  auto found = index_.find(index_key);
  if (found == index_.end()) return;
  // By index, and looked up again: a listener may remove and add others.
  for (size_t i = 0; found != index_.end() && i < found->second.size(); ++i) {
    ChangeListener* const listener = found->second[i];
    if (listener != nullptr) listener->OnChange(change);
    found = index_.find(index_key);
  }
}

void ResourceCache::Tell(ObjectChange change, const std::string& ns, const std::string& name) {
  ++version_;
  revision_ = change.revision();
  ring_.Add(change);
  if (keys_.empty()) return;
  ++telling_;
  TellAll("", change);
  if (!ns.empty()) TellAll(base::StrCat("S", ns), change);
  TellAll(base::StrCat("N", ns, "/", name), change);
  for (size_t i = 0; i < fields_listened_.size(); ++i) {
    if (fields_listened_[i] == 0) continue;
    const std::string& now = change.object->facts->fields[i];
    TellAll(base::StrCat("F", i, "=", now), change);
    if (change.before != nullptr && change.before->fields[i] != now) {
      TellAll(base::StrCat("F", i, "=", change.before->fields[i]), change);
    }
  }
  if (--telling_ > 0) return;
  for (const std::string& key : swept_) {
    auto found = index_.find(key);
    if (found == index_.end()) continue;
    std::erase(found->second, nullptr);
    if (found->second.empty()) index_.erase(found);
  }
  swept_.clear();
}

}  // namespace keel::orchestrator
