// keel-sim: one seed with a trace, or a campaign of many.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <thread>

#include "base/log.h"
#include "base/mutation.h"
#include "tests/sim/campaign.h"

namespace keel::sim {
namespace {

struct Flags {
  uint64_t seed = 0;
  uint64_t seeds = 0;
  uint64_t from = 1;
  int jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  double length = 20;
  std::string stack = "list";
  std::string only, without, json;
  bool trace = false;
  bool plan = false;
  bool no_shrink = false;
  std::string mutation;
  std::string log_level = "fatal";
};

std::set<uint32_t> Numbers(const std::string& text) {
  std::set<uint32_t> out;
  std::stringstream in(text);
  for (std::string number; text != "none" && std::getline(in, number, ',');) {
    out.insert(static_cast<uint32_t>(std::stoul(number)));
  }
  return out;
}

int RunSeed(const Flags& flags, RunOptions options) {
  options.seed = flags.seed;
  if (!flags.without.empty()) {
    const std::set<uint32_t> without = Numbers(flags.without);
    std::set<uint32_t> only = options.only.value_or(std::set<uint32_t>());
    if (!options.only) {
      for (const Fault& fault : PlanOf(options)) only.insert(fault.number);
    }
    for (const uint32_t number : without) only.erase(number);
    options.only = std::move(only);
  }
  if (flags.plan) {
    for (const Fault& fault : PlanOf(options)) printf("%s\n", Describe(fault).c_str());
    return 0;
  }
  if (flags.trace) options.trace = stdout;
  const RunResult result = Run(options);
  printf("seed %lu: %lu events, %.1f virtual seconds, hash %016lx\n", options.seed, result.events,
         static_cast<double>(result.virtual_time) / kSecond, result.hash);
  if (!result.failed) return 0;
  for (const Fault& fault : result.plan) printf("  %s\n", Describe(fault).c_str());
  printf("FAILED at %.6f s: %s\n  %s\n", static_cast<double>(result.failure.at) / kSecond,
         result.failure.rule.c_str(), result.failure.text.c_str());
  return 1;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Runs Keel clusters in virtual time under faults, from seeds, and checks them."};
  app.footer(
      "Examples:\n"
      "  keel-sim --seeds 2000 --jobs 2            a campaign; exit code 1 if a seed fails\n"
      "  keel-sim --seed 42                        one seed\n"
      "  keel-sim --seed 42 --trace                with everything that happens\n"
      "  keel-sim --seed 42 --plan                 what its faults are\n"
      "  keel-sim --seed 42 --only 3,7 --trace     with these of its faults only\n"
      "  keel-sim --seed 42 --without 5            with all but this one\n"
      "  keel-sim --seeds 500 --stack kv --json out.json");
  auto* seed = app.add_option("--seed", flags.seed, "run this seed");
  auto* seeds = app.add_option("--seeds", flags.seeds, "run a campaign of so many seeds");
  seed->excludes(seeds);
  app.add_option("--from", flags.from, "first seed of the campaign")->capture_default_str();
  app.add_option("--jobs", flags.jobs, "processes at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--length", flags.length, "virtual seconds in which faults happen")
      ->capture_default_str()
      ->check(CLI::Range(2.0, 3600.0));
  app.add_option("--stack", flags.stack,
                 "what runs above Raft: list (a counter), kv (the store),\n"
                 "hosts (counters in many groups on a raft::Host)")
      ->capture_default_str()
      ->check(CLI::IsMember({"list", "kv", "hosts"}));
  app.add_option("--only", flags.only, "faults to keep, by number: 3,7 or none");
  app.add_option("--without", flags.without, "faults to leave out")->needs(seed);
  app.add_flag("--trace", flags.trace, "print what happens")->needs(seed);
  app.add_flag("--plan", flags.plan, "print the faults and do not run")->needs(seed);
  app.add_flag("--no-shrink", flags.no_shrink, "do not shrink failures");
  app.add_option("--json", flags.json, "write the campaign's figures to this file")->needs(seeds);
  app.add_option("--mutation", flags.mutation,
                 "plant this bug (base/mutation.h; in builds with KEEL_MUTATIONS)");
  app.add_option("--log-level", flags.log_level, "of the members' own log lines")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (seed->count() + seeds->count() == 0) {
    fputs(app.help().c_str(), stdout);
    return 2;
  }
  if (const absl::Status level = base::SetLogLevel(flags.log_level); !level.ok()) {
    fprintf(stderr, "%s\n", level.ToString().c_str());
    return 2;
  }

  if (!flags.mutation.empty()) {
#ifdef KEEL_MUTATIONS
    if (!base::SetMutation(flags.mutation)) {
      fprintf(stderr, "no mutation is called %s\n", flags.mutation.c_str());
      return 2;
    }
#else
    fprintf(stderr, "this build has no mutations: configure with -DKEEL_MUTATIONS=ON\n");
    return 2;
#endif
  }

  RunOptions options;
  options.length = static_cast<Nanos>(flags.length * kSecond);
  options.stack = flags.stack == "kv"      ? Stack::kKv
                  : flags.stack == "hosts" ? Stack::kHosts
                                           : Stack::kList;
  if (!flags.only.empty()) options.only = Numbers(flags.only);
  if (seed->count() > 0) return RunSeed(flags, options);

  CampaignOptions campaign;
  campaign.run = options;
  campaign.from = flags.from;
  campaign.seeds = flags.seeds;
  campaign.jobs = flags.jobs;
  campaign.shrink = !flags.no_shrink;
  const CampaignResult result = RunCampaign(campaign);
  if (!flags.json.empty()) {
    FILE* file = fopen(flags.json.c_str(), "w");
    if (file == nullptr) {
      fprintf(stderr, "cannot write %s\n", flags.json.c_str());
      return 2;
    }
    fputs(ToJson(campaign, result).c_str(), file);
    fclose(file);
  }
  return result.failures.empty() ? 0 : 1;
}

}  // namespace
}  // namespace keel::sim

int main(int argc, char** argv) { return keel::sim::Main(argc, argv); }
