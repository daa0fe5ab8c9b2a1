#include "raft/transport/tcp_transport.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/read.hpp>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "raft/transport/tcp_test_util.h"

namespace keel::raft {
namespace {

using base::StrCat;
using testing::Heartbeat;
using testing::Recorder;
using testing::Send;
using testing::SendBytes;
using testing::SendUntilHeard;
using testing::Side;

TEST(TcpTransportTest, MessagesArriveInOrderBothWays) {
  for (const bool own_thread : {true, false}) {
    Side a(1, 7, 0, own_thread), b(2, 7, 0, own_thread);
    a.Start();
    b.Start();
    a.Connect(b);
    b.Connect(a);
    ASSERT_TRUE(SendUntilHeard(a, b, 1));
    ASSERT_TRUE(SendUntilHeard(b, a, 1));
    EXPECT_LT(b.transport->SinceHeard(1), std::chrono::seconds(20));
    EXPECT_EQ(b.transport->SinceHeard(3), base::Duration::max());
    for (Term term = 100; term < 5100; ++term) {
      Message m = Heartbeat(1, 2, term);
      m.type = MessageType::kAppend;
      m.entries.push_back({term, term, EntryType::kNormal,
                           std::make_shared<const std::string>(term % 7 * 1000, 'x')});
      Send(*a.transport, {std::move(m)});
    }
    ASSERT_TRUE(b.recorder.Wait(
        [](Recorder& r) { return !r.messages_.empty() && r.messages_.back().term == 5099; }));
    std::lock_guard lock(b.recorder.mu_);
    Term want = 100;
    for (const Message& m : b.recorder.messages_) {
      if (m.type != MessageType::kAppend) continue;
      ASSERT_EQ(m.term, want);
      ASSERT_EQ(m.entries[0].data->size(), want % 7 * 1000);
      ++want;
    }
    EXPECT_EQ(want, 5100u);
  }
}

TEST(TcpTransportTest, UserPayloadsArrive) {
  Side a(1), b(2);
  a.Start();
  b.Start();
  a.Connect(b);
  ASSERT_TRUE(SendUntilHeard(a, b, 1));
  a.transport->SendUser(2, "hello");
  ASSERT_TRUE(b.recorder.Wait([](Recorder& r) { return !r.user_.empty(); }));
  EXPECT_EQ(b.recorder.user_[0], "hello");
}

TEST(TcpTransportTest, WhoWasRemovedIsToldWhenItCalls) {
  Side a(1), b(2), c(3);
  b.options.removed_at = [](NodeId id) { return id == 1 ? Index{42} : Index{0}; };
  for (Side* side : {&a, &b, &c}) side->Start();
  a.Connect(b);
  c.Connect(b);
  ASSERT_TRUE(a.recorder.Wait([](Recorder& r) { return r.removed_at_ == 42; }));
  EXPECT_EQ(a.recorder.removed_by_, 2u);
  ASSERT_TRUE(SendUntilHeard(c, b, 1));  // The others are not.
  EXPECT_EQ(c.recorder.removed_at_, 0u);
  Send(*a.transport, {Heartbeat(1, 2, 9)});
  ASSERT_TRUE(SendUntilHeard(c, b, 2));
  for (const Message& m : b.recorder.messages_) EXPECT_EQ(m.from, 3u);
}

TEST(TcpTransportTest, WhoIsRemovedWhileConnectedIsToldAfterAGrace) {
  Side a(1), b(2);
  std::atomic<Index> removed{0};
  b.options.removed_at = [&](NodeId) { return removed.load(); };
  b.options.removal_grace = std::chrono::milliseconds(50);
  a.Start();
  b.Start();
  a.Connect(b);
  b.Connect(a);
  ASSERT_TRUE(SendUntilHeard(a, b, 1));
  b.transport->RemovePeer(1);  // Its address changes, say: it is a member all the same.
  b.Connect(a);
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  ASSERT_TRUE(SendUntilHeard(a, b, 2));
  EXPECT_EQ(a.recorder.removed_at_, 0u);
  removed = 7;
  b.transport->RemovePeer(1);
  ASSERT_TRUE(a.recorder.Wait([](Recorder& r) { return r.removed_at_ == 7; }));
}

// A peer of a bad mind or memory: the member is told nothing by what names another one.
TEST(TcpTransportTest, ANoticeForAnotherMemberOrClusterIsNone) {
  for (const RemovalNotice& notice :
       {RemovalNotice{8, 1, 42}, RemovalNotice{7, 3, 42}, RemovalNotice{7, 1, 0}}) {
    boost::asio::io_context context;
    boost::asio::ip::tcp::acceptor acceptor(context,
                                            {boost::asio::ip::make_address("127.0.0.1"), 0});
    Side a(1);
    a.Start();
    a.transport->AddPeer(2, StrCat("127.0.0.1:", acceptor.local_endpoint().port()));
    for (int call = 0; call < 2; ++call) {
      boost::asio::ip::tcp::socket socket = acceptor.accept();
      std::string hello(kHelloBytes, '\0');
      boost::asio::read(socket, boost::asio::buffer(hello));
      const std::string payload = EncodeRemovalNotice(notice);
      FrameWriter writer;
      writer.Add(FrameType::kRemoved, payload);
      std::string answer = EncodeHelloReply({HelloResult::kRemoved, 7, 2, kTakesAddress});
      for (const std::string_view part : writer.Parts()) answer += part;
      boost::asio::write(socket, boost::asio::buffer(answer));
    }
    // It calls again: what the first call said has been dealt with.
    EXPECT_EQ(a.recorder.removed_at_, 0u);
  }
}

TEST(TcpTransportTest, PeerOfAnotherClusterOrForAnotherMemberIsRefused) {
  Side a(1, 7), other_cluster(2, 8), other_member(3, 7);
  a.Start();
  other_cluster.Start();
  other_member.Start();
  a.Connect(other_cluster);
  // Member 4 is expected where member 3 listens.
  a.transport->AddPeer(4, StrCat("127.0.0.1:", other_member.transport->port()));
  ASSERT_TRUE(a.recorder.Wait([](Recorder& r) { return r.unreachable_ >= 4; }));
  Send(*a.transport, {Heartbeat(1, 2, 1), Heartbeat(1, 4, 1)});
  EXPECT_GE(other_cluster.transport->counters().refused_connections.load(), 1u);
  EXPECT_GE(other_member.transport->counters().refused_connections.load(), 1u);
  EXPECT_TRUE(other_cluster.recorder.messages_.empty());
  EXPECT_TRUE(other_member.recorder.messages_.empty());
}

TEST(TcpTransportTest, ReconnectsToAPeerThatCameBack) {
  Side a(1);
  a.Start();
  auto b = std::make_unique<Side>(2);
  b->Start();
  const uint16_t port = b->transport->port();
  a.Connect(*b);
  ASSERT_TRUE(SendUntilHeard(a, *b, 1));
  b.reset();
  ASSERT_TRUE(a.recorder.Wait([](Recorder& r) { return r.unreachable_ > 0; }));
  b = std::make_unique<Side>(2, 7, port);
  b->Start();
  ASSERT_TRUE(SendUntilHeard(a, *b, 2));
}

TEST(TcpTransportTest, PortInUseIsNamed) {
  Side a(1);
  a.Start();
  TcpTransportOptions options;
  options.self = 2;
  options.listen = {StrCat("127.0.0.1:", a.transport->port())};
  const auto second = TcpTransport::Create(options);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(base::ToStd(second.status().message()).find(options.listen[0]), std::string::npos);
  options.listen = {"nonsense"};
  EXPECT_EQ(TcpTransport::Create(options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TcpTransportTest, GarbageIsRefusedAndHarmsNothing) {
  Side a(1), b(2);
  a.Start();
  b.Start();
  a.Connect(b);
  ASSERT_TRUE(SendUntilHeard(a, b, 1));
  const uint16_t port = b.transport->port();
  const std::string hello = EncodeHello({StreamKind::kMessages, 7, 1, 2});
  std::mt19937_64 random(1);
  std::vector<std::string> attempts = {
      "",
      "GET / HTTP/1.1\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      hello.substr(0, 20),
      hello + std::string(1000, '\xff'),
      hello + std::string(1000, '\0'),
      EncodeHello({StreamKind::kSnapshot, 7, 1, 2}) + std::string(1000, '\x01')};
  for (int i = 0; i < 50; ++i) {
    std::string bytes;
    for (int k = 0; k < 200; ++k) bytes.push_back(static_cast<char>(random()));
    attempts.push_back(bytes);
    attempts.push_back(hello + bytes);
    // A frame whose checksum is right and whose content is not.
    FrameWriter frame;
    frame.Add(FrameType::kMessages, bytes);
    std::string whole = hello;
    for (const auto part : frame.Parts()) whole += part;
    attempts.push_back(whole);
  }
  Message foreign = Heartbeat(3, 2, 99);  // Not from the member that said hello.
  FrameWriter frame;
  frame.AddMessages({&foreign, 1});
  std::string whole = hello;
  for (const auto part : frame.Parts()) whole += part;
  attempts.push_back(whole);
  for (const std::string& bytes : attempts) SendBytes(port, bytes);
  EXPECT_GT(b.transport->counters().refused_connections.load(), 100u);
  ASSERT_TRUE(SendUntilHeard(a, b, 2));
  std::lock_guard lock(b.recorder.mu_);
  for (const Message& m : b.recorder.messages_) EXPECT_LT(m.term, 3u);
}

std::string RandomBytes(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

Message SnapshotMessage(NodeId from, NodeId to) {
  Message m;
  m.type = MessageType::kSnapshot;
  m.from = from;
  m.to = to;
  m.term = 3;
  m.snapshot = {100, 2, {{1, 2}, {}, {}, {}, false}};
  return m;
}

TEST(TcpTransportTest, SnapshotFilesArriveIntact) {
  Side a(1), b(2);
  a.Start();
  b.Start();
  a.Connect(b);
  const std::string dir = a.dir + "/out";
  std::filesystem::create_directories(dir);
  const std::map<std::string, std::string> files = {{"a.sst", RandomBytes(9 << 20, 1)},
                                                    {"b.sst", RandomBytes((1 << 20) + 1, 2)},
                                                    {"empty", ""},
                                                    {"CURRENT", "x"}};
  for (const auto& [name, data] : files) std::ofstream(dir + "/" + name, std::ios::binary) << data;
  std::atomic<int> done{0};
  absl::Status status;
  a.transport->SendSnapshot(SnapshotMessage(1, 2), dir, [&](absl::Status s) {
    std::lock_guard lock(a.recorder.mu_);
    status = s;
    done = 1;
    a.recorder.cv_.notify_all();
  });
  ASSERT_TRUE(b.recorder.Wait([](Recorder& r) { return !r.snapshot_dir_.empty(); }));
  ASSERT_TRUE(a.recorder.Wait([&](Recorder&) { return done.load() == 1; }));
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(b.recorder.snapshot_.snapshot.index, 100u);
  EXPECT_EQ(b.recorder.snapshot_.snapshot.conf.voters, (std::vector<NodeId>{1, 2}));
  size_t seen = 0;
  for (const auto& item : std::filesystem::directory_iterator(b.recorder.snapshot_dir_)) {
    std::ifstream in(item.path(), std::ios::binary);
    const std::string data{std::istreambuf_iterator<char>(in), {}};
    EXPECT_TRUE(data == files.at(item.path().filename())) << item.path();
    ++seen;
  }
  EXPECT_EQ(seen, files.size());
}

// The stream by hand, with one thing wrong at a time.
TEST(TcpTransportTest, CorruptSnapshotIsRefusedAndLeavesNoFiles) {
  Side b(2);
  b.Start();
  const std::string data = RandomBytes(3000, 1);
  for (int wrong = 0; wrong < 4; ++wrong) {
    std::string bytes = EncodeHello({StreamKind::kSnapshot, 7, 1, 2});
    // type 9, from 1, to 2, snapshot {index 100}; one file "f" (or "../f") of 3000 bytes
    const std::string name = wrong == 0 ? "../f" : "f";
    std::string header("\x0a\x0a\x08\x09\x10\x01\x18\x02\x5a\x02\x08\x64", 12);
    header += std::string("\x12") + static_cast<char>(name.size() + 5) + "\x0a" +
              static_cast<char>(name.size()) + name + "\x10\xb8\x17";
    FrameWriter head, body, end;
    head.Add(FrameType::kSnapshotHeader, header);
    const std::string sent = wrong == 1 ? data + "more" : data;  // body refers to it
    body.Add(FrameType::kSnapshotData, sent);
    end.Add(FrameType::kSnapshotEnd, std::string("\x0a\x04\x01\x02\x03\x04", 6));  // wrong checksum
    for (const FrameWriter* w : {&head, &body, &end}) {
      if (wrong == 2 && w == &end) continue;  // cut short
      for (const auto part : w->Parts()) bytes += part;
    }
    SendBytes(b.transport->port(), bytes);
  }
  EXPECT_TRUE(b.recorder.snapshot_dir_.empty());
  size_t left = 0;
  for (int i = 0; i < 100; ++i) {
    left = 0;
    for ([[maybe_unused]] const auto& item : std::filesystem::directory_iterator(b.dir)) ++left;
    if (left == 0) break;
    ::usleep(20'000);
  }
  EXPECT_EQ(left, 0u);
}

TEST(TcpTransportTest, HeartbeatsPassWhileASnapshotStreams) {
  Side a(1), b(2);
  a.Start();
  b.Start();
  a.Connect(b);
  ASSERT_TRUE(SendUntilHeard(a, b, 1));
  const std::string dir = a.dir + "/out";
  std::filesystem::create_directories(dir);
  std::ofstream(dir + "/big", std::ios::binary) << std::string(64 << 20, 'x');
  std::atomic<bool> done{false};
  a.transport->SendSnapshot(SnapshotMessage(1, 2), dir, [&](absl::Status) { done = true; });
  base::Duration worst{};
  Term term = 10;
  while (!done) {
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(SendUntilHeard(a, b, ++term));
    worst = std::max(worst, base::Duration(std::chrono::steady_clock::now() - start));
  }
  EXPECT_LT(worst, std::chrono::seconds(2));
  EXPECT_GT(term, 11u);
}

TEST(TcpTransportTest, SnapshotToNobodyFails) {
  Side a(1);
  a.Start();
  std::atomic<int> code{-1};
  a.transport->SendSnapshot(SnapshotMessage(1, 9), a.dir,
                            [&](absl::Status s) { code = static_cast<int>(s.code()); });
  for (int i = 0; i < 500 && code == -1; ++i) ::usleep(10'000);
  EXPECT_EQ(code, static_cast<int>(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace keel::raft
