#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "raft/log/format.h"
#include "raft/log/test_util.h"

namespace keel::raft {
namespace {

// The hex dump between ```hex fences of the document.
std::string WorkedExample() {
  std::ifstream in("../../docs/formats/raft-shared-log.md");  // Tests run in their source folder.
  std::string line, bytes;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line.compare(0, 3, "```") == 0) {
      inside = line == "```hex";
    } else if (inside) {
      std::istringstream row(line.substr(0, line.find('|')));
      std::string word;
      row >> word;  // the offset
      while (row >> word) bytes.push_back(static_cast<char>(std::stoi(word, nullptr, 16)));
    }
  }
  return bytes;
}

TEST(SharedFormatTest, TheDocumentedExampleIsWhatIsWritten) {
  const LogIdentity identity{0xc1, 0xa1, 0x0123456789abcdefull, kSharedLogFormatVersion};
  BatchBuilder first(SegmentTag(identity.salt, 1), 0, 1);
  first.AddRaw(EncodeSegmentHeader(identity, 1));
  first.Add(RecordType::kHorizon, EncodeU64(1));
  first.Finish();
  BatchBuilder second(SegmentTag(identity.salt, 1), first.end(), 2);
  GroupState state;
  state.initial_conf.voters = {0xa1};
  second.Add(7, RecordType::kGroup, EncodeGroupState(state));
  second.Add(7, RecordType::kHardState, EncodeHardState({1, 0xa1, 0}));
  second.AddEntry(7, RecordType::kEntry, MakeEntry(1, 1, "hello"));
  second.Finish();
  std::string bytes;
  for (BatchBuilder* batch : {&first, &second}) {
    for (const auto part : batch->Parts()) bytes += part;
  }
  std::string dump;
  for (size_t i = 0; i < bytes.size(); ++i) {
    char text[24];
    if (i % 8 == 0) {
      std::snprintf(text, sizeof(text), "\n%04zx ", i);
      dump += text;
    }
    std::snprintf(text, sizeof(text), " %02x", static_cast<unsigned char>(bytes[i]));
    dump += text;
  }
  EXPECT_EQ(WorkedExample(), bytes) << dump;
}

TEST(SharedFormatTest, GroupStatesSurviveAndShortBodiesAreRefused) {
  GroupState state;
  state.base = {5, 3};
  state.hard_state = {9, 2, 5};
  state.initial_conf.voters = {1, 2, 3};
  state.initial_conf.learners = {4};
  state.initial_conf.auto_leave = true;
  const std::string body = EncodeGroupState(state);
  const auto decoded = DecodeGroupState(body);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->base, state.base);
  EXPECT_EQ(decoded->hard_state, state.hard_state);
  EXPECT_EQ(decoded->initial_conf, state.initial_conf);
  for (size_t size = 0; size < body.size(); ++size) {
    EXPECT_FALSE(DecodeGroupState(std::string_view(body).substr(0, size))) << size;
  }
  for (const GroupId id : {kNoGroup, kHostGroup}) {
    const std::string bytes(EncodeU64(id));
    std::string_view view = bytes;
    EXPECT_FALSE(TakeGroup(&view));
  }
}

}  // namespace
}  // namespace keel::raft
