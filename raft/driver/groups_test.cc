// 10,000 groups of three members in one process, on virtual time.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "base/allocations.h"
#include "base/log.h"
#include "raft/driver/host_test_util.h"

namespace keel::raft {
namespace {

constexpr GroupId kGroups = 10000;
using std::chrono::seconds;

uint64_t ResidentBytes() {
  uint64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

class GroupsTest : public ::testing::Test {
 protected:
  GroupsTest() {
    (void)base::SetLogLevel("error");
    for (auto& host : t_.hosts) host->options.segment_bytes = 8 << 20;
  }
  ~GroupsTest() override { (void)base::SetLogLevel("info"); }

  bool AllHaveLeaders() {
    while (next_ <= kGroups && t_.Leader(next_) != nullptr) ++next_;
    return next_ > kGroups;
  }
  void Step(const char* what) {
    const double cpu = CpuSeconds();
    std::printf("%-44s %6.2f s CPU, %5.0f s virtual, %4llu MiB\n", what, cpu - cpu_,
                std::chrono::duration<double>(t_.loop.Now() - at_).count(),
                static_cast<unsigned long long>(ResidentBytes() >> 20));
    cpu_ = cpu;
    at_ = t_.loop.Now();
  }
  HostCounters Sum() {
    HostCounters sum;
    for (auto& host : t_.hosts) {
      if (!host->host) continue;
      const HostCounters c = host->host->counters();
      sum.ticks += c.ticks;
      sum.turns += c.turns;
      sum.messages_sent += c.messages_sent;
      sum.messages_received += c.messages_received;
      sum.sends += c.sends;
      sum.host_heartbeats_sent += c.host_heartbeats_sent;
      sum.refused_messages += c.refused_messages;
      sum.quiesced += c.quiesced;
      sum.woken += c.woken;
    }
    return sum;
  }
  void ProposeToSome(int count, const std::string& value) {
    for (int i = 0; i < count; ++i) {
      const GroupId group = 1 + random_() % kGroups;
      TestHost* at = nullptr;
      while (at == nullptr || !at->host) at = t_.hosts[random_() % 3].get();
      ++proposed_[group];
      t_.Propose(at, group, value);
    }
  }
  void ExpectApplied(const std::vector<TestHost*>& hosts) {
    for (GroupId g = 1; g <= kGroups; ++g) {
      const auto it = proposed_.find(g);
      const uint64_t want = it == proposed_.end() ? 0 : it->second;
      for (TestHost* host : hosts) {
        ASSERT_EQ(host->machines[g]->count, want) << "group " << g << " host " << host->id;
        ASSERT_EQ(host->machines[g]->hash, hosts[0]->machines[g]->hash) << "group " << g;
      }
    }
  }

  TestHosts t_{"groups_test"};
  std::mt19937_64 random_{3};
  std::map<GroupId, uint64_t> proposed_;
  GroupId next_ = 1;
  double cpu_ = CpuSeconds();
  base::TimePoint at_{};
};

TEST_F(GroupsTest, TenThousandGroupsInOneProcess) {
  const double cpu_before = CpuSeconds();
  const uint64_t resident_before = ResidentBytes();
  t_.StartAll(kGroups);
  Step("open 3 hosts x 10,000 groups");

  ASSERT_TRUE(t_.Within(seconds(30), [&] { return AllHaveLeaders(); })) << "group " << next_;
  Step("elect all");
  ASSERT_TRUE(t_.Within(seconds(30), [&] { return t_.Active() == 0; })) << t_.Active();
  Step("fall asleep");
  const uint64_t replica_bytes = (ResidentBytes() - resident_before) / (3 * kGroups);
  std::printf("memory: %llu bytes a member of a group\n",
              static_cast<unsigned long long>(replica_bytes));
  EXPECT_LT(ResidentBytes(), 1536ull << 20);
  const HostCounters elected = Sum();
  // Batched: far fewer hand-overs to the transport than messages.
  EXPECT_LT(elected.sends * 20, elected.messages_sent);

  // A minute in which nothing happens costs the hosts' heartbeats and nothing else.
  const uint64_t allocations = base::Allocations();
  t_.loop.Advance(std::chrono::minutes(1));
  const uint64_t allocated = base::Allocations() - allocations;
  const HostCounters idle = Sum();
  EXPECT_EQ(idle.ticks, elected.ticks);
  EXPECT_EQ(idle.turns, elected.turns);
  EXPECT_EQ(idle.messages_sent, elected.messages_sent);
  EXPECT_EQ(idle.messages_received, elected.messages_received);
  EXPECT_EQ(idle.woken, elected.woken);
  EXPECT_EQ(idle.host_heartbeats_sent - elected.host_heartbeats_sent, 3 * 2 * 200u);
  // 3 hosts x 600 ticks: timers, heartbeats and their delivery.
  EXPECT_LT(allocated, 3 * 600 * 20u);
  std::printf("idle minute: %llu allocations by the hosts' own timers and heartbeats\n",
              static_cast<unsigned long long>(allocated));
  Step("an idle minute");

  // Work in some groups wakes those and no others.
  ProposeToSome(500, "first");
  t_.loop.Advance(seconds(1));
  EXPECT_LE(t_.Active(), 3 * proposed_.size());
  EXPECT_LE(Sum().woken - idle.woken, 3 * proposed_.size());
  ExpectApplied({t_.hosts[0].get(), t_.hosts[1].get(), t_.hosts[2].get()});
  ASSERT_TRUE(t_.Within(seconds(10), [&] { return t_.Active() == 0; })) << t_.Active();
  Step("500 proposals, and asleep again");

  // A host dies: what it led is led by others within the bound of host.h.
  TestHost* victim = t_.hosts[0].get();
  std::vector<GroupId> led;
  std::map<GroupId, Term> terms;
  for (GroupId g = 1; g <= kGroups; ++g) {
    if (t_.Leader(g) != victim) continue;
    led.push_back(g);
    terms[g] = victim->nodes[g]->term();
  }
  EXPECT_GT(led.size(), kGroups / 4);
  const SharedLogStats stats = victim->host->log_stats();
  std::printf("log of a host: %llu writes in %llu batches, %llu segments\n",
              static_cast<unsigned long long>(stats.writes),
              static_cast<unsigned long long>(stats.batches),
              static_cast<unsigned long long>(stats.segments));
  victim->Crash();
  // host_suspect_ticks + 2 * election_ticks, and as much again for split votes.
  ASSERT_TRUE(t_.Within(std::chrono::milliseconds(100 * (15 + 2 * 20)), [&] {
    return std::all_of(led.begin(), led.end(), [&](GroupId g) {
      TestHost* leader = t_.Leader(g);
      return leader != nullptr && leader->nodes[g]->term() > terms[g];
    });
  }));
  Step("a host dies, its groups elect others");
  ASSERT_TRUE(t_.Within(seconds(30), [&] { return t_.Active() == 0; })) << t_.Active();
  ProposeToSome(300, "second");
  ASSERT_TRUE(t_.Within(seconds(30), [&] { return t_.Active() == 0; })) << t_.Active();
  ExpectApplied({t_.hosts[1].get(), t_.hosts[2].get()});
  Step("asleep with a host down; 300 proposals");

  // It comes back from its log, and is brought up to date.
  ASSERT_TRUE(victim->Start().ok());
  EXPECT_EQ(victim->host->Groups().size(), kGroups);
  for (GroupId g = 1; g <= kGroups; ++g) ASSERT_TRUE(victim->OpenGroup(g).ok());
  Step("open its log again");
  ASSERT_TRUE(t_.Within(seconds(30), [&] { return t_.Active() == 0; })) << t_.Active();
  ExpectApplied({t_.hosts[0].get(), t_.hosts[1].get(), t_.hosts[2].get()});
  for (GroupId g = 1; g <= kGroups; ++g) {
    ASSERT_NE(victim->nodes[g]->leader(), kNoNode) << g;
    ASSERT_EQ(victim->nodes[g]->leader(), t_.Leader(g)->id) << g;
  }
  Step("caught up and asleep");
  EXPECT_LT(CpuSeconds() - cpu_before, 60);
}

}  // namespace
}  // namespace keel::raft
