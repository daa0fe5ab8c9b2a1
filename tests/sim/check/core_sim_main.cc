// keel-core-sim: many members of the Raft core alone, under faults drawn from
// seeds (raft/core/testing/cluster.h), with RaftChecker watching.
//
//   keel-core-sim --seeds 200            each seed in one of several kinds of cluster
//   keel-core-sim --first 17 --seeds 1   replays one
//
// A violation stops the process with its text; the line before names the seed.
// The build with mutations takes one from the environment (base/mutation.h).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/check.h"
#include "raft/core/testing/cluster.h"
#include "tests/sim/check/raft_check.h"

namespace keel::sim {
namespace {

using raft::testing::ClusterOptions;

class Watcher : public raft::testing::ClusterObserver {
 public:
  explicit Watcher(const ClusterOptions& options)
      : checker_([&] {
          raft::ConfState conf;
          conf.voters = options.voters;
          conf.learners = options.learners;
          return conf;
        }()) {}

  void OnStart(raft::NodeId id, const raft::HardState& hard_state, const raft::SnapshotMeta& base,
               const std::vector<raft::Entry>& entries, raft::Index applied) override {
    checker_.OnRestart(id, hard_state, base, entries, applied);
    Check();
  }
  void OnCrash(raft::NodeId id) override { checker_.OnCrash(id); }
  void OnReady(raft::NodeId id, const raft::Ready& ready) override {
    if (ready.snapshot) checker_.OnSnapshot(id, *ready.snapshot);
    checker_.OnAppend(id, ready.entries);
    Check();
  }
  void OnStatus(const raft::Status& status) override {
    checker_.OnStatus(status);
    Check();
  }
  void OnSent(const raft::Message& message) override {
    checker_.OnSent(message);
    Check();
  }
  void OnApplied(raft::NodeId id, const raft::Entry& entry,
                 const raft::ConfState& conf_after) override {
    checker_.OnApplied(id, entry);
    if (entry.type == raft::EntryType::kConfChange) checker_.OnConf(id, entry.index, conf_after);
    Check();
  }
  void OnCompact(raft::NodeId id, raft::Index index) override {
    checker_.OnCompact(id, index);
    Check();
  }

 private:
  void Check() const { KEEL_CHECK(checker_.verdict().ok(), checker_.verdict().text); }

  RaftChecker checker_;
};

struct Kind {
  const char* name;
  ClusterOptions options;
  int steps;
};

std::vector<Kind> Kinds() {
  raft::Config restless;
  restless.election_ticks = 3;
  raft::Config plain = restless;
  plain.pre_vote = false;
  plain.check_quorum = false;
  // Entries of older terms in messages of their own: figure 8 needs them apart.
  plain.max_message_bytes = 4;
  // Not with membership changes: a learner of a higher term could be stuck, which
  // etcd-io/raft too heals only with one of the two.
  raft::Config pre_vote = plain;
  pre_vote.pre_vote = true;
  raft::Config lease;
  lease.lease_reads = true;
  lease.election_ticks = 24;
  raft::Config narrow = restless;
  narrow.max_message_bytes = 4;
  narrow.max_inflight_messages = 2;
  narrow.max_inflight_bytes = 8;
  narrow.max_committed_bytes = 4;
  return {
      {"three", {}, 15000},
      {"restless", {.config = restless}, 15000},
      {"five plain", {.voters = {1, 2, 3, 4, 5}, .transfer = true, .config = plain}, 20000},
      {"membership",
       {.voters = {1, 2, 3},
        .learners = {4},
        .spares = {5, 6},
        .change_membership = true,
        .transfer = true,
        .config = restless},
       20000},
      {"membership uncompacted",
       {.voters = {1, 2, 3},
        .spares = {4, 5},
        .change_membership = true,
        .transfer = true,
        .compact = false,
        .config = pre_vote},
       20000},
      {"leases", {.transfer = true, .lockstep = true, .depose = true, .config = lease}, 30000},
      {"learners",
       {.voters = {1, 2, 3}, .learners = {4, 5}, .transfer = true, .config = restless},
       15000},
      {"narrow", {.config = narrow}, 10000},
  };
}

int Main(int argc, char** argv) {
  CLI::App app("The Raft core under faults from seeds");
  uint64_t first = 1;
  uint64_t seeds = 100;
  app.add_option("--first", first, "the first seed")->capture_default_str();
  app.add_option("--seeds", seeds, "how many")->capture_default_str();
  std::string only;
  app.add_option("--kind", only, "only this kind of cluster; default: the seed decides");
  CLI11_PARSE(app, argc, argv);
  const std::vector<Kind> kinds = Kinds();
  uint64_t committed = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    if (!only.empty() && kinds[seed % kinds.size()].name != only) continue;
    const Kind& kind = kinds[seed % kinds.size()];
    std::printf("seed %llu %s\n", static_cast<unsigned long long>(seed), kind.name);
    std::fflush(stdout);
    ClusterOptions options = kind.options;
    options.seed = seed;
    Watcher watcher(options);
    options.observer = &watcher;
    raft::testing::Cluster cluster(options);
    cluster.Run(kind.steps);
    cluster.Heal();
    cluster.AwaitAgreement();
    committed += cluster.committed();
  }
  std::printf("passed: %llu seeds, %llu entries committed\n",
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(committed));
  return 0;
}

}  // namespace
}  // namespace keel::sim

int main(int argc, char** argv) { return keel::sim::Main(argc, argv); }
