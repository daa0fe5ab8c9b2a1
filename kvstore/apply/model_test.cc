// The store against the model, by properties.
#include "kvstore/apply/model.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <condition_variable>
#include <mutex>
#include <set>

#include "kvstore/apply/testing.h"

namespace keel::kvstore {
namespace {

using etcdserverpb::RangeRequest;

const std::vector<std::string>& AllKeys() {
  static const std::vector<std::string> keys = {
      "a",  std::string("a\0", 2), std::string("a\0\x01", 3), "aa",  "ab", "b", "b\xff", "c",
      "ca", std::string("\0", 1),  std::string("\0\0", 2),    "\xff"};
  return keys;
}

std::string AnyKey() { return *rc::gen::elementOf(AllKeys()); }
std::string AnyEnd() {
  const int kind = *rc::gen::inRange(0, 4);
  if (kind == 0) return "";
  if (kind == 1) return std::string(1, '\0');
  return AnyKey();
}
std::string AnyValue() { return std::string(1, static_cast<char>(*rc::gen::inRange('0', '4'))); }

// Waits until the disk holds nothing compacted any more.
void CompactPhysically(TestMachine& machine, int64_t revision) {
  std::mutex mutex;
  std::condition_variable done;
  bool finished = false;
  machine->WhenPhysicallyCompacted(revision, [&](absl::Status status) {
    EXPECT_TRUE(status.ok()) << status;
    const std::lock_guard lock(mutex);
    finished = true;
    done.notify_all();
  });
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return finished; });
}

kv::Command AnyCommand(Model& model) {
  const int kind = *rc::gen::inRange(0, 10);
  if (kind < 5) {
    const std::string key = AnyKey(), value = AnyValue();
    model.Put(key, value, 0);
    model.End();
    return PutCommand(key, value);
  }
  if (kind < 7) {
    const std::string key = AnyKey(), end = AnyEnd();
    model.Delete(key, end);
    model.End();
    return DeleteCommand(key, end);
  }
  if (kind < 9) {  // operations on keys that do not meet, in order
    kv::Command command;
    auto* txn = command.mutable_txn();
    std::set<std::string> used;
    const int ops = *rc::gen::inRange(0, 5);
    for (int i = 0; i < ops; ++i) {
      const std::string key = AnyKey();
      if (!used.insert(key).second) continue;
      if (*rc::gen::inRange(0, 3) == 0) {
        txn->add_success()->mutable_request_delete_range()->set_key(key);
        model.Delete(key, "");
      } else {
        auto* put = txn->add_success()->mutable_request_put();
        const std::string value = AnyValue();
        put->set_key(key);
        put->set_value(value);
        model.Put(key, value, 0);
      }
    }
    model.End();
    return command;
  }
  const int64_t revision = *rc::gen::inRange<int64_t>(0, model.revision + 1);
  if (revision > model.compacted) model.compacted = revision;
  return CompactCommand(revision);
}

RangeRequest AnyRange(const Model& model) {
  RangeRequest request;
  request.set_key(AnyKey());
  request.set_range_end(AnyEnd());
  request.set_limit(*rc::gen::inRange(-1, 6));
  if (*rc::gen::inRange(0, 2) == 0)
    request.set_revision(*rc::gen::inRange<int64_t>(-1, model.revision + 2));
  request.set_sort_order(static_cast<RangeRequest::SortOrder>(*rc::gen::inRange(0, 3)));
  request.set_sort_target(static_cast<RangeRequest::SortTarget>(*rc::gen::inRange(0, 5)));
  request.set_keys_only(*rc::gen::inRange(0, 4) == 0);
  request.set_count_only(*rc::gen::inRange(0, 8) == 0);
  auto bound = [&] {
    return *rc::gen::inRange(0, 4) == 0 ? *rc::gen::inRange<int64_t>(1, model.revision + 2) : 0;
  };
  request.set_min_mod_revision(bound());
  request.set_max_mod_revision(bound());
  request.set_min_create_revision(bound());
  request.set_max_create_revision(bound());
  return request;
}

