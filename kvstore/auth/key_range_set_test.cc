#include "kvstore/auth/key_range_set.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace keel::kvstore {
namespace {

using std::string_literals::operator""s;

TEST(KeyRangeSetTest, CoversNothingWhenEmpty) {
  const KeyRangeSet set;
  EXPECT_FALSE(set.Covers("a", ""));
  EXPECT_FALSE(set.Covers("", "\0"s));
}

TEST(KeyRangeSetTest, AKeyAloneIsNoPrefix) {
  KeyRangeSet set;
  set.Add("a", "");
  EXPECT_TRUE(set.Covers("a", ""));
  EXPECT_TRUE(set.Covers("a", "a\0"s));
  EXPECT_FALSE(set.Covers("a\0"s, ""));
  EXPECT_FALSE(set.Covers("aa", ""));
  EXPECT_FALSE(set.Covers("a", "b"));
  // GHSA-xg4h-6gfc-h4m8: one key is not everything from it on.
  EXPECT_FALSE(set.Covers("a", "\0"s));
}

TEST(KeyRangeSetTest, RangesThatTouchAreOne) {
  KeyRangeSet set;
  set.Add("a", "b");
  set.Add("c", "d");
  EXPECT_FALSE(set.Covers("a", "d"));
  set.Add("b", "c");
  EXPECT_TRUE(set.Covers("a", "d"));
  EXPECT_EQ(set.interval_count(), 1u);
}

TEST(KeyRangeSetTest, AnOpenEndCoversAllBehind) {
  KeyRangeSet set;
  set.Add("m", "\0"s);
  EXPECT_TRUE(set.Covers("m", "\0"s));
  EXPECT_TRUE(set.Covers("zzz", ""));
  EXPECT_TRUE(set.Covers("n", "\0"s));
  EXPECT_FALSE(set.Covers("l", "\0"s));
  EXPECT_FALSE(set.Covers("l", "n"));
  set.Add("\0"s, "\0"s);
  EXPECT_TRUE(set.Covers("\0"s, "\0"s));
}

TEST(KeyRangeSetTest, ARangeWithoutKeysGrantsNothing) {
  KeyRangeSet set;
  set.Add("c", "a");
  EXPECT_TRUE(set.empty());
}

TEST(KeyRangeSetTest, ARangeWithoutKeysIsCoveredWhereItsFirstKeyIs) {
  KeyRangeSet set;
  set.Add("b", "d");
  EXPECT_TRUE(set.Covers("c", "a"));
  EXPECT_TRUE(set.Covers("c", "c"));
  EXPECT_FALSE(set.Covers("d", "c"));
  EXPECT_FALSE(set.Covers("a", "a"));
}

// Keys of up to three letters out of three, the least and the greatest byte among them, stand for
// all.
std::vector<std::string> AllKeys() {
  std::vector<std::string> keys = {""};
  for (size_t first = 0, length = 0; length < 3; ++length) {
    const size_t end = keys.size();
    for (size_t i = first; i < end; ++i) {
      for (const char letter : {'\0', 'a', '\xff'}) keys.push_back(keys[i] + letter);
    }
    first = end;
  }
  return keys;
}

bool InRange(const std::string& key, const std::string& begin, const std::string& range_end) {
  if (range_end.empty()) return key == begin;
  return key >= begin && (range_end == "\0"s || key < range_end);
}

std::string AnyKey() {
  return *rc::gen::container<std::string>(*rc::gen::inRange<size_t>(0, 3),
                                          rc::gen::element('\0', 'a', '\xff'));
}

// Of a range without keys, `key` counts.
RC_GTEST_PROP(KeyRangeSetProperty, CoversARangeIfAndOnlyIfEachOfItsKeysIsInOne, ()) {
  std::vector<std::pair<std::string, std::string>> ranges;
  KeyRangeSet set;
  const auto count = *rc::gen::inRange(0, 8);
  for (int i = 0; i < count; ++i) {
    ranges.emplace_back(AnyKey(), AnyKey());
    set.Add(ranges.back().first, ranges.back().second);
  }
  static const std::vector<std::string> keys = AllKeys();
  const std::string key = AnyKey(), range_end = AnyKey();
  bool any = false, all = true;
  const bool without_keys = !range_end.empty() && range_end != "\0"s && range_end <= key;
  for (const std::string& each : keys) {
    if (!InRange(each, key, without_keys ? std::string() : range_end)) continue;
    any = true;
    bool in = false;
    for (const auto& [from, to] : ranges) in = in || InRange(each, from, to);
    all = all && in;
  }
  RC_TAG(any && all ? "covered" : "not covered");
  RC_ASSERT(set.Covers(key, range_end) == (any && all));
}

}  // namespace
}  // namespace keel::kvstore
