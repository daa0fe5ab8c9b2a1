// A set of keys, given as ranges: what somebody may read, or write.
//
//   KeyRangeSet set;
//   set.Add("a", "c");              // [a, c)
//   set.Add("c", "");               // the key c alone
//   set.Covers("a", "b");           // true
//   set.Covers("b", std::string("c\0", 2));  // true: up to c and with it
//   set.Covers("b", "d");           // false: somewhere it is not granted
//
// Ranges that overlap or touch count as one, so that a request may span
// several grants. Ranges are written as in requests: an empty range_end means
// the one key, "\0" that there is no end.
//
// Thread-safety: const methods from any thread while nobody adds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keel::kvstore {

class KeyRangeSet {
 public:
  // A range without keys (range_end <= key) adds nothing.
  void Add(std::string_view key, std::string_view range_end);

  // Whether every key of the range is in the set. Of a range without keys (range_end <= key):
  // whether `key` is, as in etcd.
  bool Covers(std::string_view key, std::string_view range_end) const;

  bool empty() const { return intervals_.empty(); }
  size_t interval_count() const { return intervals_.size(); }

 private:
  // [begin, end); an empty end: without one.
  struct Interval {
    std::string begin;
    std::string end;
  };

  // Ascending; between one's end and the next one's begin lies at least one key.
  std::vector<Interval> intervals_;
};

// What a user may do with keys; roles merged.
struct Rights {
  bool root = false;  // everything, also what is not about keys
  KeyRangeSet read;
  KeyRangeSet write;

  bool CanRead(std::string_view key, std::string_view range_end) const {
    return root || read.Covers(key, range_end);
  }
  bool CanWrite(std::string_view key, std::string_view range_end) const {
    return root || write.Covers(key, range_end);
  }
};

}  // namespace keel::kvstore