void ExpectSame(TestMachine& machine, const Model& model, const RangeRequest& request) {
  const auto got = machine.Range(request);
  const Model::Answer want = model.Range(ToRangeOptions(request));
  if (!want.error.empty()) {
    RC_ASSERT(!got.ok());
    RC_ASSERT(got.status().message().find(want.error) != absl::string_view::npos);
    return;
  }
  RC_ASSERT(got.ok());
  RC_ASSERT(got->count() == want.count);
  RC_ASSERT(got->more() == want.more);
  RC_ASSERT(static_cast<size_t>(got->kvs_size()) == want.kvs.size());
  for (int i = 0; i < got->kvs_size(); ++i) {
    const KeyValue& kv = want.kvs[static_cast<size_t>(i)];
    RC_ASSERT(got->kvs(i).key() == kv.key);
    RC_ASSERT(got->kvs(i).value() == kv.value);
    RC_ASSERT(got->kvs(i).create_revision() == kv.create_revision);
    RC_ASSERT(got->kvs(i).mod_revision() == kv.mod_revision);
    RC_ASSERT(got->kvs(i).version() == kv.version);
  }
}

void ExpectSame(const KeyValue& got, const KeyValue& want) {
  RC_ASSERT(got.key == want.key);
  RC_ASSERT(got.value == want.value);
  RC_ASSERT(got.create_revision == want.create_revision);
  RC_ASSERT(got.mod_revision == want.mod_revision);
  RC_ASSERT(got.version == want.version);
  RC_ASSERT(got.lease == want.lease);
}

void ExpectSame(const FeedBatch& got, const FeedBatch& want, int64_t no_prev_at = -1) {
  RC_ASSERT(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    RC_ASSERT(got[i].revision == want[i].revision);
    RC_ASSERT(got[i].events.size() == want[i].events.size());
    for (size_t j = 0; j < got[i].events.size(); ++j) {
      const Event& a = got[i].events[j];
      const Event& b = want[i].events[j];
      RC_ASSERT(a.type == b.type);
      ExpectSame(a.kv, b.kv);
      const bool want_prev = b.prev != nullptr && got[i].revision != no_prev_at;
      RC_ASSERT((a.prev != nullptr) == want_prev);
      if (want_prev) ExpectSame(*a.prev, *b.prev);
    }
  }
}

FeedBatch From(const FeedBatch& batch, int64_t revision) {
  FeedBatch result;
  for (const RevisionEvents& events : batch) {
    if (events.revision >= revision) result.push_back(events);
  }
  return result;
}

// All history from `from` on, in pieces of `max_scanned` events.
FeedBatch ReadAll(TestMachine& machine, int64_t from, uint64_t max_scanned) {
  FeedBatch all;
  ChangeFeed::HistoryOptions options;
  options.from_revision = from;
  options.key = std::string(1, '\0');
  options.range_end = std::string(1, '\0');
  options.prev_kv = true;
  options.max_scanned = max_scanned;
  while (options.from_revision <= machine->current_revision()) {
    auto piece = machine->ReadHistory(options);
    RC_ASSERT(piece.ok());
    RC_ASSERT(piece->next_revision > options.from_revision);
    options.from_revision = piece->next_revision;
    all.insert(all.end(), piece->revisions.begin(), piece->revisions.end());
  }
  return all;
}

// The properties open a store each: a few dozen runs of many steps.
template <typename Property>
void CheckRuns(const char* what, int runs, Property&& property) {
  rc::detail::TestMetadata metadata;
  metadata.id = what;
  metadata.description = what;
  auto params = rc::detail::configuration().testParams;
  params.maxSuccess = runs;
  params.maxSize = 60;
  const rc::detail::TestResult result =
      rc::detail::checkTestable(std::forward<Property>(property), metadata, params);
  std::ostringstream message;
  rc::detail::printResultMessage(result, message);
  EXPECT_TRUE(result.is<rc::detail::SuccessResult>()) << what << ": " << message.str();
}

