// Many seeds, in child processes: a crash of one is a failure of its seed and
// of nothing else.
//
//   CampaignOptions options;
//   options.seeds = 2000;  options.jobs = 2;
//   CampaignResult result = RunCampaign(options);
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/simulation.h"

namespace keel::sim {

struct CampaignOptions {
  RunOptions run;  // its seed aside
  uint64_t from = 1;
  uint64_t seeds = 100;
  int jobs = 1;
  bool progress = true;  // a line on standard error, once a second
  bool shrink = true;
  size_t failures_max = 5;  // then it stops
};

struct SeedFailure {
  uint64_t seed = 0;
  std::string rule;
  std::string text;
  // What of the plan is needed; empty: nothing but the seed. Set when it was shrunk.
  std::optional<std::set<uint32_t>> only;
};

struct CampaignResult {
  uint64_t seeds = 0;
  double seconds = 0;
  double simulated_seconds = 0;
  uint64_t events = 0;
  uint64_t hash = 0;  // of all runs' hashes
  std::map<std::string, uint64_t> counters;
  std::vector<SeedFailure> failures;
};

CampaignResult RunCampaign(const CampaignOptions& options);

// Runs one seed in a child process; a crash there is a failure with what it said last.
// `text` gets the failure in words, empty when there was none.
struct ChildResult {
  bool failed = false;
  std::string rule;
  std::string text;
  uint64_t hash = 0;
  uint64_t events = 0;
  Nanos virtual_time = 0;
  std::vector<uint32_t> plan;
  std::map<std::string, uint64_t> counters;
};
ChildResult RunInChild(const RunOptions& options);

// The command that replays it.
std::string ReplayCommand(const RunOptions& options, uint64_t seed,
                          const std::optional<std::set<uint32_t>>& only);

// Figures of a campaign, for programs.
std::string ToJson(const CampaignOptions& options, const CampaignResult& result);

}  // namespace keel::sim
