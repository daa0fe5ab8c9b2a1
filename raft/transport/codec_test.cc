#include "raft/transport/codec.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "raft/transport/raft.pb.h"

namespace keel::raft {
namespace {

std::string Join(const FrameWriter& writer) {
  std::string out;
  for (const auto part : writer.Parts()) out += part;
  return out;
}

Message Full() {
  Message m;
  m.type = MessageType::kSnapshot;
  m.from = 0xffffffffffffffff;
  m.to = 2;
  m.term = 300;
  m.index = 1ull << 40;
  m.log_term = 299;
  m.commit = 7;
  m.reject = true;
  m.reject_hint = 9;
  m.context = 12345;
  m.group = 1ull << 33;
  m.quiesce = true;
  m.snapshot = {10, 3, {{1, 2}, {3}, {1}, {4}, true}};
  for (const size_t size : {size_t{0}, size_t{5}, size_t{127}, size_t{128}, size_t{2048},
                            size_t{2049}, size_t{100000}}) {
    m.entries.push_back({size, size + 1, size % 2 ? EntryType::kConfChange : EntryType::kNormal,
                         std::make_shared<const std::string>(size, 'x')});
  }
  return m;
}

void ExpectSame(const Message& a, const Message& b) {
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.from, b.from);
  EXPECT_EQ(a.to, b.to);
  EXPECT_EQ(a.term, b.term);
  EXPECT_EQ(a.index, b.index);
  EXPECT_EQ(a.log_term, b.log_term);
  EXPECT_EQ(a.commit, b.commit);
  EXPECT_EQ(a.reject, b.reject);
  EXPECT_EQ(a.reject_hint, b.reject_hint);
  EXPECT_EQ(a.context, b.context);
  EXPECT_EQ(a.group, b.group);
  EXPECT_EQ(a.quiesce, b.quiesce);
  EXPECT_EQ(a.snapshot.index, b.snapshot.index);
  EXPECT_EQ(a.snapshot.term, b.snapshot.term);
  EXPECT_EQ(a.snapshot.conf, b.snapshot.conf);
  ASSERT_EQ(a.entries.size(), b.entries.size());
  for (size_t i = 0; i < a.entries.size(); ++i) {
    EXPECT_EQ(a.entries[i].term, b.entries[i].term);
    EXPECT_EQ(a.entries[i].index, b.entries[i].index);
    EXPECT_EQ(a.entries[i].type, b.entries[i].type);
    EXPECT_EQ(*a.entries[i].data, *b.entries[i].data);
  }
}

TEST(TransportCodecTest, MessagesRoundTrip) {
  const std::vector<Message> messages = {Full(), Message{}, Full()};
  FrameWriter writer;
  writer.AddMessages(messages);
  writer.Add(FrameType::kUser, "payload");
  writer.AddMessages(std::span(messages).subspan(1, 1));
  const std::string bytes = Join(writer);
  EXPECT_EQ(bytes.size(), writer.bytes());
  auto frame = ParseFrame(bytes, 64 << 20);
  ASSERT_TRUE(frame.ok()) << frame.status();
  ASSERT_EQ(frame->type, FrameType::kGroupMessages);
  std::vector<Message> got;
  ASSERT_TRUE(DecodeMessages(frame->payload, &got).ok());
  ASSERT_EQ(got.size(), 3u);
  for (size_t i = 0; i < 3; ++i) ExpectSame(got[i], messages[i]);
  std::string_view rest = std::string_view(bytes).substr(frame->bytes);
  frame = ParseFrame(rest, 64 << 20);
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ(frame->type, FrameType::kUser);
  EXPECT_EQ(frame->payload, "payload");
  rest.remove_prefix(frame->bytes);
  frame = ParseFrame(rest, 64 << 20);
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ(frame->bytes, rest.size());
}

TEST(TransportCodecTest, TheHandWrittenEncodingIsProtobufs) {
  const Message message = Full();
  proto::MessageBatch batch;
  ToProto(message, batch.add_messages());
  FrameWriter writer;
  writer.AddMessages({&message, 1});
  const std::string bytes = Join(writer);
  proto::MessageBatch parsed;
  ASSERT_TRUE(parsed.ParseFromString(bytes.substr(kFrameHeaderBytes)));
  EXPECT_EQ(parsed.SerializeAsString(), batch.SerializeAsString());
}

TEST(TransportCodecTest, IncompleteFramesWaitAndWrongOnesAreErrors) {
  FrameWriter writer;
  writer.Add(FrameType::kUser, "hello");
  const std::string bytes = Join(writer);
  for (size_t n = 0; n < bytes.size(); ++n) {
    const auto frame = ParseFrame(std::string_view(bytes).substr(0, n), 1 << 20);
    ASSERT_TRUE(frame.ok());
    EXPECT_EQ(frame->bytes, 0u);
    EXPECT_EQ(frame->needed, n < kFrameHeaderBytes ? kFrameHeaderBytes : bytes.size());
  }
  for (size_t at = 4; at < bytes.size(); ++at) {
    std::string bad = bytes;
    bad[at] ^= 0x10;
    EXPECT_FALSE(ParseFrame(bad, 1 << 20).ok()) << at;
  }
  EXPECT_EQ(ParseFrame(bytes, 4).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TransportCodecTest, RemovalNoticeRoundTripsAndGarbageIsRefused) {
  const std::string bytes = EncodeRemovalNotice({7, 8, 9});
  const auto got = DecodeRemovalNotice(bytes);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->cluster_id, 7u);
  EXPECT_EQ(got->member, 8u);
  EXPECT_EQ(got->index, 9u);
  EXPECT_FALSE(DecodeRemovalNotice(bytes + "x").ok());
  EXPECT_FALSE(DecodeRemovalNotice(bytes.substr(1)).ok());
  EXPECT_FALSE(DecodeRemovalNotice(EncodeRemovalNotice({7, 8, 0})).ok());
}

TEST(TransportCodecTest, HelloRoundTripsAndGarbageIsRefused) {
  const Hello hello{StreamKind::kSnapshot, 7, 8, 9};
  std::string bytes = EncodeHello(hello);
  ASSERT_EQ(bytes.size(), kHelloBytes);
  const auto got = DecodeHello(bytes);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->kind, hello.kind);
  EXPECT_EQ(got->cluster_id, 7u);
  EXPECT_EQ(got->from, 8u);
  EXPECT_EQ(got->to, 9u);
  EXPECT_EQ(EncodeHelloReply({}).size(), kHelloReplyBytes);
  const auto reply = DecodeHelloReply(EncodeHelloReply({HelloResult::kOk, 7, 9, kTakesAddress}));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->member, 9u);
  EXPECT_EQ(reply->features, kTakesAddress);
  bytes[20] ^= 1;
  EXPECT_FALSE(DecodeHello(bytes).ok());
  EXPECT_FALSE(DecodeHello("GET / HTTP/1.1").ok());
}

