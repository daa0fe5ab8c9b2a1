// check perf: whether the cluster keeps up with a load, judged by etcdctl's limits.
#include "kvstore/kvctl/check_commands.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "kvstore/client/requests.h"
#include "kvstore/kvctl/go_format.h"
#include "kvstore/kvctl/progress_bar.h"
#include "kvstore/kvctl/session.h"

namespace keel::kvctl {
namespace {

using base::StrCat;
using Clock = std::chrono::steady_clock;

struct Load {
  std::string_view name;
  int64_t writes_per_second;
  size_t clients;
};
constexpr Load kLoads[] = {{"s", 150, 50}, {"m", 1000, 200}, {"l", 8000, 500}, {"xl", 15000, 1000}};
constexpr std::chrono::seconds kRunTime{60};
constexpr size_t kKeyBytes = 256;
constexpr size_t kValueBytes = 1024;
constexpr double kSlowestMax = 0.5;     // seconds
constexpr double kDeviationMax = 0.1;   // seconds
constexpr double kThroughputMin = 0.9;  // of what was asked for

struct PerfFlags {
  std::string load = "s";
  std::string prefix = "/etcdctl-check-perf/";
  bool auto_compact = false;
  bool auto_defrag = false;
};

const Load* FindLoad(std::string_view name) {
  for (const Load& load : kLoads) {
    if (load.name == ShortLoadName(name)) return &load;
  }
  return nullptr;
}

// Times of the requests that succeeded, in seconds, and the errors.
struct Measured {
  std::mutex mutex;
  std::vector<double> seconds;
  std::vector<std::string> errors;  // the first few
  std::atomic<size_t> open{0};
};

// Starts writes evenly over the time, at most `load.clients` at once.
void Write(Session& session, const Load& load, const std::string& prefix, Measured* measured) {
  const std::string value(kValueBytes, 'b');
  std::mt19937_64 random(std::random_device{}());
  ProgressBar bar("checking");
  const auto start = Clock::now();
  const auto total = static_cast<uint64_t>(load.writes_per_second * kRunTime.count());
  for (uint64_t i = 0; i < total && Clock::now() < start + kRunTime; ++i) {
    const auto at = start + std::chrono::duration_cast<Clock::duration>(
                                std::chrono::duration<double>(kRunTime) * i / total);
    std::this_thread::sleep_until(at);
    while (measured->open.load() >= load.clients) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::string key = StrCat(prefix, random());
    key.resize(std::max(key.size(), prefix.size() + kKeyBytes), 'k');
    ++measured->open;
    const auto begin = Clock::now();
    session.client().Call(kvstore::MakePut(key, value),
                          [measured, begin](absl::StatusOr<etcdserverpb::PutResponse> response) {
                            const std::chrono::duration<double> took = Clock::now() - begin;
                            {
                              std::lock_guard lock(measured->mutex);
                              if (response.ok()) {
                                measured->seconds.push_back(took.count());
                              } else if (measured->errors.size() < 5) {
                                measured->errors.push_back(ReasonOf(response.status()));
                              }
                            }
                            --measured->open;
                          });
    bar.Show(i + 1, total);
  }
  while (measured->open.load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// Prints one line for each limit; whether all hold.
bool Judge(const Measured& measured, const Load& load, double elapsed) {
  bool passed = true;
  const auto line = [&passed](bool good, const std::string& pass, const std::string& fail) {
    passed = passed && good;
    std::cout << (good ? StrCat("PASS: ", pass) : StrCat("FAIL: ", fail)) << "\n";
  };
  for (const std::string& error : measured.errors)
    line(false, "", StrCat("too many errors: ", error));
  const size_t count = measured.seconds.size();
  double sum = 0, slowest = 0;
  for (const double each : measured.seconds) {
    sum += each;
    slowest = std::max(slowest, each);
  }
  const double mean = count == 0 ? 0 : sum / static_cast<double>(count);
  double squares = 0;
  for (const double each : measured.seconds) squares += (each - mean) * (each - mean);
  const double deviation = count == 0 ? 0 : std::sqrt(squares / static_cast<double>(count));
  const int rate = static_cast<int>(std::lround(static_cast<double>(count) / elapsed));
  line(rate >= kThroughputMin * static_cast<double>(load.writes_per_second),
       StrCat("Throughput is ", rate, " writes/s"),
       StrCat("Throughput too low: ", rate, " writes/s"));
  line(slowest <= kSlowestMax, absl::StrFormat("Slowest request took %fs", slowest),
       absl::StrFormat("Slowest request took too long: %fs", slowest));
  line(deviation <= kDeviationMax, absl::StrFormat("Stddev is %fs", deviation),
       absl::StrFormat("Stddev too high: %fs", deviation));
  return passed;
}

Outcome Perf(Session& session, const PerfFlags& flags) {
  const Load* load = FindLoad(flags.load);
  if (load == nullptr) {
    return Fail(kExitBadFeature, StrCat("unknown load option ", flags.load));
  }
  if (Outcome ready = BeginCheck(session, flags.prefix); !ready.ok()) return ready;
  Measured measured;
  const auto start = Clock::now();
  Write(session, *load, flags.prefix, &measured);
  const std::chrono::duration<double> elapsed = Clock::now() - start;
  if (Outcome ended = EndCheck(session, flags.prefix, session.flags.command_timeout,
                               flags.auto_compact, flags.auto_defrag);
      !ended.ok()) {
    return ended;
  }
  const bool passed = Judge(measured, *load, elapsed.count());
  std::cout << (passed ? "PASS\n" : "FAIL\n");
  return passed ? Success() : Outcome{kExitError, ""};
}

}  // namespace

std::string_view ShortLoadName(std::string_view name) {
  if (name == "small") return "s";
  if (name == "medium") return "m";
  if (name == "large") return "l";
  if (name == "xLarge") return "xl";
  return name;
}

Outcome BeginCheck(Session& session, const std::string& prefix) {
  if (prefix.empty()) return Fail(kExitBadArgs, "--prefix must not be empty");
  if (Outcome connected = session.Connect(); !connected.ok()) return connected;
  const auto before =
      session.client().Get(prefix, {.range_end = kvstore::PrefixEnd(prefix), .limit = 1});
  if (!before.ok()) return FailWith(before.status());
  if (before->kvs_size() == 0) return Success();
  return Fail(kExitInvalidInput,
              StrCat("prefix ", Quote(prefix), " has keys. Delete with 'kvctl del --prefix ",
                     prefix, "' first"));
}

Outcome EndCheck(Session& session, const std::string& prefix, base::Duration delete_limit,
                 bool compact, bool defragment) {
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(prefix);
  request.set_range_end(kvstore::PrefixEnd(prefix));
  const auto deleted = session.client().Await(request, {.timeout = delete_limit});
  if (!deleted.ok()) return FailWith(deleted.status());
  if (compact) {
    const auto compacted = session.client().Compact(deleted->header().revision());
    if (!compacted.ok()) return FailWith(compacted.status());
  }
  if (!defragment) return Success();
  for (const std::string& endpoint : session.flags.endpoints) {
    const auto done =
        session.client().Await(etcdserverpb::DefragmentRequest(), {.endpoint = endpoint});
    if (!done.ok()) return FailWith(done.status());
  }
  return Success();
}

void AddCheckVerbs(CLI::App& app, Session& session) {
  CLI::App* check = AddVerb(app, "check", "Checks of the cluster", "");
  check->require_subcommand(1);
  CLI::App* perf = AddVerb(*check, "perf", "Checks whether the cluster keeps up with a load",
                           "  kvctl check perf --load m");
  auto flags = std::make_shared<PerfFlags>();
  perf->add_option("--load", flags->load, "s, m, l or xl: 150, 1000, 8000, 15000 writes a second");
  perf->add_option("--prefix", flags->prefix, "of the keys that are written, and deleted");
  perf->add_flag("--auto-compact", flags->auto_compact, "compact afterwards");
  perf->add_flag("--auto-defrag", flags->auto_defrag, "defragment afterwards");
  perf->callback(
      [&session, flags] { session.run = [&session, flags] { return Perf(session, *flags); }; });
  AddDatascaleVerb(*check, session);
}

}  // namespace keel::kvctl
