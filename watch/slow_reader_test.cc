// A client that stops reading costs the server bounded memory and, once it
// reads again, has lost nothing.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>

#include "watch/service_testing.h"

namespace keel::watch {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsMeasurable = false;
#else
constexpr bool kMemoryIsMeasurable = true;
#endif

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

TEST(SlowReaderTest, AStoppedReaderIsBoundedAndReadsEverythingLater) {
  // A batch is less than makes a stream full: the quick reader stays live.
  constexpr int64_t kEvents = kMemoryIsMeasurable ? 100'000 : 20'000, kPerBatch = 400;
  TestServer server;
  rpc::ChannelOptions narrow;
  narrow.stream_window_bytes = 64 << 10;
  TestClient slow(server, narrow), quick(server);
  slow.Create("k");
  quick.Create("k");
  EXPECT_TRUE(slow.Next().created());
  EXPECT_TRUE(quick.Next().created());
  slow.stream().PauseReading();

  // First into the store, whose memory is not what is measured.
  RunOn(server.apply, [&] {
    for (int64_t i = 0; i < kEvents; ++i) server.feed.Put("k", std::string(1024, 'v'));
  });
  const int64_t first = 2, last = first + kEvents - 1;
  const int64_t before = ResidentBytes();
  for (int64_t through = first - 1; through < last;) {
    through += kPerBatch;
    RunOn(server.apply, [&] { server.feed.Publish(through); });
    for (int64_t seen = 0; seen < through;) {
      const WatchResponse response = quick.Next();
      ASSERT_GT(response.events_size(), 0);
      seen = response.header().revision();
    }
  }
  EXPECT_EQ(server.hub.Stats().watchers_behind, 1);
  const int64_t grown = ResidentBytes() - before;
  std::cout << "resident memory grew by " << (grown >> 20) << " MiB\n";
  if (kMemoryIsMeasurable) {
    EXPECT_LT(grown, 40 << 20) << "of 100 MiB of events";
  }

  slow.stream().ResumeReading();
  int64_t next = first;
  while (next <= last) {
    const WatchResponse response = slow.Next();
    ASSERT_GT(response.events_size(), 0) << "next " << next;
    for (const auto& event : response.events()) ASSERT_EQ(event.kv().mod_revision(), next++);
  }
  server.Put("k", "live");
  EXPECT_EQ(slow.Next().events(0).kv().value(), "live");
  EXPECT_EQ(server.hub.Stats().watchers_behind, 0);
}

}  // namespace
}  // namespace keel::watch
