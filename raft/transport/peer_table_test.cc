// Peers that this side was not told of, and that it can answer all the same.
#include "raft/transport/peer_table.h"

#include <gtest/gtest.h>

#include "raft/transport/shared.h"
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

std::string AddressOf(const Side& side) { return StrCat("127.0.0.1:", side.transport->port()); }

// Listens, then listens again where it was, so that it can name the port.
void StartAdvertised(Side& side) {
  auto probe = TcpTransport::Create(side.options);
  ASSERT_TRUE(probe.ok()) << probe.status();
  side.options.advertise = StrCat("127.0.0.1:", (*probe)->port());
  side.options.listen = {side.options.advertise};
  probe->reset();
  side.Start();
}

bool Await(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    ::usleep(10'000);
  }
  return false;
}

std::string Frame(FrameType type, std::string_view payload) {
  FrameWriter frame;
  frame.Add(type, payload);
  std::string out;
  for (const std::string_view part : frame.Parts()) out += part;
  return out;
}

TEST(PeerTableTest, AStrangerOfTheClusterIsAnsweredWhereItSaysItListens) {
  Side newcomer(1), voter(2);
  StartAdvertised(newcomer);
  voter.Start();
  newcomer.Connect(voter);
  ASSERT_TRUE(SendUntilHeard(newcomer, voter, 1));
  ASSERT_TRUE(SendUntilHeard(voter, newcomer, 2));
  // As long as its connection lasts.
  newcomer.transport->RemovePeer(2);
  const auto& dropped = voter.transport->counters().dropped_messages;
  ASSERT_TRUE(Await([&] {
    const uint64_t before = dropped.load();
    Send(*voter.transport, {Heartbeat(2, 1, 3)});
    ::usleep(20'000);
    return dropped.load() > before;
  }));
  // And again.
  newcomer.Connect(voter);
  ASSERT_TRUE(SendUntilHeard(newcomer, voter, 4));
  ASSERT_TRUE(SendUntilHeard(voter, newcomer, 5));
}

TEST(PeerTableTest, OneOfAnotherClusterTeachesNothing) {
  Side stranger(1, 8), voter(2, 7);
  StartAdvertised(stranger);
  voter.Start();
  stranger.Connect(voter);
  ASSERT_TRUE(stranger.recorder.Wait([](Recorder& r) { return r.unreachable_ >= 3; }));
  EXPECT_EQ(voter.transport->counters().learned_addresses.load(), 0u);
}

TEST(PeerTableTest, WhatAddPeerSaysGoesBeforeWhatIsLearned) {
  Side liar(1), one(2), two(3);
  // It says that it listens where another member does.
  two.Start();
  liar.options.advertise = AddressOf(two);
  liar.Start();
  one.Start();
  one.Connect(liar);
  liar.Connect(one);
  ASSERT_TRUE(SendUntilHeard(liar, one, 1));
  EXPECT_TRUE(SendUntilHeard(one, liar, 2));
  EXPECT_EQ(one.transport->counters().learned_addresses.load(), 0u);
  // A lie reaches nobody: who listens there is asked who it is.
  one.transport->RemovePeer(1);
  liar.transport->RemovePeer(2);
  liar.Connect(one);
  ASSERT_TRUE(Await([&] { return one.transport->counters().learned_addresses.load() == 1; }));
  ASSERT_TRUE(Await([&] { return two.transport->counters().refused_connections.load() > 0; }));
  // And AddPeer takes the place of what was learned.
  one.Connect(liar);
  EXPECT_TRUE(SendUntilHeard(one, liar, 3));
}

TEST(PeerTableTest, NoMoreAreLearnedThanTheOptionAllows) {
  Side voter(1);
  voter.options.learned_peers_max = 2;
  voter.Start();
  std::vector<std::unique_ptr<Side>> newcomers;
  for (NodeId id = 2; id <= 4; ++id) {
    Side& side = *newcomers.emplace_back(std::make_unique<Side>(id));
    StartAdvertised(side);
    side.Connect(voter);
    ASSERT_TRUE(SendUntilHeard(side, voter, id));
  }
  EXPECT_EQ(voter.transport->counters().learned_addresses.load(), 2u);
  ASSERT_TRUE(SendUntilHeard(voter, *newcomers[0], 10));
  const uint64_t dropped = voter.transport->counters().dropped_messages.load();
  Send(*voter.transport, {Heartbeat(1, 4, 11)});
  EXPECT_TRUE(Await([&] { return voter.transport->counters().dropped_messages.load() > dropped; }));
  // One that goes makes room.
  newcomers[1].reset();
  EXPECT_TRUE(Await([&] {
    newcomers[2]->transport->RemovePeer(1);
    newcomers[2]->Connect(voter);
    ::usleep(50'000);
    return voter.transport->counters().learned_addresses.load() == 3;
  }));
  EXPECT_TRUE(SendUntilHeard(voter, *newcomers[2], 12));
}

TEST(PeerTableTest, AddressesThatAreNoneEndTheConnection) {
  Side voter(2);
  voter.Start();
  const std::string hello = EncodeHello({StreamKind::kMessages, 7, 1, 2});
  const std::vector<std::string> wrong = {"",          "host",        "host:",
                                          ":1",        "host:0",      "host:65536",
                                          "host:http", "a b:1",       std::string("h\0:1", 4),
                                          "h\n:1",     "host:1/path", std::string(300, 'h') + ":1"};
  uint64_t refused = 0;
  for (const std::string& address : wrong) {
    EXPECT_FALSE(IsPeerAddress(address)) << address;
    SendBytes(voter.transport->port(), hello + Frame(FrameType::kAddress, address));
    EXPECT_TRUE(Await([&] {
      return voter.transport->counters().refused_connections.load() > refused;
    })) << address;
    refused = voter.transport->counters().refused_connections.load();
  }
  EXPECT_TRUE(IsPeerAddress("http://host.example:2380"));
  EXPECT_TRUE(IsPeerAddress("[::1]:2380"));
  // The first frame only.
  SendBytes(voter.transport->port(),
            hello + Frame(FrameType::kUser, "x") + Frame(FrameType::kAddress, "127.0.0.1:1"));
  EXPECT_TRUE(
      Await([&] { return voter.transport->counters().refused_connections.load() > refused; }));
  EXPECT_EQ(voter.transport->counters().learned_addresses.load(), 0u);
}

}  // namespace
}  // namespace keel::raft
