#include "tests/sim/check/watch_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "tests/sim/check/model_history.h"

namespace keel::sim {
namespace {

using Kind = WatchResponse::Kind;
using ::testing::HasSubstr;

KeyVersion Kv(const std::string& key, const std::string& value, int64_t revision) {
  return {key, value, revision, revision, 1, 0};
}

// Revisions: 2 puts a; 3 puts b; 4 puts a and b; 5 deletes a; 6 puts z.
WriteLog TestLog() {
  WriteLog log;
  const auto put = [](KeyVersion kv) { return Write{Write::Type::kPut, std::move(kv)}; };
  EXPECT_TRUE(log.Add({2, {put(Kv("a", "1", 2))}, 1}).ok());
  EXPECT_TRUE(log.Add({3, {put(Kv("b", "2", 3))}, 2}).ok());
  EXPECT_TRUE(log.Add({4, {put({"a", "3", 2, 4, 2, 0}), put({"b", "4", 3, 4, 2, 0})}, 3}).ok());
  EXPECT_TRUE(log.Add({5, {{Write::Type::kDelete, {"a", "", 0, 5, 0, 0}}}, 4}).ok());
  EXPECT_TRUE(log.Add({6, {put(Kv("z", "5", 6))}, 5}).ok());
  return log;
}

class WatchCheckTest : public ::testing::Test {
 protected:
  WatchCheckTest() {
    watch_.id = 1;
    watch_.key = "a";
    watch_.range_end = "c";
    watch_.start_revision = 2;
    watch_.responses.push_back({.kind = Kind::kCreated, .revision = 3});
  }
  // One response with all that matches of these revisions.
  WatchResponse& Send(std::vector<int64_t> revisions) {
    WatchResponse response{.revision = revisions.back()};
    for (int64_t revision : revisions) {
      for (const Write& write : log_.Find(revision)->writes) {
        if (InRange(write.kv.key, watch_.key, watch_.range_end)) {
          response.events.push_back({write, std::nullopt});
        }
      }
    }
    watch_.responses.push_back(std::move(response));
    return watch_.responses.back();
  }
  void Progress(int64_t revision) {
    watch_.responses.push_back({.kind = Kind::kProgress, .revision = revision});
  }
  std::string Rule() const { return CheckWatch(watch_, log_).rule; }

