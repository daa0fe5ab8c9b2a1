#include "kvstore/mvcc/coding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "base/temp_dir.h"
#include "kvstore/mvcc/hash.h"
#include "kvstore/mvcc/store.h"

namespace keel::kvstore {
namespace {

std::string HistoryKey(std::string_view key, int64_t revision) {
  std::string out;
  AppendHistoryKey(key, revision, &out);
  return out;
}

// Few different bytes, so that prefixes and zero bytes are common.
rc::Gen<std::string> AnyKey() {
  return rc::gen::nonEmpty(
      rc::gen::container<std::string>(rc::gen::element('\0', '\x01', '\x02', 'a', '\xfe', '\xff')));
}

RC_GTEST_PROP(CodingTest, HistoryKeysOrderAsKeysThenNewestFirst, ()) {
  const std::string a = *AnyKey(), b = *AnyKey();
  const int64_t ra = *rc::gen::inRange<int64_t>(1, 1000), rb = *rc::gen::inRange<int64_t>(1, 1000);
  const bool before = a < b || (a == b && ra > rb);
  RC_ASSERT((HistoryKey(a, ra) < HistoryKey(b, rb)) == before);
}

RC_GTEST_PROP(CodingTest, HistoryKeysComeBack, ()) {
  const std::string key = *AnyKey();
  const int64_t revision = *rc::gen::inRange<int64_t>(1, INT64_MAX);
  std::string buffer;
  std::string_view decoded;
  int64_t decoded_revision = 0;
  const std::string encoded = HistoryKey(key, revision);
  RC_ASSERT(DecodeHistoryKey(encoded, &buffer, &decoded, &decoded_revision));
  RC_ASSERT(decoded == key);
  RC_ASSERT(decoded_revision == revision);
}

// The escaped end of a range bounds the versions of exactly the keys below it.
RC_GTEST_PROP(CodingTest, EscapedBoundsSeparateKeys, ()) {
  const std::string key = *AnyKey(), bound = *AnyKey();
  std::string escaped;
  AppendEscaped(bound, &escaped);
  RC_ASSERT((HistoryKey(key, *rc::gen::inRange<int64_t>(1, 1000)) < escaped) == (key < bound));
}

RC_GTEST_PROP(CodingTest, RecordsComeBack, ()) {
  RecordView record;
  const std::string value = *rc::gen::arbitrary<std::string>();
  record.mod_revision = *rc::gen::inRange<int64_t>(1, INT64_MAX);
  record.create_revision = *rc::gen::inRange<int64_t>(1, record.mod_revision + 1);
  record.version = *rc::gen::inRange<int64_t>(1, INT64_MAX);
  record.lease = *rc::gen::arbitrary<int64_t>();
  record.value = value;
  std::string bytes;
  AppendRecordHeader(record, &bytes);
  bytes.append(value);
  RecordView decoded;
  RC_ASSERT(DecodeRecord(bytes, &decoded));
  RC_ASSERT(decoded.mod_revision == record.mod_revision);
  RC_ASSERT(decoded.create_revision == record.create_revision);
  RC_ASSERT(decoded.version == record.version);
  RC_ASSERT(decoded.lease == record.lease);
  RC_ASSERT(decoded.value == value);
}

RC_GTEST_PROP(CodingTest, GarbageIsNeverReadPastItsEnd, ()) {
  const std::string bytes = *rc::gen::arbitrary<std::string>();
  std::string buffer;
  std::string_view key;
  int64_t number = 0;
  RecordView record;
  DecodeHistoryKey(bytes, &buffer, &key, &number);
  DecodeHistoryRecord(bytes, &number, &record);
  char event_key[kEventKeySize];
  StoreEventKey(1000, 0, event_key);
  for (const char first : {0, 1, 2}) {
    const std::string value = first + bytes;
    EventReader events(std::string_view(event_key, kEventKeySize), value);
    while (events.Next()) {
      RC_ASSERT(events.event().key.size() < value.size());
      RC_ASSERT(events.revision() > 0 && events.revision() <= 1000);
    }
  }
}

RC_GTEST_PROP(CodingTest, PackedEventsComeBack, ()) {
  struct Written {
    int64_t revision;
    bool is_delete;
    int64_t prev_mod;
    std::string key;
  };
  std::vector<Written> written;
  EventPacker packer;
  int64_t revision = *rc::gen::inRange<int64_t>(1, INT64_MAX / 4);
  uint32_t sub = *rc::gen::inRange<uint32_t>(0, 100);
  const int count = *rc::gen::inRange(1, 40);
  for (int i = 0; i < count; ++i) {
    const auto step = *rc::gen::weightedElement<int64_t>({{5, 0}, {5, 1}, {1, 1 << 20}});
    revision += step;
    sub = step == 0 ? sub + 1 : 0;
    written.push_back({revision, *rc::gen::arbitrary<bool>(),
                       *rc::gen::inRange<int64_t>(0, revision), *rc::gen::nonEmpty<std::string>()});
    packer.Add(revision, sub,
               {written.back().is_delete, written.back().prev_mod, written.back().key});
  }
  const EventPacker::Entry entry = packer.Take();
  RC_ASSERT(packer.empty());
  char last[kEventKeySize];
  StoreEventKey(revision, sub, last);
  RC_ASSERT(entry.key == std::string_view(last, kEventKeySize));
  EventReader reader(entry.key, entry.value);
  for (const Written& wanted : written) {
    RC_ASSERT(reader.Next());
    RC_ASSERT(reader.revision() == wanted.revision);
    RC_ASSERT(reader.event().is_delete == wanted.is_delete);
    RC_ASSERT(reader.event().prev_mod == wanted.prev_mod);
    RC_ASSERT(reader.event().key == wanted.key);
  }
  RC_ASSERT(!reader.Next() && reader.ok());

  // Cut anywhere, it is seen to be damaged.
  const size_t cut = *rc::gen::inRange<size_t>(0, entry.value.size());
  EventReader torn(entry.key, entry.value.substr(0, cut));
  size_t events = 0;
  while (torn.Next()) ++events;
  RC_ASSERT(!torn.ok() || (events > 0 && events < written.size() &&
                           written[events].revision == written[events - 1].revision));
}

TEST(CodingTest, AnEventWrittenAloneIsRead) {
  char key[kEventKeySize];
  StoreEventKey(7, 3, key);
  EventReader events(std::string_view(key, kEventKeySize), std::string_view("\1\5k", 3));
  ASSERT_TRUE(events.Next());
  EXPECT_EQ(events.revision(), 7);
  EXPECT_TRUE(events.event().is_delete);
  EXPECT_EQ(events.event().prev_mod, 5);
  EXPECT_EQ(events.event().key, "k");
  EXPECT_FALSE(events.Next());
  EXPECT_TRUE(events.ok());
  EventReader empty(std::string_view(key, kEventKeySize), std::string_view("\1\5", 2));
  EXPECT_FALSE(empty.Next());
  EXPECT_FALSE(empty.ok());
}

TEST(CodingTest, VarintsOfTenBytesEnd) {
  std::string_view endless("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11);
  uint64_t value = 0;
  EXPECT_FALSE(ReadVarint(&endless, &value));
  std::string_view cut("\x80", 1);
  EXPECT_FALSE(ReadVarint(&cut, &value));
}

// Members of different builds compare these.
TEST(HashTest, ValuesNeverChange) {
  EXPECT_EQ(StableHash(std::string_view(), 0), 0x388191402a51513ull);
  EXPECT_EQ(StableHash(std::string_view("keel"), 1), 0x43f44eda7600760cull);
  EXPECT_EQ(StableHash(std::string_view("a key of more than sixteen bytes"), 2),
            0xbe5dd6502b120745ull);
  EXPECT_EQ(StableHash(uint64_t{7}, 3), 0xcc72fd6b6b5240d1ull);
}

// docs/formats/mvcc.md, "Example".
TEST(FormatTest, TheDocumentedExample) {
  const base::TempDir dir;
  StoreOptions options;
  options.dir = dir.path();
  {
    auto opened = Store::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    Writer& writer = (*opened)->writer();
    for (const char* value : {"1", "2"}) {
      writer.Begin();
      ASSERT_TRUE(writer.Put("a", value, 0).ok());
      writer.End();
    }
    ASSERT_TRUE((*opened)->Commit(5, 1).ok());
  }
  auto database = Database::Open(dir / "db-000001", options, /*create=*/false);
  ASSERT_TRUE(database.ok()) << database.status();
  using Rows = std::vector<std::pair<std::string, std::string>>;
  auto rows = [&](Family family) {
    Rows result;
    const auto iterator = (*database)->NewIterator(family, nullptr, nullptr);
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      result.emplace_back(iterator->key().ToString(), iterator->value().ToString());
    }
    return result;
  };
  using namespace std::string_literals;
  EXPECT_EQ(rows(Family::kLatest), (Rows{{"a", "\x03\x01\x02\x00\x32"s}}));
  EXPECT_EQ(rows(Family::kHistory),
            (Rows{{"a\x00\x01\xff\xff\xff\xff\xff\xff\xff\xfd"s,
                   "\x00\x00\x00\x00\x00\x00\x00\x03\x02\x00\x01\x00\x31"s}}));
  EXPECT_EQ(rows(Family::kEvents), (Rows{{"\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00"s,
                                          "\x02\x01\x00\x01\x61\x01\x04\x01\x61"s}}));
  EXPECT_EQ(rows(Family::kMeta), (Rows{{"applied", "\x05\x01\x03\x00"s}, {"format", "\x02"s}}));
  database->reset();
}

// Stores of format 1 have an entry for each event.
TEST(FormatTest, AStoreOfFormatOneGoesOn) {
  const base::TempDir dir;
  StoreOptions options;
  options.dir = dir.path();
  {
    auto opened = Store::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    Writer& writer = (*opened)->writer();
    for (const char* key : {"a", "b"}) {
      writer.Begin();
      ASSERT_TRUE(writer.Put(key, "1", 0).ok());
      writer.End();
    }
    ASSERT_TRUE((*opened)->Commit(5, 1).ok());
  }
  {
    auto database = Database::Open(dir / "db-000001", options, /*create=*/false);
    ASSERT_TRUE(database.ok()) << database.status();
    rocksdb::WriteBatch batch;
    char key[kEventKeySize];
    StoreEventKey(3, 0, key);
    batch.Delete((*database)->family(Family::kEvents), rocksdb::Slice(key, kEventKeySize));
    for (const auto& [revision, user_key] : {std::pair(2, 'a'), std::pair(3, 'b')}) {
      StoreEventKey(revision, 0, key);
      batch.Put((*database)->family(Family::kEvents), rocksdb::Slice(key, kEventKeySize),
                std::string(2, '\0') + user_key);
    }
    batch.Put((*database)->family(Family::kMeta), "format", "\1");
    ASSERT_TRUE((*database)->Write(&batch).ok());
  }
  {
    auto opened = Store::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    Writer& writer = (*opened)->writer();
    writer.Begin();
    ASSERT_TRUE(writer.Put("c", "1", 0).ok());
    writer.End();
    ASSERT_TRUE((*opened)->Commit(6, 1).ok());
    (*opened)->Publish();
    ChangeFeed::HistoryOptions all;
    all.from_revision = 1;
    all.key = std::string(1, '\0');
    all.range_end = std::string(1, '\0');
    const auto history = (*opened)->view()->ReadHistory(all);
    ASSERT_TRUE(history.ok()) << history.status();
    std::string keys;
    for (const auto& revision : history->revisions) {
      for (const Event& event : revision.events) keys += event.kv.key;
    }
    EXPECT_EQ(keys, "abc");
    EXPECT_EQ(history->next_revision, 5);
  }
  auto database = Database::Open(dir / "db-000001", options, /*create=*/false);
  ASSERT_TRUE(database.ok()) << database.status();
  std::string format;
  ASSERT_TRUE(
      (*database)->db()->Get({}, (*database)->family(Family::kMeta), "format", &format).ok());
  EXPECT_EQ(format, "\2");
}

}  // namespace
}  // namespace keel::kvstore
