// What a peer may send: frames and messages with damage anywhere, with and
// without a checksum that fits, down to the core that takes them.
#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "raft/core/testing/member.h"
#include "raft/transport/codec.h"
#include "raft/transport/shared.h"
#include "tests/fuzz/mutator.h"

namespace keel::raft {
namespace {

using fuzz::Mutator;
using testing::Data;
using testing::Member;

std::string Join(const FrameWriter& writer) {
  std::string bytes;
  for (std::string_view part : writer.Parts()) bytes += part;
  return bytes;
}

std::vector<Message> SomeMessages(Mutator& mutate) {
  std::vector<Message> messages(1 + mutate.Draw(3));
  for (Message& m : messages) {
    m.type = static_cast<MessageType>(mutate.Draw(14));
    m.from = 2;
    m.to = 1;
    m.term = 1 + mutate.Draw(3);
    m.index = mutate.Draw(5);
    m.log_term = mutate.Draw(3);
    m.commit = mutate.Draw(5);
    m.context = mutate.Draw(3);
    for (uint64_t i = mutate.Draw(3); i > 0; --i) {
      const auto type = mutate.Chance(20) ? EntryType::kConfChange : EntryType::kNormal;
      m.entries.push_back({m.term, m.index + m.entries.size() + 1, type,
                           Data(type == EntryType::kNormal
                                    ? "data"
                                    : EncodeConfChange({.changes = {{{}, 1 + mutate.Draw(4)}}}))});
    }
    if (m.type == MessageType::kSnapshot) m.snapshot = {4, 1, {.voters = {1, 2, 3}}};
  }
  return messages;
}

TEST(TransportFuzzTest, DamagedFramesAreRefusedOrDecoded) {
  uint64_t refused = 0;
  uint64_t decoded = 0;
  for (uint64_t seed = 1; seed <= fuzz::Seeds(30000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    const std::vector<Message> messages = SomeMessages(mutate);
    FrameWriter writer;
    writer.AddMessages(messages);
    const std::string bytes = mutate.Damage(Join(writer));
    const absl::StatusOr<FrameView> frame = ParseFrame(bytes, 1 << 20);
    if (!frame.ok()) {
      ++refused;
      continue;
    }
    if (frame->bytes == 0) {
      // More is needed, and a bound is kept on how much.
      ASSERT_GT(frame->needed, bytes.size());
      ASSERT_LE(frame->needed, (1u << 20) + kFrameHeaderBytes);
      continue;
    }
    ASSERT_LE(frame->bytes, bytes.size());
    ++decoded;
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(decoded, 20);
}

// The checksum protects from a broken network, not from a broken peer.
TEST(TransportFuzzTest, DamagedPayloadsThatDecodeNeverStopTheCore) {
  uint64_t decoded = 0;
  uint64_t refused = 0;
  uint64_t accepted = 0;
  for (uint64_t seed = 1; seed <= fuzz::Seeds(10000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    Member node(1, {.voters = {1, 2, 3}}, {});
    node.fetch_snapshot = [](Index) { return std::vector<std::string>{}; };
    if (mutate.Chance(30)) node.raft().Campaign();
    for (int round = 0; round < 4; ++round) {
      FrameWriter writer;
      const std::vector<Message> messages = SomeMessages(mutate);
      writer.AddMessages(messages);
      const std::string payload = mutate.Damage(Join(writer).substr(kFrameHeaderBytes));
      std::vector<Message> out;
      if (!DecodeMessages(payload, &out).ok()) continue;
      for (Message& m : out) {
        ++decoded;
        const Index commit = node.raft().commit();
        const Status before = node.raft().GetStatus();
        const absl::Status status = node.raft().Step(std::move(m));
        if (absl::IsInvalidArgument(status)) {
          ++refused;
          const Status after = node.raft().GetStatus();
          ASSERT_EQ(after.hard_state, before.hard_state) << status;
          ASSERT_EQ(after.soft_state, before.soft_state) << status;
        } else {
          ++accepted;
        }
        node.Process();
        ASSERT_GE(node.raft().commit(), commit);
      }
    }
  }
  EXPECT_GT(decoded, 3000);
  EXPECT_GT(refused, 300);
  EXPECT_GT(accepted, 300);
}

TEST(TransportFuzzTest, HellosAndTheirAnswers) {
  uint64_t good = 0;
  for (uint64_t seed = 1; seed <= fuzz::Seeds(20000); ++seed) {
    Mutator mutate(seed);
    const std::string hello = mutate.Damage(EncodeHello({StreamKind::kMessages, 7, 1, 2}));
    const absl::StatusOr<Hello> decoded = DecodeHello(hello);
    good += decoded.ok();
    const std::string reply = mutate.Damage(EncodeHelloReply({HelloResult::kOk, 7, 2}));
    good += DecodeHelloReply(reply).ok();
    DecodeHello(mutate.Bytes(64)).IgnoreError();
  }
  // Most of it is under a checksum, or would be another hello.
  EXPECT_LT(good, fuzz::Seeds(20000));
}

// What a peer names as its address is short, printable and has a port, or is refused.
TEST(TransportFuzzTest, AddressesAreShortPrintableAndHaveAPort) {
  uint64_t good = 0;
  for (uint64_t seed = 1; seed <= fuzz::Seeds(30000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    const std::string address =
        mutate.Damage(mutate.Chance(50) ? "http://member-1.example:2380" : "[fe80::1]:65535");
    if (!IsPeerAddress(address)) continue;
    ++good;
    ASSERT_LE(address.size(), kAddressBytesMax);
    const auto target = ParsePeerAddress(address);
    ASSERT_TRUE(target.ok());
    ASSERT_FALSE(target->host.empty());
    const int port = std::stoi(target->port);
    ASSERT_GT(port, 0);
    ASSERT_LT(port, 65536);
    for (const char c : address) ASSERT_TRUE(c > ' ' && c < 0x7f);
  }
  EXPECT_GT(good, 100);
  EXPECT_LT(good, fuzz::Seeds(30000));
}

TEST(TransportFuzzTest, ConfChangesDecodeToWhatTheyEncode) {
  uint64_t good = 0;
  for (uint64_t seed = 1; seed <= fuzz::Seeds(30000); ++seed) {
    SCOPED_TRACE(seed);
    Mutator mutate(seed);
    ConfChange change;
    change.transition = static_cast<ConfChange::Transition>(mutate.Draw(3));
    for (uint64_t i = mutate.Draw(4); i > 0; --i) {
      change.changes.push_back(
          {static_cast<ConfChangeSingle::Type>(mutate.Draw(3)), mutate.Number()});
    }
    change.context = mutate.Bytes(10);
    const absl::StatusOr<ConfChange> decoded =
        DecodeConfChange(mutate.Damage(EncodeConfChange(change)));
    if (!decoded.ok()) continue;
    ++good;
    const absl::StatusOr<ConfChange> again = DecodeConfChange(EncodeConfChange(*decoded));
    ASSERT_TRUE(again.ok());
    ASSERT_EQ(again->context, decoded->context);
    ASSERT_EQ(again->changes.size(), decoded->changes.size());
  }
  EXPECT_GT(good, 100);
}

}  // namespace
}  // namespace keel::raft