  WriteLog log_ = TestLog();
  WatchRecord watch_;
};

TEST_F(WatchCheckTest, AllInOrderPasses) {
  Send({2, 3});
  Send({4});
  Progress(4);
  Send({5});
  Progress(6);
  EXPECT_EQ(Rule(), "");
  EXPECT_EQ(watch_.Next(), 7);
  EXPECT_TRUE(CheckCaughtUp(watch_, log_, 6).ok());
}

TEST_F(WatchCheckTest, FromThePresentItStartsAfterTheCreatedRevision) {
  watch_.start_revision = 0;
  Send({4});
  EXPECT_EQ(Rule(), "");
  watch_.responses.pop_back();
  Send({3});
  EXPECT_EQ(Rule(), "unique");
}

TEST_F(WatchCheckTest, AGapIsCaughtByTheNextEventOrByProgress) {
  Send({2});
  Send({4});
  EXPECT_EQ(Rule(), "reliable");
  EXPECT_THAT(CheckWatch(watch_, log_).text, HasSubstr("put b=2@3"));
  watch_.responses.pop_back();
  Progress(3);
  EXPECT_EQ(Rule(), "reliable");
}

TEST_F(WatchCheckTest, WhatIsMissingAtTheEndIsCaughtWhenAllIsQuiet) {
  Send({2, 3});
  EXPECT_EQ(Rule(), "");
  EXPECT_EQ(CheckCaughtUp(watch_, log_, 6).rule, "reliable");
  watch_.responses.push_back({.kind = Kind::kCanceled});
  EXPECT_TRUE(CheckCaughtUp(watch_, log_, 6).ok());
  watch_.responses.clear();
  watch_.start_revision = 0;
  EXPECT_EQ(CheckCaughtUp(watch_, log_, 6).rule, "caught up");
}

TEST_F(WatchCheckTest, OldEventsAndRepeatedOnesAreCaught) {
  Send({2, 3});
  Send({3});
  EXPECT_EQ(Rule(), "unique");
  watch_.responses.pop_back();
  Send({2});
  EXPECT_EQ(Rule(), "ordered");
}

TEST_F(WatchCheckTest, AnEventTwiceInItsRevisionIsCaught) {
  WatchResponse& response = Send({2});
  response.events.push_back(response.events[0]);
  EXPECT_EQ(Rule(), "unique");
}

TEST_F(WatchCheckTest, ASplitRevisionIsCaughtUnlessItWasAskedForAndSaid) {
  Send({2, 3});
  WatchResponse& first = Send({4});
  WatchResponse second = first;
  first.events.pop_back();
  second.events.erase(second.events.begin());
  watch_.responses.push_back(second);
  EXPECT_EQ(Rule(), "atomic");
  watch_.responses[2].fragment = true;
  EXPECT_EQ(Rule(), "atomic");
  watch_.fragments = true;
  EXPECT_EQ(Rule(), "");
  watch_.responses.insert(watch_.responses.end() - 1, {.kind = Kind::kProgress, .revision = 3});
  EXPECT_EQ(Rule(), "atomic");
}

TEST_F(WatchCheckTest, WhatWasNeverWrittenIsCaught) {
  Send({2}).events[0].write.kv.value = "other";
  EXPECT_EQ(Rule(), "what was written");
}

TEST_F(WatchCheckTest, TheHeaderCoversItsEventsAndExists) {
  Send({2, 3}).revision = 2;
  EXPECT_EQ(Rule(), "bookmarkable");
  watch_.responses.back().revision = 7;
  EXPECT_EQ(Rule(), "revisions exist");
}

TEST_F(WatchCheckTest, ThePreviousVersionIsTheOneBefore) {
  Send({2, 3});
  WatchResponse& response = Send({4});
  response.events[0].prev = Kv("a", "1", 2);
  EXPECT_EQ(Rule(), "prev_kv");  // not asked for
  watch_.prev_kv = true;
  EXPECT_EQ(Rule(), "");
  response.events[0].prev->value = "0";
  EXPECT_EQ(Rule(), "prev_kv");
}

TEST_F(WatchCheckTest, FiltersHoldBackWhatTheySayAndNothingElse) {
  watch_.no_put = true;
  Send({5});
  EXPECT_EQ(Rule(), "");
  Send({6});
  watch_.no_put = false;
  watch_.no_delete = true;
  EXPECT_EQ(Rule(), "reliable");
}

TEST_F(WatchCheckTest, LifeOfAWatch) {
  watch_.responses.push_back({.kind = Kind::kCreated, .revision = 3});
  EXPECT_EQ(Rule(), "created once");
  watch_.responses.pop_back();
  watch_.responses.push_back({.kind = Kind::kCanceled});
  Send({2});
  EXPECT_EQ(Rule(), "nothing after its end");
  watch_.responses = {{.kind = Kind::kProgress, .revision = 2}};
  EXPECT_EQ(Rule(), "created first");
  watch_.responses = {{.kind = Kind::kCreated, .revision = 2}, {.revision = 3}};
  EXPECT_EQ(Rule(), "responses carry events");
}

TEST_F(WatchCheckTest, AResumedWatchGoesOnWhereItStopped) {
  Send({2, 3});
  std::vector<WatchRecord> both = {watch_};
  watch_.responses = {{.kind = Kind::kCreated, .revision = 6}};
  watch_.start_revision = 4;
  Send({4, 5});
  both.push_back(watch_);
  EXPECT_TRUE(CheckResumed(both, log_).ok()) << CheckResumed(both, log_).text;
  both[1].start_revision = 5;
  both[1].responses.resize(1);
  EXPECT_EQ(CheckResumed(both, log_).rule, "resumable");
}

// A stream cut into responses at any revision passes; with one event taken out, it fails.
RC_GTEST_PROP(WatchCheckProperty, AnyCutPassesAndAnyMissingEventFails, ()) {
  const ModelHistory made = MakeHistory(*rc::gen::arbitrary<uint64_t>(), {.wide_percent = 30});
  WatchRecord watch;
  watch.key = "a";
  watch.range_end = "c";
  watch.start_revision = *rc::gen::inRange<int64_t>(1, 6);
  watch.responses.push_back({.kind = Kind::kCreated, .revision = 1});
  size_t events = 0;
  for (const Revision& revision : made.log.revisions()) {
    if (revision.revision < watch.start_revision) continue;
    const bool fresh = watch.responses.back().kind != Kind::kEvents || *rc::gen::arbitrary<bool>();
    WatchResponse next{.revision = revision.revision};
    if (!fresh) {
      next.events = std::move(watch.responses.back().events);
      watch.responses.pop_back();
    }
    for (const Write& write : revision.writes) {
      if (InRange(write.kv.key, "a", "c")) {
        next.events.push_back({write, std::nullopt});
        ++events;
      }
    }
    if (!next.events.empty()) watch.responses.push_back(std::move(next));
  }
  watch.responses.push_back({.kind = Kind::kProgress, .revision = made.log.last()});
  const Verdict v = CheckWatch(watch, made.log);
  if (!v.ok()) RC_FAIL(v.text);
  RC_PRE(events > 0);
  size_t victim = *rc::gen::inRange<size_t>(0, events);
  for (WatchResponse& response : watch.responses) {
    if (victim < response.events.size()) {
      response.events.erase(response.events.begin() + static_cast<ptrdiff_t>(victim));
      break;
    }
    victim -= response.events.size();
  }
  RC_ASSERT(CheckWatch(watch, made.log).violated());
}

}  // namespace
}  // namespace keel::sim
