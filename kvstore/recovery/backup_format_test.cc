#include "kvstore/recovery/backup_format.h"

#include <gtest/gtest.h>

namespace keel::kvstore {
namespace {

const SegmentHeader kSegment{
    .cluster_id = 0xc1, .sequence = 2, .first_revision = 43, .created = 1'700'000'000'000'000};

std::string Hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

BackupEvents PutEvent() {
  BackupEvents events;
  mvccpb::Event& event = *events.Add();
  event.mutable_kv()->set_key("a");
  event.mutable_kv()->set_value("1");
  event.mutable_kv()->set_create_revision(43);
  event.mutable_kv()->set_mod_revision(43);
  event.mutable_kv()->set_version(1);
  return events;
}

// The example of docs/formats/backup.md.
TEST(BackupFormat, IsTheDocumentedOne) {
  const std::string header = EncodeSegmentHeader(kSegment);
  EXPECT_EQ(Hex(header.substr(0, 48)),
            "4b45454c424b55500000000100000000"
            "00000000000000c10000000000000002"
            "000000000000002b00060a24181e4000");
  std::string out;
  AppendBackupRecord(
      kSegment, kSegmentHeaderBytes,
      {BackupRecordType::kRevision, 1, 43, 1'700'000'001'000'000, EncodeEvents(PutEvent())}, &out);
  AppendBackupRecord(kSegment, kSegmentHeaderBytes + out.size(),
                     {BackupRecordType::kClock, 1, 43, 1'700'000'001'000'000, ""}, &out);
  EXPECT_EQ(Hex(header.substr(48)), "00000000000000000000000052a69388");
  EXPECT_EQ(Hex(out.substr(0, 56)),
            "2e629e81000000101e08be0401000000"
            "0000000000000001000000000000002b"
            "00060a24182d8240"
            "5a0e120c0a0161102b182b20012a0131");
  EXPECT_EQ(Hex(out.substr(56)),
            "a2c57406000000001e08be0402000000"
            "0000000000000001000000000000002b"
            "00060a24182d8240");
}

TEST(BackupFormat, RecordsComeBackAtTheirPlaceOnly) {
  const BackupRecord record{BackupRecordType::kRevision, 7, 50, 1'700'000'002'000'000,
                            EncodeEvents(PutEvent())};
  std::string bytes;
  AppendBackupRecord(kSegment, 1000, record, &bytes);
  BackupRecord back;
  ASSERT_TRUE(DecodeBackupRecord(kSegment, 1000, bytes, &back));
  EXPECT_EQ(back, record);
  EXPECT_FALSE(DecodeBackupRecord(kSegment, 1001, bytes, &back));
  SegmentHeader other = kSegment;
  other.sequence = 3;
  EXPECT_FALSE(DecodeBackupRecord(other, 1000, bytes, &back));
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string altered = bytes;
      altered[at] = static_cast<char>(altered[at] ^ (1 << bit));
      EXPECT_FALSE(DecodeBackupRecord(kSegment, 1000, altered, &back)) << at << " " << bit;
    }
    EXPECT_FALSE(DecodeBackupRecord(kSegment, 1000, bytes.substr(0, at), &back)) << at;
  }
}

TEST(BackupFormat, AnyByteOfAHeaderAlteredIsNoticed) {
  const std::string bytes = EncodeSegmentHeader(kSegment);
  ASSERT_EQ(bytes.size(), kSegmentHeaderBytes);
  EXPECT_EQ(*DecodeSegmentHeader(bytes), kSegment);
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string altered = bytes;
    altered[at] = static_cast<char>(altered[at] ^ 4);
    EXPECT_FALSE(DecodeSegmentHeader(altered).ok()) << at;
    EXPECT_EQ(DecodeSegmentHeader(bytes.substr(0, at)).status().code(),
              absl::StatusCode::kDataLoss);
  }
}

TEST(BackupFormat, LeasesComeBack) {
  const std::vector<BackupLease> leases = {{5, 60}, {-1, 1}};
  EXPECT_EQ(*DecodeLeases(EncodeLeases(leases)), leases);
  EXPECT_FALSE(DecodeLeases("short").ok());
}

TEST(BackupFormat, CataloguesComeBackOrAreDamaged) {
  BackupCatalogue catalogue;
  catalogue.cluster_id = 0xfedcba9876543210;
  catalogue.next_file = 9;
  catalogue.bases.push_back({"base-00000002.db", 42, -1, 1'700'000'000'123'456, 1000, 1});
  catalogue.bases.push_back({"base-00000007.db", 99, 50, 1'700'000'900'000'000, 2000, 4});
  catalogue.segments.push_back(
      {"segment-00000001.log", 1, 40, 77, 1'700'000'500'000'000, 4096, false});
  catalogue.segments.push_back(
      {.name = "segment-00000003.log", .sequence = 2, .first = 78, .open = true});
  const std::string text = EncodeCatalogue(catalogue);
  const auto back = DecodeCatalogue(text);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, catalogue);
  for (size_t at = 0; at < text.size(); ++at) {
    std::string altered = text;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    EXPECT_FALSE(DecodeCatalogue(altered).ok()) << at;
    EXPECT_FALSE(DecodeCatalogue(text.substr(0, at)).ok()) << at;
  }
}

TEST(BackupFormat, TimesAreRfc3339) {
  EXPECT_EQ(FormatWallTime(1'700'000'000'123'456), "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(*ParseWallTime("2023-11-14T22:13:20.123456Z"), 1'700'000'000'123'456);
  EXPECT_EQ(*ParseWallTime("2023-11-14T23:13:20+01:00"), 1'700'000'000'000'000);
  EXPECT_FALSE(ParseWallTime("yesterday").ok());
  EXPECT_FALSE(ParseWallTime("").ok());
}

}  // namespace
}  // namespace keel::kvstore