TEST(ModelTest, EveryReadAgrees) {
  CheckRuns("every read agrees", 25, [] {
    TempDir dir;
    TestMachine machine(dir / "store");
    RecordingSubscriber subscriber;
    machine->Subscribe(&subscriber);
    Model model;
    const int batches = *rc::gen::inRange(1, 12);
    for (int batch = 0; batch < batches; ++batch) {
      std::vector<kv::Command> commands;
      const int size = *rc::gen::inRange(1, 8);
      for (int i = 0; i < size; ++i) commands.push_back(AnyCommand(model));
      machine.Run(commands);
      RC_ASSERT(machine->view()->revision() == model.revision);
      RC_ASSERT(machine->view()->compact_revision() == model.compacted);
      for (int i = 0; i < 12; ++i) ExpectSame(machine, model, AnyRange(model));
      if (model.compacted >= 0 && *rc::gen::inRange(0, 4) == 0) {
        const uint32_t before = machine.HashKv();
        const uint32_t past = machine.HashKv(std::max<int64_t>(model.compacted, 1));
        CompactPhysically(machine, model.compacted);
        RC_ASSERT(machine.HashKv() == before);
        RC_ASSERT(machine.HashKv(std::max<int64_t>(model.compacted, 1)) == past);
        for (int i = 0; i < 12; ++i) ExpectSame(machine, model, AnyRange(model));
      }
    }
    ExpectSame(subscriber.revisions, model.events);
    const int64_t from = std::max<int64_t>(model.compacted, 1);
    ExpectSame(ReadAll(machine, from, *rc::gen::inRange(1, 20)), From(model.events, from),
               model.compacted);
  });
}

TEST(ModelTest, BatchingAndPhysicalStateDoNotMatter) {
  CheckRuns("batching does not matter", 15, [] {
    TempDir dir;
    TestMachine one(dir / "one"), other(dir / "other");
    Model model;
    std::vector<kv::Command> commands;
    const int size = *rc::gen::inRange(1, 40);
    for (int i = 0; i < size; ++i) commands.push_back(AnyCommand(model));
    const auto results = one.Run(commands);
    for (size_t i = 0; i < commands.size(); ++i) {
      const ApplyResult result = other.Run(commands[i]);
      RC_ASSERT(result.status == results[i].status);
      RC_ASSERT(result.body == results[i].body);
      RC_ASSERT(result.revision == results[i].revision);
    }
    if (model.compacted >= 0) CompactPhysically(other, model.compacted);
    for (int64_t revision = std::max<int64_t>(model.compacted, 1); revision <= model.revision;
         ++revision) {
      RC_ASSERT(one.HashKv(revision) == other.HashKv(revision));
    }
    RC_ASSERT(*one->view()->Hash() == *other->view()->Hash());
  });
}

// Whatever another member proposed: the same refusal or effect everywhere.
TEST(ModelTest, DamagedCommandsHaveOneMeaning) {
  CheckRuns("damaged commands have one meaning", 15, [] {
    TempDir dir;
    TestMachine one(dir / "one"), other(dir / "other");
    Model model;
    std::vector<raft::CommittedEntry> entries;
    const int size = *rc::gen::inRange(1, 60);
    for (int i = 0; i < size; ++i) {
      entries.push_back(TestMachine::Entry(entries.size() + 1, AnyCommand(model)));
      std::string bytes = *entries.back().entry.data;
      for (int damage = *rc::gen::inRange(0, 3); damage > 0; --damage) {
        bytes[*rc::gen::inRange<size_t>(0, bytes.size())] =
            static_cast<char>(*rc::gen::inRange(0, 256));
      }
      bytes.resize(bytes.size() - *rc::gen::inRange<size_t>(0, std::min<size_t>(bytes.size(), 3)));
      entries.back().entry.data = std::make_shared<const std::string>(std::move(bytes));
    }
    const auto results = one.Run(entries);
    std::vector<ApplyResult> singly;
    for (const auto& entry : entries) {
      for (auto& result : other.Run(std::vector<raft::CommittedEntry>{entry}))
        singly.push_back(std::move(result));
    }
    RC_ASSERT(results.size() == singly.size());
    for (size_t i = 0; i < results.size(); ++i) {
      RC_ASSERT(results[i].status == singly[i].status);
      RC_ASSERT(results[i].body == singly[i].body);
    }
    RC_ASSERT(one->view()->revision() == other->view()->revision());
    RC_ASSERT(*one->view()->Hash() == *other->view()->Hash());
  });
}

TEST(ModelTest, HashTellsStatesApart) {
  TempDir dir;
  TestMachine one(dir / "one"), other(dir / "other");
  one.Run({PutCommand("a", "1"), PutCommand("b", "2"), DeleteCommand("a")});
  other.Run({PutCommand("a", "1"), PutCommand("b", "3"), DeleteCommand("a")});
  EXPECT_EQ(one.HashKv(2), other.HashKv(2));
  EXPECT_NE(one.HashKv(3), other.HashKv(3));
  EXPECT_NE(one.HashKv(3), one.HashKv(4));  // the deletion counts
  EXPECT_NE(one.HashKv(), other.HashKv());
}

}  // namespace
}  // namespace keel::kvstore
