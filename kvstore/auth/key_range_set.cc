#include "kvstore/auth/key_range_set.h"

#include <algorithm>
#include <utility>

namespace keel::kvstore {

namespace {

constexpr std::string_view kNoEnd("\0", 1);

// As an interval's end: "" for none.
std::string EndOf(std::string_view key, std::string_view range_end) {
  if (range_end == kNoEnd) return {};
  if (!range_end.empty()) return std::string(range_end);
  std::string end(key);
  end.push_back('\0');  // the first key behind `key`
  return end;
}

// Whether end `a` lies at or behind end `b`.
bool EndsAtOrAfter(std::string_view a, std::string_view b) {
  return a.empty() || (!b.empty() && a >= b);
}

}  // namespace

void KeyRangeSet::Add(std::string_view key, std::string_view range_end) {
  Interval added{std::string(key), EndOf(key, range_end)};
  if (!added.end.empty() && added.end <= added.begin) return;
  // All that overlap or touch it become one with it.
  const auto first = std::find_if(intervals_.begin(), intervals_.end(), [&](const Interval& each) {
    return each.end.empty() || each.end >= added.begin;
  });
  auto last = first;
  while (last != intervals_.end() && (added.end.empty() || last->begin <= added.end)) {
    if (last->begin < added.begin) added.begin = last->begin;
    if (EndsAtOrAfter(last->end, added.end)) added.end = last->end;
    ++last;
  }
  intervals_.insert(intervals_.erase(first, last), std::move(added));
}

bool KeyRangeSet::Covers(std::string_view key, std::string_view range_end) const {
  // The last one that begins at `key` or before it.
  const auto behind = std::upper_bound(
      intervals_.begin(), intervals_.end(), key,
      [](std::string_view wanted, const Interval& each) { return wanted < each.begin; });
  if (behind == intervals_.begin()) return false;
  const Interval& interval = *std::prev(behind);
  const std::string_view end = range_end == kNoEnd ? std::string_view() : range_end;
  const bool one_key_or_none = range_end.empty() || (!end.empty() && end <= key);
  if (one_key_or_none) return interval.end.empty() || key < interval.end;
  return EndsAtOrAfter(interval.end, end);
}

}  // namespace keel::kvstore
