#include "watch/event_batch.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <memory>
#include <string>
#include <utility>

#include "kvstore/api/rpc.pb.h"
#include "watch/recent_revisions.h"
#include "watch/response_plan.h"

namespace keel::watch {
namespace {

kvstore::KeyValue ArbitraryKeyValue() {
  return {.key = *rc::gen::arbitrary<std::string>(),
          .value = *rc::gen::arbitrary<std::string>(),
          .create_revision = *rc::gen::arbitrary<int64_t>(),
          .mod_revision = *rc::gen::arbitrary<int64_t>(),
          .version = *rc::gen::arbitrary<int64_t>(),
          .lease = *rc::gen::arbitrary<int64_t>()};
}

void Fill(const kvstore::KeyValue& from, mvccpb::KeyValue* to) {
  to->set_key(from.key);
  to->set_value(from.value);
  to->set_create_revision(from.create_revision);
  to->set_mod_revision(from.mod_revision);
  to->set_version(from.version);
  to->set_lease(from.lease);
}

TEST(EventFieldTest, IsWhatProtobufEncodes) {
  const bool ok = rc::check([] {
    kvstore::Event event{
        .type = *rc::gen::element(kvstore::Event::Type::kPut, kvstore::Event::Type::kDelete),
        .kv = ArbitraryKeyValue(),
        .prev = nullptr};
    if (*rc::gen::arbitrary<bool>()) {
      event.prev = std::make_shared<const kvstore::KeyValue>(ArbitraryKeyValue());
    }
    const bool with_prev = *rc::gen::arbitrary<bool>();

    etcdserverpb::WatchResponse expected;
    mvccpb::Event* made = expected.add_events();
    made->set_type(static_cast<mvccpb::Event::EventType>(event.type));
    Fill(event.kv, made->mutable_kv());
    if (with_prev && event.prev != nullptr) Fill(*event.prev, made->mutable_prev_kv());

    std::string bytes;
    AppendEventField(event, with_prev, &bytes);
    RC_ASSERT(bytes == expected.SerializeAsString());
    RC_ASSERT(bytes.size() == EventFieldBytes(event, with_prev));
  });
  EXPECT_TRUE(ok);
}

std::shared_ptr<EventBatch> BatchOf(int64_t first, int64_t last, size_t events, size_t value_bytes,
                                    bool prev = false) {
  auto revisions = std::make_shared<kvstore::FeedBatch>();
  for (int64_t revision = first; revision <= last; ++revision) {
    revisions->push_back({.revision = revision, .events = {}});
    for (size_t i = 0; i < events; ++i) {
      kvstore::Event event;
      event.kv.key = "k" + std::to_string(i);
      event.kv.value.assign(value_bytes, 'v');
      event.kv.mod_revision = revision;
      if (prev) event.prev = std::make_shared<const kvstore::KeyValue>(event.kv);
      revisions->back().events.push_back(std::move(event));
    }
  }
  return std::make_shared<EventBatch>(std::move(revisions));
}

TEST(EventBatchTest, EncodesOnceForAllThatHoldIt) {
  auto batch = BatchOf(2, 3, 2, 10, /*prev=*/true);
  SharedBytes plain = batch->Encoded(1, 0, false);
  EXPECT_EQ(batch->Encoded(1, 0, false).get(), plain.get());
  EXPECT_NE(batch->Encoded(1, 1, false).get(), plain.get());
  EXPECT_GT(batch->Encoded(1, 0, true)->size(), plain->size());
  std::weak_ptr<const std::string> watched = plain;
  plain.reset();
  EXPECT_TRUE(watched.expired()) << "the batch must not keep encoded bytes alive";
}

TEST(RecentRevisionsTest, KeepsTheNewestWithinItsBound) {
  RecentRevisions recent(/*bytes_max=*/10'000);
  recent.Reset(4);
  for (int64_t r = 5; r < 105; ++r) recent.Append(BatchOf(r, r, 1, 1000));
  EXPECT_EQ(recent.newest(), 104);
  EXPECT_FALSE(recent.Covers(5));
  EXPECT_TRUE(recent.Covers(104));
  RevisionSpan span;
  EXPECT_FALSE(recent.Read(5, 104, 1000, &span));
  ASSERT_TRUE(recent.Read(100, 103, 1000, &span));
  EXPECT_EQ(span.through, 103);
  EXPECT_EQ(span.revisions.size(), 4u);
  recent.Append(BatchOf(105, 105, 1, 100'000));
  EXPECT_TRUE(recent.Covers(105)) << "the newest batch stays whatever its size";
  EXPECT_FALSE(recent.Covers(104));
}

TEST(RecentRevisionsTest, ReadsEveryRevisionOnceWhateverTheStep) {
  RecentRevisions recent(1 << 20);
  recent.Reset(1);
  int64_t next = 2;
  for (int64_t revisions : {1, 5, 2, 9, 1, 1, 30, 2}) {
    recent.Append(BatchOf(next, next + revisions - 1, static_cast<size_t>(revisions % 3 + 1), 1));
    next += revisions;
  }
  for (size_t step = 1; step < 40; ++step) {
    RevisionSpan span;
    int64_t expected = 2;
    while (expected <= recent.newest()) {
      ASSERT_TRUE(recent.Read(expected, recent.newest(), step, &span));
      ASSERT_FALSE(span.revisions.empty());
      for (const auto& ref : span.revisions) ASSERT_EQ(ref.revision(), expected++);
      ASSERT_EQ(span.through, expected - 1) << "step " << step;
    }
  }
}

TEST(ResponsePlanTest, CutsBetweenRevisionsOnly) {
  auto batch = BatchOf(1, 10, 3, 100);
  std::vector<EventRef> matched;
  for (uint32_t r = 0; r < 10; ++r) {
    for (uint32_t e = 0; e < 3; ++e) matched.push_back({batch.get(), r, e});
  }
  for (size_t target : {1, 300, 400, 1000, 5000}) {
    ResponsePlan plan;
    plan.Build(matched, 0, {}, target);
    int64_t next = 1;
    for (const auto& response : plan.responses()) {
      EXPECT_EQ(response.first_revision, next);
      EXPECT_EQ(response.end - response.begin,
                3 * (response.last_revision - response.first_revision + 1));
      EXPECT_TRUE(response.bytes <= target || response.first_revision == response.last_revision);
      size_t bytes = 0;
      for (const auto& part : response.parts) bytes += part->size();
      EXPECT_EQ(bytes, response.bytes);
      next = response.last_revision + 1;
    }
    EXPECT_EQ(next, 11);
  }
}

TEST(ResponsePlanTest, CarriesLargeEventsAsSharedParts) {
  auto batch = BatchOf(1, 1, 3, 100'000);
  const std::vector<EventRef> matched = {{batch.get(), 0, 0}, {batch.get(), 0, 1}};
  ResponsePlan a, b;
  a.Build(matched, 0, {}, 1 << 20);
  b.Build(std::span(matched).subspan(0, 1), 0, {}, 1 << 20);
  ASSERT_EQ(a.responses()[0].parts.size(), 2u);
  EXPECT_EQ(a.responses()[0].parts[0].get(), b.responses()[0].parts[0].get());
}

TEST(ResponsePlanTest, SplitsARevisionIntoPiecesWithinTheBound) {
  auto batch = BatchOf(7, 7, 10, 1000);
  std::vector<EventRef> matched;
  for (uint32_t e = 0; e < 10; ++e) matched.push_back({batch.get(), 0, e});
  ResponsePlan plan;
  plan.Build(matched, 0, {}, 1);
  ASSERT_EQ(plan.responses().size(), 1u);
  for (size_t bound : {10, 2500, 4000, 1 << 20}) {
    uint32_t next = 0;
    for (const auto& piece : plan.Split(plan.responses()[0], bound)) {
      EXPECT_EQ(piece.begin, next);
      EXPECT_TRUE(piece.bytes <= bound || piece.end - piece.begin == 1);
      next = piece.end;
    }
    EXPECT_EQ(next, 10u);
  }
}

}  // namespace
}  // namespace keel::watch
