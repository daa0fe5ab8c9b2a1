#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "rpc/frame.h"
#include "rpc/out_buffer.h"
#include "rpc/send_queue.h"
#include "rpc/status_codec.h"
#include "rpc/timeout_codec.h"

namespace keel::rpc::internal {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(TimeoutCodecTest, ParsesEveryUnit) {
  EXPECT_EQ(ParseTimeout("1H").value(), hours(1));
  EXPECT_EQ(ParseTimeout("2M").value(), seconds(120));
  EXPECT_EQ(ParseTimeout("3S").value(), seconds(3));
  EXPECT_EQ(ParseTimeout("4m").value(), milliseconds(4));
  EXPECT_EQ(ParseTimeout("5u").value(), nanoseconds(5000));
  EXPECT_EQ(ParseTimeout("00000006n").value(), nanoseconds(6));
  EXPECT_EQ(ParseTimeout("99999999H").value(), base::Duration::max());
}

TEST(TimeoutCodecTest, RefusesWhatIsNone) {
  for (const char* text : {"", "S", "1", "1x", "-1S", "1.5S", "123456789S", " 1S", "S1"}) {
    EXPECT_EQ(ParseTimeout(text).status().code(), absl::StatusCode::kInternal) << text;
  }
}

RC_GTEST_PROP(TimeoutCodecTest, FormatsWhatItParsesNeverShorter, (uint64_t raw)) {
  const base::Duration timeout(static_cast<int64_t>(raw >> *rc::gen::inRange(1, 64)));
  const std::string text = FormatTimeout(timeout);
  RC_ASSERT(text.size() <= 9u);
  const base::Duration parsed = ParseTimeout(text).value();
  RC_ASSERT(parsed >= timeout);
  RC_ASSERT(parsed.count() - timeout.count() <= timeout.count() / 1'000 + 1);
}

TEST(StatusCodecTest, EncodesWhatIsNotPlain) {
  EXPECT_EQ(PercentEncode("a b~%\n\xff"), "a b~%25%0A%FF");
  EXPECT_EQ(PercentDecode("a%20b%zz%4"), "a b%zz%4");
}

RC_GTEST_PROP(StatusCodecTest, DecodesWhatItEncoded, (std::string text)) {
  RC_ASSERT(PercentDecode(PercentEncode(text)) == text);
}

TEST(StatusCodecTest, OddCodesAreUnknown) {
  EXPECT_TRUE(StatusFromWire("0", "ignored").ok());
  EXPECT_EQ(StatusFromWire("14", "x"), absl::UnavailableError("x"));
  for (const char* code : {"", "17", "-1", "x", "1x"}) {
    EXPECT_EQ(StatusFromWire(code, "").code(), absl::StatusCode::kUnknown) << code;
  }
}

std::string Framed(std::string_view message) {
  const auto header = EncodeFrameHeader(static_cast<uint32_t>(message.size()));
  return std::string(header.data(), header.size()) + std::string(message);
}

RC_GTEST_PROP(FrameDecoderTest, FindsMessagesHoweverTheyAreCut,
              (std::vector<std::string> messages)) {
  std::string bytes;
  for (const std::string& message : messages) bytes += Framed(message);
  FrameDecoder decoder(1 << 20);
  std::vector<std::string> found;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const size_t cut = *rc::gen::inRange<size_t>(1, rest.size() + 1);
    // A buffer of its own: a message must not refer to a chunk that is gone.
    const std::string chunk(rest.substr(0, cut));
    rest.remove_prefix(cut);
    std::string_view input = chunk;
    std::string_view message;
    while (!input.empty()) {
      if (decoder.Next(&input, &message) != FrameDecoder::Result::kMessage) continue;
      found.push_back(*rc::gen::arbitrary<bool>() ? decoder.TakeMessage(message)
                                                  : std::string(message));
    }
  }
  RC_ASSERT(found == messages);
  RC_ASSERT(!decoder.InMessage());
}

TEST(FrameDecoderTest, RefusesLargeAndCompressedMessages) {
  FrameDecoder small(10);
  const std::string bytes = Framed(std::string(11, 'x'));
  std::string_view input = bytes;
  std::string_view message;
  EXPECT_EQ(small.Next(&input, &message), FrameDecoder::Result::kTooLarge);
  EXPECT_EQ(small.message_bytes(), 11u);
  FrameDecoder decoder(10);
  std::string compressed = Framed("x");
  compressed[0] = 1;
  input = compressed;
  EXPECT_EQ(decoder.Next(&input, &message), FrameDecoder::Result::kCompressed);
}

TEST(FrameDecoderTest, ALongMessageComesWholeOutOfManyChunks) {
  std::string long_message(3 << 20, '\0');
  for (size_t i = 0; i < long_message.size(); ++i) long_message[i] = static_cast<char>(i * 7 >> 4);
  const std::string bytes = Framed(long_message) + Framed("next");
  FrameDecoder decoder(4 << 20);
  std::vector<std::string> found;
  for (size_t at = 0; at < bytes.size(); at += 16'384) {
    std::string_view input = std::string_view(bytes).substr(at, 16'384);
    std::string_view message;
    while (!input.empty() && decoder.Next(&input, &message) == FrameDecoder::Result::kMessage) {
      found.push_back(decoder.TakeMessage(message));
    }
  }
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[0] == long_message);
  EXPECT_EQ(found[1], "next");
}

TEST(FrameDecoderTest, EmptyMessageIsAMessage) {
  FrameDecoder decoder(0);
  const std::string bytes = Framed("");
  std::string_view input = bytes;
  std::string_view message = "x";
  EXPECT_EQ(decoder.Next(&input, &message), FrameDecoder::Result::kMessage);
  EXPECT_TRUE(message.empty());
}

RC_GTEST_PROP(SendQueueTest, TakesWhatWasPushedInAnySteps, (std::vector<std::string> messages)) {
  // Some beyond the size from which bytes are referenced instead of copied.
  for (std::string& message : messages) {
    if (!message.empty() && message.size() % 3 == 0) message.resize(message.size() * 2000, 'y');
  }
  SendQueue queue;
  std::string expected;
  size_t message_bytes = 0;
  for (const std::string& message : messages) {
    const size_t cut = message.size() / 2;
    queue.Push(
        Message(message.substr(0, cut), std::make_shared<const std::string>(message.substr(cut))));
    expected += Framed(message);
    message_bytes += message.size();
  }
  RC_ASSERT(queue.bytes() == expected.size());
  OutBuffer out;
  size_t taken = 0;
  while (!queue.empty()) {
    taken += queue.Take(*rc::gen::inRange<size_t>(1, queue.bytes() + 1), out);
  }
  RC_ASSERT(taken == message_bytes);
  RC_ASSERT(out.size() == expected.size());
  RC_ASSERT(out.ToString() == expected);
}

TEST(SendQueueTest, DropKeepsAMessageThatHasBegun) {
  SendQueue queue;
  queue.Push(std::string("first"));
  queue.Push(std::string("second"));
  OutBuffer out;
  EXPECT_EQ(queue.Take(7, out), 2u);
  EXPECT_EQ(queue.DropUntaken(), 6u);
  EXPECT_EQ(queue.bytes(), 3u);
  EXPECT_EQ(queue.Take(3, out), 3u);
  EXPECT_EQ(out.ToString(), Framed("first"));
}

}  // namespace
}  // namespace keel::rpc::internal
