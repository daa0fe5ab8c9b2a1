#include "watch/interval_tree.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace keel::watch {
namespace {

using std::literals::operator""s;

TEST(KeyRangeTest, FollowsTheRulesOfRequests) {
  EXPECT_TRUE(KeyRange::FromRequest("a", "").single());
  EXPECT_TRUE(KeyRange::FromRequest("a", "a\0"s).single());
  EXPECT_FALSE(KeyRange::FromRequest("a", "b").single());
  EXPECT_EQ(KeyRange::FromRequest("", "").key, "\0"s);
  EXPECT_TRUE(KeyRange::FromRequest("a", "\0"s).Contains("zzz"));
  EXPECT_FALSE(KeyRange::FromRequest("b", "\0"s).Contains("a"));
  EXPECT_TRUE(KeyRange::FromRequest("b", "b").empty());
  EXPECT_TRUE(KeyRange::FromRequest("b", "a").empty());
  EXPECT_FALSE(KeyRange::FromRequest("a", "b").Contains("b"));
  EXPECT_TRUE(KeyRange::All().Contains("\0"s));
}

TEST(KeyRangeTest, SurvivesTheWayThroughARequest) {
  for (const KeyRange& range : {KeyRange::FromRequest("a", ""), KeyRange::FromRequest("a", "\0"s),
                                KeyRange::FromRequest("a", "c"), KeyRange::All()}) {
    EXPECT_EQ(KeyRange::FromRequest(range.key, range.RequestEnd()), range);
  }
}

TEST(IntervalTreeTest, FindsWhatAScanFinds) {
  const bool ok = rc::check([] {
    const auto key = [] {
      return *rc::gen::resize(3, rc::gen::container<std::string>(rc::gen::inRange('a', 'e')));
    };
    IntervalTree<int> tree;
    std::vector<std::pair<KeyRange, int>> model;
    const int steps = *rc::gen::inRange(1, 80);
    for (int step = 0; step < steps; ++step) {
      if (!model.empty() && *rc::gen::inRange(0, 3) == 0) {
        const size_t i = *rc::gen::inRange<size_t>(0, model.size());
        tree.Erase(model[i].first);
        model.erase(model.begin() + static_cast<long>(i));
      } else {
        const std::string start = key();
        const KeyRange range =
            KeyRange::FromRequest(start, *rc::gen::inRange(0, 6) == 0 ? "\0"s : key());
        const bool known = std::any_of(model.begin(), model.end(),
                                       [&](const auto& entry) { return entry.first == range; });
        if (range.empty() || known) continue;
        tree.Insert(range, step);
        model.emplace_back(range, step);
      }
      RC_ASSERT(tree.size() == model.size());
      const std::string probe = key();
      std::vector<int> found, expected;
      tree.ForEachContaining(probe, [&](int value) { found.push_back(value); });
      for (const auto& [range, value] : model) {
        if (range.Contains(probe)) expected.push_back(value);
        RC_ASSERT(tree.Find(range) != nullptr);
        RC_ASSERT(*tree.Find(range) == value);
      }
      std::sort(found.begin(), found.end());
      std::sort(expected.begin(), expected.end());
      RC_ASSERT(found == expected);
    }
  });
  EXPECT_TRUE(ok);
}

}  // namespace
}  // namespace keel::watch
