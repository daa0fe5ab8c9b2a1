// Proposals through three members in one process, over TCP on loopback, with
// a state machine that does nothing: what consensus itself costs.
//
//   raft_node_benchmark       # folders under $TMPDIR or /tmp
//
// cpu_us_per_item is of the whole process: three members and the load.
#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/asio_loop.h"
#include "base/log.h"
#include "base/strings.h"
#include "raft/driver/node.h"
#include "raft/transport/tcp_transport.h"

namespace keel::raft {
namespace {

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

class Counter final : public StateMachine {
 public:
  absl::StatusOr<AppliedState> Open() override { return AppliedState{}; }
  absl::Status Apply(std::span<const CommittedEntry> entries) override {
    std::lock_guard lock(mu);
    for (const CommittedEntry& e : entries) {
      if (!e.entry.data->empty()) ++count;
      index = e.entry.index;
    }
    cv.notify_all();
    return absl::OkStatus();
  }
  Index DurableIndex() override {
    std::lock_guard lock(mu);
    return index;
  }
  void Flush() override {}
  absl::StatusOr<AppliedState> WriteSnapshot(const std::string&) override {
    return absl::UnimplementedError("no snapshots here");
  }
  absl::Status RestoreSnapshot(const std::string&, const SnapshotMeta&) override {
    return absl::UnimplementedError("no snapshots here");
  }

  std::mutex mu;
  std::condition_variable cv;
  uint64_t count = 0;
  Index index = 0;
};

struct Member {
  base::AsioLoop loop{"raft"}, apply{"apply"};
  Counter machine;
  std::unique_ptr<TcpTransport> transport;
  std::unique_ptr<Node> node;
};

void BM_Propose(benchmark::State& state) {
  base::Log().set_level(spdlog::level::err);
  const char* tmp = std::getenv("TMPDIR");
  const std::string root =
      base::StrCat(tmp != nullptr ? tmp : "/tmp", "/keel_node_benchmark_", ::getpid());
  std::vector<std::unique_ptr<Member>> members;
  for (NodeId id = 1; id <= 3; ++id) {
    auto m = std::make_unique<Member>();
    TcpTransportOptions options;
    options.self = id;
    options.listen = {"127.0.0.1:0"};
    options.io = &m->loop;
    m->transport = *TcpTransport::Create(options);
    members.push_back(std::move(m));
  }
  for (NodeId id = 1; id <= 3; ++id) {
    Member& m = *members[id - 1];
    for (NodeId peer = 1; peer <= 3; ++peer) {
      m.transport->AddPeer(peer, base::StrCat("127.0.0.1:", members[peer - 1]->transport->port()));
    }
    NodeOptions options;
    options.id = id;
    options.loop = &m.loop;
    options.apply_loop = &m.apply;
    options.log_dir = base::StrCat(root, "/", id);
    options.initial_conf.voters = {1, 2, 3};
    m.node = *Node::Open(options, m.transport.get(), &m.machine);
    m.loop.Start();
    m.apply.Start();
  }
  Member* leader = nullptr;
  while (leader == nullptr) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    for (auto& m : members) {
      if (m->node->role() == Role::kLeader) leader = m.get();
    }
  }
  const auto inflight = static_cast<uint64_t>(state.range(1));
  const Payload data =
      std::make_shared<const std::string>(static_cast<size_t>(state.range(0)), 'x');
  uint64_t proposed = 0;
  const double cpu = CpuSeconds();
  for (auto _ : state) {
    {
      std::unique_lock lock(leader->machine.mu);
      leader->machine.cv.wait(lock, [&] { return proposed - leader->machine.count < inflight; });
    }
    leader->node->Propose(data, [](absl::Status) { std::abort(); });
    ++proposed;
  }
  {
    std::unique_lock lock(leader->machine.mu);
    leader->machine.cv.wait(lock, [&] { return leader->machine.count == proposed; });
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["cpu_us_per_item"] =
      1e6 * (CpuSeconds() - cpu) / static_cast<double>(state.iterations());
  for (auto& m : members) m->node->Stop(base::Duration::zero());
  for (auto& m : members) {
    m->loop.Stop();
    m->apply.Stop();
    m->node.reset();
  }
  members.clear();
  std::filesystem::remove_all(root);
}
BENCHMARK(BM_Propose)
    ->ArgsProduct({{256}, {1, 100, 2000}})
    ->ArgNames({"bytes", "inflight"})
    ->UseRealTime();

}  // namespace
}  // namespace keel::raft
