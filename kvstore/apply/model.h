// The store as a reader would write it in an afternoon: every version of every
// key in a map. Tests compare the real one with it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kvstore/feed.h"
#include "kvstore/mvcc/read_view.h"

namespace keel::kvstore {

class Model {
 public:
  struct Answer {
    std::string error;  // "compacted", "future" or nothing
    std::vector<KeyValue> kvs;
    int64_t count = 0;
    bool more = false;
  };

  int64_t revision = 1;
  int64_t compacted = -1;

  void Put(const std::string& key, const std::string& value, int64_t lease) {
    const KeyValue* before = Newest(key);
    KeyValue kv{key, value, next(), next(), 1, lease};
    Event event{Event::Type::kPut, {}, nullptr};
    if (before != nullptr) {
      kv.create_revision = before->create_revision;
      kv.version = before->version + 1;
      event.prev = std::make_shared<const KeyValue>(*before);
    }
    event.kv = kv;
    Supersede(key);
    versions_[key].push_back({kv, INT64_MAX});
    pending_.push_back(event);
  }

  int64_t Delete(const std::string& key, const std::string& end) {
    std::vector<std::string> going;
    for (const auto& [name, unused] : versions_) {
      if (Inside(name, key, end) && Newest(name) != nullptr) going.push_back(name);
    }
    for (const std::string& name : going) {
      Event event{Event::Type::kDelete, {}, std::make_shared<const KeyValue>(*Newest(name))};
      event.kv.key = name;
      event.kv.mod_revision = next();
      Supersede(name);
      pending_.push_back(event);
    }
    return static_cast<int64_t>(going.size());
  }

  void End() {
    if (pending_.empty()) return;
    ++revision;
    events.push_back({revision, std::move(pending_)});
    pending_.clear();
  }

  const KeyValue* Newest(const std::string& key) const {
    const auto found = versions_.find(key);
    if (found == versions_.end() || found->second.empty()) return nullptr;
    return found->second.back().superseded_by == INT64_MAX ? &found->second.back().kv : nullptr;
  }

  Answer Range(const RangeOptions& options) const {
    Answer answer;
    if (options.revision > revision) return {"future", {}, 0, false};
    const int64_t at = options.revision <= 0 ? revision : options.revision;
    if (at < compacted) return {"compacted", {}, 0, false};
    for (const auto& [name, versions] : versions_) {
      if (!Inside(name, std::string(options.key), std::string(options.range_end))) continue;
      for (const Version& version : versions) {
        if (version.kv.mod_revision <= at && at < version.superseded_by)
          answer.kvs.push_back(version.kv);
      }
    }
    answer.count = static_cast<int64_t>(answer.kvs.size());
    if (options.count_only) return {"", {}, answer.count, false};
    const bool bounds = options.min_mod_revision != 0 || options.max_mod_revision != 0 ||
                        options.min_create_revision != 0 || options.max_create_revision != 0;
    if (options.limit > 0 && options.order == RangeOptions::Order::kNone && !bounds &&
        answer.count > options.limit + 1) {
      answer.kvs.resize(static_cast<size_t>(options.limit) + 1);
    }
    std::erase_if(answer.kvs, [&](const KeyValue& kv) {
      return (options.min_mod_revision != 0 && kv.mod_revision < options.min_mod_revision) ||
             (options.max_mod_revision != 0 && kv.mod_revision > options.max_mod_revision) ||
             (options.min_create_revision != 0 &&
              kv.create_revision < options.min_create_revision) ||
             (options.max_create_revision != 0 && kv.create_revision > options.max_create_revision);
    });
    auto less = [&](const KeyValue& a, const KeyValue& b) {
      switch (options.target) {
        case RangeOptions::Target::kKey:
          return a.key < b.key;
        case RangeOptions::Target::kVersion:
          return a.version < b.version;
        case RangeOptions::Target::kCreate:
          return a.create_revision < b.create_revision;
        case RangeOptions::Target::kMod:
          return a.mod_revision < b.mod_revision;
        case RangeOptions::Target::kValue:
          return a.value < b.value;
      }
      return false;
    };
    if (options.order == RangeOptions::Order::kDescend) {
      std::stable_sort(answer.kvs.begin(), answer.kvs.end(),
                       [&](const KeyValue& a, const KeyValue& b) { return less(b, a); });
    } else {
      std::stable_sort(answer.kvs.begin(), answer.kvs.end(), less);
    }
    if (options.limit > 0 && static_cast<int64_t>(answer.kvs.size()) > options.limit) {
      answer.kvs.resize(static_cast<size_t>(options.limit));
      answer.more = true;
    }
    if (options.keys_only) {
      for (KeyValue& kv : answer.kvs) kv.value.clear();
    }
    return answer;
  }

  FeedBatch events;

  static bool Inside(const std::string& name, const std::string& key, const std::string& end) {
    if (end.empty()) return name == key;
    return name >= key && (end == std::string(1, '\0') || name < end);
  }

 private:
  struct Version {
    KeyValue kv;
    int64_t superseded_by;
  };
  int64_t next() const { return revision + 1; }
  void Supersede(const std::string& key) {
    if (Newest(key) != nullptr) versions_[key].back().superseded_by = next();
  }

  std::map<std::string, std::vector<Version>> versions_;
  absl::InlinedVector<Event, 1> pending_;
};

}  // namespace keel::kvstore