RC_GTEST_PROP(TransportCodecTest, GarbageNeverDecodesToNonsense, (const std::string& bytes)) {
  (void)ParseFrame(bytes, 1 << 20);
  std::vector<Message> out;
  if (DecodeMessages(bytes, &out).ok()) {
    for (const Message& m : out) RC_ASSERT(m.type <= MessageType::kTransferLeader);
  }
}

// docs/formats/raft-transport.md, "Many groups".
TEST(CodecTest, MessagesOfGroupsHaveAFrameTypeOfTheirOwn) {
  Message m;
  m.type = MessageType::kHeartbeat;
  m.from = 1;
  m.to = 2;
  m.term = 3;
  m.commit = 9;
  for (const bool grouped : {false, true}) {
    m.group = grouped ? 5 : kNoGroup;
    m.quiesce = grouped;
    FrameWriter writer;
    writer.AddMessages({&m, 1});
    const std::string bytes = Join(writer);
    const auto frame = ParseFrame(bytes, 1 << 20);
    ASSERT_TRUE(frame.ok());
    EXPECT_EQ(frame->type, grouped ? FrameType::kGroupMessages : FrameType::kMessages);
    std::vector<Message> out;
    ASSERT_TRUE(DecodeMessages(frame->payload, &out).ok());
    ASSERT_EQ(out.size(), 1u);
    ExpectSame(out[0], m);
    if (grouped) {
      EXPECT_EQ(std::string(frame->payload),
                std::string("\x0a\x0e\x08\x07\x10\x01\x18\x02\x20\x03\x40\x09\x68\x05\x70\x01"));
    }
  }
}

}  // namespace
}  // namespace keel::raft
