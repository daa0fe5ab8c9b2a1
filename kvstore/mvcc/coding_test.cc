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
  EventView event;
  DecodeHistoryKey(bytes, &buffer, &key, &number);
  DecodeHistoryRecord(bytes, &number, &record);
  if (DecodeEvent(bytes, &event)) RC_ASSERT(event.key.size() < bytes.size());
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
  EXPECT_EQ(rows(Family::kEvents),
            (Rows{{"\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00"s, "\x00\x00\x61"s},
                  {"\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00"s, "\x00\x02\x61"s}}));
  EXPECT_EQ(rows(Family::kMeta), (Rows{{"applied", "\x05\x01\x03\x00"s}, {"format", "\x01"s}}));
  database->reset();
}

}  // namespace
}  // namespace keel::kvstore
