#include "raft/log/format.h"

#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <sstream>

#include "raft/log/test_util.h"

namespace keel::raft {
namespace {

// The hex dump between ```hex fences of the document, in order.
std::string WorkedExample() {
  std::ifstream in("../../docs/formats/raft-log.md");  // Tests run in their source folder.
  std::string line, bytes;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line == "```hex") {
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      std::istringstream row(line.substr(0, line.find('|')));
      std::string word;
      row >> word;  // the offset
      while (row >> word) bytes.push_back(static_cast<char>(std::stoi(word, nullptr, 16)));
    }
  }
  return bytes;
}

TEST(LogFormatTest, TheDocumentedExampleIsWhatIsWritten) {
  const LogIdentity identity{0xc1, 0xa1, 0x0123456789abcdefull};
  std::string bytes = EncodeIdentity(identity);
  BatchBuilder first(SegmentTag(identity.salt, 1), 0, 1);
  first.AddRaw(EncodeSegmentHeader(identity, 1));
  ConfState conf;
  conf.voters = {0xa1};
  first.Add(RecordType::kCheckpoint, EncodeCheckpoint({{}, 0, {}, conf}));
  first.Finish();
  BatchBuilder second(SegmentTag(identity.salt, 1), first.end(), 2);
  second.Add(RecordType::kHardState, EncodeHardState({1, 0xa1, 0}));
  second.AddEntry(MakeEntry(1, 1, "hello"));
  second.Finish();
  for (BatchBuilder* batch : {&first, &second}) {
    for (const auto part : batch->Parts()) bytes += part;
  }
  std::string dump;
  for (size_t i = 0; i < bytes.size(); ++i) {
    char text[24];
    if (i % 16 == 0) {
      std::snprintf(text, sizeof(text), "\n%04zx", i);
      dump += text;
    }
    std::snprintf(text, sizeof(text), " %02x", static_cast<unsigned char>(bytes[i]));
    dump += text;
  }
  EXPECT_EQ(WorkedExample(), bytes) << dump;
}

TEST(LogFormatTest, RecordsRoundTripWhateverTheirSize) {
  const uint32_t tag = SegmentTag(7, 3);
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{1000}, size_t{1024},
                             size_t{1025}, size_t{100000}}) {
    BatchBuilder batch(tag, 128, 5);
    const Entry a = MakeEntry(1, 2, std::string(bytes, 'a'));
    const Entry b = MakeEntry(2, 2, std::string(bytes, 'b'));
    batch.AddEntry(a);
    const uint64_t second = batch.AddEntry(b);
    batch.Finish();
    std::string all;
    for (const auto part : batch.Parts()) all += part;
    ASSERT_EQ(all.size() + 128, batch.end());
    const auto one = ParseRecord(all, 128, 128, tag);
    ASSERT_TRUE(one);
    EXPECT_FALSE(one->last_of_batch);
    EXPECT_EQ(one->end, second);
    EXPECT_TRUE(Same(*DecodeEntry(one->body, one->entry_type), a));
    const auto two = ParseRecord(all, 128, second, tag);
    ASSERT_TRUE(two);
    EXPECT_TRUE(two->last_of_batch);
    EXPECT_EQ(two->batch, 5u);
    EXPECT_TRUE(Same(*DecodeEntry(two->body, two->entry_type), b));
    EXPECT_FALSE(ParseRecord(all, 128, 128, SegmentTag(7, 4)));  // another segment
  }
}

TEST(LogFormatTest, ARecordIsValidOnlyAtItsOffset) {
  const uint32_t tag = SegmentTag(7, 3);
  BatchBuilder batch(tag, 64, 1);
  batch.Add(RecordType::kHardState, EncodeHardState({1, 2, 3}));
  batch.Finish();
  std::string all;
  for (const auto part : batch.Parts()) all += part;
  EXPECT_TRUE(ParseRecord(all, 64, 64, tag));
  EXPECT_FALSE(ParseRecord(all, 72, 72, tag));
}

TEST(LogFormatTest, IdentityOfAnotherFormatIsRefused) {
  std::string bytes = EncodeIdentity({1, 2, 3});
  EXPECT_EQ(*DecodeIdentity(bytes), (LogIdentity{1, 2, 3}));
  bytes[20] ^= 1;
  EXPECT_EQ(DecodeIdentity(bytes).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(DecodeIdentity("").status().code(), absl::StatusCode::kDataLoss);
}

TEST(LogFormatTest, ACommittedChangeOfMembershipIsFollowedByTheStateThatSaysSo) {
  const HardState state{.term = 4, .vote = 2, .commit = 9};
  Entry change;
  change.type = EntryType::kConfChange;
  change.index = 9;
  EXPECT_EQ(StateBehind(state, change), state);
  change.index = 7;
  EXPECT_EQ(StateBehind(state, change), (HardState{.term = 4, .vote = 2, .commit = 7}));
  change.index = 10;
  EXPECT_EQ(StateBehind(state, change), std::nullopt);
  EXPECT_EQ(StateBehind(std::nullopt, change), std::nullopt);
  change.index = 7;
  change.type = EntryType::kNormal;
  EXPECT_EQ(StateBehind(state, change), std::nullopt);
}

}  // namespace
}  // namespace keel::raft
