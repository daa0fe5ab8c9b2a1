// The keys that a watcher wants: one key, [key, end), or every key from one on.
//
//   KeyRange range = KeyRange::FromRequest(create.key(), create.range_end());
//   if (range.empty()) ...                  // turned around: no key can match
//   if (range.Contains(event.kv.key)) ...
//
// A value type; safe to copy between threads.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace keel::watch {

struct KeyRange {
  std::string key;
  // First key beyond the range. Unused when `unbounded`.
  std::string end;
  bool unbounded = false;

  // By etcd's rules: no key means the smallest key "\0"; no range_end means
  // the one key; range_end "\0" means every key >= key.
  static KeyRange FromRequest(std::string_view key, std::string_view range_end) {
    KeyRange range;
    range.key = key.empty() ? std::string(1, '\0') : std::string(key);
    if (range_end.empty()) {
      range.end = range.key + '\0';
    } else if (range_end == std::string_view("\0", 1)) {
      range.unbounded = true;
    } else {
      range.end = range_end;
    }
    return range;
  }
  static KeyRange All() { return FromRequest({}, std::string_view("\0", 1)); }

  bool empty() const { return !unbounded && end <= key; }
  // Whether exactly one key is in the range.
  bool single() const {
    return !unbounded && end.size() == key.size() + 1 && end.back() == '\0' &&
           std::string_view(end).substr(0, key.size()) == key;
  }
  bool Contains(std::string_view candidate) const {
    return candidate >= key && (unbounded || candidate < end);
  }
  // The range_end of a request for this range.
  std::string RequestEnd() const {
    if (unbounded) return std::string(1, '\0');
    return single() ? std::string() : end;
  }

  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

}  // namespace keel::watch
